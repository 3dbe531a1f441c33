//! The wires against what providers really sent.

mod api;
mod embeddings;
mod expected;
mod meaning;
pub(crate) mod recordings;
mod replay;
mod requests;
mod served;
mod vertex;
