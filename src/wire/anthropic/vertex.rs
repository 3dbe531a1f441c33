//! Anthropic's models at Vertex AI: the model stands in the path, the version of the API in the body.

use bytes::Bytes;

use super::{Anthropic, Body, betas, splice};
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Spoken};
use crate::domain::event::Reply;
use crate::wire::chat::Chat;
use crate::wire::path::segment;
use crate::wire::{DecodeError, EncodeError, Encoded, StreamDecoder, Wire};

/// The version of the API there.
const VERSION: &str = "vertex-2023-10-16";

/// The `vertex-anthropic` wire.
#[derive(Debug)]
pub struct AtVertex;

impl Wire for AtVertex {
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
        let body = match splice::body(call, target, ("anthropic_version", VERSION)) {
            Some(body) => body,
            None => {
                let chat = Chat::read(call, target)?;
                let mut body = Body::of(&chat, call, target)?;
                body.anthropic_version = Some(VERSION);
                body.stream = call.stream;
                body.written()?.into()
            }
        };
        // The names have an `@` before their date, which a path may hold as it is.
        let model = segment(&target.upstream_model).replace("%40", "@");
        let verb = if call.stream {
            "streamRawPredict"
        } else {
            "rawPredict"
        };
        let path = format!("/publishers/anthropic/models/{model}:{verb}");
        let mut encoded = Encoded::json(path, body);
        encoded.headers.extend(betas(call));
        Ok(encoded)
    }

    /// Anthropic itself fetches files, but not there.
    fn fetches_media(&self) -> bool {
        false
    }

    fn decode(&self, call: &Call, target: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
        Anthropic.decode(call, target, body)
    }

    fn decoder(&self, call: &Call, target: &Target) -> Box<dyn StreamDecoder> {
        Anthropic.decoder(call, target)
    }

    fn speaks(&self) -> Option<Spoken> {
        Some(Spoken::Messages)
    }
}
