//! Trying endpoints until one answers. Knows transport and wires; knows nothing of money or clients' protocols.

pub mod failure;
pub mod run;
