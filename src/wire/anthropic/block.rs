//! Content blocks of a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::domain::json::{JsonText, Raw};
use crate::wire::EncodeError;
use crate::wire::chat::{CacheControl, Content, Media, Part};

/// A block.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: JsonText,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a CacheControl>,
    },
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a CacheControl>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a CacheControl>,
    },
    Thinking {
        thinking: JsonText,
        signature: &'a JsonText,
    },
    RedactedThinking {
        data: &'a JsonText,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a Raw,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a CacheControl>,
    },
    ToolResult {
        tool_use_id: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a CacheControl>,
    },
}

/// Where an image or a document is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'a> {
    Base64 {
        media_type: &'a str,
        data: &'a str,
    },
    Text {
        media_type: &'static str,
        data: String,
    },
    Url {
        url: &'a str,
    },
    File {
        file_id: &'a str,
    },
}

impl<'a> Block<'a> {
    /// A block of text without a marker.
    pub(super) fn text(text: JsonText) -> Self {
        Block::Text {
            text,
            cache_control: None,
        }
    }

    /// The block that a part is; `None` for an empty text, which is refused.
    pub(super) fn of(part: &'a Part) -> Result<Option<Self>, EncodeError> {
        let cache_control = part.cache_control.as_ref();
        Ok(Some(match &part.content {
            Content::Text(text) if text.is_empty() => return Ok(None),
            Content::Text(text) => Block::Text {
                text: text.clone(),
                cache_control,
            },
            Content::Image { media, .. } => Block::Image {
                source: Source::of(media),
                cache_control,
            },
            Content::File { name, media } => document(name.as_deref(), media, cache_control)?,
            Content::Audio { .. } => return Err(unsupported("audio")),
            Content::Video(_) => return Err(unsupported("video")),
        }))
    }

    /// Whether the block carries a cache marker.
    pub(super) fn is_marked(&self) -> bool {
        match self {
            Block::Text { cache_control, .. }
            | Block::Image { cache_control, .. }
            | Block::Document { cache_control, .. }
            | Block::ToolUse { cache_control, .. }
            | Block::ToolResult { cache_control, .. } => cache_control.is_some(),
            Block::Thinking { .. } | Block::RedactedThinking { .. } => false,
        }
    }

    /// Whether the block can carry a cache marker: thoughts cannot.
    pub(super) fn can_be_marked(&self) -> bool {
        !matches!(
            self,
            Block::Thinking { .. } | Block::RedactedThinking { .. }
        )
    }

    /// Sets the marker, unless there is one.
    pub(super) fn mark(&mut self, marker: &'a CacheControl) {
        match self {
            Block::Text { cache_control, .. }
            | Block::Image { cache_control, .. }
            | Block::Document { cache_control, .. }
            | Block::ToolUse { cache_control, .. }
            | Block::ToolResult { cache_control, .. } => {
                cache_control.get_or_insert(marker);
            }
            Block::Thinking { .. } | Block::RedactedThinking { .. } => {}
        }
    }
}

impl<'a> Source<'a> {
    fn of(media: &'a Media) -> Self {
        match media {
            Media::Inline { mime, data } => Source::Base64 {
                media_type: if mime == "image/jpg" {
                    "image/jpeg"
                } else {
                    mime
                },
                data,
            },
            Media::Url(url) => Source::Url { url },
            Media::Uploaded(file_id) => Source::File { file_id },
        }
    }
}

/// A file: a PDF or plain text, or an image that was sent as a file.
fn document<'a>(
    title: Option<&'a str>,
    media: &'a Media,
    cache_control: Option<&'a CacheControl>,
) -> Result<Block<'a>, EncodeError> {
    let source = match media {
        Media::Inline { mime, .. } if mime.starts_with("image/") => {
            return Ok(Block::Image {
                source: Source::of(media),
                cache_control,
            });
        }
        Media::Inline { mime, data } if mime.starts_with("text/") => Source::Text {
            media_type: "text/plain",
            data: plain(data).ok_or_else(|| unsupported("text that is not UTF-8 in base64"))?,
        },
        Media::Inline { mime, .. } if mime != "application/pdf" => {
            return Err(unsupported(&format!("files of type {mime}")));
        }
        media => Source::of(media),
    };
    Ok(Block::Document {
        source,
        title,
        cache_control,
    })
}

fn plain(base64: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(base64).ok()?).ok()
}

fn unsupported(what: &str) -> EncodeError {
    EncodeError::Unsupported(format!("this endpoint does not take {what}"))
}
