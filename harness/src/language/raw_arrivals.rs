//! The keys that say when messages are due.

use super::document::Spanned;
use super::quantity::{Frequency, Span, Tempo};
use super::setting::{choices, settings};

settings! {
    /// When messages are due. The schedule is open: nothing that the system does delays it.
    pub struct RawArrivals {
        /// How they are spread over time.
        "shape" => shape: Spanned<ShapeChoice>,
        /// How many in each unit of time; at the end of a ramp, between bursts.
        "rate" => rate: Option<Spanned<Frequency>>,
        /// How many at the beginning of a ramp, from where the rate changes evenly.
        "from" => from: Option<Spanned<Frequency>>,
        /// For how long.
        "for" => duration: Option<Spanned<Span>>,
        /// Rates one after another, each with its time, instead of `rate` and `for`.
        "steps" => steps: Option<Spanned<Vec<Spanned<RawStep>>>>,
        /// Bursts that take the place of `rate`.
        "burst" => burst: Option<Spanned<RawBurst>>,
        /// What came once before, instead of `rate` and `for`.
        "replay" => replay: Option<Spanned<RawReplay>>,
        /// How a rate that changes is followed. Default `even`.
        "process" => process: Option<Spanned<ProcessChoice>>,
    }
}

choices! {
    /// How arrivals are spread over time.
    pub enum ShapeChoice {
        /// At equal distances.
        Constant = "constant",
        /// As independent customers arrive.
        Poisson = "poisson",
        /// More and more densely, or less and less, between two rates.
        Ramp = "ramp",
        /// At rates one after another.
        Steps = "steps",
        /// At one rate, with bursts of another.
        Burst = "burst",
        /// As they came once before.
        Replay = "replay",
    }
}

choices! {
    /// How a rate that changes is followed.
    pub enum ProcessChoice {
        /// Each message when the rate, summed up, has come to the next whole one.
        Even = "even",
        /// As independent customers arrive, the more densely the higher the rate is.
        Poisson = "poisson",
    }
}

settings! {
    /// A rate that holds for a while.
    pub struct RawStep {
        /// How many in each unit of time.
        "rate" => rate: Spanned<Frequency>,
        /// For how long.
        "for" => duration: Spanned<Span>,
    }
}

settings! {
    /// Bursts at equal distances; the first begins when the first period is over.
    pub struct RawBurst {
        /// How many in each unit of time while a burst lasts.
        "rate" => rate: Spanned<Frequency>,
        /// From the beginning of one burst to that of the next.
        "every" => every: Spanned<Span>,
        /// How long each lasts.
        "for" => duration: Spanned<Span>,
    }
}

settings! {
    /// Arrivals that were recorded.
    pub struct RawReplay {
        /// A file with a nanosecond a line, or the directory of an earlier run, seen from the scenario's folder.
        "from" => from: Spanned<String>,
        /// How fast: 2 is twice as fast. Default 1.
        "speed" => speed: Option<Spanned<Tempo>>,
    }
}
