//! The conversation in Converse's blocks: each an object with one field, named for what it holds.

use serde::Serialize;

use super::FORMAT;
use crate::domain::json::{JsonText, Raw};
use crate::wire::EncodeError;
use crate::wire::chat::{
    self, CacheControl, Chat, Content, Media, Part, Thought, ThoughtKind, ToolResult, Turn,
};

/// A turn.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    role: Role,
    content: Vec<Block<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    User,
    Assistant,
}

/// A block.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(JsonText),
    Image(File<'a>),
    Video(File<'a>),
    Audio(File<'a>),
    Document(Document<'a>),
    ReasoningContent(Reasoning<'a>),
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: &'a str,
        name: &'a str,
        input: &'a Raw,
    },
    #[serde(rename_all = "camelCase")]
    ToolResult {
        tool_use_id: &'a str,
        content: Vec<Block<'a>>,
    },
    /// Marks what stands before it for the cache.
    CachePoint {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        ttl: Option<&'a str>,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Reasoning<'a> {
    ReasoningText {
        text: JsonText,
        signature: &'a JsonText,
    },
    RedactedContent(&'a JsonText),
}

#[derive(Debug, Serialize)]
pub(super) struct File<'a> {
    format: &'a str,
    source: Source<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    format: &'a str,
    name: String,
    source: Source<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Source<'a> {
    Bytes(&'a str),
    S3Location { uri: &'a str },
}

/// Stands in for the user where the assistant speaks first, and for a text that is blank, which is refused.
const FILLER: &str = ".";

/// Instructions and turns of `chat`.
pub(super) fn conversation(chat: &Chat) -> Result<(Vec<Block<'_>>, Vec<Message<'_>>), EncodeError> {
    let (mut system, mut messages) = (Vec::new(), Vec::new());
    for message in &chat.messages {
        match message {
            chat::Message::System(parts) => system.extend(blocks(parts)?),
            chat::Message::User(parts) => add(&mut messages, Role::User, blocks(parts)?),
            chat::Message::Assistant(turn) => add(&mut messages, Role::Assistant, turn_of(turn)?),
            chat::Message::Tool(result) => add(&mut messages, Role::User, result_of(result)?),
        }
    }
    // Instructions alone are taken for what the user says.
    if messages.is_empty() {
        add(&mut messages, Role::User, std::mem::take(&mut system));
    }
    if messages
        .first()
        .is_some_and(|first| first.role == Role::Assistant)
    {
        let content = vec![Block::text(JsonText::of(FILLER))];
        messages.insert(
            0,
            Message {
                role: Role::User,
                content,
            },
        );
    }
    Ok((system, messages))
}

/// Adds to the turn of the same side, or begins another one. An empty turn is none.
fn add<'a>(messages: &mut Vec<Message<'a>>, role: Role, mut content: Vec<Block<'a>>) {
    if content.is_empty() {
        return;
    }
    match messages.last_mut() {
        Some(last) if last.role == role => last.content.append(&mut content),
        _ => messages.push(Message { role, content }),
    }
}

impl<'a> Message<'a> {
    /// Marks the whole turn for the cache, unless its end is marked already.
    pub(super) fn mark(&mut self, marker: &'a CacheControl) {
        if !matches!(self.content.last(), Some(Block::CachePoint { .. })) {
            self.content.push(Block::marker(marker));
        }
    }
}

impl<'a> Block<'a> {
    /// A block of text.
    pub(super) fn text(text: JsonText) -> Self {
        Block::Text(text)
    }

    /// A cache marker.
    pub(super) fn marker(marker: &'a CacheControl) -> Self {
        Block::CachePoint {
            kind: "default",
            // Five minutes is what it means without.
            ttl: marker.ttl.as_deref().filter(|ttl| *ttl != "5m"),
        }
    }
}

fn blocks(parts: &[Part]) -> Result<Vec<Block<'_>>, EncodeError> {
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        if matches!(&part.content, Content::Text(text) if is_blank(text)) {
            continue;
        }
        blocks.push(block(&part.content)?);
        blocks.extend(part.cache_control.as_ref().map(Block::marker));
    }
    Ok(blocks)
}

fn is_blank(text: &JsonText) -> bool {
    text.len() < 64 && text.to_text().trim().is_empty()
}

fn block(content: &Content) -> Result<Block<'_>, EncodeError> {
    Ok(match content {
        Content::Text(text) => Block::text(text.clone()),
        Content::Image { media, .. } => Block::Image(file(media, "images")?),
        Content::Video(media) => Block::Video(file(media, "videos")?),
        Content::Audio { format, data } => Block::Audio(File {
            format,
            source: Source::Bytes(data),
        }),
        Content::File {
            media: media @ Media::Inline { mime, .. },
            ..
        } if mime.starts_with("image/") => Block::Image(file(media, "images")?),
        Content::File { name, media } => {
            let File { format, source } = file(media, "files")?;
            Block::Document(Document {
                format,
                name: document_name(name.as_deref()),
                source,
            })
        }
    })
}

/// Bytes, or a place in Amazon's own store: nothing is fetched from elsewhere.
fn file<'a>(media: &'a Media, what: &str) -> Result<File<'a>, EncodeError> {
    match media {
        Media::Inline { mime, data } => Ok(File {
            format: format(mime),
            source: Source::Bytes(data),
        }),
        Media::Url(uri) if uri.starts_with("s3://") => Ok(File {
            format: format(uri.rsplit('.').next().unwrap_or_default()),
            source: Source::S3Location { uri },
        }),
        Media::Url(_) | Media::Uploaded(_) => Err(EncodeError::Unsupported(format!(
            "this endpoint takes {what} as data URLs only"
        ))),
    }
}

/// The word for a media type, or for the ending of a name.
fn format(mime: &str) -> &str {
    match mime {
        "image/jpg" | "jpg" => "jpeg",
        "text/plain" => "txt",
        "text/markdown" => "md",
        "text/x-matroska" | "video/x-matroska" => "mkv",
        "video/quicktime" => "mov",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        other => other.rsplit('/').next().unwrap_or(other),
    }
}

/// A name of letters, digits, single spaces, hyphens and brackets; no other is taken.
fn document_name(given: Option<&str>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-()[]".contains(c);
    let words = given.unwrap_or_default().split(|c: char| !plain(c));
    let name = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    if name.is_empty() {
        "Document".to_owned()
    } else {
        name
    }
}

/// Thoughts come first, then words, then calls, as the model gave them.
fn turn_of(turn: &Turn) -> Result<Vec<Block<'_>>, EncodeError> {
    let thoughts = turn.thoughts.iter().filter_map(thought);
    let mut content: Vec<Block<'_>> = thoughts.map(Block::ReasoningContent).collect();
    content.extend(blocks(&turn.parts)?);
    for call in &turn.calls {
        content.push(Block::ToolUse {
            tool_use_id: &call.id,
            name: &call.name,
            input: &call.arguments,
        });
        content.extend(call.cache_control.as_ref().map(Block::marker));
    }
    Ok(content)
}

/// A thought that the model can know for its own.
fn thought(thought: &Thought) -> Option<Reasoning<'_>> {
    if !thought.is_of(FORMAT) {
        return None;
    }
    match &thought.kind {
        ThoughtKind::Text {
            text,
            signature: Some(signature),
        } => Some(Reasoning::ReasoningText {
            text: text.clone().unwrap_or_else(|| JsonText::of("")),
            signature,
        }),
        ThoughtKind::Encrypted(data) => Some(Reasoning::RedactedContent(data)),
        ThoughtKind::Text { .. } | ThoughtKind::Summary(_) | ThoughtKind::Other(_) => None,
    }
}

fn result_of(result: &ToolResult) -> Result<Vec<Block<'_>>, EncodeError> {
    let mut content = blocks(&result.parts)?;
    if content.is_empty() {
        content.push(Block::text(JsonText::of(FILLER)));
    }
    let result_block = Block::ToolResult {
        tool_use_id: &result.call_id,
        content,
    };
    Ok([result_block]
        .into_iter()
        .chain(result.cache_control.as_ref().map(Block::marker))
        .collect())
}
