//! Turnpike: one OpenAI-compatible HTTP API in front of every model provider. It routes, and it bills.
//!
//! The modules follow a request's journey in the order listed.

pub mod domain;

pub mod clock;
pub mod config;
pub mod telemetry;

pub mod auth;
pub mod plan;
pub mod rank;

pub mod ledger;

pub mod transport;
pub mod wire;

pub mod catalog;
pub mod echo;
pub mod store;
