//! Log-probabilities in the contract's shape. DeepSeek sends those of its reasoning in their place and llama.cpp adds
//! ids of tokens: what OpenAI does not know is left out, and what it requires is filled in.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::json::Raw;

#[derive(Deserialize, Serialize)]
struct Logprobs<'a> {
    #[serde(borrow)]
    content: Option<Vec<Token<'a>>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    refusal: Option<Vec<Token<'a>>>,
}

#[derive(Deserialize, Serialize)]
struct Token<'a> {
    #[serde(borrow)]
    token: &'a RawValue,
    #[serde(borrow)]
    logprob: &'a RawValue,
    #[serde(borrow)]
    bytes: Option<&'a RawValue>,
    #[serde(borrow, default)]
    top_logprobs: Vec<Likely<'a>>,
}

#[derive(Deserialize, Serialize)]
struct Likely<'a> {
    #[serde(borrow)]
    token: &'a RawValue,
    #[serde(borrow)]
    logprob: &'a RawValue,
    #[serde(borrow)]
    bytes: Option<&'a RawValue>,
}

/// The form of the older API, which has its lists side by side.
#[derive(Deserialize)]
struct OfText<'a> {
    #[serde(borrow)]
    tokens: Option<&'a RawValue>,
}

/// Reads them; those of a text completion are left as they are. Nothing, when they are no log-probabilities.
pub(super) fn read(buffer: &Bytes, value: &RawValue) -> Option<Raw> {
    if !value.get().starts_with('{') {
        return None;
    }
    let of_text: OfText<'_> = serde_json::from_str(value.get()).ok()?;
    if of_text.tokens.is_some() {
        return Some(Raw::slice(buffer, value));
    }
    let known: Logprobs<'_> = serde_json::from_str(value.get()).ok()?;
    Raw::of(&known).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_comes_out_is_openais_shape() {
        let check = |from: Value, expect: Value| {
            let text = from.to_string();
            let value: &RawValue = serde_json::from_str(&text).unwrap();
            let read = read(&Bytes::from(text.clone()), value);
            let read = read.map_or(Value::Null, |raw| raw.parse().unwrap());
            assert_eq!(read, expect, "{from}");
        };
        let plain = json!({"token": "a", "logprob": -0.25, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -3.5, "bytes": null}]});
        check(json!({"content": [plain]}), json!({"content": [plain]}));
        check(
            json!({"content": [{"id": 7, "token": "a", "logprob": -1, "top_logprobs": [{"id": 8, "token": "b", "logprob": -2, "bytes": []}]}]}),
            json!({"content": [{"token": "a", "logprob": -1, "bytes": null, "top_logprobs": [{"token": "b", "logprob": -2, "bytes": []}]}]}),
        );
        check(
            json!({"content": null, "refusal": [], "reasoning_content": [plain]}),
            json!({"content": null, "refusal": []}),
        );
        check(
            json!({"reasoning_content": [plain]}),
            json!({"content": null}),
        );
        let of_text = json!({"tokens": ["a"], "token_logprobs": [-0.5], "more": 1});
        check(of_text.clone(), of_text);
        check(json!([1]), Value::Null);
        check(json!({"content": 5}), Value::Null);
    }
}
