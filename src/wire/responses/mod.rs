//! OpenAI's Responses API, for models that answer only there. Nothing is stored at the provider: each request carries
//! the whole conversation, with the reasoning of earlier turns encrypted.

use bytes::Bytes;

use super::chat::Chat;
use super::{DecodeError, EncodeError, Encoded, StreamDecoder, Wire};
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::Reply;

mod answer;
mod body;
mod input;
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
        let chat = Chat::read(call, target)?;
        let body = body::Body::of(&chat, call, target)?;
        let json = serde_json::to_vec(&body)
            .map_err(|error| EncodeError::Unsupported(error.to_string()))?;
        Ok(Encoded::json("/responses", json))
    }

    fn decode(&self, _: &Call, _: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
        answer::read(body)
    }

    fn decoder(&self, _: &Call, _: &Target) -> Box<dyn StreamDecoder> {
        Box::new(stream::EventDecoder::default())
    }
}
