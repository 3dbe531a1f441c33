//! Arguments in, exit code out; everything between is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    turnpike::cli::run(std::env::args_os())
}
