//! The conversation as a list of items: messages, calls, results and reasoning stand side by side.

use serde::Serialize;

use super::FORMAT;
use crate::catalog::snapshot::Target;
use crate::domain::json::JsonText;
use crate::wire::EncodeError;
use crate::wire::chat::{Chat, Content, Media, Message, Part, Thought, ThoughtKind, Turn};

/// An item.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'a> {
    Message {
        role: &'static str,
        content: Vec<Piece<'a>>,
    },
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        summary: Vec<Piece<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a JsonText>,
    },
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: Output<'a>,
    },
}

/// What a tool gave: most hosts know only text.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Output<'a> {
    Text(JsonText),
    Pieces(Vec<Piece<'a>>),
}

/// A piece of content.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Piece<'a> {
    InputText {
        text: &'a JsonText,
    },
    OutputText {
        text: &'a JsonText,
    },
    SummaryText {
        text: &'a JsonText,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
    },
    InputAudio {
        input_audio: Sound<'a>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct Sound<'a> {
    data: &'a str,
    format: &'a str,
}

/// The items of `chat`.
pub(super) fn of<'a>(chat: &'a Chat, target: &Target) -> Result<Vec<Item<'a>>, EncodeError> {
    let instructions = if target.quirks.developer_as_system {
        "system"
    } else {
        "developer"
    };
    let mut items = Vec::new();
    for message in &chat.messages {
        match message {
            Message::System(parts) => items.extend(said(instructions, parts)?),
            Message::User(parts) => items.extend(said("user", parts)?),
            Message::Assistant(turn) => add_turn(turn, &mut items)?,
            Message::Tool(result) => items.push(Item::FunctionCallOutput {
                call_id: &result.call_id,
                output: output(&result.parts)?,
            }),
        }
    }
    Ok(items)
}

/// A message with something in it.
fn said<'a>(role: &'static str, parts: &'a [Part]) -> Result<Option<Item<'a>>, EncodeError> {
    let content = parts.iter().map(piece).collect::<Result<Vec<_>, _>>()?;
    Ok((!content.is_empty()).then_some(Item::Message { role, content }))
}

/// Thoughts come first, then words, then calls, as the model gave them.
fn add_turn<'a>(turn: &'a Turn, items: &mut Vec<Item<'a>>) -> Result<(), EncodeError> {
    let mut thoughts: Vec<Item<'a>> = Vec::new();
    for thought in turn.thoughts.iter().filter(|thought| is_known(thought)) {
        add_thought(thought, &mut thoughts);
    }
    // Without its encrypted content a thought is a reference to what was stored, and nothing was.
    items.extend(thoughts.into_iter().filter(|thought| {
        matches!(
            thought,
            Item::Reasoning {
                encrypted_content: Some(_),
                ..
            }
        )
    }));
    let mut content = Vec::new();
    for part in &turn.parts {
        match &part.content {
            Content::Text(text) if text.is_empty() => {}
            Content::Text(text) => content.push(Piece::OutputText { text }),
            _ => return Err(unsupported("anything but text from the assistant")),
        }
    }
    if !content.is_empty() {
        items.push(Item::Message {
            role: "assistant",
            content,
        });
    }
    items.extend(turn.calls.iter().map(|call| Item::FunctionCall {
        call_id: &call.id,
        name: &call.name,
        arguments: call.arguments.as_str(),
    }));
    Ok(())
}

/// Whether a thought came from this protocol: hosts name the format after themselves.
fn is_known(thought: &Thought) -> bool {
    thought.is_of(FORMAT)
        || thought
            .format
            .as_deref()
            .is_some_and(|format| format.ends_with("-responses-v1"))
}

/// Puts summaries and encrypted content of one item together again.
fn add_thought<'a>(thought: &'a Thought, thoughts: &mut Vec<Item<'a>>) {
    let id = thought.id.as_deref();
    let same =
        |item: &&mut Item<'a>| matches!(item, Item::Reasoning { id: known, .. } if *known == id);
    let open = thoughts.last_mut().filter(same);
    let (more, sealed) = match &thought.kind {
        ThoughtKind::Summary(text) => (Some(Piece::SummaryText { text }), None),
        ThoughtKind::Encrypted(data) => (None, Some(data)),
        ThoughtKind::Text { .. } | ThoughtKind::Other(_) => return,
    };
    match open {
        Some(Item::Reasoning {
            summary,
            encrypted_content,
            ..
        }) if encrypted_content.is_none() => {
            summary.extend(more);
            *encrypted_content = sealed;
        }
        _ => thoughts.push(Item::Reasoning {
            id,
            summary: more.into_iter().collect(),
            encrypted_content: sealed,
        }),
    }
}

fn output(parts: &[Part]) -> Result<Output<'_>, EncodeError> {
    let texts: Option<Vec<JsonText>> = parts
        .iter()
        .map(|part| match &part.content {
            Content::Text(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    Ok(match texts {
        Some(texts) => Output::Text(JsonText::joined(&texts).unwrap_or_else(|| JsonText::of(""))),
        None => Output::Pieces(parts.iter().map(piece).collect::<Result<_, _>>()?),
    })
}

fn piece(part: &Part) -> Result<Piece<'_>, EncodeError> {
    Ok(match &part.content {
        Content::Text(text) => Piece::InputText { text },
        Content::Image { media, detail } => {
            let (image_url, file_id) = match media {
                Media::Uploaded(id) => (None, Some(id.as_str())),
                media => (Some(address(media)), None),
            };
            Piece::InputImage {
                image_url,
                file_id,
                detail: detail.as_deref(),
            }
        }
        Content::File { name, media } => {
            let inline = matches!(media, Media::Inline { .. });
            Piece::InputFile {
                // The name tells the host what kind of file it is.
                filename: name.as_deref().or_else(|| inline.then_some("file.pdf")),
                file_data: inline.then(|| address(media)),
                file_url: match media {
                    Media::Url(url) => Some(url),
                    _ => None,
                },
                file_id: match media {
                    Media::Uploaded(id) => Some(id),
                    _ => None,
                },
            }
        }
        Content::Audio { format, data } => Piece::InputAudio {
            input_audio: Sound { data, format },
        },
        Content::Video(_) => return Err(unsupported("video")),
    })
}

/// Bytes or an address as one address.
fn address(media: &Media) -> String {
    match media {
        Media::Inline { mime, data } => format!("data:{mime};base64,{data}"),
        Media::Url(url) | Media::Uploaded(url) => url.clone(),
    }
}

fn unsupported(what: &str) -> EncodeError {
    EncodeError::Unsupported(format!("this endpoint does not take {what}"))
}
