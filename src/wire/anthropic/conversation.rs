//! The conversation as Anthropic takes it: instructions apart, turns of user and assistant one after the other, and
//! the results of tools in the user's turn.

use serde::Serialize;

use super::FORMAT;
use super::block::Block;
use crate::domain::json::JsonText;
use crate::wire::EncodeError;
use crate::wire::chat::{self, Chat, Part, Thought, ThoughtKind, ToolResult, Turn};

/// Instructions and turns.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) messages: Vec<Message<'a>>,
}

/// A turn.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    role: Role,
    pub(super) content: Vec<Block<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    User,
    Assistant,
}

/// Stands in for the user where the assistant speaks first, which the API does not take.
const OPENING: &str = ".";

/// The conversation of `chat`.
pub(super) fn of(chat: &Chat) -> Result<Conversation<'_>, EncodeError> {
    let mut conversation = Conversation::default();
    for message in &chat.messages {
        match message {
            chat::Message::System(parts) => conversation.system.extend(blocks(parts)?),
            chat::Message::User(parts) => conversation.add(Role::User, blocks(parts)?),
            chat::Message::Assistant(turn) => conversation.add(Role::Assistant, turn_of(turn)?),
            chat::Message::Tool(result) => conversation.add(Role::User, vec![result_of(result)?]),
        }
    }
    // Instructions alone are taken for what the user says.
    if conversation.messages.is_empty() {
        let system = std::mem::take(&mut conversation.system);
        conversation.add(Role::User, system);
    }
    conversation.begin_with_the_user();
    conversation.trim_prefill();
    Ok(conversation)
}

impl<'a> Conversation<'a> {
    /// Adds to the turn of the same side, or begins another one. An empty turn is none.
    fn add(&mut self, role: Role, mut content: Vec<Block<'a>>) {
        if content.is_empty() {
            return;
        }
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.content.append(&mut content),
            _ => self.messages.push(Message { role, content }),
        }
    }

    fn begin_with_the_user(&mut self) {
        if self
            .messages
            .first()
            .is_some_and(|first| first.role == Role::Assistant)
        {
            let opening = Message {
                role: Role::User,
                content: vec![Block::text(JsonText::of(OPENING))],
            };
            self.messages.insert(0, opening);
        }
    }

    /// A prefill must not end in white space.
    fn trim_prefill(&mut self) {
        let last = self
            .messages
            .last_mut()
            .filter(|last| last.role == Role::Assistant);
        if let Some(Block::Text { text, .. }) = last.and_then(|last| last.content.last_mut()) {
            let plain = text.to_text();
            let trimmed = plain.trim_end();
            if trimmed.len() < plain.len() && !trimmed.is_empty() {
                *text = JsonText::of(trimmed);
            }
        }
    }
}

/// Thoughts come first, then words, then calls, as the model gave them.
fn turn_of(turn: &Turn) -> Result<Vec<Block<'_>>, EncodeError> {
    let mut content: Vec<Block<'_>> = turn.thoughts.iter().filter_map(thought).collect();
    content.extend(blocks(&turn.parts)?);
    content.extend(turn.calls.iter().map(|call| Block::ToolUse {
        id: &call.id,
        name: &call.name,
        input: &call.arguments,
        cache_control: call.cache_control.as_ref(),
    }));
    Ok(content)
}

/// A thought that Anthropic can know for its own: unsigned ones, and those of others, it refuses.
fn thought(thought: &Thought) -> Option<Block<'_>> {
    if !thought.is_of(FORMAT) {
        return None;
    }
    match &thought.kind {
        ThoughtKind::Text {
            text,
            signature: Some(signature),
        } => Some(Block::Thinking {
            thinking: text.clone().unwrap_or_else(|| JsonText::of("")),
            signature,
        }),
        ThoughtKind::Encrypted(data) => Some(Block::RedactedThinking { data }),
        ThoughtKind::Text { .. } | ThoughtKind::Summary(_) | ThoughtKind::Other(_) => None,
    }
}

fn result_of(result: &ToolResult) -> Result<Block<'_>, EncodeError> {
    Ok(Block::ToolResult {
        tool_use_id: &result.call_id,
        content: blocks(&result.parts)?,
        cache_control: result.cache_control.as_ref(),
    })
}

fn blocks(parts: &[Part]) -> Result<Vec<Block<'_>>, EncodeError> {
    parts
        .iter()
        .filter_map(|part| Block::of(part).transpose())
        .collect()
}
