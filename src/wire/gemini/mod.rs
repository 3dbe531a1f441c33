//! Google's Gemini API, and the same at Vertex AI, which differs in its address and its sign-in.
//!
//! A conversation is a list of parts under two roles. What proves a thought genuine is a signature on the part that it
//! led to, most often a call of a tool; it comes to clients as `reasoning_details` and must go back on the same part.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::chat::Chat;
use super::path::segment;
use super::{DecodeError, EncodeError, Encoded, Fault, StreamDecoder, Wire, fault};
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Form};
use crate::domain::event::Reply;

mod answer;
mod body;
mod candidate;
mod contents;
mod embeddings;
mod gathered;
mod grounding;
mod logprobs;
mod part;
mod partial;
mod schema;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod tools;
mod usage;

/// The `gemini` wire.
#[derive(Debug)]
pub struct Gemini;

/// The `vertex` wire.
#[derive(Debug)]
pub struct Vertex;

/// The `format` of its `reasoning_details` (contract 3.5).
const FORMAT: &str = "google-gemini-v1";

/// The reason of an error that the key is to blame for.
const BAD_KEY: &str = "\"API_KEY_INVALID\"";

/// Where Vertex AI is told the serving tier.
const TIER: HeaderName = HeaderName::from_static("x-vertex-ai-llm-shared-request-type");

impl Wire for Gemini {
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
        let model = format!("/models/{}", segment(name(target)));
        if call.form == Form::Embeddings {
            let body = embeddings::batch(call, target)?;
            return Ok(Encoded::json(format!("{model}:batchEmbedContents"), body));
        }
        let chat = Chat::read(call, target)?;
        let mut body = body::Body::of(&chat, call, target)?;
        body.service_tier = tier(&chat);
        Ok(Encoded::json(
            format!("{model}:{}", verb(call)),
            body.written()?,
        ))
    }

    fn decode(&self, call: &Call, target: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
        match call.form {
            Form::Embeddings => embeddings::read(call, body),
            Form::Chat | Form::Text | Form::Rerank => answer::read(target, body),
        }
    }

    fn decoder(&self, call: &Call, target: &Target) -> Box<dyn StreamDecoder> {
        Box::new(stream::ChunkDecoder::new(call, target))
    }

    /// A key that is not taken comes as a 400, as if the request were at fault.
    fn fault(&self, status: u16, _: &HeaderMap, body: &[u8]) -> Fault {
        let fault = fault::of_status(status, body);
        let of_key = status == 400 && fault.raw.contains(BAD_KEY);
        Fault {
            status: if of_key { 401 } else { status },
            ..fault
        }
    }
}

impl Wire for Vertex {
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
        let model = format!("/publishers/google/models/{}", segment(name(target)));
        if call.form == Form::Embeddings {
            let (verb, body) = embeddings::one(call, target)?;
            return Ok(Encoded::json(format!("{model}:{verb}"), body));
        }
        let chat = Chat::read(call, target)?;
        let body = body::Body::of(&chat, call, target)?;
        let mut encoded = Encoded::json(format!("{model}:{}", verb(call)), body.written()?);
        let tier = tier(&chat).map(|tier| (TIER, HeaderValue::from_static(tier)));
        encoded.headers.extend(tier);
        Ok(encoded)
    }

    fn decode(&self, call: &Call, target: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
        Gemini.decode(call, target, body)
    }

    fn decoder(&self, call: &Call, target: &Target) -> Box<dyn StreamDecoder> {
        Gemini.decoder(call, target)
    }
}

/// What is asked of the model. Without `alt=sse` a stream comes as one JSON array.
fn verb(call: &Call) -> &'static str {
    if call.stream {
        "streamGenerateContent?alt=sse"
    } else {
        "generateContent"
    }
}

/// The model's name alone, which some write as the API lists it.
fn name(target: &Target) -> &str {
    let name = &*target.upstream_model;
    name.strip_prefix("models/").unwrap_or(name)
}

/// The tiers that can be asked for; the standard one is what comes without.
fn tier(chat: &Chat) -> Option<&'static str> {
    match chat.service_tier.as_deref()? {
        "priority" => Some("priority"),
        "flex" => Some("flex"),
        _ => None,
    }
}

/// The number in the name of a Gemini model; a name without one, such as that of the latest, is a later model's.
fn generation(target: &Target) -> Option<u32> {
    let rest = name(target).strip_prefix("gemini-")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(digits.parse().unwrap_or(u32::MAX))
}

/// Whether it is a Gemini from the third on: those check that calls come back signed, take files inside the results
/// of tools, and hold to a schema beside tools.
fn is_later(target: &Target) -> bool {
    generation(target).is_some_and(|generation| generation >= 3)
}
