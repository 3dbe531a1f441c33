//! The wires against what providers really sent.

mod expected;
mod meaning;
mod recordings;
mod replay;
