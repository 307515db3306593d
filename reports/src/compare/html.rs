//! A comparison as one HTML page that needs nothing else: the verdict, the table, both percentile curves, every pair.

use super::comparison::Comparison;
use super::figures::{change, percent, signed, time};
use super::judgement::Judgement;
use super::text;
use crate::text::cut;

mod curve;

/// The longest that a side's name is in the drawing.
const NAME_MAX: usize = 24;

/// Dark where the reader's system is; no wider than a phone where the reader has one.
const STYLE: &str = "
:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e6e8eb); --paper: light-dark(#fff, #14171a);
  --faint: light-dark(#d5d9de, #3a4047); --a: light-dark(#2563a8, #7db3ee); --b: light-dark(#c2410c, #f59e57); }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.slower { color: light-dark(#b42318, #ff8a7a); } .same, .faster { color: light-dark(#17663a, #6fd39a); }
.too-noisy, .invalid { color: light-dark(#8a5a00, #f0c060); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--faint); white-space: nowrap; }
svg { width: 100%; height: auto; min-width: 34rem; } svg text { fill: var(--ink); font-size: 13px; }
.grid { stroke: var(--faint); } .a { stroke: var(--a); } .b { stroke: var(--b); } text.a { fill: var(--a); stroke: none; }
text.b { fill: var(--b); stroke: none; } polyline { fill: none; stroke-width: 2.5; }
";

/// The comparison as an HTML document.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    let labels = [&comparison.a, &comparison.b].map(|side| escaped(&side.label));
    let word = comparison.judgement.word();
    let class = class(comparison.judgement);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{word}: {}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1><span class=\"{class}\">{word}</span> {}</h1>\n<p>{}</p>\n",
        escaped(&comparison.scenario),
        escaped(&comparison.scenario),
        text::title(comparison, &labels),
    );
    table(&mut out, comparison, &labels);
    let lines: Vec<&String> = comparison.reasons.iter().chain(&comparison.notes).collect();
    if !lines.is_empty() {
        let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
        out.push_str(&format!("<ul>\n{items}</ul>\n"));
    }
    out.push_str("<h2>Latency by percentile</h2>\n");
    // Names in the drawing stand beside each other, and a path would run into its neighbour.
    let short = [&comparison.a, &comparison.b].map(|side| escaped(&cut(&side.label, NAME_MAX)));
    match curve::render(&comparison.a.curve, &comparison.b.curve, &short) {
        Some(svg) => out.push_str(&format!("<div class=\"scroll\">{svg}</div>\n")),
        None => out.push_str("<p>Nothing was measured.</p>\n"),
    }
    pairs(&mut out, comparison);
    out.push_str("</body>\n</html>\n");
    out
}

fn table(out: &mut String, comparison: &Comparison, labels: &[String; 2]) {
    if comparison.metrics.is_empty() {
        return;
    }
    out.push_str(&format!(
        "<div class=\"scroll\"><table>\n<tr><th>metric</th><th>{}</th><th>{}</th><th>change</th><th>verdict</th>\
         <th>found 19 times in 20</th></tr>\n",
        labels[0], labels[1]
    ));
    for metric in &comparison.metrics {
        let detectable = metric.detectable.map_or_else(|| "–".to_owned(), |share| format!("+{}", percent(share)));
        out.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"{}\">{}</td><td>{detectable}</td></tr>\n",
            escaped(&metric.name),
            time(metric.a_ns),
            time(metric.b_ns),
            change(metric.change, metric.interval),
            class(metric.judgement),
            text::verdict(metric),
        ));
    }
    out.push_str("</table></div>\n");
}

/// The change within each pair, so that a reader sees whether a few of them decide.
fn pairs(out: &mut String, comparison: &Comparison) {
    let paired: Vec<_> = comparison.metrics.iter().filter(|metric| !metric.differences.is_empty()).collect();
    if paired.is_empty() {
        return;
    }
    out.push_str("<h2>Pairs</h2>\n<div class=\"scroll\"><table>\n<tr><th>pair</th>");
    out.extend(paired.iter().map(|metric| format!("<th>{} %</th>", escaped(&metric.name))));
    out.push_str("</tr>\n");
    for place in 0..paired.iter().map(|metric| metric.differences.len()).max().unwrap_or_default() {
        let cell = |share: Option<&f64>| share.map_or_else(String::new, |share| signed(*share));
        let cells = paired.iter().map(|metric| format!("<td>{}</td>", cell(metric.differences.get(place))));
        out.push_str(&format!("<tr><td>{}</td>{}</tr>\n", place + 1, cells.collect::<String>()));
    }
    out.push_str("</table></div>\n");
}

fn class(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Faster => "faster",
        Judgement::Same => "same",
        Judgement::Slower => "slower",
        Judgement::TooNoisy => "too-noisy",
        Judgement::Invalid => "invalid",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
