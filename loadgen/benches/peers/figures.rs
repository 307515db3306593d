//! What somebody says of a load that he offered, and how it is read out of what he prints.

use std::time::Duration;

/// Of one load.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Messages a second, as he counts them: ours from the first intended instant to the last send, the others from their
    /// start to the last answer; at full speed everybody to the last answer.
    pub(crate) rate: f64,
    /// Percentiles of what he calls latency, in milliseconds; none that he does not tell.
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p999: Option<f64>,
    pub(crate) p9999: Option<f64>,
    pub(crate) max: Option<f64>,
    /// User and system time of his process, for each message, in microseconds.
    pub(crate) cpu_us: Option<f64>,
}

impl Figures {
    /// The one in the middle by its rate; of an even number the slower of the two.
    pub(crate) fn median_by_rate(mut rounds: Vec<Self>) -> Self {
        rounds.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        let middle = rounds.len().saturating_sub(1) / 2;
        rounds.into_iter().nth(middle).expect("one round at least")
    }

    /// What `ProducerPerformance` prints last.
    pub(crate) fn of_producer_performance(output: &str) -> Self {
        let line = output.lines().rev().find(|line| line.contains("99.9th")).expect("a line with percentiles");
        let before = |unit: &str| {
            let head = line.split(unit).next().expect("there is always a first part");
            head.rsplit([' ', ',', '(']).find(|word| !word.is_empty()).and_then(|word| word.parse::<f64>().ok())
        };
        Self {
            rate: before(" records/sec").expect("a rate"),
            p50: before(" ms 50th"),
            p99: before(" ms 99th"),
            p999: before(" ms 99.9th"),
            max: before(" ms max latency"),
            ..Self::default()
        }
    }

    /// What `EndToEndLatency` prints last; it says nothing of its rate, which is what its mean makes of it.
    pub(crate) fn of_end_to_end(output: &str) -> Self {
        let behind = |label: &str| {
            let rest = output.split(label).nth(1)?;
            rest.split([',', ' ', '\n']).find(|word| !word.is_empty())?.parse::<f64>().ok()
        };
        let mean_ms = behind("Avg latency:").expect("a mean");
        Self {
            rate: 1e3 / mean_ms,
            p50: behind("50th ="),
            p99: behind(" 99th ="),
            p999: behind("99.9th ="),
            ..Self::default()
        }
    }

    /// What `rdkafka_performance` prints last, and what it has written for each message.
    pub(crate) fn of_rdkafka_performance(output: &str, latencies_us: Option<&str>) -> Self {
        let line = output.lines().rev().find(|line| line.contains("msgs/s")).expect("a line with a rate");
        let rate = line.split(" msgs/s").next().and_then(|head| head.rsplit(' ').next()?.parse().ok()).expect("a rate");
        let mut latencies: Vec<u64> =
            latencies_us.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect();
        latencies.sort_unstable();
        let at = |quantile: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
            let rank = (quantile * latencies.len() as f64).ceil() as usize;
            latencies.get(rank.saturating_sub(1)).map(|us| *us as f64 / 1e3)
        };
        Self { rate, p50: at(0.5), p99: at(0.99), p999: at(0.999), p9999: at(0.9999), max: at(1.0), cpu_us: None }
    }
}

/// User and system time of every child of this process that has ended so far, those of its own children included.
pub(crate) fn cpu_of_children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this process is there");
    // The name in brackets may hold blanks; what follows it does not. Ticks are hundredths of a second on every Linux.
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name in brackets").1.split_whitespace().collect();
    let ticks = |nth: usize| fields[nth].parse::<u64>().expect("a number of ticks");
    Duration::from_millis((ticks(13) + ticks(14)) * 10)
}
