//! Streams: bytes into frames, frames into events, events to the client, counted on the way.

pub mod aws;
pub mod citations;
pub mod client;
pub mod count;
pub mod decoding;
pub mod frames;
pub mod handoff;
pub mod heard;
pub mod meter;
pub mod relay;
pub mod sanity;
pub mod source;
pub mod tools;
pub mod turn;
