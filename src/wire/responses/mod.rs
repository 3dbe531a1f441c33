//! OpenAI's Responses API, for models that answer only there. Nothing is stored at the provider: each request carries
//! the whole conversation, with the reasoning of earlier turns encrypted.

use bytes::Bytes;

use super::chat::Chat;
use super::{DecodeError, EncodeError, Encoded, StreamDecoder, Wire};
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Spoken};
use crate::domain::event::Reply;

mod answer;
mod body;
mod input;
mod repeat;
mod splice;
mod stream;
#[cfg(test)]
mod tests;

/// The `responses` wire.
#[derive(Debug)]
pub struct Responses;

/// The `format` of its `reasoning_details` (contract 3.5).
const FORMAT: &str = "openai-responses-v1";

impl Wire for Responses {
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
        if let Some(body) = splice::body(call, target) {
            return Ok(Encoded::json("/responses", body));
        }
        let chat = Chat::read(call, target)?;
        let body = body::Body::of(&chat, call, target)?;
        let json = serde_json::to_vec(&body)
            .map_err(|error| EncodeError::Unsupported(error.to_string()))?;
        Ok(Encoded::json("/responses", json))
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
        Some(Spoken::Responses)
    }
}

/// Whether the client is to have the answer as it is.
fn forwards(call: &Call) -> bool {
    call.is_spoken_in(Spoken::Responses) && !call.hides_reasoning()
}
