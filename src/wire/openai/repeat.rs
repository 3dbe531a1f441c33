//! The chunk that differs from the one before only in its text, which is what nearly every chunk of a stream is.
//!
//! Two chunks with the same bytes around one string literal have the same meaning but for that string, so the second
//! need not be parsed. Nothing is guessed: any other difference leads back to the parser.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::domain::event::{Choice, Event, Message};
use crate::domain::json::JsonText;

/// What stood around the text of the last chunk that held nothing but one text.
#[derive(Debug)]
pub(super) struct Repeat {
    before: Bytes,
    after: Bytes,
    index: u32,
    place: Place,
}

/// Where in a message the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Content,
    Reasoning,
}

impl Repeat {
    /// Learns from a chunk and what it meant; `None` when it meant more, or less, than one text.
    pub(super) fn learn(chunk: &Bytes, meant: &[Event]) -> Option<Self> {
        let [Event::Choice(choice)] = meant else {
            return None;
        };
        let (text, place) = only_text(choice)?;
        let start = (text.as_bytes().as_ptr() as usize).checked_sub(chunk.as_ptr() as usize)?;
        let end = start.checked_add(text.as_bytes().len())?;
        // A text that was put together lies elsewhere.
        if end > chunk.len() {
            return None;
        }
        Some(Repeat {
            before: chunk.slice(..start),
            after: chunk.slice(end..),
            index: choice.index,
            place,
        })
    }

    /// What `chunk` says, if only its text is new. Another spelling may take the place of an empty text.
    pub(super) fn read(&self, chunk: &Bytes) -> Option<Choice> {
        let end = chunk.len().checked_sub(self.after.len())?;
        if end < self.before.len()
            || !chunk.starts_with(&self.before)
            || !chunk.ends_with(&self.after)
        {
            return None;
        }
        let literal = std::str::from_utf8(&chunk[self.before.len()..end]).ok()?;
        let literal: &RawValue = serde_json::from_str(literal).ok()?;
        let text = JsonText::slice(chunk, literal).filter(|text| !text.is_empty())?;
        let message = match self.place {
            Place::Content => Message {
                content: Some(text),
                ..Message::default()
            },
            Place::Reasoning => Message {
                reasoning: Some(text),
                ..Message::default()
            },
        };
        Some(Choice {
            index: self.index,
            message,
            ..Choice::default()
        })
    }
}

/// The one text that a choice holds, if it holds nothing else.
fn only_text(choice: &Choice) -> Option<(&JsonText, Place)> {
    let message = &choice.message;
    let more = message.refusal.is_some()
        || message.reasoning_details.is_some()
        || !message.tool_calls.is_empty()
        || message.annotations.is_some()
        || message.images.is_some()
        || message.audio.is_some()
        || choice.finish.is_some()
        || choice.logprobs.is_some();
    match (&message.content, &message.reasoning) {
        _ if more => None,
        (Some(text), None) => Some((text, Place::Content)),
        (None, Some(text)) => Some((text, Place::Reasoning)),
        _ => None,
    }
}
