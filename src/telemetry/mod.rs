//! What the operator sees of the running process. Sees events only: never bodies, prompts or keys.

pub mod log;
pub mod metrics;
mod series;
