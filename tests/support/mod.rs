//! What the tests stand on: a real server on a free port, databases of both engines, upstreams that
//! misbehave on command, and a plain HTTP client.

pub(crate) mod browser;
pub(crate) mod chromium;
pub(crate) mod client;
pub(crate) mod db;
pub(crate) mod issuer;
pub(crate) mod log;
pub(crate) mod money;
pub(crate) mod order;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod scale;
pub(crate) mod server;
pub(crate) mod upstream;
pub(crate) mod web;
