//! `POST /rerank`.

use bytes::Bytes;
use serde::Serialize;

use super::usage::UsageShape;
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::{About, Reply};
use crate::domain::json::Raw;
use crate::wire::ranking::{self, RankedShape};
use crate::wire::shape::{Given, List, malformed, shape, utf8, word};
use crate::wire::{DecodeError, EncodeError, Encoded, fault};

#[derive(Debug, Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a Raw>,
    documents: Vec<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_n: Option<&'a Raw>,
    // Of the provider's own, for callers who know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens_per_doc: Option<&'a Raw>,
}

shape! {
    /// An answer.
    AnswerShape {
        id = "id": Given<'a>,
        results = "results": Option<List<RankedShape<'a>>>,
        meta = "meta": UsageShape<'a>,
    }
}

/// The request for `call` at `target`.
pub(super) fn encode(call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
    let text = |document: &Raw| ranking::text(document).ok_or_else(ranking::text_alone);
    let documents = ranking::documents(call);
    let body = Body {
        model: &target.upstream_model,
        query: call.body.given("query"),
        documents: documents.iter().map(text).collect::<Result<_, _>>()?,
        top_n: call.body.given("top_n"),
        max_tokens_per_doc: call.body.given("max_tokens_per_doc"),
    };
    let json =
        serde_json::to_vec(&body).map_err(|error| EncodeError::Unsupported(error.to_string()))?;
    Ok(Encoded::json("/rerank", json))
}

/// Reads a 2xx body.
pub(super) fn decode(call: &Call, body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let answer: AnswerShape<'_> = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    let Some(results) = &answer.results else {
        let fault = fault::reported(json).or_else(|| fault::unlabelled(json));
        return Err(fault.map_or(
            DecodeError::Malformed("no results".to_owned()),
            DecodeError::Upstream,
        ));
    };
    Ok(Reply {
        ranking: ranking::read(body, call, results)?,
        usage: answer.meta.searched(),
        about: About {
            upstream_id: word(answer.id).map(Into::into),
            ..About::default()
        },
        ..Reply::default()
    })
}
