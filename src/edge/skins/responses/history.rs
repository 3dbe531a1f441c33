//! The items of a conversation → messages in chat form (contract 2.2).
//!
//! What an assistant did stands in several items, its reasoning, its text and its calls; in chat form they are one
//! message.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::edge::error::ApiError;

/// One item.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    Message(Turn),
    FunctionCall {
        call_id: String,
        name: String,
        arguments: String,
    },
    FunctionCallOutput {
        call_id: String,
        output: Content,
    },
    Reasoning {
        id: Option<String>,
        #[serde(default)]
        summary: Vec<Text>,
        content: Option<Vec<Text>>,
        encrypted_content: Option<String>,
        signature: Option<String>,
        format: Option<String>,
    },
    /// What an earlier response would have kept.
    #[serde(rename = "item_reference")]
    Reference,
    /// What only OpenAI makes, and takes back.
    #[serde(other)]
    Other,
}

/// A message: what an item is that names no type.
#[derive(Deserialize)]
pub(super) struct Turn {
    role: Role,
    content: Content,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
    System,
    Developer,
}

/// Text, or parts.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    #[serde(alias = "output_text", alias = "text")]
    InputText {
        text: String,
    },
    Refusal {
        refusal: String,
    },
    InputImage {
        image_url: String,
        detail: Option<String>,
    },
    InputFile {
        filename: Option<String>,
        file_data: Option<String>,
        file_url: Option<String>,
    },
    InputAudio {
        input_audio: Value,
    },
    InputVideo {
        video_url: String,
    },
    /// What only OpenAI takes.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
pub(super) struct Text {
    text: String,
}

impl Item {
    /// Whether OpenAI alone takes it.
    pub(super) fn is_openais(&self) -> bool {
        match self {
            Item::Other => true,
            Item::Message(Turn { content, .. })
            | Item::FunctionCallOutput {
                output: content, ..
            } => {
                matches!(content, Content::Parts(parts) if parts.iter().any(|part| matches!(part, Part::Other)))
            }
            Item::FunctionCall { .. } | Item::Reasoning { .. } | Item::Reference => false,
        }
    }

    /// Whether it is what its provider would not know for its own: thoughts that this gateway has told for another.
    pub(super) fn is_foreign(&self) -> bool {
        match self {
            Item::Reasoning {
                id,
                signature,
                format,
                ..
            } => signature.is_some() || format.is_some() || id.as_deref().is_some_and(is_made_here),
            _ => false,
        }
    }
}

/// Whether an id has the name of a run in it, which begins with the ten digits of its second.
fn is_made_here(id: &str) -> bool {
    let run = id.strip_prefix("rs_").and_then(|name| name.split_once('-'));
    run.is_some_and(|(second, _)| {
        second.len() == 10 && second.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Collects messages; the assistant's last one stays open for more of its items.
#[derive(Default)]
pub(super) struct History {
    messages: Vec<Value>,
    assistant: Option<Assistant>,
}

#[derive(Default)]
struct Assistant {
    content: Option<Value>,
    refusal: Option<String>,
    calls: Vec<Value>,
    details: Vec<Value>,
}

impl History {
    /// A message that stands before or between the items.
    pub(super) fn say(&mut self, role: &str, content: Value) {
        self.finish_assistant();
        self.messages
            .push(json!({ "role": role, "content": content }));
    }

    /// The next item.
    pub(super) fn add(&mut self, item: Item) -> Result<(), ApiError> {
        match item {
            Item::Message(Turn {
                role: Role::Assistant,
                content,
            }) => self.assistant_said(content)?,
            Item::Message(Turn { role, content }) => {
                let content = parts(content)?;
                self.say(role.as_str(), content);
            }
            Item::FunctionCall {
                call_id,
                name,
                arguments,
            } => self.assistant().calls.push(json!({
                "id": call_id,
                "type": "function",
                "function": { "name": name, "arguments": arguments },
            })),
            Item::FunctionCallOutput { call_id, output } => {
                self.finish_assistant();
                let content = parts(output)?;
                self.messages
                    .push(json!({ "role": "tool", "tool_call_id": call_id, "content": content }));
            }
            item @ Item::Reasoning { .. } => {
                // A new thought after an answer belongs to the next message.
                if self
                    .assistant
                    .as_ref()
                    .is_some_and(|said| said.content.is_some() || !said.calls.is_empty())
                {
                    self.finish_assistant();
                }
                let assistant = self.assistant();
                let index = assistant.details.len();
                assistant.details.extend(details(item, index));
            }
            Item::Reference => {
                let reason =
                    "input: nothing is kept here; send the item itself, not an item_reference";
                return Err(ApiError::invalid(reason));
            }
            // Goes to OpenAI as it is, or the call does not go at all.
            Item::Other => {}
        }
        Ok(())
    }

    /// The messages.
    pub(super) fn finish(mut self) -> Vec<Value> {
        self.finish_assistant();
        self.messages
    }

    fn assistant(&mut self) -> &mut Assistant {
        self.assistant.get_or_insert_default()
    }

    fn assistant_said(&mut self, content: Content) -> Result<(), ApiError> {
        let (mut text, mut refusal) = (String::new(), String::new());
        match content {
            Content::Text(said) => text = said,
            Content::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::InputText { text: more } => text.push_str(&more),
                        Part::Refusal { refusal: more } => refusal.push_str(&more),
                        Part::Other => {}
                        _ => {
                            return Err(ApiError::invalid(
                                "input: an assistant's message holds text and refusals only",
                            ));
                        }
                    }
                }
            }
        }
        if self
            .assistant
            .as_ref()
            .is_some_and(|said| said.content.is_some() || !said.calls.is_empty())
        {
            self.finish_assistant();
        }
        let assistant = self.assistant();
        assistant.content = Some(text.into());
        assistant.refusal = Some(refusal).filter(|refusal| !refusal.is_empty());
        Ok(())
    }

    fn finish_assistant(&mut self) {
        let Some(said) = self.assistant.take() else {
            return;
        };
        let mut message = Map::from_iter([
            ("role".to_owned(), "assistant".into()),
            ("content".to_owned(), said.content.unwrap_or(Value::Null)),
        ]);
        message.extend(
            said.refusal
                .map(|refusal| ("refusal".to_owned(), refusal.into())),
        );
        for (name, values) in [
            ("tool_calls", said.calls),
            ("reasoning_details", said.details),
        ] {
            if !values.is_empty() {
                message.insert(name.to_owned(), values.into());
            }
        }
        self.messages.push(message.into());
    }
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
            Role::Developer => "developer",
        }
    }
}

/// What a reasoning item says, as details (contract 3.5).
fn details(item: Item, index: usize) -> Vec<Value> {
    let Item::Reasoning {
        id,
        summary,
        content,
        encrypted_content,
        signature,
        format,
    } = item
    else {
        return Vec::new();
    };
    let format = format.unwrap_or_else(|| "unknown".to_owned());
    let detail = |kind: &str, field: &str, value: Value| {
        let mut detail = json!({ "type": kind, "id": id, "format": format, "index": index });
        detail[field] = value;
        detail
    };
    let mut details: Vec<Value> = summary
        .into_iter()
        .map(|Text { text }| detail("reasoning.summary", "summary", text.into()))
        .collect();
    let thought: String = content
        .into_iter()
        .flatten()
        .map(|Text { text }| text)
        .collect();
    if !thought.is_empty() || signature.is_some() {
        let mut text = detail("reasoning.text", "text", thought.into());
        text["signature"] = signature.into();
        details.push(text);
    }
    if let Some(data) = encrypted_content {
        details.push(detail("reasoning.encrypted", "data", data.into()));
    }
    details
}

/// Text as it is, parts in chat form.
fn parts(content: Content) -> Result<Value, ApiError> {
    let parts = match content {
        Content::Text(text) => return Ok(text.into()),
        Content::Parts(parts) => parts,
    };
    let parts: Result<Vec<Value>, ApiError> = parts.into_iter().map(part).collect();
    Ok(parts?.into())
}

fn part(part: Part) -> Result<Value, ApiError> {
    Ok(match part {
        Part::InputText { text } | Part::Refusal { refusal: text } => {
            json!({ "type": "text", "text": text })
        }
        Part::InputImage { image_url, detail } => {
            let mut image = json!({ "url": image_url });
            if let Some(detail) = detail {
                image["detail"] = detail.into();
            }
            json!({ "type": "image_url", "image_url": image })
        }
        Part::InputFile {
            filename,
            file_data,
            file_url,
        } => {
            let data = file_data.or(file_url).ok_or_else(|| {
                ApiError::invalid("input: an input_file needs file_data or file_url; ids of uploaded files mean nothing here")
            })?;
            json!({ "type": "file", "file": { "filename": filename.unwrap_or_else(|| "file".to_owned()), "file_data": data } })
        }
        Part::InputAudio { input_audio } => {
            json!({ "type": "input_audio", "input_audio": input_audio })
        }
        Part::InputVideo { video_url } => {
            json!({ "type": "video_url", "video_url": { "url": video_url } })
        }
        // Goes to OpenAI as it is, or the call does not go at all.
        Part::Other => json!({ "type": "text", "text": "" }),
    })
}
