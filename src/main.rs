//! Arguments in, exit code out; everything between is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes some two hundred small allocations, and another thread frees part of them: with the C library's
/// allocator a request costs a fifth more (`benches/README.md`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    turnpike::cli::run(std::env::args_os())
}
