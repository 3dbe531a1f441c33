//! The conversation as Gemini takes it: instructions apart, the user's words and the model's in turn, and between them
//! the results of tools, each under the name of its function.

use serde::Serialize;

use super::part::{Part, returned};
use super::{FORMAT, is_later};
use crate::catalog::snapshot::Target;
use crate::domain::json::JsonText;
use crate::wire::chat::{self, Chat, Part as Given, ThoughtKind, Turn};

/// Stands in for the user where the model speaks first.
const OPENING: &str = ".";
/// In the place of a signature on a call that another model made: `context_engineering_is_the_way_to_go` in base64,
/// which Google takes for it, and which a recording with a third Gemini proves.
const FOREIGN: &str = "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv";

/// Instructions and turns.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Part<'a>>,
    pub(super) contents: Vec<Content<'a>>,
}

/// A turn, or what comes between two.
#[derive(Debug, Serialize)]
pub(super) struct Content<'a> {
    role: Side,
    pub(super) parts: Vec<Part<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Side {
    #[serde(rename = "user")]
    User,
    /// Results stand apart from the user's words, under the same role.
    #[serde(rename = "user")]
    Tools,
    #[serde(rename = "model")]
    Model,
}

/// The conversation of `chat` for the model of `target`.
pub(super) fn of<'a>(chat: &'a Chat, target: &Target) -> Conversation<'a> {
    let mut conversation = Conversation::default();
    for message in &chat.messages {
        match message {
            chat::Message::System(given) => conversation.system.extend(parts(given)),
            chat::Message::User(given) => conversation.add(Side::User, parts(given)),
            chat::Message::Assistant(turn) => conversation.add(Side::Model, turn_of(turn, target)),
            chat::Message::Tool(result) => conversation.add(Side::Tools, returned(result, target)),
        }
    }
    // Instructions alone are taken for what the user says.
    if conversation.contents.is_empty() {
        let system = std::mem::take(&mut conversation.system);
        conversation.add(Side::User, system);
    }
    let first = conversation.contents.first();
    if first.is_some_and(|first| first.role == Side::Model) {
        let opening = Content {
            role: Side::User,
            parts: vec![Part::text(JsonText::of(OPENING))],
        };
        conversation.contents.insert(0, opening);
    }
    conversation
}

impl<'a> Conversation<'a> {
    /// Adds to what is of the same kind, or begins another one. An empty turn is none.
    fn add(&mut self, role: Side, mut parts: Vec<Part<'a>>) {
        if parts.is_empty() {
            return;
        }
        match self.contents.last_mut() {
            Some(last) if last.role == role => last.parts.append(&mut parts),
            _ => self.contents.push(Content { role, parts }),
        }
    }
}

fn parts(given: &[Given]) -> Vec<Part<'_>> {
    given.iter().filter_map(Part::of).collect()
}

/// Thoughts come first, then words, then calls, as the model gave them; a signature goes on the call that it names, or
/// else on the last words.
fn turn_of<'a>(turn: &'a Turn, target: &Target) -> Vec<Part<'a>> {
    let own = turn.thoughts.iter().filter(|thought| thought.is_of(FORMAT));
    let (mut thoughts, mut loose) = (Vec::new(), Vec::new());
    let mut calls: Vec<Part<'_>> = turn.calls.iter().map(Part::call).collect();
    for thought in own {
        match &thought.kind {
            ThoughtKind::Text {
                text,
                signature: Some(signature),
            } => {
                let text = text.clone().unwrap_or_else(|| JsonText::of(""));
                thoughts.push(Part::thought(text, signature));
            }
            ThoughtKind::Encrypted(signature) => {
                let named = turn
                    .calls
                    .iter()
                    .position(|call| Some(&call.id) == thought.id.as_ref());
                match named.and_then(|at| calls.get_mut(at)) {
                    Some(call) => call.thought_signature = Some(signature.clone()),
                    None => loose.push(signature),
                }
            }
            // Words without a proof are of no use to the model.
            ThoughtKind::Text { .. } | ThoughtKind::Summary(_) | ThoughtKind::Other(_) => {}
        }
    }
    let mut words = parts(&turn.parts);
    for signature in loose {
        sign(&mut words, &mut calls, signature);
    }
    // A later Gemini refuses a turn whose first call bears none.
    if let Some(first) = calls.first_mut().filter(|_| is_later(target)) {
        first
            .thought_signature
            .get_or_insert_with(|| JsonText::of(FOREIGN));
    }
    thoughts.into_iter().chain(words).chain(calls).collect()
}

/// Puts a signature that names no call where the model put it: on the first call of a turn that has some, else on the
/// last words, for which an empty text stands in.
fn sign<'a>(words: &mut Vec<Part<'a>>, calls: &mut [Part<'a>], signature: &JsonText) {
    if let Some(first) = calls.first_mut().filter(is_unsigned) {
        first.thought_signature = Some(signature.clone());
        return;
    }
    if words.last_mut().filter(is_unsigned).is_none() {
        words.push(Part::text(JsonText::of("")));
    }
    if let Some(last) = words.last_mut() {
        last.thought_signature = Some(signature.clone());
    }
}

fn is_unsigned(part: &&mut Part<'_>) -> bool {
    part.thought_signature.is_none()
}
