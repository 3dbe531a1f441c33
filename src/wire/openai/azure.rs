//! OpenAI's protocol at Azure's deployments: the deployment stands in the path, the version of the API in the query.

use bytes::Bytes;

use super::OpenAi;
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::Reply;
use crate::wire::path::segment;
use crate::wire::{DecodeError, EncodeError, Encoded, StreamDecoder, Wire};

/// The version that is asked for where the operator names none: the latest that is not a preview.
const VERSION: &str = "2024-10-21";

/// The `azure` wire.
#[derive(Debug)]
pub struct Azure;

impl Wire for Azure {
    fn encode(&self, call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
        let encoded = OpenAi.encode(call, target)?;
        let version = target.quirks.api_version.as_deref().unwrap_or(VERSION);
        let path = format!(
            "/deployments/{}{}?api-version={}",
            segment(&target.upstream_model),
            encoded.path,
            segment(version)
        );
        Ok(Encoded { path, ..encoded })
    }

    fn decode(&self, call: &Call, target: &Target, body: &Bytes) -> Result<Reply, DecodeError> {
        OpenAi.decode(call, target, body)
    }

    fn decoder(&self, call: &Call, target: &Target) -> Box<dyn StreamDecoder> {
        OpenAi.decoder(call, target)
    }
}
