//! The tool.

use std::process::ExitCode;

/// See the workspace's table of dependencies.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    shakedown::cli::main()
}
