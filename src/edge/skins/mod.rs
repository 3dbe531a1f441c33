//! Client-facing protocols. A skin turns a body into a [`Call`](crate::domain::call::Call) and an
//! answer into bytes; it knows nothing of providers. The handlers are one screen each.

mod blocks;
pub mod chat;
pub mod completions;
pub mod embeddings;
mod envelope;
mod fields;
pub mod messages;
mod render;
pub(in crate::edge) mod report;
pub mod rerank;
pub mod responses;
mod serve;

pub use serve::StreamStyle;
