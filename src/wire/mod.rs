//! Providers' protocols. A wire is code, a provider is data: sixty providers speak a handful of
//! wires, with [`quirks::Quirks`] for where they differ.
//!
//! Wires are pure: they turn a [`Call`] into the parts of an HTTP request and bytes into a
//! [`Reply`] or [`Event`]s. They own no socket, clock, price or key.

use bytes::Bytes;
use http::HeaderMap;

use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::{Event, Reply};

mod fault;
mod finish;
pub mod openai;
pub mod quirks;
mod shape;

/// A protocol, as the configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireName {
    /// OpenAI's chat completions and completions.
    Openai,
    /// A protocol that the catalogue knows of and this build does not speak.
    Unspoken,
}

impl WireName {
    /// The protocol a catalogue or configuration names; `None` for a name nobody has.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "openai" => Some(WireName::Openai),
            name if Self::ALL.contains(&name) => Some(WireName::Unspoken),
            _ => None,
        }
    }

    /// Every name that a catalogue may use.
    pub const ALL: [&'static str; 10] = [
        "openai",
        "anthropic",
        "gemini",
        "vertex",
        "vertex-anthropic",
        "bedrock",
        "azure",
        "cohere",
        "watsonx",
        "replicate",
    ];
}

/// The code that speaks a protocol; `None` for one that this build does not speak.
pub fn wire(name: WireName) -> Option<&'static dyn Wire> {
    match name {
        WireName::Openai => Some(&openai::OpenAi),
        WireName::Unspoken => None,
    }
}

/// One protocol: values to bytes and bytes to values.
pub trait Wire: Send + Sync {
    /// The HTTP request for a call at an endpoint. Authentication is added by the sender.
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError>;

    /// A complete 2xx body. An error object inside it is a [`DecodeError::Upstream`].
    fn decode(&self, call: &Call, target: &Target, body: &Bytes) -> Result<Reply, DecodeError>;

    /// The decoder of a streamed 2xx body.
    fn decoder(&self, call: &Call, target: &Target) -> Box<dyn StreamDecoder>;

    /// What a body that came with an error status says.
    fn fault(&self, status: u16, body: &[u8]) -> Fault;
}

/// Turns the frames of one streamed answer into events.
pub trait StreamDecoder: Send {
    /// Takes one server-sent event and appends what it means.
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<(), DecodeError>;

    /// The upstream closed the stream. An answer that had not ended is [`DecodeError::Truncated`].
    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), DecodeError>;
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The `event:` field, when there is one.
    pub event: Option<String>,
    /// The `data:` lines, joined by newlines.
    pub data: Bytes,
}

/// The parts of an HTTP POST to a provider.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The path to append to the base URL, with a leading slash.
    pub path: String,
    /// Headers of the protocol.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why a call cannot be said in a protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A part of the request that the protocol has no word for.
    #[error("{0}")]
    Unsupported(String),
}

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The provider reports an error inside a 200.
    #[error("{}", .0.message)]
    Upstream(Fault),
    /// Not what the protocol says.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// The stream ended before the answer did.
    #[error("the stream ended before the answer did")]
    Truncated,
}

/// An error as a provider words it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status, or the status-like code inside a stream's error; 0 when there is none.
    pub status: u16,
    /// The provider's code or type, such as `context_length_exceeded`.
    pub code: Option<String>,
    /// The provider's message.
    pub message: String,
    /// The whole error body, shortened to 2 kB.
    pub raw: String,
}
