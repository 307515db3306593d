//! Run directories, written and read again through the public API, and the reports rendered from them.

mod run_directory;
mod sample;
mod shown;
mod torn;
