//! Trying endpoints until one answers. Knows transport and wires; knows nothing of money or clients' protocols.

mod batch;
pub mod failure;
pub mod run;
