//! `POST /rerank` as Jina, vLLM, llama.cpp and others serve it, and Voyage with other names.

use bytes::Bytes;

use super::encode::Wanted;
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::{About, Reply};
use crate::domain::json::Raw;
use crate::wire::ranking::{self, RankedShape};
use crate::wire::shape::{Given, List, malformed, shape, shape_of, utf8, word};
use crate::wire::{DecodeError, EncodeError, Encoded, fault};

shape! {
    /// An answer; Voyage's results are its `data`.
    AnswerShape {
        id = "id": Given<'a>,
        results = "results": Option<List<RankedShape<'a>>>,
        data = "data": Option<List<RankedShape<'a>>>,
        usage = "usage": Given<'a>,
    }
}

/// The request for `call` at `target`.
pub(super) fn encode(call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
    let wanted = Wanted { call, target };
    let mut body = call
        .body
        .splice(|name| name != "documents" && wanted.passes(name));
    body.text("model", &target.upstream_model);
    // A text is what everybody reads; what shows something goes as it came, for those who see.
    let documents = ranking::documents(call);
    let documents: Vec<Raw> = documents
        .into_iter()
        .map(|document| ranking::text(&document).unwrap_or(document))
        .collect();
    let documents = Raw::array(documents.iter().map(Raw::as_str));
    body.raw("documents", documents.as_bytes());
    wanted.renamed(&mut body);
    wanted.identity(&mut body);
    Ok(Encoded::json("/rerank", body.finish()))
}

/// Reads a 2xx body.
pub(super) fn decode(call: &Call, body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let answer: AnswerShape<'_> = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    let Some(results) = answer.results.as_ref().or(answer.data.as_ref()) else {
        let fault = fault::reported(json).or_else(|| fault::unlabelled(json));
        return Err(fault.map_or(
            DecodeError::Malformed("no results".to_owned()),
            DecodeError::Upstream,
        ));
    };
    Ok(Reply {
        ranking: ranking::read(body, call, results)?,
        usage: shape_of(answer.usage).and_then(|usage| super::embeddings::tokens(&usage)),
        about: About {
            upstream_id: word(answer.id).map(Into::into),
            ..About::default()
        },
        ..Reply::default()
    })
}
