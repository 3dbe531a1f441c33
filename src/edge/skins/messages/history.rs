//! The turns of a conversation in content blocks → messages in chat form (contract 2.2).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::thinking;

/// Text, or blocks.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

/// One turn.
#[derive(Deserialize)]
pub(super) struct Turn {
    role: Role,
    content: Content,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
    System,
}

/// The blocks that a conversation may hold.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Text {
        text: String,
        cache_control: Option<Value>,
    },
    Image {
        source: Source,
        cache_control: Option<Value>,
    },
    Document {
        source: Source,
        title: Option<String>,
        context: Option<String>,
        cache_control: Option<Value>,
    },
    SearchResult {
        source: String,
        title: String,
        content: Vec<Block>,
        cache_control: Option<Value>,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    ToolResult {
        tool_use_id: String,
        content: Option<Content>,
        #[serde(default)]
        is_error: bool,
        cache_control: Option<Value>,
    },
    Thinking {
        thinking: String,
        signature: Option<String>,
    },
    RedactedThinking {
        data: String,
    },
    /// What only Anthropic makes, and takes back.
    #[serde(other)]
    Other,
}

/// Where an image or a document is.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source {
    Base64 { media_type: String, data: String },
    Url { url: String },
    Text { data: String },
    Content { content: Content },
}

impl Turn {
    /// Whether it holds a block that Anthropic alone takes.
    pub(super) fn is_anthropics(&self) -> bool {
        self.content.any(&|block| matches!(block, Block::Other))
    }

    /// Whether it holds what Anthropic would refuse: thoughts without its signature, and those of others.
    pub(super) fn is_foreign(&self) -> bool {
        let is_foreign = |block: &Block| match block {
            Block::Thinking { signature, .. } => signature
                .as_ref()
                .is_none_or(|signature| signature.is_empty()),
            Block::RedactedThinking { data } => thinking::is_packed(data),
            _ => false,
        };
        self.content.any(&is_foreign)
    }
}

impl Content {
    /// Whether a block at any depth is such a one.
    fn any(&self, is_such: &dyn Fn(&Block) -> bool) -> bool {
        let Content::Blocks(blocks) = self else {
            return false;
        };
        blocks.iter().any(|block| {
            let inside = match block {
                Block::ToolResult {
                    content: Some(content),
                    ..
                }
                | Block::Document {
                    source: Source::Content { content },
                    ..
                } => content.any(is_such),
                Block::SearchResult { content, .. } => content.iter().any(is_such),
                _ => false,
            };
            inside || is_such(block)
        })
    }
}

/// The messages that a turn becomes: results of tools are messages of their own, and come first.
pub(super) fn messages(turn: Turn) -> Vec<Value> {
    let blocks = match turn.content {
        Content::Text(text) => return vec![json!({ "role": turn.role.as_str(), "content": text })],
        Content::Blocks(blocks) => blocks,
    };
    match turn.role {
        Role::Assistant => vec![assistant(blocks)],
        Role::User | Role::System => {
            let (mut messages, mut parts) = (Vec::new(), Vec::new());
            for block in blocks {
                match block {
                    Block::ToolResult { .. } => messages.push(tool_result(block)),
                    block => parts.extend(content_parts(block)),
                }
            }
            if !parts.is_empty() {
                messages.push(json!({ "role": turn.role.as_str(), "content": parts }));
            }
            messages
        }
    }
}

/// The system prompt, which stands before the first turn.
pub(super) fn system(content: Content) -> Value {
    let content: Value = match content {
        Content::Text(text) => text.into(),
        Content::Blocks(blocks) => blocks
            .into_iter()
            .flat_map(content_parts)
            .collect::<Vec<Value>>()
            .into(),
    };
    json!({ "role": "system", "content": content })
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
        }
    }
}

fn assistant(blocks: Vec<Block>) -> Value {
    let (mut parts, mut calls, mut details) = (Vec::new(), Vec::new(), Vec::new());
    for block in blocks {
        match block {
            Block::ToolUse { id, name, input } => {
                let arguments = match input {
                    // Arguments that were no JSON came to the client as text, and go back as such.
                    Value::String(text) => text,
                    Value::Null => "{}".to_owned(),
                    input => input.to_string(),
                };
                calls.push(json!({
                    "id": id,
                    "type": "function",
                    "function": { "name": name, "arguments": arguments },
                }));
            }
            Block::Thinking {
                thinking,
                signature,
            } => {
                let index = details.len();
                details.push(thinking::thinking(&thinking, signature.as_deref(), index));
            }
            Block::RedactedThinking { data } => {
                details.push(thinking::redacted(&data, details.len()));
            }
            block => parts.extend(content_parts(block)),
        }
    }
    let mut message = Map::from_iter([
        ("role".to_owned(), "assistant".into()),
        ("content".to_owned(), assistant_content(parts)),
    ]);
    for (name, values) in [("tool_calls", calls), ("reasoning_details", details)] {
        if !values.is_empty() {
            message.insert(name.to_owned(), values.into());
        }
    }
    message.into()
}

/// Plain text where the parts are no more than that, as most providers take nothing else from an assistant.
fn assistant_content(parts: Vec<Value>) -> Value {
    match parts.iter().map(plain_text).collect::<Option<String>>() {
        _ if parts.is_empty() => Value::Null,
        Some(text) => text.into(),
        None => parts.into(),
    }
}

fn plain_text(part: &Value) -> Option<&str> {
    let text = part.get("text")?.as_str()?;
    part.get("cache_control").is_none().then_some(text)
}

fn tool_result(block: Block) -> Value {
    let Block::ToolResult {
        tool_use_id,
        content,
        is_error,
        cache_control,
    } = block
    else {
        return Value::Null;
    };
    let mut parts = match content {
        None => Vec::new(),
        Some(Content::Text(text)) => vec![text_part(text, None)],
        Some(Content::Blocks(blocks)) => blocks.into_iter().flat_map(content_parts).collect(),
    };
    if is_error {
        // Chat form has no flag for it; a model must still learn that the call failed.
        parts.insert(0, text_part("The tool failed:".to_owned(), None));
    }
    if let (Some(last), Some(cache_control)) = (parts.last_mut(), cache_control) {
        last["cache_control"] = cache_control;
    }
    json!({ "role": "tool", "tool_call_id": tool_use_id, "content": tool_content(parts) })
}

/// One plain text as a string, which every provider takes.
fn tool_content(parts: Vec<Value>) -> Value {
    match parts.as_slice() {
        [] => "".into(),
        [only] if plain_text(only).is_some() => only["text"].clone(),
        _ => parts.into(),
    }
}

/// The parts of chat form that a block becomes.
fn content_parts(block: Block) -> Vec<Value> {
    match block {
        Block::Text {
            text,
            cache_control,
        } => vec![text_part(text, cache_control)],
        Block::Image {
            source,
            cache_control,
        } => media(
            source,
            None,
            cache_control,
            |url| json!({ "type": "image_url", "image_url": { "url": url } }),
        ),
        Block::Document {
            source,
            title,
            context,
            cache_control,
        } => {
            let name = title.unwrap_or_else(|| "document.pdf".to_owned());
            let about = context.map(|context| text_part(context, None));
            let file = media(
                source,
                Some(&name),
                cache_control,
                |url| json!({ "type": "file", "file": { "filename": name, "file_data": url } }),
            );
            about.into_iter().chain(file).collect()
        }
        Block::SearchResult {
            source,
            title,
            content,
            cache_control,
        } => {
            let head = text_part(format!("{title} ({source}):"), None);
            let mut parts: Vec<Value> = std::iter::once(head)
                .chain(content.into_iter().flat_map(content_parts))
                .collect();
            if let (Some(last), Some(cache_control)) = (parts.last_mut(), cache_control) {
                last["cache_control"] = cache_control;
            }
            parts
        }
        // Each is taken where it may stand, before this is asked; elsewhere it means nothing.
        Block::ToolUse { .. }
        | Block::ToolResult { .. }
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::Other => Vec::new(),
    }
}

/// A part that names a URL; text and blocks in place of one become parts of their own.
fn media(
    source: Source,
    title: Option<&str>,
    cache_control: Option<Value>,
    part: impl FnOnce(String) -> Value,
) -> Vec<Value> {
    let mut parts = match source {
        Source::Base64 { media_type, data } => {
            vec![part(format!("data:{media_type};base64,{data}"))]
        }
        Source::Url { url } => vec![part(url)],
        Source::Text { data } => {
            let head = title.map(|title| text_part(format!("{title}:"), None));
            head.into_iter().chain([text_part(data, None)]).collect()
        }
        Source::Content {
            content: Content::Text(text),
        } => vec![text_part(text, None)],
        Source::Content {
            content: Content::Blocks(blocks),
        } => blocks.into_iter().flat_map(content_parts).collect(),
    };
    if let (Some(last), Some(cache_control)) = (parts.last_mut(), cache_control) {
        last["cache_control"] = cache_control;
    }
    parts
}

fn text_part(text: String, cache_control: Option<Value>) -> Value {
    let mut part = json!({ "type": "text", "text": text });
    if let Some(cache_control) = cache_control {
        part["cache_control"] = cache_control;
    }
    part
}
