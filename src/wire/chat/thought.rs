//! `reasoning_details` that a client sends back (contract 3.5): blocks of reasoning with what proves them genuine.

use super::part::word;
use crate::domain::json::{JsonObject, JsonText, Raw};

/// One block.
#[derive(Clone, Debug)]
pub struct Thought {
    /// Whose block it is, such as `anthropic-claude-v1`; a signature means nothing to anybody else.
    pub format: Option<String>,
    /// The provider's id of the block.
    pub id: Option<String>,
    /// Position among the blocks of the turn.
    pub index: Option<u64>,
    /// What it holds.
    pub kind: ThoughtKind,
}

/// What a block holds.
#[derive(Clone, Debug)]
pub enum ThoughtKind {
    /// `reasoning.text`: what was thought, and its signature.
    Text {
        /// The words; a provider may keep them to itself and give the signature alone.
        text: Option<JsonText>,
        /// The proof.
        signature: Option<JsonText>,
    },
    /// `reasoning.summary`.
    Summary(JsonText),
    /// `reasoning.encrypted`: for the provider's eyes.
    Encrypted(JsonText),
    /// A block of another type, as it is.
    Other(Raw),
}

impl Thought {
    /// Whether the block may be shown to the provider whose format is `format`. Clients that keep only part of a
    /// block lose its format first, so a block without one is taken for the provider's own.
    pub fn is_of(&self, format: &str) -> bool {
        self.format.as_deref().is_none_or(|own| own == format)
    }
}

/// Reads the blocks. Pieces of one block, as a stream brought them and some clients keep them, become one again.
pub(super) fn read(details: &Raw) -> Vec<Thought> {
    let mut thoughts: Vec<Thought> = Vec::new();
    for piece in details.elements().unwrap_or_default() {
        let Some(thought) = piece.object().map(|object| thought(&object, &piece)) else {
            continue;
        };
        let rest = match thoughts.last_mut() {
            Some(last) => last.join(thought),
            None => Some(thought),
        };
        thoughts.extend(rest);
    }
    thoughts
}

fn thought(object: &JsonObject, raw: &Raw) -> Thought {
    let text = |name: &str| object.given(name).and_then(Raw::text);
    let other = || ThoughtKind::Other(raw.clone());
    let kind = match word(object, "type").as_deref() {
        Some("reasoning.text") => ThoughtKind::Text {
            text: text("text"),
            signature: text("signature").filter(|signature| !signature.is_empty()),
        },
        Some("reasoning.summary") => text("summary").map_or_else(other, ThoughtKind::Summary),
        Some("reasoning.encrypted") => text("data").map_or_else(other, ThoughtKind::Encrypted),
        _ => other(),
    };
    Thought {
        format: word(object, "format"),
        id: word(object, "id"),
        index: object.given("index").and_then(|raw| raw.parse().ok()),
        kind,
    }
}

impl Thought {
    /// Takes in the next piece of the same block; gives it back when it begins another one. A signature ends a block.
    fn join(&mut self, next: Thought) -> Option<Thought> {
        if self.index != next.index {
            return Some(next);
        }
        match (&mut self.kind, &next.kind) {
            (
                ThoughtKind::Text { text, signature },
                ThoughtKind::Text {
                    text: more,
                    signature: proof,
                },
            ) if signature.is_none() => {
                let pieces: Vec<JsonText> = text.iter().chain(more).cloned().collect();
                *text = JsonText::joined(&pieces);
                signature.clone_from(proof);
            }
            (ThoughtKind::Summary(text), ThoughtKind::Summary(more)) if self.index.is_some() => {
                if let Some(joined) = JsonText::joined(&[text.clone(), more.clone()]) {
                    *text = joined;
                }
            }
            _ => return Some(next),
        }
        self.id = self.id.take().or(next.id);
        self.format = self.format.take().or(next.format);
        None
    }
}
