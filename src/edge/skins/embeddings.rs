//! `POST /embeddings` (contract 12). Never streamed.

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;

use super::envelope::{Kind, check_fields, generating_nothing, is_filled_text, wrong};
use super::render::CostDetails;
use super::serve::serve_whole;
use crate::domain::call::{Call, Form, Origin};
use crate::domain::input;
use crate::domain::json::{JsonObject, Raw, write_string};
use crate::domain::money::Nanos;
use crate::edge::error::ApiError;
use crate::edge::extract::{InferenceCaller, WholeBody};
use crate::gateway::Gateway;
use crate::stream::client::{Receipt, Whole};

const FIELDS: &[(&str, Kind)] = &[
    ("model", Kind::Text),
    ("models", Kind::Array),
    ("encoding_format", Kind::OneOf(&["float", "base64"])),
    ("dimensions", Kind::Integer(1, i64::MAX)),
    ("input_type", Kind::Text),
    ("user", Kind::Text),
    ("provider", Kind::Object),
];

/// Answers with a vector for each input.
pub async fn embeddings(
    State(gateway): State<Gateway>,
    InferenceCaller(who): InferenceCaller,
    origin: Origin,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let call = call(body, origin)?;
    Ok(serve_whole(&gateway, who, call, render).await)
}

fn call(bytes: Bytes, origin: Origin) -> Result<Call, ApiError> {
    let body = JsonObject::parse(bytes)?;
    check_fields(&body, FIELDS)?;
    let call = generating_nothing(
        Form::Embeddings,
        "the ID of an embedding model",
        body,
        origin,
    )?;
    check_input(call.body.given("input"))?;
    Ok(call)
}

fn check_input(input: Option<&Raw>) -> Result<(), ApiError> {
    const EXPECTED: &str = "a string, an array of token ids, or an array of either";
    let input = input.ok_or_else(|| wrong("input", EXPECTED))?;
    match input.elements() {
        None if is_filled_text(input) => Ok(()),
        Some(elements) if input::is_tokens(&elements) => check_tokens("input", input),
        Some(elements) if !elements.is_empty() => {
            let numbered = elements.iter().enumerate();
            numbered.into_iter().try_for_each(|(position, element)| {
                check_part(&format!("input[{position}]"), element)
            })
        }
        _ => Err(wrong("input", EXPECTED)),
    }
}

fn check_part(path: &str, part: &Raw) -> Result<(), ApiError> {
    match part.as_bytes().first() {
        Some(b'"') if is_filled_text(part) => Ok(()),
        Some(b'[') => check_tokens(path, part),
        Some(b'{') => match part
            .object()
            .as_ref()
            .and_then(|part| part.given("content"))
        {
            Some(content) if content.as_bytes().starts_with(b"[") => Ok(()),
            _ => Err(wrong(&format!("{path}.content"), "an array of parts")),
        },
        _ => Err(wrong(
            path,
            "a string that is not empty, or an array of token ids",
        )),
    }
}

fn check_tokens(path: &str, tokens: &Raw) -> Result<(), ApiError> {
    match tokens.parse::<Vec<u32>>() {
        Ok(tokens) if !tokens.is_empty() => Ok(()),
        _ => Err(wrong(path, "an array of token ids")),
    }
}

/// `usage` of contract 12.
#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
    cost: Nanos,
    is_byok: bool,
    cost_details: CostDetails,
}

impl Usage {
    fn of(receipt: &Receipt) -> Self {
        let tokens = receipt.usage.tokens;
        Usage {
            prompt_tokens: tokens.prompt,
            total_tokens: tokens.total(),
            cost: receipt.charge.net,
            is_byok: false,
            cost_details: CostDetails::of(&receipt.charge),
        }
    }
}

/// The answer. Vectors are copied as they came: they are most of it.
fn render(whole: &Whole) -> Bytes {
    let Whole {
        head,
        reply,
        receipt,
    } = whole;
    let size: usize = reply
        .vectors
        .iter()
        .map(|vector| vector.as_bytes().len() + 64)
        .sum();
    let mut out = Vec::with_capacity(size + 512);
    out.extend_from_slice(b"{\"id\":");
    write_string(&mut out, head.id.as_str());
    out.extend_from_slice(b",\"object\":\"list\",\"model\":");
    write_string(&mut out, head.model.as_str());
    out.extend_from_slice(b",\"data\":[");
    for (index, vector) in reply.vectors.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let start = format!("{comma}{{\"object\":\"embedding\",\"index\":{index},\"embedding\":");
        out.extend_from_slice(start.as_bytes());
        out.extend_from_slice(vector.as_bytes());
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"usage\":");
    // Plain numbers cannot fail to serialise; a null would still be valid JSON if they did.
    out.extend(serde_json::to_vec(&Usage::of(receipt)).unwrap_or_else(|_| b"null".to_vec()));
    out.push(b'}');
    out.into()
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
                |error| {
                    error.error_object()["message"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned()
                },
                |call| format!("{:?}", call.form),
            );
            assert!(message.contains(expect), "{body}: {message}");
        };
        let ask = |input: Value| json!({"model": "m", "input": input});
        for input in [
            json!("a"),
            json!(["a", "b"]),
            json!([1, 2]),
            json!([[1], [2, 3]]),
            json!([{"content": [{"type": "text", "text": "a"}]}]),
        ] {
            check(ask(input), "Embeddings");
        }
        check(json!({"input": "a"}), "model: expected");
        check(json!({"model": "m"}), "input: expected a string");
        check(ask(json!("")), "input: expected a string");
        check(ask(json!([])), "input: expected a string");
        check(ask(json!(7)), "input: expected a string");
        check(ask(json!(["a", ""])), "input[1]: expected a string");
        check(
            ask(json!([1, "a"])),
            "input: expected an array of token ids",
        );
        check(
            ask(json!([[1], []])),
            "input[1]: expected an array of token ids",
        );
        check(
            ask(json!([{"text": "a"}])),
            "input[0].content: expected an array of parts",
        );
        check(
            json!({"model": "m", "input": "a", "encoding_format": "hex"}),
            "encoding_format: expected one of float, base64",
        );
        check(
            json!({"model": "m", "input": "a", "dimensions": 0}),
            "dimensions: expected an integer of at least 1",
        );
    }
}
