//! What is drawn of what.

use super::axis::Scale;
use super::chart::{Chart, ChartError, SIZES, Series};
use super::heat_map::{self, Shades};
use super::palette::HEAT;
use crate::numbers::{duration, grouped};
use crate::overview::{HopPoint, Overview, PartitionMap, SlotLatency};
use maud::{Markup, PreEscaped, html};

/// How many lines a chart may have; more are told in the document.
const LINES_MAX: usize = 6;

/// How many readings of the machine a chart has; of more, every n-th: they are cumulative.
const READINGS_MAX: usize = 300;

/// Everything that is drawn of a run; what there is nothing of is left out.
pub(super) fn all(overview: &Overview) -> Result<Markup, ChartError> {
    let parts = [
        percentiles(overview)?,
        latency(overview)?,
        hops(overview)?,
        throughput(overview)?,
        lag(overview)?,
        maps(overview)?,
        processors(overview)?,
    ];
    Ok(html! { @for part in parts { (part) } })
}

/// A section with a chart, in both sizes, and its legend.
fn section(title: &str, about: &str, chart: &Chart, below: &Markup) -> Result<Markup, ChartError> {
    if chart.is_empty() {
        return Ok(html! {});
    }
    let mut drawn = Vec::new();
    for (class, size) in SIZES {
        drawn.push((class, chart.draw(size)?));
    }
    Ok(html! {
        section {
            h2 { (title) }
            p .soft { (about) }
            ul .legend {
                @for (number, series) in chart.series.iter().enumerate() {
                    li { i class={ "s" (number) } {} (series.name) }
                }
                @if !chart.bands.is_empty() { li { i .b0 {} "a fault had struck" } }
            }
            @for (class, svg) in &drawn {
                figure class=(class) role="img" aria-label=(title) { (PreEscaped(svg)) }
            }
            (below)
        }
    })
}

fn percentiles(overview: &Overview) -> Result<Markup, ChartError> {
    let rank = |tag: &str| match tag {
        "ack" => 0,
        "service" => 1,
        tag if tag.starts_with("deliver:") => 2,
        tag if tag.starts_with("hop:") => 3,
        _ => 4,
    };
    let mut metrics: Vec<_> = overview.metrics.iter().filter(|metric| metric.count > 0).collect();
    metrics.sort_by_key(|metric| rank(&metric.tag));
    let series = metrics.iter().filter(|metric| rank(&metric.tag) < 4).take(LINES_MAX).map(|metric| Series {
        name: metric.label(),
        points: metric.curve.iter().map(|point| Some((point.nines, point.value_ns as f64))).collect(),
    });
    let series: Vec<Series> = series.collect();
    let nines = series.iter().flat_map(|series| series.points.iter().flatten()).map(|(x, _)| *x).fold(0.0, f64::max);
    let chart = Chart { x: (Scale::Nines, 0.0, nines), y: Scale::Duration, series, bands: Vec::new() };
    let names = ["p50", "p90", "p99", "p99.9", "p99.99", "p99.999"];
    let table = html! {
        div .scroll {
            table {
                thead {
                    tr {
                        th { "metric" } th .number { "values" }
                        @for name in names { th .number { (name) } }
                        th .number { "slowest" }
                    }
                }
                @for metric in &metrics {
                    tr {
                        td { (metric.label()) }
                        td .number { (grouped(metric.count)) }
                        @for name in names {
                            td .number {
                                @if let Some(value_ns) = metric.percentile(name) { (duration(value_ns)) }
                            }
                        }
                        td .number { (duration(metric.max_ns)) }
                    }
                }
            }
        }
    };
    let about = "How slow the slowest were: 99 % on the axis is what one message in a hundred exceeded. Latency counts from the \
                 instant at which the schedule wanted the message sent, so that what had to wait for a stalled system counts as \
                 it should; service time counts from the send, and hides that.";
    section("Percentiles", about, &chart, &table)
}

/// Seconds since the origin of the charts.
fn since(overview: &Overview, at_ns: u64) -> f64 {
    (i128::from(at_ns) - i128::from(overview.origin_ns)) as f64 / 1e9
}

/// A chart over the time of the load.
fn over_time(overview: &Overview, y: Scale, mut series: Vec<Series>) -> Chart {
    series.retain(|series| series.points.iter().any(Option::is_some));
    let slots = overview.slots.last().map(|slot| slot.at_ns + overview.slot_ns);
    let hops = overview.hops.iter().filter_map(|hop| hop.points.last()).map(|point| point.at_ns + point.length_ns);
    let lags = overview.lags.iter().filter_map(|lag| lag.points.last()).map(|point| point.at_ns);
    // The machine is looked at for longer than messages are seen; what lies beyond the axis would be drawn over the
    // page.
    let machine = overview.resources.last().map(|reading| reading.at_ns);
    let last_ns = slots.into_iter().chain(hops).chain(lags).chain(machine).max().unwrap_or(overview.origin_ns);
    let last = since(overview, last_ns);
    let bands = overview.bands.iter().map(|band| (since(overview, band.since_ns), since(overview, band.until_ns)));
    let bands = bands.filter(|(from, to)| *from < last && *to > 0.0).collect();
    Chart { x: (Scale::Seconds, 0.0, last), y, series, bands }
}

fn latency(overview: &Overview) -> Result<Markup, ChartError> {
    let line = |name: &str, of: fn(&SlotLatency) -> u64| Series {
        name: name.to_owned(),
        points: overview
            .slots
            .iter()
            .map(|slot| Some((since(overview, slot.at_ns + overview.slot_ns / 2), of(slot.latency.as_ref()?) as f64)))
            .collect(),
    };
    let series = vec![
        line("p99", |latency| latency.p99_ns),
        line("p99 of the service time", |latency| latency.service_p99_ns),
        line("p50", |latency| latency.p50_ns),
        line("slowest", |latency| latency.max_ns),
    ];
    let about = format!(
        "Of the messages that were due in each {}, from the instant at which they were due to their acknowledgement.",
        duration(overview.slot_ns)
    );
    section("Latency over time", &about, &over_time(overview, Scale::Duration, series), &html! {})
}

fn hops(overview: &Overview) -> Result<Markup, ChartError> {
    let series = overview.hops.iter().take(LINES_MAX).map(|hop| Series {
        name: format!("{}, p99", hop.topic),
        points: hop.points.iter().map(|point| Some((middle(overview, point), point.p99_ns as f64))).collect(),
    });
    let about = "From the instant at which a message was due until a tap read it, or what became of it, from each topic; by the \
                 time at which it was read.";
    section("End to end over time", about, &over_time(overview, Scale::Duration, series.collect()), &html! {})
}

fn middle(overview: &Overview, point: &HopPoint) -> f64 {
    since(overview, point.at_ns + point.length_ns / 2)
}

fn throughput(overview: &Overview) -> Result<Markup, ChartError> {
    let seconds = overview.slot_ns as f64 / 1e9;
    let line = |name: &str, of: fn(&crate::overview::Slot) -> u64| Series {
        name: name.to_owned(),
        points: overview
            .slots
            .iter()
            .map(|slot| Some((since(overview, slot.at_ns + overview.slot_ns / 2), of(slot) as f64 / seconds)))
            .collect(),
    };
    let mut series = vec![line("acknowledged", |slot| slot.acknowledged), line("offered", |slot| slot.offered)];
    if overview.slots.iter().any(|slot| slot.failed + slot.unknown > 0) {
        series.push(line("given up", |slot| slot.failed + slot.unknown));
    }
    if overview.slots.is_empty() {
        series = overview.hops.iter().take(LINES_MAX).map(|hop| read_rate(overview, &hop.topic, &hop.points)).collect();
    }
    let about =
        "Messages a second. Offered is what was handed to the client; acknowledged is what somebody answered for.";
    section("Throughput", about, &over_time(overview, Scale::Number, series), &html! {})
}

/// How fast a tap read. Where it read nothing the rate is 0, and no line across.
fn read_rate(overview: &Overview, topic: &str, hop: &[HopPoint]) -> Series {
    let mut points = Vec::new();
    let mut ended_ns = None;
    for point in hop {
        if let Some(ended_ns) = ended_ns.filter(|ended_ns| point.at_ns > ended_ns + point.length_ns / 2) {
            points.push(Some((since(overview, ended_ns), 0.0)));
            points.push(Some((since(overview, point.at_ns), 0.0)));
        }
        let rate = point.count as f64 * 1e9 / point.length_ns.max(1) as f64;
        points.push(Some((middle(overview, point), rate)));
        ended_ns = Some(point.at_ns + point.length_ns);
    }
    Series { name: format!("read from {topic}"), points }
}

fn lag(overview: &Overview) -> Result<Markup, ChartError> {
    let series = overview.lags.iter().take(LINES_MAX).map(|course| Series {
        name: course.label.clone(),
        points: course
            .points
            .iter()
            .map(|point| Some((since(overview, point.at_ns).max(0.0), point.messages as f64)))
            .collect(),
    });
    let table = html! {
        table {
            thead { tr { th { "group" } th .number { "most" } th .number { "at the last look" } } }
            @for course in &overview.lags {
                tr { td { (course.label) } td .number { (grouped(course.max)) } td .number { (grouped(course.last)) } }
            }
        }
    };
    let about = "Messages that each group had left to commit.";
    section("Lag", about, &over_time(overview, Scale::Number, series.collect()), &table)
}

/// A map for each topic.
fn maps(overview: &Overview) -> Result<Markup, ChartError> {
    let drawn = overview.partitions.iter().map(partitions).collect::<Result<Vec<Markup>, ChartError>>()?;
    Ok(html! { @for map in drawn { (map) } })
}

fn partitions(map: &PartitionMap) -> Result<Markup, ChartError> {
    let shades = Shades::of(map);
    let mut drawn = Vec::new();
    for (class, size) in SIZES {
        drawn.push((class, heat_map::draw(map, shades, size)?));
    }
    Ok(html! {
        section {
            h2 { "Partitions" }
            p .soft {
                "p99 of the messages that were due in each " (duration(map.width_ns)) ", by partition, " (map.measured)
                "; empty where there were none."
                @if map.partitions > map.rows.len() {
                    " These are the " (map.rows.len()) " of " (map.partitions) " with the slowest messages."
                }
            }
            ul .legend { @for shade in 0..HEAT.len() { li { i class={ "h" (shade) } {} "to " (shades.up_to(shade)) } } }
            @for (class, svg) in &drawn {
                figure class=(class) role="img" aria-label={ "latency by partition and time, " (map.measured) } {
                    (PreEscaped(svg))
                }
            }
        }
    })
}

fn processors(overview: &Overview) -> Result<Markup, ChartError> {
    type Part = (&'static str, fn(&crate::resources::Reading) -> u64);
    let every = overview.resources.len().div_ceil(READINGS_MAX).max(1);
    let readings: Vec<_> = overview.resources.iter().step_by(every).collect();
    let parts: [Part; 4] = [
        ("load generator", |reading| reading.generator_cpu_ns),
        ("brokers", |reading| reading.brokers_cpu_ns),
        ("services", |reading| reading.services_cpu_ns),
        ("rest of the harness", |reading| reading.other_cpu_ns),
    ];
    let line = |(name, of): Part| Series {
        name: name.to_owned(),
        points: readings
            .windows(2)
            .filter_map(|pair| {
                let span_ns = pair[1].at_ns.checked_sub(pair[0].at_ns).filter(|span_ns| *span_ns > 0)?;
                let share = of(pair[1]).saturating_sub(of(pair[0])) as f64 / span_ns as f64;
                Some(Some((since(overview, pair[0].at_ns + span_ns / 2).max(0.0), share)))
                    .filter(|_| pair[1].at_ns > overview.origin_ns)
            })
            .collect(),
    };
    let used = parts.into_iter().filter(|(_, of)| readings.last().is_some_and(|last| of(last) > 0));
    let chart = over_time(overview, Scale::Processors, used.map(line).collect());
    section("Processor time", "Of one processor.", &chart, &html! {})
}
