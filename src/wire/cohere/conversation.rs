//! The conversation as Cohere takes it, and the documents that stand beside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;

use crate::domain::json::{JsonText, Raw};
use crate::wire::EncodeError;
use crate::wire::chat::{self, Chat, Media, Part, ToolResult, Turn};

/// Messages, and files that were among them.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) messages: Vec<Message<'a>>,
    pub(super) documents: Vec<Raw>,
}

/// A message.
#[derive(Debug, Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub(super) enum Message<'a> {
    System {
        content: Content<'a>,
    },
    User {
        content: Content<'a>,
    },
    Assistant {
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Content<'a>>,
        /// What the model says before it calls tools.
        #[serde(skip_serializing_if = "Option::is_none")]
        tool_plan: Option<JsonText>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: Content<'a>,
    },
}

/// One text, or parts.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(JsonText),
    Parts(Vec<Piece<'a>>),
}

/// A part.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Piece<'a> {
    Text { text: JsonText },
    Thinking { thinking: JsonText },
    ImageUrl { image_url: Image<'a> },
}

#[derive(Debug, Serialize)]
pub(super) struct Image<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct ToolCall<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    /// JSON inside a string.
    arguments: JsonText,
}

impl<'a> Conversation<'a> {
    /// The conversation of `chat`, with an instruction of the gateway's after the caller's own.
    pub(super) fn of(chat: &'a Chat, more: Option<JsonText>) -> Result<Self, EncodeError> {
        let mut conversation = Conversation::default();
        let mut more = more;
        for message in &chat.messages {
            if !matches!(message, chat::Message::System(_)) {
                conversation.instruct(more.take());
            }
            conversation.add(message)?;
        }
        conversation.instruct(more);
        // Instructions alone are taken for what the user says.
        if let [Message::System { .. }] = conversation.messages[..]
            && let Some(Message::System { content }) = conversation.messages.pop()
        {
            conversation.messages.push(Message::User { content });
        }
        Ok(conversation)
    }

    fn instruct(&mut self, instruction: Option<JsonText>) {
        let content = instruction.map(Content::Text);
        self.messages
            .extend(content.map(|content| Message::System { content }));
    }

    fn add(&mut self, message: &'a chat::Message) -> Result<(), EncodeError> {
        let message = match message {
            chat::Message::System(parts) => Message::System {
                content: self.content(parts)?,
            },
            chat::Message::User(parts) => Message::User {
                content: self.content(parts)?,
            },
            chat::Message::Assistant(turn) => match turn_of(turn) {
                Some(message) => message,
                None => return Ok(()),
            },
            chat::Message::Tool(result) => result_of(result)?,
        };
        self.messages.push(message);
        Ok(())
    }

    fn content(&mut self, parts: &'a [Part]) -> Result<Content<'a>, EncodeError> {
        let mut pieces = Vec::with_capacity(parts.len());
        for part in parts {
            match &part.content {
                chat::Content::Text(text) => pieces.push(Piece::Text { text: text.clone() }),
                chat::Content::Image { media, detail } => {
                    pieces.push(image(media, detail.as_deref())?);
                }
                chat::Content::File {
                    media: media @ Media::Inline { mime, .. },
                    ..
                } if mime.starts_with("image/") => pieces.push(image(media, None)?),
                chat::Content::File { name, media } => {
                    let number = self.documents.len();
                    self.documents
                        .push(document(number, name.as_deref(), media)?);
                }
                chat::Content::Audio { .. } => return Err(unsupported("audio")),
                chat::Content::Video(_) => return Err(unsupported("videos")),
            }
        }
        Ok(Content::of(pieces))
    }
}

impl<'a> Content<'a> {
    /// Nothing and a lone text are a string.
    fn of(mut pieces: Vec<Piece<'a>>) -> Self {
        match &mut pieces[..] {
            [] => Content::Text(JsonText::of("")),
            [Piece::Text { text }] => Content::Text(text.clone()),
            _ => Content::Parts(pieces),
        }
    }
}

/// A turn of the model: thoughts, words, calls. A turn of nothing is none.
fn turn_of(turn: &Turn) -> Option<Message<'_>> {
    let texts: Vec<JsonText> = turn.parts.iter().filter_map(text).collect();
    let said = JsonText::joined(&texts).filter(|text| !text.is_empty());
    let tool_calls: Vec<ToolCall<'_>> = turn.calls.iter().map(call_of).collect();
    let thought = turn.reasoning.clone();
    // The thoughts are wanted as long as the tools they called are at work.
    let thought = thought.filter(|_| !tool_calls.is_empty());
    let (said, tool_plan) = if tool_calls.is_empty() {
        (said, None)
    } else {
        (None, said)
    };
    let pieces: Vec<Piece<'_>> = thought
        .map(|thinking| Piece::Thinking { thinking })
        .into_iter()
        .chain(said.map(|text| Piece::Text { text }))
        .collect();
    if pieces.is_empty() && tool_calls.is_empty() {
        return None;
    }
    Some(Message::Assistant {
        content: (!pieces.is_empty()).then(|| Content::of(pieces)),
        tool_plan,
        tool_calls,
    })
}

fn text(part: &Part) -> Option<JsonText> {
    match &part.content {
        chat::Content::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn call_of(call: &chat::ToolCall) -> ToolCall<'_> {
    ToolCall {
        id: &call.id,
        kind: "function",
        function: Function {
            name: &call.name,
            arguments: JsonText::of(call.arguments.as_str()),
        },
    }
}

fn result_of(result: &ToolResult) -> Result<Message<'_>, EncodeError> {
    let piece = |part: &Part| {
        text(part)
            .map(|text| Piece::Text { text })
            .ok_or_else(|| unsupported("media in what a tool gave back"))
    };
    let pieces = result.parts.iter().map(piece).collect::<Result<_, _>>()?;
    Ok(Message::Tool {
        tool_call_id: &result.call_id,
        content: Content::of(pieces),
    })
}

fn image<'a>(media: &Media, detail: Option<&'a str>) -> Result<Piece<'a>, EncodeError> {
    let url = match media {
        Media::Inline { mime, data } => format!("data:{mime};base64,{data}"),
        Media::Url(url) => url.clone(),
        Media::Uploaded(_) => return Err(unsupported("uploaded images")),
    };
    // The API knows no `original`.
    let detail = detail.filter(|detail| ["auto", "low", "high"].contains(detail));
    Ok(Piece::ImageUrl {
        image_url: Image { url, detail },
    })
}

/// A file of text as a document that the answer can cite; others cannot be read.
fn document(number: usize, name: Option<&str>, media: &Media) -> Result<Raw, EncodeError> {
    let Media::Inline { mime, data } = media else {
        return Err(unsupported("files but in the request itself"));
    };
    let is_text = mime.starts_with("text/") || mime == "application/json";
    let bytes = STANDARD.decode(data).ok().filter(|_| is_text);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| unsupported(&format!("files of type {mime}")))?;
    let mut data = json!({"text": text});
    if let Some(name) = name {
        data["title"] = json!(name);
    }
    Raw::of(&json!({"id": format!("doc:{number}"), "data": data}))
        .map_err(|error| EncodeError::Unsupported(error.to_string()))
}

fn unsupported(what: &str) -> EncodeError {
    EncodeError::Unsupported(format!("this endpoint takes no {what}"))
}
