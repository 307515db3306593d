//! Rates that change: how many messages are due before each instant, exactly, in integers, and back.
//!
//! A shape with an intensity tells its integral N(t), the messages that are due before t, as a whole number over a
//! denominator, and the inverse of that. Nothing is rounded on the way, so counting and offsets agree to the last message.
//! Evenly spread, the n-th message is due when N(t) = n. As a Poisson process, each of them is due where N(t) has reached a
//! share of the whole that is uniformly random: that is the [`Warp`].

use crate::burst::Burst;
use crate::ramp::Ramp;
use crate::steps::Steps;

/// Messages over time.
pub(crate) trait Intensity {
    /// N(t) times [`Self::denominator`]; t is no later than the end.
    fn area(&self, at_ns: u64) -> u128;

    /// What areas are divided by to count messages.
    fn denominator(&self) -> u128;

    /// The last instant before which no more than this area lies, which is less than the whole.
    fn last_at(&self, area: u128) -> u64;

    /// How many messages are due within the first `span_ns` nanoseconds, the end excluded; `None` when that does not fit
    /// 64 bits.
    fn messages_within(&self, span_ns: u64) -> Option<u64> {
        u64::try_from(self.area(span_ns).div_ceil(self.denominator())).ok()
    }

    /// When the `n`-th message (from 0) is due; it is one of those that there are.
    fn offset_ns(&self, n: u64) -> u64 {
        self.last_at(u128::from(n) * self.denominator())
    }
}

/// One of the shapes whose rate changes.
#[derive(Debug, Clone)]
pub(crate) enum Varying {
    Ramp(Ramp),
    Steps(Steps),
    Burst(Burst),
}

impl Intensity for Varying {
    fn area(&self, at_ns: u64) -> u128 {
        match self {
            Self::Ramp(ramp) => ramp.area(at_ns),
            Self::Steps(steps) => steps.area(at_ns),
            Self::Burst(burst) => burst.area(at_ns),
        }
    }

    fn denominator(&self) -> u128 {
        match self {
            Self::Ramp(ramp) => ramp.denominator(),
            Self::Steps(steps) => steps.denominator(),
            Self::Burst(burst) => burst.denominator(),
        }
    }

    fn last_at(&self, area: u128) -> u64 {
        match self {
            Self::Ramp(ramp) => ramp.last_at(area),
            Self::Steps(steps) => steps.last_at(area),
            Self::Burst(burst) => burst.last_at(area),
        }
    }
}

/// The bits of an area that tell instants apart: a part in 2^63 of the whole is below every nanosecond of a year.
const AREA_BITS: u32 = 63;

/// Time in which an intensity is steady: uniform there is as dense here as the rate is high.
#[derive(Debug, Clone)]
pub(crate) struct Warp {
    intensity: Varying,
    /// The lower bits of areas, which are left out.
    shift: u32,
    span: u64,
}

impl Warp {
    pub(crate) fn new(intensity: Varying, duration_ns: u64) -> Self {
        let whole = intensity.area(duration_ns);
        let shift = (u128::BITS - whole.leading_zeros()).saturating_sub(AREA_BITS);
        let span = u64::try_from(whole >> shift).expect("63 bits are left");
        Self { intensity, shift, span }
    }

    /// How long the steady time is.
    pub(crate) const fn span(&self) -> u64 {
        self.span
    }

    /// The instant at this place of the steady time, which is one before its end.
    pub(crate) fn offset_ns(&self, place: u64) -> u64 {
        self.intensity.last_at(((u128::from(place) + 1) << self.shift) - 1)
    }

    /// How many places have instants no later than this one, which is before the end.
    pub(crate) fn places(&self, elapsed_ns: u64) -> u64 {
        u64::try_from(self.intensity.area(elapsed_ns + 1) >> self.shift).expect("no more than in all")
    }
}
