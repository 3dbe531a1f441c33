//! HTTP, and nothing but: routes, bodies, headers, statuses. Everything it decides is how to say it.

pub mod error;
pub mod extract;
pub mod layers;
pub mod listen;
pub mod load;
pub mod manage;
pub mod metrics;
pub mod router;
pub mod routes;
pub mod skins;
pub mod sse;
