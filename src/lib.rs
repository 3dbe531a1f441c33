//! Turnpike: one OpenAI-compatible HTTP API in front of every model provider. It routes, and it bills.
//!
//! A request travels through the modules in the order they are listed:
//! [`domain`] names the values, [`catalog`] what can be served, [`wire`] how providers speak.

pub mod domain;

pub mod config;
pub mod echo;

pub mod catalog;
pub mod wire;
