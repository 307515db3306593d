//! Latency by partition and time as SVG: a row for each partition, a column for each slot, the darker the slower.

use super::axis::Scale;
use super::chart::{ChartError, Size};
use super::palette::{AXIS, HEAT, TEXT};
use crate::overview::PartitionMap;
use plotters::coord::Shift;
use plotters::prelude::*;

/// How high a row is, in pixels.
const ROW_HEIGHT: u32 = 16;
/// Between rows, in pixels.
const ROW_GAP: i32 = 2;

/// From the fastest cell to the slowest, by the logarithm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shades {
    low: f64,
    high: f64,
}

impl Shades {
    pub(super) fn of(map: &PartitionMap) -> Self {
        let cells = map.rows.iter().flat_map(|row| row.p99_ns.iter().flatten());
        let places = cells.map(|p99_ns| Scale::Duration.place(*p99_ns as f64));
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
        // A map of one shade says that nothing differs; half a decade is the least that a shade may be worth a look.
        if low > high { Self { low: 0.0, high: 1.0 } } else { Self { low, high: high.max(low + 0.5) } }
    }

    /// The shade of a cell.
    fn of_cell(self, p99_ns: u64) -> usize {
        let share = (Scale::Duration.place(p99_ns as f64) - self.low) / (self.high - self.low);
        let last = HEAT.len() - 1;
        (0..last).find(|shade| share < (*shade + 1) as f64 / HEAT.len() as f64).unwrap_or(last)
    }

    /// The slowest that a shade stands for, in nanoseconds.
    pub(super) fn up_to(self, shade: usize) -> String {
        Scale::Duration.text(self.low + (self.high - self.low) * (shade + 1) as f64 / HEAT.len() as f64)
    }
}

/// The SVG for a width; its height follows from the number of rows. Seconds count from the load's beginning.
pub(super) fn draw(map: &PartitionMap, shades: Shades, size: Size) -> Result<String, ChartError> {
    let rows = u32::try_from(map.rows.len()).unwrap_or(u32::MAX);
    let height = rows * ROW_HEIGHT + size.words * 2 + 4;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (size.width, height)).into_drawing_area();
        draw_on(&root, map, shades, size).map_err(ChartError::of)?;
        root.present().map_err(ChartError::of)?;
    }
    Ok(svg)
}

fn draw_on<B: DrawingBackend>(
    root: &DrawingArea<B, Shift>,
    map: &PartitionMap,
    shades: Shades,
    size: Size,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let pixels = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let (left, right) = (pixels(size.words * 5), pixels(size.width - size.words * 2));
    let words = ("sans-serif", f64::from(size.words) * 1.24).into_font().color(&TEXT);
    let words = words.pos(plotters::style::text_anchor::Pos::new(
        plotters::style::text_anchor::HPos::Right,
        plotters::style::text_anchor::VPos::Center,
    ));
    #[expect(clippy::cast_possible_truncation, reason = "a place between two pixels of the chart")]
    let column = |slot: usize| left + ((right - left) as f64 * slot as f64 / map.columns.max(1) as f64).round() as i32;
    for (number, row) in (0..).zip(&map.rows) {
        let top = number * pixels(ROW_HEIGHT);
        let bottom = top + pixels(ROW_HEIGHT) - ROW_GAP;
        root.draw(&Text::new(row.partition.to_string(), (left - 8, (top + bottom) / 2), &words))?;
        // Neighbours of one shade are one rectangle.
        let shaded: Vec<Option<usize>> = row.p99_ns.iter().map(|p99| p99.map(|p99| shades.of_cell(p99))).collect();
        let mut slot = 0;
        for piece in shaded.chunk_by(|one, next| one == next) {
            if let Some(shade) = piece[0] {
                let corners = [(column(slot), top), (column(slot + piece.len()), bottom)];
                root.draw(&Rectangle::new(corners, HEAT[shade].filled()))?;
            }
            slot += piece.len();
        }
    }
    let bottom = pixels(u32::try_from(map.rows.len()).unwrap_or(u32::MAX) * ROW_HEIGHT);
    root.draw(&PathElement::new([(left, bottom), (right, bottom)], AXIS))?;
    let span = map.columns as f64 * map.width_ns as f64 / 1e9;
    let centred = words.pos(plotters::style::text_anchor::Pos::new(
        plotters::style::text_anchor::HPos::Center,
        plotters::style::text_anchor::VPos::Top,
    ));
    for mark in Scale::Seconds.marks(0.0, span, size.marks).2 {
        #[expect(clippy::cast_possible_truncation, reason = "a place between two pixels of the chart")]
        let x = left + (f64::from(right - left) * mark / span).round() as i32;
        root.draw(&PathElement::new([(x, bottom), (x, bottom + 4)], AXIS))?;
        root.draw(&Text::new(Scale::Seconds.text(mark), (x, bottom + 7), &centred))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::chart::SIZES;
    use crate::html::palette::hex;
    use crate::overview::PartitionRow;

    #[test]
    fn what_is_slow_is_dark_and_where_nothing_was_acknowledged_is_nothing() {
        let row = |partition, p99_ns| PartitionRow { partition, count: 9, max_ns: 900_000_000, p99_ns };
        let rows = vec![row(0, vec![Some(1_000_000); 4]), row(7, vec![Some(1_000_000), None, Some(900_000_000), None])];
        let map = PartitionMap {
            measured: "acknowledged".to_owned(),
            rows,
            partitions: 2,
            columns: 4,
            origin_ns: 0,
            width_ns: 100_000_000,
        };
        let shades = Shades::of(&map);
        let svg = draw(&map, shades, SIZES[0].1).expect("a map");
        assert_eq!(svg.matches(&hex(HEAT[0])).count(), 2, "a row of one shade is one rectangle: {svg}");
        assert_eq!(svg.matches(&hex(HEAT[7])).count(), 1, "{svg}");
        assert_eq!(shades.up_to(7), "900 ms");
    }
}
