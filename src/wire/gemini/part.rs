//! The parts of a request: text, files, calls of tools and what they gave.

use serde::Serialize;

use super::is_later;
use crate::catalog::snapshot::Target;
use crate::domain::json::{JsonObject, JsonText, ObjectWriter, Raw};
use crate::wire::WireName;
use crate::wire::chat::{Content, Media, Part as Given, ToolCall, ToolResult};

/// A part.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(flatten)]
    pub(super) payload: Payload<'a>,
    /// Whether it is a thought.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    thought: bool,
    /// The proof of the thoughts that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<JsonText>,
}

/// What a part holds: an object with one field, named for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Payload<'a> {
    Text(JsonText),
    InlineData(Blob<'a>),
    FileData(Address<'a>),
    FunctionCall(Called<'a>),
    FunctionResponse(Returned<'a>),
}

/// Bytes in the request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    mime_type: String,
    data: &'a str,
}

/// Bytes elsewhere: on the web, in Google's store, or at the provider.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Address<'a> {
    file_uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Called<'a> {
    id: &'a str,
    name: &'a str,
    args: &'a Raw,
}

#[derive(Debug, Serialize)]
pub(super) struct Returned<'a> {
    id: &'a str,
    name: &'a str,
    response: Raw,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part<'a>>,
}

impl<'a> From<Payload<'a>> for Part<'a> {
    fn from(payload: Payload<'a>) -> Self {
        Part {
            payload,
            thought: false,
            thought_signature: None,
        }
    }
}

impl<'a> Part<'a> {
    /// A text.
    pub(super) fn text(text: JsonText) -> Self {
        Payload::Text(text).into()
    }

    /// A thought of the model's own.
    pub(super) fn thought(text: JsonText, signature: &JsonText) -> Self {
        Part {
            thought: true,
            thought_signature: Some(signature.clone()),
            ..Part::text(text)
        }
    }

    /// A call of a tool.
    pub(super) fn call(call: &'a ToolCall) -> Self {
        Payload::FunctionCall(Called {
            id: &call.id,
            name: &call.name,
            args: &call.arguments,
        })
        .into()
    }

    /// The part that `given` is; `None` for an empty text, which Vertex AI refuses.
    pub(super) fn of(given: &'a Given) -> Option<Self> {
        let payload = match &given.content {
            Content::Text(text) if text.is_empty() => return None,
            Content::Text(text) => Payload::Text(text.clone()),
            Content::Image { media, .. } => file(media, "image/jpeg"),
            Content::Video(media) => file(media, "video/mp4"),
            Content::File { media, .. } => file(media, "application/pdf"),
            Content::Audio { format, data } => Payload::InlineData(Blob {
                mime_type: format!("audio/{format}"),
                data,
            }),
        };
        Some(payload.into())
    }

    /// Whether it may stand inside a result: bytes may, and at Vertex AI addresses too.
    fn fits_inside(&self, target: &Target) -> bool {
        match self.payload {
            Payload::InlineData(_) => true,
            Payload::FileData(_) => target.wire == WireName::Vertex,
            _ => false,
        }
    }
}

/// What a tool gave: its result, and after it the files that cannot stand inside. Only later models take any inside.
pub(super) fn returned<'a>(result: &'a ToolResult, target: &Target) -> Vec<Part<'a>> {
    let is_text = |part: &&Given| matches!(part.content, Content::Text(_));
    let texts = result.parts.iter().filter_map(|part| match &part.content {
        Content::Text(text) => Some(text.clone()),
        _ => None,
    });
    let texts: Vec<JsonText> = texts.collect();
    let files = result.parts.iter().filter(|part| !is_text(part));
    let (inside, after) = files
        .filter_map(Part::of)
        .partition(|part| is_later(target) && part.fits_inside(target));
    let response = match JsonText::joined(&texts) {
        None if result.parts.is_empty() => response_of(&JsonText::of("")),
        None => ObjectWriter::with_capacity(2).finish_raw(),
        Some(text) => response_of(&text),
    };
    let returned = Payload::FunctionResponse(Returned {
        id: &result.call_id,
        name: result.name.as_deref().unwrap_or(&result.call_id),
        response,
        parts: inside,
    });
    [returned.into()].into_iter().chain(after).collect()
}

/// A result must be an object: one in the text is it, and any other text becomes a field of one.
fn response_of(text: &JsonText) -> Raw {
    match JsonObject::parse(text.to_text().into()) {
        Ok(object) => object.splice(|_| true).finish_raw(),
        Err(_) => {
            let mut wrapped = ObjectWriter::with_capacity(text.len() + 16);
            wrapped.raw("result", text.as_bytes());
            wrapped.finish_raw()
        }
    }
}

/// A file; `usual` is what it is taken for where neither its type nor its name tells.
fn file<'a>(media: &'a Media, usual: &'static str) -> Payload<'a> {
    match media {
        Media::Inline { mime, data } => Payload::InlineData(Blob {
            mime_type: match mime.as_str() {
                "image/jpg" => "image/jpeg".to_owned(),
                other => other.to_owned(),
            },
            data,
        }),
        Media::Url(url) => Payload::FileData(Address {
            file_uri: url,
            mime_type: Some(mime_of(url).unwrap_or(usual)),
        }),
        // What was uploaded has its type already.
        Media::Uploaded(id) => Payload::FileData(Address {
            file_uri: id,
            mime_type: None,
        }),
    }
}

/// Endings of names, and the media types that the API knows for them.
const ENDINGS: [(&str, &str); 26] = [
    ("aac", "audio/aac"),
    ("avi", "video/avi"),
    ("csv", "text/csv"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("m4a", "audio/mp4"),
    ("md", "text/md"),
    ("mov", "video/mov"),
    ("mp3", "audio/mp3"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xml", "text/xml"),
];

/// The media type that the ending of an address tells.
fn mime_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    let known = ENDINGS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(ending));
    known.map(|(_, mime)| *mime)
}
