//! `POST /embeddings`, whose form Mistral, Voyage, Perplexity and most hosts share with OpenAI.

use bytes::Bytes;

use super::encode::Wanted;
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::{About, Reply};
use crate::domain::json::{JsonText, Raw};
use crate::domain::usage::Tokens;
use crate::wire::quirks::Quirks;
use crate::wire::shape::{Given, List, count, malformed, shape, shape_of, utf8, word};
use crate::wire::usage::UsageShape;
use crate::wire::vector::{self, Encoding};
use crate::wire::{DecodeError, EncodeError, Encoded, fault};

/// Fields that are written anew, where the target takes them.
const REWRITTEN: [&str; 3] = ["input", "encoding_format", "input_type"];

shape! {
    /// An answer.
    ListShape {
        id = "id": Given<'a>,
        data = "data": Option<List<VectorShape<'a>>>,
        usage = "usage": Given<'a>,
    }
    /// One vector.
    VectorShape {
        index = "index": Given<'a>,
        embedding = "embedding": Given<'a>,
    }
}

/// The request for `call` at `target`.
pub(super) fn encode(call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
    let wanted = Wanted { call, target };
    let passes = |name: &str| !REWRITTEN.contains(&name) && wanted.passes(name);
    let mut body = call.body.splice(passes);
    body.text("model", &target.upstream_model);
    if let Some(input) = call.body.given("input") {
        body.raw("input", texts(input)?.as_bytes());
    }
    // Arrays of numbers are what everybody sends unasked, and not everybody has a word for them.
    let base64 = Encoding::asked_by(call) == Encoding::Floats && !target.quirks.byte_vectors;
    if let Some(format) = wanted.given("encoding_format").filter(|_| base64) {
        body.raw("encoding_format", format.as_bytes());
    }
    let kind = wanted.given("input_type");
    if let Some(kind) = kind.filter(|_| target.quirks.input_type) {
        body.raw("input_type", kind.as_bytes());
    }
    wanted.renamed(&mut body);
    wanted.identity(&mut body);
    Ok(Encoded::json("/embeddings", body.finish()))
}

/// Reads a 2xx body.
pub(super) fn decode(call: &Call, quirks: &Quirks, body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let answer: ListShape<'_> = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    let Some(List(shapes)) = answer.data else {
        let fault = fault::reported(json).or_else(|| fault::unlabelled(json));
        return Err(fault.map_or(
            DecodeError::Malformed("no data".to_owned()),
            DecodeError::Upstream,
        ));
    };
    let sent = if quirks.byte_vectors {
        Encoding::Bytes
    } else {
        Encoding::Floats
    };
    let asked = Encoding::asked_by(call);
    let mut vectors = Vec::with_capacity(shapes.len());
    for (position, shape) in (0..).zip(&shapes) {
        let value = shape
            .embedding
            .ok_or_else(|| DecodeError::Malformed("a vector is missing".to_owned()))?;
        let index = count(shape.index).unwrap_or(position);
        vectors.push((index, vector::read(body, value, sent, asked)?));
    }
    vectors.sort_by_key(|(index, _)| *index);
    Ok(Reply {
        vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
        usage: shape_of(answer.usage).and_then(|usage| tokens(&usage)),
        about: About {
            upstream_id: word(answer.id).map(Into::into),
            ..About::default()
        },
        ..Reply::default()
    })
}

/// All of it is prompt; Voyage gives the total alone.
pub(super) fn tokens(usage: &UsageShape<'_>) -> Option<Tokens> {
    let prompt = [usage.prompt, usage.input, usage.total]
        .into_iter()
        .find_map(count)?;
    Some(Tokens {
        prompt,
        ..Tokens::default()
    })
}

/// The inputs in OpenAI's form, which knows no parts: those of each input are joined by line breaks.
fn texts(input: &Raw) -> Result<Raw, EncodeError> {
    let in_parts = |element: &Raw| element.as_bytes().starts_with(b"{");
    match input.elements() {
        Some(elements) if elements.iter().any(in_parts) => {
            let texts: Vec<Raw> = elements.iter().map(text).collect::<Result<_, _>>()?;
            Ok(Raw::array(texts.iter().map(Raw::as_str)))
        }
        _ => Ok(input.clone()),
    }
}

fn text(input: &Raw) -> Result<Raw, EncodeError> {
    let Some(object) = input.object() else {
        return Ok(input.clone());
    };
    let parts = object.given("content").and_then(Raw::elements);
    let of_part = |part: &Raw| Some(part.object()?.given("text")?.text()?.to_text());
    let texts: Option<Vec<String>> = parts.unwrap_or_default().iter().map(of_part).collect();
    let joined = texts.map(|texts| JsonText::of(&texts.join("\n")));
    let refusal = || EncodeError::Unsupported("this endpoint embeds text only".to_owned());
    Raw::of(&joined.ok_or_else(refusal)?.to_text()).map_err(|_| refusal())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::call::{Form, Origin};
    use crate::domain::json::JsonObject;
    use crate::wire::WireName;

    fn call(body: &Value) -> Call {
        Call {
            form: Form::Embeddings,
            body: JsonObject::parse(body.to_string().into()).unwrap(),
            model: None,
            models: Vec::new(),
            stream: false,
            max_tokens: Some(0),
            choices: 1,
            provider: None,
            plugins: None,
            origin: Origin::default(),
            verbatim: None,
        }
    }

    fn encoded(body: &Value, quirks: Quirks) -> Result<Value, EncodeError> {
        let target = Target {
            wire: WireName::Openai,
            upstream_model: "shoal".to_owned(),
            quirks: Arc::new(quirks),
            unsupported_parameters: Vec::new(),
            max_output_tokens: None,
            reasoning: None,
        };
        let encoded = encode(&call(body), &target)?;
        assert_eq!(encoded.path, "/embeddings");
        Ok(serde_json::from_slice(&encoded.body).unwrap())
    }

    #[test]
    fn a_request_holds_what_the_provider_knows() {
        let from = json!({"model": "acme/shoal", "input": ["a", [1, 2]], "dimensions": 8, "encoding_format": "base64", "input_type": "query", "provider": {}, "stream": true, "truncate": "END"});
        assert_eq!(
            encoded(&from, Quirks::default()).unwrap(),
            json!({"model": "shoal", "input": ["a", [1, 2]], "dimensions": 8, "encoding_format": "base64", "truncate": "END"})
        );
        let voyage = Quirks {
            input_type: true,
            refuses: vec!["encoding_format".to_owned()],
            renames: vec![("dimensions".to_owned(), "output_dimension".to_owned())],
            ..Quirks::default()
        };
        assert_eq!(
            encoded(&from, voyage).unwrap(),
            json!({"model": "shoal", "input": ["a", [1, 2]], "output_dimension": 8, "input_type": "query", "truncate": "END"})
        );
        let float = json!({"input": "a", "encoding_format": "float", "user": "ann"});
        let sent = encoded(&float, Quirks::default()).unwrap();
        assert_eq!(sent.get("encoding_format"), None);
        assert_ne!(sent["user"], "ann");
    }

    #[test]
    fn parts_become_texts_and_images_are_refused() {
        let parts = |content: Value| json!({"input": ["a", {"content": content}]});
        let texts =
            parts(json!([{"type": "text", "text": "b \"c\""}, {"type": "text", "text": "d"}]));
        let sent = encoded(&texts, Quirks::default()).unwrap();
        assert_eq!(sent["input"], json!(["a", "b \"c\"\nd"]));
        let image =
            parts(json!([{"type": "image_url", "image_url": {"url": "https://a.example"}}]));
        assert!(encoded(&image, Quirks::default()).is_err());
    }

    #[test]
    fn vectors_are_put_in_order_and_all_tokens_are_prompt() {
        let body = json!({"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": "AAAAPw=="}], "usage": {"total_tokens": 4}});
        let reply = decode(
            &call(&json!({})),
            &Quirks::default(),
            &body.to_string().into(),
        )
        .unwrap();
        let vectors: Vec<&str> = reply.vectors.iter().map(Raw::as_str).collect();
        assert_eq!(vectors, ["[0.5]", "[2]"]);
        let tokens = reply.usage.unwrap();
        assert_eq!((tokens.prompt, tokens.completion), (4, 0));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let check = |body: Value, upstream: bool| {
            let error = decode(
                &call(&json!({})),
                &Quirks::default(),
                &body.to_string().into(),
            );
            let is_upstream = matches!(error, Err(DecodeError::Upstream(_)));
            assert_eq!((error.is_err(), is_upstream), (true, upstream), "{body}");
        };
        check(json!({"error": {"message": "no", "code": 500}}), true);
        check(json!({"object": "list"}), false);
        check(json!({"data": [{"index": 0}]}), false);
        check(json!({"data": [{"embedding": "AA"}]}), false);
    }
}
