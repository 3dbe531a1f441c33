//! What the parts on the way of a request cost, each measured alone: `cargo bench --bench parts`.
//!
//! One program, so that its dependencies are built once; a part is a module with a group of its own.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to say"
)]

use criterion::{criterion_group, criterion_main};

mod decode;
mod exchange;
mod frames;
mod routing;
mod samples;
mod settle;
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the tests use the rest"
)]
mod support;

criterion_group!(
    parts,
    frames::frames,
    decode::decode,
    exchange::exchange,
    routing::routing,
    settle::settle
);
criterion_main!(parts);
