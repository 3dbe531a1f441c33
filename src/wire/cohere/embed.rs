//! `POST /embed`.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::usage::UsageShape;
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::event::{About, Reply};
use crate::domain::input;
use crate::domain::json::Raw;
use crate::wire::shape::{Given, List, malformed, shape, utf8, word};
use crate::wire::vector::{self, Encoding};
use crate::wire::{DecodeError, EncodeError, Encoded, fault};

/// What texts are taken for where the caller does not say: the API wants to know.
const USUAL_TYPE: &str = "search_document";

#[derive(Debug, Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(flatten)]
    inputs: Inputs,
    input_type: String,
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<&'a Raw>,
    // Of the provider's own, for callers who know them.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<&'a Raw>,
}

/// The three forms in which the API takes what is to be embedded.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Inputs {
    Texts(Vec<Raw>),
    /// One picture alone, which models from before mixed inputs take too.
    Images([Raw; 1]),
    /// Texts and pictures in each.
    #[serde(rename = "inputs")]
    Mixed(Vec<Raw>),
}

/// The request for `call` at `target`.
pub(super) fn encode(call: &Call, target: &Target) -> Result<Encoded, EncodeError> {
    let given = |name: &str| call.body.given(name).filter(|_| target.takes(name));
    let inputs = inputs(call.body.given("input"))?;
    let input_type = match (&inputs, given("input_type")) {
        (Inputs::Images(_), _) => "image".to_owned(),
        (_, said) => said.map_or(USUAL_TYPE.to_owned(), kind),
    };
    let body = Body {
        model: &target.upstream_model,
        inputs,
        input_type,
        embedding_types: [match Encoding::asked_by(call) {
            Encoding::Floats => "base64",
            Encoding::Numbers | Encoding::Bytes => "float",
        }],
        output_dimension: given("dimensions"),
        truncate: given("truncate"),
        max_tokens: given("max_tokens"),
    };
    let json =
        serde_json::to_vec(&body).map_err(|error| EncodeError::Unsupported(error.to_string()))?;
    Ok(Encoded::json("/embed", json))
}

/// The API's word for what the inputs are; others have shorter ones.
fn kind(said: &Raw) -> String {
    let word = said.parse::<String>().unwrap_or_default();
    match &*word {
        "query" => "search_query".to_owned(),
        "document" | "passage" => "search_document".to_owned(),
        _ => word,
    }
}

fn inputs(input: Option<&Raw>) -> Result<Inputs, EncodeError> {
    let parts = input.map(input::parts).unwrap_or_default();
    let contents: Vec<Vec<Piece>> = parts.iter().map(content).collect::<Result<_, _>>()?;
    if let [only] = &contents[..]
        && let [Piece::Image(url)] = &only[..]
    {
        return Ok(Inputs::Images([url.clone()]));
    }
    let texts: Option<Vec<Raw>> = contents.iter().map(|content| text(content)).collect();
    Ok(match texts {
        Some(texts) => Inputs::Texts(texts),
        None => Inputs::Mixed(contents.iter().map(|content| mixed(content)).collect()),
    })
}

/// A part of an input, its text or address as it was written.
enum Piece {
    Text(Raw),
    Image(Raw),
}

/// The parts of one input.
fn content(input: &Raw) -> Result<Vec<Piece>, EncodeError> {
    let unsupported = |reason: &str| EncodeError::Unsupported(reason.to_owned());
    if input.text().is_some() {
        return Ok(vec![Piece::Text(input.clone())]);
    }
    let object = input
        .object()
        .ok_or_else(|| unsupported("this endpoint embeds texts and images, not token ids"))?;
    let parts = object.given("content").and_then(Raw::elements);
    let piece = |part: &Raw| {
        let object = part.object()?;
        if let Some(text) = object.given("text") {
            return Some(Piece::Text(text.clone()));
        }
        let image = object.given("image_url")?;
        let url = image.object().and_then(|image| image.given("url").cloned());
        Some(Piece::Image(url.unwrap_or_else(|| image.clone())))
    };
    let pieces: Option<Vec<Piece>> = parts.unwrap_or_default().iter().map(piece).collect();
    pieces.ok_or_else(|| unsupported("this endpoint embeds texts and images alone"))
}

/// The text of an input that holds nothing else, its parts joined by line breaks.
fn text(content: &[Piece]) -> Option<Raw> {
    let texts = content.iter().map(|piece| match piece {
        Piece::Text(text) => Some(text),
        Piece::Image(_) => None,
    });
    let texts: Vec<&Raw> = texts.collect::<Option<_>>()?;
    if let [only] = texts[..] {
        return Some(only.clone());
    }
    let texts = texts.iter().map(|text| Some(text.text()?.to_text()));
    Raw::of(&texts.collect::<Option<Vec<String>>>()?.join("\n")).ok()
}

fn mixed(content: &[Piece]) -> Raw {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => format!(r#"{{"type":"text","text":{}}}"#, text.as_str()),
        Piece::Image(url) => format!(
            r#"{{"type":"image_url","image_url":{{"url":{}}}}}"#,
            url.as_str()
        ),
    };
    let pieces: Vec<String> = content.iter().map(piece).collect();
    let mut input = crate::domain::json::ObjectWriter::with_capacity(64);
    input.raw(
        "content",
        Raw::array(pieces.iter().map(String::as_str)).as_bytes(),
    );
    input.finish_raw()
}

shape! {
    /// An answer.
    AnswerShape {
        id = "id": Given<'a>,
        embeddings = "embeddings": Option<VectorsShape<'a>>,
        meta = "meta": UsageShape<'a>,
    }
    /// The vectors by type.
    VectorsShape {
        float = "float": List<&'a RawValue>,
        base64 = "base64": List<&'a RawValue>,
    }
}

/// Reads a 2xx body.
pub(super) fn decode(call: &Call, body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let answer: AnswerShape<'_> = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    let Some(VectorsShape { float, base64 }) = answer.embeddings else {
        let fault = fault::reported(json).or_else(|| fault::unlabelled(json));
        return Err(fault.map_or(
            DecodeError::Malformed("no embeddings".to_owned()),
            DecodeError::Upstream,
        ));
    };
    let asked = Encoding::asked_by(call);
    let vectors = float.0.into_iter().chain(base64.0);
    Ok(Reply {
        vectors: vectors
            .map(|vector| vector::read(body, vector, Encoding::Floats, asked))
            .collect::<Result<_, _>>()?,
        usage: answer.meta.embedded(),
        about: About {
            upstream_id: word(answer.id).map(Into::into),
            ..About::default()
        },
        ..Reply::default()
    })
}
