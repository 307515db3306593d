//! Frames from nobody knows whom, to a whole broker: it answers or refuses, and neither panics nor takes more memory than
//! such bytes can be worth.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown_fuzz::allowance::{self, Allowance};
use shakedown_fuzz::broker::{Broker, frames};

#[global_allocator]
static ALLOCATOR: Allowance = Allowance;

/// An input of a few kilobytes may create ten thousand partitions (Kafka's limit for a request), and little else is dear.
const MIB: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let mut broker = Broker::default();
    allowance::within(16 * MIB, 128 * MIB, || {
        for frame in frames(input).into_iter().take(16) {
            broker.frame(frame);
        }
        // Whoever waits gives up, groups lose their members, old records are looked for.
        broker.pass(60_000);
    });
});
