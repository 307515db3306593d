//! Run directories, written and read again through the public API, and the reports rendered from them.

mod compared;
mod page;
mod run_directory;
mod sample;
mod shown;
mod torn;
