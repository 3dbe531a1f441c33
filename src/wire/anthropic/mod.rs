//! Anthropic's Messages API, which some others speak too.
//!
//! The chat form and this one differ in shape more than in meaning: instructions stand apart, tool results are the
//! user's, thinking is signed and comes back unchanged. What only the provider runs (its searches, its sandboxes) is
//! skipped in answers and counted in the usage.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::chat::Chat;
use super::{DecodeError, EncodeError, Encoded, Fault, StreamDecoder, Wire, fault};
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Spoken};
use crate::domain::event::Reply;

mod answer;
mod block;
mod body;
mod conversation;
mod marker;
mod repeat;
mod schema;
mod splice;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod usage;
mod vertex;

pub(super) use body::{
    Body, USUAL_CAP, effort, holds_to_schemas, in_words, json_in_words, tempered,
};
pub(super) use schema::{of_answer as answer_schema, of_arguments as arguments_schema};
pub(super) use thinking::{Thinking, of as thinking};
pub use vertex::AtVertex;

/// The `anthropic` wire.
#[derive(Debug)]
pub struct Anthropic;

/// The `format` of its `reasoning_details` (contract 3.5).
const FORMAT: &str = "anthropic-claude-v1";

/// The version of the API that is spoken, as it wants it in each request.
const VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("anthropic-version"),
    HeaderValue::from_static("2023-06-01"),
);

impl Wire for Anthropic {
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
        let model = ("model", &*target.upstream_model);
        let mut encoded = match splice::body(call, target, model) {
            Some(body) => Encoded::json("/messages", body),
            None => {
                let chat = Chat::read(call, target)?;
                let mut body = Body::of(&chat, call, target)?;
                body.model = Some(&target.upstream_model);
                body.stream = call.stream;
                Encoded::json("/messages", body.written()?)
            }
        };
        encoded.headers.extend([VERSION]);
        encoded.headers.extend(betas(call));
        Ok(encoded)
    }

    fn decode(&self, call: &Call, _: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
        let reply = answer::read(body)?;
        Ok(Reply {
            verbatim: forwards(call).then(|| body.clone()),
            ..reply
        })
    }

    fn decoder(&self, call: &Call, _: &Target) -> Box<dyn StreamDecoder> {
        Box::new(stream::EventDecoder::new(forwards(call)))
    }

    fn speaks(&self) -> Option<Spoken> {
        Some(Spoken::Messages)
    }
}

/// Whether the client is to have the answer as it is.
fn forwards(call: &Call) -> bool {
    call.is_spoken_in(Spoken::Messages) && !call.hides_reasoning()
}

/// The features that the caller asks for by name (contract 1.4).
fn betas(call: &Call) -> Option<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_str(call.origin.anthropic_beta.as_deref()?).ok()?;
    Some((HeaderName::from_static("anthropic-beta"), value))
}

/// An error with the status that its type stands for, where it came inside a 200.
fn with_status(fault: Fault) -> Fault {
    let status = match (fault.status, fault.code.as_deref()) {
        (0, Some("invalid_request_error")) => 400,
        (0, Some("authentication_error")) => 401,
        (0, Some("billing_error")) => 402,
        (0, Some("permission_error")) => 403,
        (0, Some("not_found_error")) => 404,
        (0, Some("request_too_large")) => 413,
        (0, Some("rate_limit_error")) => 429,
        (0, Some("api_error")) => 500,
        (0, Some("timeout_error")) => 504,
        (0, Some("overloaded_error")) => 529,
        (status, _) => status,
    };
    Fault { status, ..fault }
}

/// The error that a 2xx body or an event reports, if it does.
fn reported(json: &str) -> Option<Fault> {
    fault::reported(json).map(with_status)
}
