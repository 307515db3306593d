//! Both percentile curves over each other, as SVG. Percentiles stand as far apart as they are rare: p99 is as far from p99.9
//! as p90 is from p99. Latencies stand on a logarithmic scale, so that a factor is the same distance everywhere.

use crate::compare::figures::time;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 44.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 34.0;
/// The percentiles that are named below.
const TICKS: [(f64, &str); 7] = [
    (0.0, "p0"),
    (0.5, "p50"),
    (0.9, "p90"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (0.9999, "p99.99"),
    (0.99999, "p99.999"),
];

/// The drawing; `None` unless both curves have two points.
pub(super) fn render(a: &[(f64, u64)], b: &[(f64, u64)], labels: &[String; 2]) -> Option<String> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let all = || a.iter().chain(b).map(|(_, value)| (*value).max(1) as f64);
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let decades = steps(low, high);
    let (bottom, top) = (*decades.first()?, *decades.last()?);
    let last = a.iter().chain(b).map(|(share, _)| *share).fold(0.0, f64::max);
    let rarity = |share: f64| -(1.0 - share).log10();
    let x = |share: f64| LEFT + (WIDTH - LEFT - RIGHT) * rarity(share) / rarity(last);
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value / bottom).ln() / (top / bottom).ln();
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"latency by percentile, both sides\">\n"
    );
    for value in &decades {
        let (height, name) = (y(*value), time(*value));
        out.push_str(&line(LEFT, height, WIDTH - RIGHT, height));
        out.push_str(&format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\n",
            LEFT - 8.0,
            height + 4.0
        ));
    }
    for (share, name) in TICKS.iter().filter(|(share, _)| *share <= last) {
        let across = x(*share);
        out.push_str(&line(across, TOP, across, HEIGHT - BOTTOM));
        out.push_str(&format!(
            "<text x=\"{across:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>\n",
            HEIGHT - 12.0
        ));
    }
    for (place, (curve, class)) in [(a, "a"), (b, "b")].into_iter().enumerate() {
        let points: Vec<String> =
            curve.iter().map(|(share, value)| format!("{:.1},{:.1}", x(*share), y((*value).max(1) as f64))).collect();
        out.push_str(&format!("<polyline class=\"{class}\" points=\"{}\"/>\n", points.join(" ")));
        let across = LEFT + 220.0 * place as f64;
        out.push_str(&format!("<text class=\"{class}\" x=\"{across}\" y=\"18\">━ {}</text>\n", labels[place]));
    }
    out.push_str("</svg>");
    Some(out)
}

/// 1, 2 and 5 of each decade, from below the lowest to above the highest.
fn steps(low: f64, high: f64) -> Vec<f64> {
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and 20 for every 64-bit number")]
    let (first, last) = (low.log10().floor() as i32, high.log10().floor() as i32);
    let all: Vec<f64> =
        (first..=last + 1).flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10.0_f64.powi(decade))).collect();
    let from = all.iter().rposition(|step| *step <= low).unwrap_or(0);
    let to = all.iter().position(|step| *step > high).unwrap_or(all.len() - 1);
    all[from..=to].to_vec()
}

fn line(x1: f64, y1: f64, x2: f64, y2: f64) -> String {
    format!("<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_reach_from_below_to_above() {
        assert_eq!(steps(3.0, 40.0), [2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(steps(10.0, 10.0), [10.0, 20.0]);
    }

    #[test]
    fn the_slower_curve_stands_above_the_other() {
        let a = [(0.5, 1_000_000), (0.99, 4_000_000)];
        let b = [(0.5, 1_000_000), (0.99, 8_000_000)];
        let svg = render(&a, &b, &["main".to_owned(), "branch".to_owned()]).expect("two points each");
        let points = |class: &str| {
            let from = svg.split(&format!("<polyline class=\"{class}\" points=\"")).nth(1).expect("a curve");
            let points = from.split('"').next().expect("its end").to_owned();
            points
                .split(' ')
                .map(|point| point.split_once(',').expect("x,y").1.parse::<f64>().expect("y"))
                .collect::<Vec<_>>()
        };
        let (a, b) = (points("a"), points("b"));
        assert!((a[0] - b[0]).abs() < 1e-9, "equal medians");
        assert!(b[1] < a[1], "y goes down");
        assert_eq!(render(&[], &[], &["a".to_owned(), "b".to_owned()]), None);
    }
}
