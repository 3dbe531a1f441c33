//! The wires against what providers really sent.

mod expected;
mod meaning;
pub(crate) mod recordings;
mod replay;
