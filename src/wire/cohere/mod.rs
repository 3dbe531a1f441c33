//! Cohere's second API: chat, embeddings and reranking.
//!
//! Its chat is near to OpenAI's and differs in the small: what the model says before it calls tools is a plan of its
//! own, a choice of one function is said by offering no other, files are documents beside the conversation, and what
//! is billed is less than what the model reads, which takes the provider's own instructions in.

use bytes::Bytes;

use super::chat::Chat;
use super::{DecodeError, EncodeError, Encoded, StreamDecoder, Wire};
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Form};
use crate::domain::event::Reply;

mod answer;
mod body;
mod citations;
mod conversation;
mod embed;
mod logprobs;
mod rerank;
mod stream;
#[cfg(test)]
mod tests;
mod usage;

/// The `cohere` wire.
#[derive(Debug)]
pub struct Cohere;

impl Wire for Cohere {
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
        match call.form {
            Form::Embeddings => return embed::encode(call, target),
            Form::Rerank => return rerank::encode(call, target),
            Form::Chat | Form::Text => {}
        }
        let chat = Chat::read(call, target)?;
        let body = body::Body::of(&chat, call, target)?;
        let json = serde_json::to_vec(&body)
            .map_err(|error| EncodeError::Unsupported(error.to_string()))?;
        Ok(Encoded::json("/chat", json))
    }

    fn decode(&self, call: &Call, _: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
        match call.form {
            Form::Embeddings => return embed::decode(call, body),
            Form::Rerank => return rerank::decode(call, body),
            Form::Chat | Form::Text => {}
        }
        answer::read(body)
    }

    fn decoder(&self, _: &Call, _: &Target) -> Box<dyn StreamDecoder> {
        Box::new(stream::EventDecoder::default())
    }
}
