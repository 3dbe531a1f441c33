//! The wires against what providers really sent.

pub(crate) mod api;
mod cited;
mod embeddings;
mod expected;
mod matrix;
mod meaning;
pub(crate) mod recordings;
mod replay;
mod requests;
mod searches;
pub(crate) mod served;
pub(crate) mod skins;
mod spliced;
mod translated;
mod turns;
mod vertex;
