//! Line charts as SVG, each in two sizes: one for wide pages, one for narrow ones. A wide chart that shrinks to a phone's
//! width has words that nobody can read.

use super::axis::{Axis, Scale};
use super::palette::{AXIS, BAND, GRID, SERIES, TEXT};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fmt;

/// The two sizes, by the class that shows them.
pub(super) const SIZES: [(&str, Size); 2] = [
    ("wide", Size { width: 1120, height: 270, words: 12, marks: 10 }),
    ("narrow", Size { width: 336, height: 230, words: 11, marks: 4 }),
];

/// A chart's size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// In pixels.
    pub(super) width: u32,
    /// In pixels.
    pub(super) height: u32,
    /// How large words are, in pixels.
    pub(super) words: u32,
    /// How many marks the horizontal axis may have.
    pub(super) marks: u32,
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// What it is, for the legend.
    pub(super) name: String,
    /// Its points in order; nothing where there is a gap.
    pub(super) points: Vec<Option<(f64, f64)>>,
}

/// A chart of lines over bands.
#[derive(Debug)]
pub(super) struct Chart {
    /// What the horizontal axis measures, and from where to where.
    pub(super) x: (Scale, f64, f64),
    /// What the vertical axis measures.
    pub(super) y: Scale,
    /// The lines, the first one on top.
    pub(super) series: Vec<Series>,
    /// Times that are shaded.
    pub(super) bands: Vec<(f64, f64)>,
}

/// A chart that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a chart cannot be drawn: {0}")]
pub struct ChartError(String);

impl ChartError {
    pub(super) fn of(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Chart {
    /// Whether it has no point at all.
    pub(super) fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.points.iter().all(Option::is_none))
    }

    /// The SVG of a size.
    pub(super) fn draw(&self, size: Size) -> Result<String, ChartError> {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (size.width, size.height)).into_drawing_area();
            self.draw_on(&root, size).map_err(ChartError::of)?;
            root.present().map_err(ChartError::of)?;
        }
        Ok(svg)
    }

    fn draw_on<B: DrawingBackend>(
        &self,
        root: &DrawingArea<B, Shift>,
        size: Size,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let (x_scale, x_low, x_high) = self.x;
        let (x_low, x_high, x_marks) = x_scale.marks(x_low, x_high.max(x_low + 1e-3), size.marks);
        let (y_low, y_high) = self.y_span();
        let (y_low, y_high, y_marks) = self.y.marks(y_low, y_high, 4);
        let mut chart = ChartBuilder::on(root)
            .margin_top(8)
            .margin_right(size.words * 2)
            .x_label_area_size(size.words * 2)
            .y_label_area_size(size.words * 5)
            .build_cartesian_2d(Axis::new((x_low, x_high, x_marks)), Axis::new((y_low, y_high, y_marks)))?;
        chart.draw_series(self.bands.iter().map(|(since, until)| {
            Rectangle::new([(since.max(x_low), y_low), (until.min(x_high), y_high)], BAND.filled())
        }))?;
        let words = ("sans-serif", f64::from(size.words) * 1.24).into_font().color(&TEXT);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(AXIS)
            .label_style(words)
            .x_label_formatter(&|place| x_scale.text(*place))
            .y_label_formatter(&|place| self.y.text(*place))
            .draw()?;
        for (number, series) in self.series.iter().enumerate().rev() {
            let colour = SERIES[number % SERIES.len()];
            for piece in series.points.split(Option::is_none) {
                let points: Vec<(f64, f64)> = piece.iter().flatten().map(|(x, y)| (*x, self.y.place(*y))).collect();
                match points.as_slice() {
                    [] => {}
                    [only] => {
                        chart.draw_series([Circle::new(*only, 2, colour.filled())])?;
                    }
                    _ => {
                        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The lowest and the highest place.
    fn y_span(&self) -> (f64, f64) {
        let places =
            self.series.iter().flat_map(|series| series.points.iter().flatten()).map(|(_, y)| self.y.place(*y));
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
        if low > high { (0.0, 1.0) } else { (low, high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::palette::hex;

    #[test]
    fn a_gap_is_no_line_and_a_lonely_point_is_a_dot() {
        let at = |second: f64, ms: f64| Some((second, ms * 1e6));
        let points = vec![at(0.0, 1.0), at(1.0, 2.0), None, at(3.0, 4.0), None, at(5.0, 1.0), at(6.0, 1.0)];
        let series = vec![Series { name: "p99".to_owned(), points }];
        let chart = Chart { x: (Scale::Seconds, 0.0, 6.0), y: Scale::Duration, series, bands: vec![(1.0, 99.0)] };
        let svg = chart.draw(SIZES[0].1).expect("a chart");
        assert_eq!(svg.matches(&format!("stroke=\"{}\"", hex(SERIES[0]))).count(), 2, "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
        assert_eq!(svg.matches(&hex(BAND)).count(), 1, "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
    }

    #[test]
    fn a_chart_without_any_extent_is_drawn_all_the_same() {
        for (scale, value) in [(Scale::Number, 0.0), (Scale::Duration, 0.0), (Scale::Number, 1e15)] {
            let series = vec![Series { name: String::new(), points: vec![Some((0.0, value))] }];
            let chart = Chart { x: (Scale::Seconds, 0.0, 0.0), y: scale, series, bands: Vec::new() };
            assert!(!chart.is_empty());
            chart.draw(SIZES[1].1).expect("a chart");
        }
    }
}
