//! Embeddings: many at once at the Gemini API, and at Vertex AI one content or, of the older models, many texts.

use bytes::Bytes;
use serde::Serialize;

use super::name;
use super::part::Part;
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::Reply;
use crate::domain::input;
use crate::domain::json::{JsonText, Raw};
use crate::domain::usage::Tokens;
use crate::wire::chat::{self, Content};
use crate::wire::shape::{Given, List, count, malformed, shape, utf8};
use crate::wire::vector::{self, Encoding};
use crate::wire::{DecodeError, EncodeError, fault};

/// What callers call the purpose of a vector (contract 12 `input_type`), and what Google does.
const PURPOSES: [(&str, &str); 10] = [
    ("query", "RETRIEVAL_QUERY"),
    ("search_query", "RETRIEVAL_QUERY"),
    ("document", "RETRIEVAL_DOCUMENT"),
    ("passage", "RETRIEVAL_DOCUMENT"),
    ("search_document", "RETRIEVAL_DOCUMENT"),
    ("classification", "CLASSIFICATION"),
    ("clustering", "CLUSTERING"),
    ("semantic_similarity", "SEMANTIC_SIMILARITY"),
    ("question_answering", "QUESTION_ANSWERING"),
    ("code_retrieval_query", "CODE_RETRIEVAL_QUERY"),
];

/// The body of `batchEmbedContents`.
#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<One<'a>>,
}

/// One content: an element of a batch, or the body of `embedContent`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    content: Parts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
}

#[derive(Serialize)]
struct Parts<'a> {
    parts: Vec<Part<'a>>,
}

/// The body of `predict`.
#[derive(Serialize)]
struct Prediction<'a> {
    instances: Vec<Instance>,
    parameters: Parameters<'a>,
}

#[derive(Serialize)]
struct Instance {
    content: JsonText,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<&'a Raw>,
}

shape! {
    /// An answer, in each of its forms.
    AnswerShape {
        embeddings = "embeddings": List<VectorShape<'a>>,
        embedding = "embedding": Option<VectorShape<'a>>,
        predictions = "predictions": List<PredictionShape<'a>>,
        usage = "usageMetadata": UsageShape<'a>,
    }
    PredictionShape {
        embeddings = "embeddings": VectorShape<'a>,
    }
    VectorShape {
        values = "values": Given<'a>,
        statistics = "statistics": StatisticsShape<'a>,
    }
    StatisticsShape {
        tokens = "token_count": Given<'a>,
    }
    UsageShape {
        prompt = "promptTokenCount": Given<'a>,
    }
}

/// The body for the Gemini API.
pub(super) fn batch(call: &Call, target: &Target) -> Result<Vec<u8>, EncodeError> {
    let contents = contents(call)?;
    let requests = contents.iter().map(|content| One {
        model: Some(format!("models/{}", name(target))),
        ..one_of(call, target, content)
    });
    written(&Batch {
        requests: requests.collect(),
    })
}

/// The verb and the body for Vertex AI. Models of texts alone answer another verb than those of contents.
pub(super) fn one(call: &Call, target: &Target) -> Result<(&'static str, Vec<u8>), EncodeError> {
    let contents = contents(call)?;
    let of_texts = !name(target).starts_with("gemini-") || name(target) == "gemini-embedding-001";
    if of_texts {
        let instance = |content: &Vec<chat::Part>| {
            Ok::<_, EncodeError>(Instance {
                content: only_text(content)?,
                task_type: purpose(call),
            })
        };
        let body = written(&Prediction {
            instances: contents.iter().map(instance).collect::<Result<_, _>>()?,
            parameters: Parameters {
                output_dimensionality: dimensions(call, target),
            },
        })?;
        return Ok(("predict", body));
    }
    match &contents[..] {
        [content] => Ok(("embedContent", written(&one_of(call, target, content))?)),
        _ => Err(EncodeError::Unsupported(
            "this endpoint embeds one input at a time".to_owned(),
        )),
    }
}

/// Reads a 2xx body.
pub(super) fn read(call: &Call, body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let answer: AnswerShape<'_> = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    let predicted = answer.predictions.0.iter().map(|made| &made.embeddings);
    let shapes: Vec<&VectorShape<'_>> = answer
        .embeddings
        .0
        .iter()
        .chain(&answer.embedding)
        .chain(predicted)
        .collect();
    if shapes.is_empty() {
        let fault = fault::reported(json).or_else(|| fault::unlabelled(json));
        return Err(fault.map_or(
            DecodeError::Malformed("no embeddings".to_owned()),
            DecodeError::Upstream,
        ));
    }
    let asked = Encoding::asked_by(call);
    let vector = |shape: &&VectorShape<'_>| {
        let values = shape
            .values
            .ok_or_else(|| DecodeError::Malformed("a vector is missing".to_owned()))?;
        vector::read(body, values, Encoding::Numbers, asked)
    };
    let counted: Option<u64> = shapes
        .iter()
        .map(|shape| count(shape.statistics.tokens))
        .sum();
    let prompt = count(answer.usage.prompt).or(counted);
    Ok(Reply {
        vectors: shapes.iter().map(vector).collect::<Result<_, _>>()?,
        usage: prompt.map(|prompt| Tokens {
            prompt,
            ..Tokens::default()
        }),
        ..Reply::default()
    })
}

fn one_of<'a>(call: &'a Call, target: &Target, content: &'a [chat::Part]) -> One<'a> {
    One {
        model: None,
        content: Parts {
            parts: content.iter().filter_map(Part::of).collect(),
        },
        output_dimensionality: dimensions(call, target),
        task_type: purpose(call),
    }
}

/// The inputs, each in parts.
fn contents(call: &Call) -> Result<Vec<Vec<chat::Part>>, EncodeError> {
    let inputs = call
        .body
        .given("input")
        .map(input::parts)
        .unwrap_or_default();
    let content = |input: &Raw| match (input.text(), input.object()) {
        (Some(text), _) => Ok(vec![chat::Part::text(text)]),
        (None, Some(object)) => chat::parts(object.given("content"), "input"),
        (None, None) => Err(EncodeError::Unsupported(
            "this endpoint embeds no token ids".to_owned(),
        )),
    };
    inputs.iter().map(content).collect()
}

/// The one text that an input is, its parts joined by line breaks.
fn only_text(content: &[chat::Part]) -> Result<JsonText, EncodeError> {
    let text = |part: &chat::Part| match &part.content {
        Content::Text(text) => Some(text.to_text()),
        _ => None,
    };
    let texts: Option<Vec<String>> = content.iter().map(text).collect();
    let refusal = || EncodeError::Unsupported("this endpoint embeds text only".to_owned());
    Ok(JsonText::of(&texts.ok_or_else(refusal)?.join("\n")))
}

fn dimensions<'a>(call: &'a Call, target: &Target) -> Option<&'a Raw> {
    let given = call.body.given("dimensions");
    given.filter(|_| target.takes("dimensions"))
}

/// What the vectors are for, in Google's word; one that nobody knows says nothing.
fn purpose(call: &Call) -> Option<&'static str> {
    let said: String = call.body.given("input_type")?.parse().ok()?;
    let known = PURPOSES
        .iter()
        .find(|(ours, theirs)| said.eq_ignore_ascii_case(ours) || said == *theirs);
    known.map(|(_, theirs)| *theirs)
}

fn written<T: Serialize>(body: &T) -> Result<Vec<u8>, EncodeError> {
    serde_json::to_vec(body).map_err(|error| EncodeError::Unsupported(error.to_string()))
}
