//! Providers' protocols. A wire is code, a provider is data: sixty providers speak a handful of
//! wires, with [`quirks::Quirks`] for where they differ.
//!
//! Wires are pure: they turn a [`Call`] into the parts of an HTTP request and bytes into a
//! [`Reply`] or [`Event`]s. They own no socket, clock, price or key.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Spoken};
use crate::domain::event::{Event, Reply};

pub mod anthropic;
pub mod assertion;
pub mod bedrock;
mod call_id;
pub mod chat;
pub mod cohere;
mod fault;
mod finish;
pub mod gemini;
mod name;
pub mod openai;
mod path;
mod progress;
pub mod quirks;
mod ranking;
mod repeat;
pub mod responses;
mod shape;
pub mod sign;
mod usage;
mod vector;

pub use name::{KeyPlace, WireName};
use quirks::NativeSearch;

/// The protocol that a call is sent in: the endpoint's, unless the call wants a search of the provider's that is made
/// over another alone.
pub fn of_call(call: &Call, target: &Target) -> WireName {
    let over_responses = matches!(
        target.quirks.web_search,
        Some(NativeSearch::Responses | NativeSearch::Xai)
    );
    if over_responses && call.uses(chat::search::FIELD) {
        WireName::Responses
    } else {
        target.wire
    }
}

/// The code that speaks a protocol; `None` for one that this build does not speak.
pub fn wire(name: WireName) -> Option<&'static dyn Wire> {
    match name {
        WireName::Openai => Some(&openai::OpenAi),
        WireName::Anthropic => Some(&anthropic::Anthropic),
        WireName::Responses => Some(&responses::Responses),
        WireName::Bedrock => Some(&bedrock::Bedrock),
        WireName::Azure => Some(&openai::Azure),
        WireName::Gemini => Some(&gemini::Gemini),
        WireName::Vertex => Some(&gemini::Vertex),
        WireName::VertexAnthropic => Some(&anthropic::AtVertex),
        // The same as OpenAI's but for its address and its sign-in.
        WireName::VertexOpenai => Some(&openai::OpenAi),
        WireName::Cohere => Some(&cohere::Cohere),
        WireName::Watsonx | WireName::Replicate => None,
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

    /// Whether the provider fetches what a request names by address; otherwise files must be in the request.
    fn fetches_media(&self) -> bool {
        true
    }

    /// The form that clients may speak too, if there is one: their requests are spliced, not rebuilt, and their answers
    /// forwarded.
    fn speaks(&self) -> Option<Spoken> {
        None
    }

    /// What a body that came with an error status says; some name the error in a header.
    fn fault(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
        let _ = headers;
        fault::of_status(status, body)
    }
}

/// How a streamed answer is cut into frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Sse,
    /// Amazon's binary event stream.
    AwsEventStream,
}

/// Turns the frames of one streamed answer into events.
pub trait StreamDecoder: Send {
    /// Takes one frame and appends what it means.
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<(), DecodeError>;

    /// The upstream closed the stream. An answer that had not ended is [`DecodeError::Truncated`].
    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), DecodeError>;

    /// How the bytes are cut into the frames that it takes.
    fn framing(&self) -> Framing {
        Framing::Sse
    }
}

/// One event of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The event's name, when it has one: the `event:` field of a server-sent event.
    pub event: Option<String>,
    /// What it says: the `data:` lines of a server-sent event, joined by newlines.
    pub data: Bytes,
}

/// The parts of an HTTP POST to a provider.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The path to append to the base URL, with a leading slash; a query may follow. Some name the model in it, and
    /// some ask for a stream by it.
    pub path: String,
    /// Headers of the protocol.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Encoded {
    /// A JSON body for `path`.
    pub fn json(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        // With room for the protocol's own, the operator's and the key.
        let mut headers = HeaderMap::with_capacity(6);
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, json);
        Encoded {
            path: path.into(),
            headers,
            body: body.into(),
        }
    }
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
    /// How long to wait before asking again, where the error says so.
    pub retry_after: Option<Duration>,
}
