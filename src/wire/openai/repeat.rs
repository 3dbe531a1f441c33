//! The chunk that differs from the one before only in its text: see [`crate::wire::repeat`].

use bytes::Bytes;

use crate::domain::event::{Choice, Event, Message};
use crate::domain::json::JsonText;
use crate::wire::repeat::Repeat;
use crate::wire::shape::Given;

/// The last chunk that held nothing but one text.
#[derive(Debug)]
pub(super) struct OneText {
    repeat: Repeat,
    index: u32,
    place: Place,
}

/// Where in a message the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Content,
    Reasoning,
}

impl OneText {
    /// Learns from a chunk and what it meant; `None` when it meant more, or less, than one text. Of `unread` values
    /// nothing is ever read.
    pub(super) fn learn(chunk: &Bytes, meant: &[Event], unread: &[Given<'_>]) -> Option<Self> {
        let [Event::Choice(choice)] = meant else {
            return None;
        };
        let (text, place) = only_text(choice)?;
        Some(OneText {
            repeat: Repeat::learn(chunk, text.as_bytes(), unread)?,
            index: choice.index,
            place,
        })
    }

    /// What `chunk` says, if only its text is new. Another spelling may take the place of an empty text.
    pub(super) fn read(&self, chunk: &Bytes) -> Option<Choice> {
        let text = JsonText::slice(chunk, self.repeat.read(chunk)?);
        let text = text.filter(|text| !text.is_empty())?;
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
