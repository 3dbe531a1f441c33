//! Turnpike: one OpenAI-compatible HTTP API in front of every model provider. It routes, and it bills.
//!
//! The journey of a request stands in [`gateway`]; the modules follow it in the order listed.

pub mod domain;

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cores;
pub mod telemetry;

pub mod console;
pub mod edge;
pub mod gateway;
pub mod oauth;
pub mod oidc;

pub mod auth;
pub mod plan;
pub mod rank;

pub mod plugin;

pub mod attempt;
pub mod stream;
pub mod transport;
pub mod wire;

pub mod ledger;

pub mod catalog;
pub mod echo;
pub mod store;
