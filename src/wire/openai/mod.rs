//! OpenAI's chat completions, completions and embeddings, which most providers speak, each with an accent; and the
//! ranking of documents, which OpenAI lacks and they do not.
//!
//! The request body is spliced, not rebuilt: what the gateway does not know reaches the provider. The answer is read
//! leniently: whatever spelling a provider uses for reasoning, tool calls, usage and errors comes out the same.

use bytes::Bytes;

use super::{DecodeError, EncodeError, Encoded, StreamDecoder, Wire};
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Form};
use crate::domain::event::Reply;

mod azure;
mod calls;
mod citations;
mod decode;
mod embeddings;
mod encode;
mod logprobs;
mod messages;
mod piece;
mod reasoning;
mod repeat;
mod rerank;
mod stream;
#[cfg(test)]
mod tests;
mod tools;

pub use azure::Azure;

/// The `openai` wire.
#[derive(Debug)]
pub struct OpenAi;

impl Wire for OpenAi {
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
        match call.form {
            Form::Embeddings => embeddings::encode(call, target),
            Form::Rerank => rerank::encode(call, target),
            Form::Chat | Form::Text => encode::encode(call, target),
        }
    }

    fn decode(&self, call: &Call, target: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
        match call.form {
            Form::Embeddings => return embeddings::decode(call, &target.quirks, body),
            Form::Rerank => return rerank::decode(call, body),
            Form::Chat | Form::Text => {}
        }
        decode::decode(&target.quirks, body)
    }

    fn decoder(&self, call: &Call, target: &Target) -> Box<dyn StreamDecoder> {
        Box::new(stream::ChunkDecoder::new(call, &target.quirks))
    }
}
