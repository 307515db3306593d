//! A run as one HTML page that needs nothing else: no script, no font, no picture, nothing from anywhere. It can be kept as
//! an artefact of a build and opened years later.
//!
//! [`render`] draws what [`crate::overview`] has gathered. Reading order: `page` (the frame and the head), `sections`
//! (tables), `charts` (what is drawn of what), then how: `chart`, `heat_map`, `axis`, `palette`, `style`. Everything that
//! comes from a run is escaped, by `maud` in the page and by `plotters` in its charts.

mod axis;
mod chart;
mod charts;
mod heat_map;
mod page;
mod palette;
mod sections;
mod style;
mod timeline;

pub use chart::ChartError;
pub use page::render;
