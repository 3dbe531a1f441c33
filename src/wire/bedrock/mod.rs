//! Amazon Bedrock's Converse API: one form for every model there. What only one family knows, such as how Claude is
//! told to think, goes along in `additionalModelRequestFields`.

use bytes::Bytes;
use http::HeaderMap;

use super::chat::Chat;
use super::path::segment;
use super::{DecodeError, EncodeError, Encoded, Fault, StreamDecoder, Wire, fault};
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::Reply;

mod answer;
mod block;
mod body;
mod stream;
#[cfg(test)]
mod tests;

/// The `bedrock` wire.
#[derive(Debug)]
pub struct Bedrock;

/// The `format` of its `reasoning_details` (contract 3.5): Claude's, which other hosts of Claude take back too.
const FORMAT: &str = "anthropic-claude-v1";
/// Where an error has its name; a namespace may follow after a colon.
const ERROR_TYPE: &str = "x-amzn-errortype";

impl Wire for Bedrock {
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
        let chat = Chat::read(call, target)?;
        let body = body::Body::of(&chat, call, target)?;
        let json = serde_json::to_vec(&body)
            .map_err(|error| EncodeError::Unsupported(error.to_string()))?;
        let verb = if call.stream {
            "converse-stream"
        } else {
            "converse"
        };
        Ok(Encoded::json(
            format!("/model/{}/{verb}", segment(&target.upstream_model)),
            json,
        ))
    }

    fn fetches_media(&self) -> bool {
        false
    }

    fn decode(&self, _: &Call, _: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
        answer::read(body)
    }

    fn decoder(&self, _: &Call, _: &Target) -> Box<dyn StreamDecoder> {
        Box::new(stream::EventDecoder::default())
    }

    fn fault(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
        let name = headers
            .get(ERROR_TYPE)
            .and_then(|value| value.to_str().ok());
        let name = name
            .and_then(|name| name.split(':').next())
            .filter(|name| !name.is_empty());
        let told = fault::of_status(status, body);
        Fault {
            code: name.map(str::to_owned).or(told.code),
            ..told
        }
    }
}
