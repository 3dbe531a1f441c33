//! One test binary for the whole crate: linking once is what keeps the suite quick.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what must hold by stopping where it does not"
)]

mod api;
mod cli;
mod console;
mod contract;
mod faults;
mod layering;
mod ledger;
mod money;
mod people;
mod plugin;
mod routing;
mod store;
mod support;
mod wires;
