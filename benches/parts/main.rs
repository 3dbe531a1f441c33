//! What the parts on the way of a request cost, each measured alone: `cargo bench --bench parts`.
//!
//! One program, so that its dependencies are built once; a part is a module with a group of its own.

use criterion::{criterion_group, criterion_main};

mod frames;

criterion_group!(parts, frames::frames);
criterion_main!(parts);
