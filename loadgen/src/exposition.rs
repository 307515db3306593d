//! What a scrape of metrics gets: everything that is known of a run, in Prometheus' text format 0.0.4.
//!
//! Names end in their unit, in base units (seconds, bytes), as Prometheus' naming rules have it. Rates are for whoever
//! asks: `rate(shakedown_load_acknowledged_total[10s])`. Percentiles are those of the whole run up to the last whole second,
//! from the same histograms as the report, and so exact to three digits; a summary cannot be added up over processes, which
//! the interval logs can (`shakedown_reports::intervals::merge`).

use crate::live::{Known, Live};
use crate::meter::{Figures, QUANTILES};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary};
use prometheus::{Encoder as _, TextEncoder};
use shakedown_reports::intervals::metric_of;

/// The text's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is known now, as text.
#[must_use]
pub fn text(live: &Live) -> String {
    let families = families(&live.now());
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text).expect("families with a name and a metric are always text");
    String::from_utf8(text).expect("the format is UTF-8")
}

fn families(known: &Known) -> Vec<MetricFamily> {
    let mut families =
        vec![gauges("shakedown_run_info", "The run that goes on.", vec![(vec![("run", known.run.clone())], 1.0)])];
    families.extend(of_load(known));
    families.extend(of_latency(known));
    families.extend(of_system(known));
    families.extend(of_cost(known));
    // A family without a metric has nothing to say, and the format no way to say it.
    families.retain(|family| !family.get_metric().is_empty());
    families
}

fn of_load(known: &Known) -> Vec<MetricFamily> {
    let progress = &known.progress;
    let gauge = |name, help, value: u64| gauges(name, help, vec![(Vec::new(), value as f64)]);
    let counter = |name, help, value: u64| counters(name, help, vec![(Vec::new(), value as f64)]);
    vec![
        gauge("shakedown_load_planned_messages", "Messages of the plan.", progress.planned),
        counter("shakedown_load_offered_total", "Messages that were handed to the client.", progress.offered),
        counter("shakedown_load_acknowledged_total", "Messages that were acknowledged.", progress.acknowledged),
        counter("shakedown_load_failed_total", "Messages that are certainly not there.", progress.failed),
        counter("shakedown_load_unknown_total", "Messages of which nobody knows.", progress.unknown),
        counter("shakedown_load_asked_again_total", "How often something was asked once more.", progress.asked_again),
        counter(
            "shakedown_load_queue_full_total",
            "How often the client's queue was full, or no transaction open.",
            progress.queue_full,
        ),
        counter("shakedown_load_committed_total", "Transactions that were committed.", progress.committed),
        counter("shakedown_load_aborted_total", "Transactions that were aborted.", progress.aborted),
        counters(
            "shakedown_load_blocked_seconds_total",
            "How long the pacer waited for a full queue, or for a transaction's end.",
            vec![(Vec::new(), seconds(progress.blocked_ns))],
        ),
        gauge("shakedown_load_in_flight_messages", "Messages without an answer so far.", progress.in_flight),
    ]
}

/// One summary of everything that is measured: what it is in a label.
fn of_latency(known: &Known) -> Vec<MetricFamily> {
    let figures = known.gauges.iter().flat_map(|gauges| gauges.figures());
    let metrics = figures.map(|(tag, figures)| {
        let (metric, partition) = metric_of(tag);
        let (metric, topic) = metric.split_once(':').unwrap_or((metric, ""));
        let mut labels = vec![("metric", metric.to_owned())];
        if !topic.is_empty() {
            labels.push(("topic", topic.to_owned()));
        }
        labels.extend(partition.map(|partition| ("partition", partition.to_string())));
        summary(labels, &figures)
    });
    let help = "What is measured, from the start of the run to the last whole second: ack (acknowledged less intended), \
                service (acknowledged less sent), delay (sent less intended), lateness (the generator's own part of that), \
                deliver (received from the topic less intended).";
    vec![family("shakedown_latency_seconds", help, MetricType::SUMMARY, metrics.collect())]
}

fn of_system(known: &Known) -> Vec<MetricFamily> {
    let lags = known.lags.iter().map(|((group, topic), partitions)| {
        let labels = vec![("group", group.clone()), ("topic", topic.clone())];
        (labels, partitions.values().sum::<u64>() as f64)
    });
    vec![
        gauges("shakedown_group_lag_messages", "How far a group is behind on a topic.", lags.collect()),
        gauges(
            "shakedown_faults_active",
            "Faults that have struck and are not healed.",
            vec![(Vec::new(), known.faults.len() as f64)],
        ),
    ]
}

fn of_cost(known: &Known) -> Vec<MetricFamily> {
    let Some(reading) = &known.reading else { return Vec::new() };
    let cpu = [
        ("generator", reading.generator_cpu_ns),
        ("brokers", reading.brokers_cpu_ns),
        ("services", reading.services_cpu_ns),
        ("other", reading.other_cpu_ns),
        ("machine", reading.machine_cpu_ns),
    ];
    let cpu = cpu.into_iter().map(|(of, cpu_ns)| (vec![("of", of.to_owned())], seconds(cpu_ns))).collect();
    let one = |value| vec![(Vec::new(), value)];
    vec![
        counters("shakedown_cpu_seconds_total", "Processor time; machine is everything on it.", cpu),
        gauges(
            "shakedown_busiest_generator_thread_ratio",
            "How much of one processor the busiest thread of the generator took in the last second.",
            one(reading.busiest_generator_thread),
        ),
        gauges(
            "shakedown_resident_bytes",
            "Memory of the harness, brokers and services.",
            one(reading.resident_bytes as f64),
        ),
        counters(
            "shakedown_stolen_seconds_total",
            "Time that the hypervisor gave to others, over all processors.",
            one(seconds(reading.stolen_ns)),
        ),
        counters(
            "shakedown_cpu_pressure_seconds_total",
            "Time during which some task waited for a processor.",
            one(seconds(reading.pressure_cpu_ns)),
        ),
    ]
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

type Labels = Vec<(&'static str, String)>;

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn counters(name: &str, help: &str, values: Vec<(Labels, f64)>) -> MetricFamily {
    let metrics = values.into_iter().map(|(labels, value)| {
        let (mut metric, mut counter) = (labelled(labels), Counter::default());
        counter.set_value(value);
        metric.set_counter(counter);
        metric
    });
    family(name, help, MetricType::COUNTER, metrics.collect())
}

fn gauges(name: &str, help: &str, values: Vec<(Labels, f64)>) -> MetricFamily {
    let metrics = values.into_iter().map(|(labels, value)| {
        let (mut metric, mut gauge) = (labelled(labels), Gauge::default());
        gauge.set_value(value);
        metric.set_gauge(gauge);
        metric
    });
    family(name, help, MetricType::GAUGE, metrics.collect())
}

fn summary(labels: Labels, figures: &Figures) -> Metric {
    let quantiles = QUANTILES.iter().zip(figures.quantiles_ns).map(|(place, value_ns)| {
        let mut quantile = Quantile::default();
        quantile.set_quantile(*place);
        // Prometheus says "not a number" of what nobody has seen yet.
        quantile.set_value(if figures.count == 0 { f64::NAN } else { seconds(value_ns) });
        quantile
    });
    let (mut metric, mut summary) = (labelled(labels), Summary::default());
    summary.set_sample_count(figures.count);
    summary.set_sample_sum(figures.sum_ns / 1e9);
    summary.set_quantile(quantiles.collect());
    metric.set_summary(summary);
    metric
}

fn labelled(labels: Labels) -> Metric {
    let labels = labels.into_iter().map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name(name.to_owned());
        label.set_value(value);
        label
    });
    let mut metric = Metric::default();
    metric.set_label(labels.collect());
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Progress;
    use shakedown_reports::resources::Reading;

    #[test]
    fn what_is_known_is_told_and_what_is_not_is_left_out() {
        let live = Live::default();
        live.begin("a \"quoted\" run");
        live.note_progress(Progress {
            planned: 10,
            offered: 7,
            acknowledged: 4,
            in_flight: 3,
            blocked_ns: 1_500_000_000,
            ..Progress::default()
        });
        live.note_lag("billing", "orders", 0, 3);
        live.note_lag("billing", "orders", 1, 4);
        live.note_fault("kill", false);
        live.note_fault("cut", false);
        live.note_fault("cut", true);
        let before = text(&live);
        assert!(!before.contains("shakedown_cpu_seconds_total"), "nobody has looked yet: {before}");
        assert!(!before.contains("shakedown_latency_seconds"), "nothing is measured yet: {before}");
        live.note_reading(Reading { brokers_cpu_ns: 2_500_000_000, resident_bytes: 1 << 20, ..Reading::default() });
        let text = text(&live);
        for line in [
            "shakedown_run_info{run=\"a \\\"quoted\\\" run\"} 1",
            "# TYPE shakedown_load_acknowledged_total counter",
            "shakedown_load_acknowledged_total 4",
            "shakedown_load_in_flight_messages 3",
            "shakedown_load_blocked_seconds_total 1.5",
            "shakedown_group_lag_messages{group=\"billing\",topic=\"orders\"} 7",
            "shakedown_faults_active 1",
            "shakedown_cpu_seconds_total{of=\"brokers\"} 2.5",
            "shakedown_resident_bytes 1048576",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
        }
    }
}
