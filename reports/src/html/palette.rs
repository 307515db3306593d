//! The colours of charts: those of the light page, as they stand in the SVG. The dark page replaces each by its own colour
//! through a rule for exactly this value, so that no colour may be used for two things.

use plotters::style::RGBColor;

/// Lines, in the order in which a chart uses them.
pub(super) const SERIES: [RGBColor; 6] = [
    RGBColor(0x2A, 0x78, 0xD6),
    RGBColor(0xEB, 0x68, 0x34),
    RGBColor(0x1B, 0x8F, 0x6A),
    RGBColor(0x9A, 0x5B, 0xC9),
    RGBColor(0xB8, 0x86, 0x0B),
    RGBColor(0xC2, 0x41, 0x7C),
];

/// The same lines on the dark page.
const SERIES_DARK: [&str; 6] = ["#5B9FEA", "#F08A5D", "#3DBB92", "#BC8AE6", "#D9AE3F", "#E87FAE"];

/// Lines of the grid.
pub(super) const GRID: RGBColor = RGBColor(0xE4, 0xE3, 0xDF);
/// Axes.
pub(super) const AXIS: RGBColor = RGBColor(0xB5, 0xB4, 0xAE);
/// Words.
pub(super) const TEXT: RGBColor = RGBColor(0x5C, 0x5B, 0x57);
/// The time in which a fault had struck.
pub(super) const BAND: RGBColor = RGBColor(0xF6, 0xDD, 0xDA);

/// What [`BAND`] is on the dark page.
const BAND_DARK: &str = "#46221F";

/// Cells of the heat map, from fast to slow.
pub(super) const HEAT: [RGBColor; 8] = [
    RGBColor(0xDD, 0xEA, 0xF8),
    RGBColor(0xBA, 0xD4, 0xF1),
    RGBColor(0x92, 0xBB, 0xE9),
    RGBColor(0x67, 0x9F, 0xDF),
    RGBColor(0x3F, 0x82, 0xCF),
    RGBColor(0x26, 0x64, 0xAE),
    RGBColor(0x17, 0x48, 0x86),
    RGBColor(0x0C, 0x2E, 0x5C),
];

/// The same on the dark page: what is slow shines there.
const HEAT_DARK: [&str; 8] = ["#1B2A3D", "#1F3A5C", "#234D80", "#2A63A8", "#3A7ECB", "#609CE0", "#95BEEF", "#D3E5FB"];

/// `#2A78D6`, as the SVG has it.
pub(super) fn hex(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

/// The rules that replace the light colours of charts by the dark ones.
pub(super) fn dark_rules() -> String {
    let plain = [(GRID, "#2E2E2C"), (AXIS, "#55544F"), (TEXT, "#A8A7A0"), (BAND, BAND_DARK)];
    let series = SERIES.into_iter().zip(SERIES_DARK);
    let heat = HEAT.into_iter().zip(HEAT_DARK);
    let rule = |(light, dark): (RGBColor, &str)| {
        let light = hex(light);
        format!("svg [stroke=\"{light}\"]{{stroke:{dark}}}svg [fill=\"{light}\"]{{fill:{dark}}}")
    };
    plain.into_iter().chain(series).chain(heat).map(rule).collect()
}

/// A swatch of the legend for each line, each cell and the band: `.s0`, `.h7`, `.b0`.
pub(super) fn swatch_rules(dark: bool) -> String {
    let own = |(light, shaded): (RGBColor, &str)| if dark { shaded.to_owned() } else { hex(light) };
    let rules = |name: &str, colours: Vec<String>| -> String {
        colours.iter().enumerate().map(|(n, colour)| format!(".{name}{n}{{background:{colour}}}")).collect()
    };
    let series = SERIES.into_iter().zip(SERIES_DARK).map(own).collect();
    let heat = HEAT.into_iter().zip(HEAT_DARK).map(own).collect();
    rules("s", series) + &rules("h", heat) + &rules("b", vec![own((BAND, BAND_DARK))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_colour_means_two_things() {
        let all: Vec<String> = SERIES.into_iter().chain(HEAT).chain([GRID, AXIS, TEXT, BAND]).map(hex).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(dark_rules().matches("svg [stroke=").count(), all.len());
    }
}
