//! The tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    shakedown::cli::main()
}
