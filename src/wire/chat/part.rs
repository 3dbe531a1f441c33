//! The parts of a message's content (contract 2.2), in each spelling that clients use.

use serde::Serialize;

use super::unreadable;
use crate::domain::json::{JsonObject, JsonText, Raw};
use crate::wire::EncodeError;

/// One part.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it holds.
    pub content: Content,
    /// Whether the prompt may be cached up to and with this part.
    pub cache_control: Option<CacheControl>,
}

/// What a part holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Text.
    Text(JsonText),
    /// A picture.
    Image {
        /// Where it is.
        media: Media,
        /// `auto`, `low`, `high` or `original`.
        detail: Option<String>,
    },
    /// Sound, always inline.
    Audio {
        /// `wav`, `mp3`, …
        format: String,
        /// Base64.
        data: String,
    },
    /// A film.
    Video(Media),
    /// A document.
    File {
        /// Its name, where the caller says it.
        name: Option<String>,
        /// Where it is.
        media: Media,
    },
}

/// Where the bytes of a part are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// In the request.
    Inline {
        /// The media type, such as `image/png`.
        mime: String,
        /// Base64.
        data: String,
    },
    /// At an address, for the provider to fetch.
    Url(String),
    /// At the provider, under its id.
    Uploaded(String),
}

/// A cache marker: `{"type": "ephemeral", "ttl": "1h"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "ephemeral")]
pub struct CacheControl {
    /// `5m` or `1h`; the provider's own default without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

impl Part {
    /// A part of plain text.
    pub fn text(text: JsonText) -> Self {
        Part {
            content: Content::Text(text),
            cache_control: None,
        }
    }
}

impl CacheControl {
    /// Reads a marker; a type nobody knows marks nothing.
    pub fn read(raw: &Raw) -> Option<Self> {
        let object = raw.object()?;
        let ephemeral = object
            .given("type")
            .is_some_and(|kind| kind.as_str() == "\"ephemeral\"");
        ephemeral.then(|| CacheControl {
            ttl: word(&object, "ttl"),
        })
    }
}

impl Media {
    /// Reads a data URL as inline bytes, and anything else as an address.
    pub fn of_url(url: String) -> Self {
        let inline = || {
            let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
            let mime = head.strip_suffix(";base64")?;
            // `data:image/png;charset=utf-8;base64,…`
            let mime = mime.split(';').next().unwrap_or(mime);
            Some(Media::Inline {
                mime: mime.to_owned(),
                data: data.to_owned(),
            })
        };
        inline().unwrap_or(Media::Url(url))
    }
}

/// The parts of `content`: a string is one text, `null` is none.
pub(super) fn read(content: Option<&Raw>, place: &str) -> Result<Vec<Part>, EncodeError> {
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    if let Some(text) = content.text() {
        return Ok(vec![Part::text(text)]);
    }
    let elements = content
        .elements()
        .ok_or_else(|| unreadable(place, "must be a string or an array of parts"))?;
    let one = |(index, element): (usize, &Raw)| part(element, &format!("{place}[{index}]"));
    elements.iter().enumerate().map(one).collect()
}

fn part(raw: &Raw, place: &str) -> Result<Part, EncodeError> {
    // Some clients put bare strings among the parts.
    if let Some(text) = raw.text() {
        return Ok(Part::text(text));
    }
    let object = raw
        .object()
        .ok_or_else(|| unreadable(place, "must be an object"))?;
    Ok(Part {
        content: content(&object, place)?,
        cache_control: object.given("cache_control").and_then(CacheControl::read),
    })
}

fn content(part: &JsonObject, place: &str) -> Result<Content, EncodeError> {
    let kind = word(part, "type").unwrap_or_default();
    let lacks =
        |field: &str| unreadable(place, &format!("a part of type `{kind}` needs `{field}`"));
    // The object under the part's own name, or, as some write it, its address alone.
    let inner = |name: &str| part.given(name).and_then(Raw::object);
    let address = |name: &str| {
        let alone = part.given(name).and_then(|raw| raw.parse::<String>().ok());
        alone.or_else(|| word(&inner(name)?, "url"))
    };
    match &*kind {
        "text" | "input_text" | "output_text" => {
            let text = part.given("text").and_then(Raw::text);
            text.map(Content::Text).ok_or_else(|| lacks("text"))
        }
        "refusal" => {
            let text = part.given("refusal").and_then(Raw::text);
            text.map(Content::Text).ok_or_else(|| lacks("refusal"))
        }
        "image_url" => Ok(Content::Image {
            media: Media::of_url(address("image_url").ok_or_else(|| lacks("image_url.url"))?),
            detail: inner("image_url").and_then(|image| word(&image, "detail")),
        }),
        "video_url" | "input_video" => {
            let url = address("video_url").or_else(|| address("input_video"));
            Ok(Content::Video(Media::of_url(
                url.ok_or_else(|| lacks("video_url.url"))?,
            )))
        }
        "input_audio" => {
            let audio = inner("input_audio").ok_or_else(|| lacks("input_audio"))?;
            let data = word(&audio, "data").ok_or_else(|| lacks("input_audio.data"))?;
            Ok(sound(data, word(&audio, "format")))
        }
        "file" => {
            let file = inner("file").ok_or_else(|| lacks("file"))?;
            let data = word(&file, "file_data").map(Media::of_url);
            let media = data.or_else(|| word(&file, "file_id").map(Media::Uploaded));
            Ok(Content::File {
                name: word(&file, "filename"),
                media: media.ok_or_else(|| lacks("file.file_data"))?,
            })
        }
        _ => Err(unreadable(
            place,
            &format!("this endpoint takes no part of type `{kind}`"),
        )),
    }
}

/// Audio is base64; some send it as a data URL, which tells the format too.
fn sound(data: String, format: Option<String>) -> Content {
    match Media::of_url(data) {
        Media::Inline { mime, data } => Content::Audio {
            format: format.unwrap_or_else(|| mime.trim_start_matches("audio/").to_owned()),
            data,
        },
        Media::Url(data) | Media::Uploaded(data) => Content::Audio {
            format: format.unwrap_or_else(|| "wav".to_owned()),
            data,
        },
    }
}

/// The text of a field, unless it is none or empty.
pub(super) fn word(object: &JsonObject, name: &str) -> Option<String> {
    let text = object.given(name)?.parse::<String>().ok()?;
    (!text.is_empty()).then_some(text)
}
