//! The wires against what providers really sent.

mod api;
mod embeddings;
mod expected;
mod matrix;
mod meaning;
pub(crate) mod recordings;
mod replay;
mod requests;
mod served;
mod skins;
mod spliced;
mod vertex;
