//! `POST /rerank` (contract 12). Never streamed.

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;

use super::envelope::{Kind, check_fields, generating_nothing, is_filled_text, wrong};
use super::serve::serve_whole;
use crate::domain::call::{Call, Form, Origin};
use crate::domain::event::Ranked;
use crate::domain::json::{JsonObject, ObjectWriter, Raw};
use crate::domain::money::Nanos;
use crate::edge::error::ApiError;
use crate::edge::extract::{InferenceCaller, WholeBody};
use crate::gateway::Gateway;
use crate::stream::client::{Receipt, Whole};

const FIELDS: &[(&str, Kind)] = &[
    ("model", Kind::Text),
    ("models", Kind::Array),
    ("top_n", Kind::Integer(1, i64::MAX)),
    ("user", Kind::Text),
    ("provider", Kind::Object),
];

/// Answers with the documents in the order of their relevance.
pub async fn rerank(
    State(gateway): State<Gateway>,
    InferenceCaller(who): InferenceCaller,
    origin: Origin,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let (call, documents) = call(body, origin)?;
    Ok(serve_whole(&gateway, who, call, |whole| render(whole, &documents)).await)
}

/// The call, and the documents, which the answer shows again.
fn call(bytes: Bytes, origin: Origin) -> Result<(Call, Vec<Raw>), ApiError> {
    let body = JsonObject::parse(bytes)?;
    check_fields(&body, FIELDS)?;
    let call = generating_nothing(Form::Rerank, "the ID of a reranking model", body, origin)?;
    if !call.body.given("query").is_some_and(is_filled_text) {
        return Err(wrong("query", "a string that is not empty"));
    }
    let documents = documents(call.body.given("documents"))?;
    Ok((call, documents))
}

fn documents(given: Option<&Raw>) -> Result<Vec<Raw>, ApiError> {
    const EXPECTED: &str = "an array of at least one document";
    let documents = given.and_then(Raw::elements);
    let documents = documents
        .filter(|documents| !documents.is_empty())
        .ok_or_else(|| wrong("documents", EXPECTED))?;
    for (position, document) in documents.iter().enumerate() {
        if !is_document(document) {
            let path = format!("documents[{position}]");
            return Err(wrong(&path, "a string, or an object with text or image"));
        }
    }
    Ok(documents)
}

fn is_document(document: &Raw) -> bool {
    let is_text = |value: &Raw| value.text().is_some();
    let object = document.object();
    let given = |name| object.as_ref().and_then(|object| object.given(name));
    let fields = [given("text"), given("image")];
    let has_some = fields.iter().any(Option::is_some);
    is_text(document) || has_some && fields.into_iter().flatten().all(is_text)
}

/// `usage` of contract 12: what was billed, by tokens or by units of a search.
#[derive(Serialize)]
struct Usage {
    #[serde(skip_serializing_if = "Option::is_none")]
    total_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_units: Option<u64>,
    cost: Nanos,
}

impl Usage {
    fn of(receipt: &Receipt) -> Self {
        let tokens = receipt.usage.tokens;
        let counted = |count: u64| (count > 0).then_some(count);
        Usage {
            total_tokens: counted(tokens.total()),
            search_units: counted(tokens.search_units),
            cost: receipt.charge.net,
        }
    }
}

fn render(whole: &Whole, documents: &[Raw]) -> Bytes {
    let Whole {
        head,
        reply,
        receipt,
    } = whole;
    let results = reply.ranking.iter();
    let results: Vec<Raw> = results.map(|ranked| result(ranked, documents)).collect();
    let mut out = ObjectWriter::with_capacity(512);
    out.text("id", head.id.as_str());
    out.text("model", head.model.as_str());
    if !head.provider.is_empty() {
        out.text("provider", &head.provider);
    }
    out.raw(
        "results",
        Raw::array(results.iter().map(Raw::as_str)).as_bytes(),
    );
    // Plain numbers cannot fail to serialise; a null would still be valid JSON if they did.
    let usage = serde_json::to_vec(&Usage::of(receipt)).unwrap_or_else(|_| b"null".to_vec());
    out.raw("usage", &usage);
    out.finish()
}

fn result(ranked: &Ranked, documents: &[Raw]) -> Raw {
    let mut result = ObjectWriter::with_capacity(128);
    result.raw("index", ranked.index.to_string().as_bytes());
    result.raw("relevance_score", ranked.score.as_bytes());
    let shown = documents.get(ranked.index).map(shown);
    result.raw(
        "document",
        shown.as_ref().map_or(b"{}", |shown| shown.as_bytes()),
    );
    result.finish_raw()
}

/// A document as the answer shows it: its text and its image.
fn shown(document: &Raw) -> Raw {
    match document.object() {
        Some(object) => object
            .splice(|name| ["text", "image"].contains(&name) && object.given(name).is_some())
            .finish_raw(),
        None => {
            let mut shown = ObjectWriter::with_capacity(document.as_bytes().len() + 16);
            shown.raw("text", document.as_bytes());
            shown.finish_raw()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_wrong_request_is_told_what_is_wrong() {
        let check = |body: Value, expect: &str| {
            let read = call(body.to_string().into(), Origin::default());
            let message = read.map_or_else(
                |error| error.error_object()["message"].as_str().unwrap().to_owned(),
                |(call, documents)| format!("{:?} of {}", call.form, documents.len()),
            );
            assert!(message.contains(expect), "{body}: {message}");
        };
        let ask = |documents: Value| json!({"model": "m", "query": "q", "documents": documents});
        check(
            ask(json!(["a", "", {"text": "b"}, {"image": "https://a.example"}])),
            "Rerank of 4",
        );
        check(json!({"query": "q", "documents": ["a"]}), "model: expected");
        check(
            json!({"model": "m", "documents": ["a"]}),
            "query: expected a string",
        );
        check(
            json!({"model": "m", "query": "", "documents": ["a"]}),
            "query: expected a string",
        );
        check(ask(json!([])), "documents: expected an array");
        check(ask(json!("a")), "documents: expected an array");
        check(ask(json!(["a", {}])), "documents[1]: expected a string");
        check(ask(json!([7])), "documents[0]: expected a string");
        check(
            ask(json!([{"text": "a", "image": 7}])),
            "documents[0]: expected a string",
        );
        check(
            json!({"model": "m", "query": "q", "documents": ["a"], "top_n": 0}),
            "top_n: expected an integer of at least 1",
        );
    }

    #[test]
    fn an_answer_shows_the_documents_again() {
        let check = |document: Value, expect: Value| {
            let shown: Value = shown(&Raw::of(&document).unwrap()).parse().unwrap();
            assert_eq!(shown, expect);
        };
        check(json!("a"), json!({"text": "a"}));
        check(
            json!({"text": "a", "image": null, "id": 7}),
            json!({"text": "a"}),
        );
        check(json!({"image": "i"}), json!({"image": "i"}));
    }
}
