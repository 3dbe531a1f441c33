//! The event that differs from the one before only in its text, its number and its filler: see [`crate::wire::repeat`].

use bytes::Bytes;

use super::stream::EventShape;
use crate::domain::json::JsonText;
use crate::wire::repeat::Repeat;
use crate::wire::shape::text;

/// What an event with a piece of an item adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text,
    Refusal,
    Reasoning,
    Arguments,
}

/// An event that adds one text to an item.
#[derive(Debug)]
pub(super) struct OneText {
    repeat: Repeat,
    /// The event's type.
    pub(super) kind: JsonText,
    /// The item's number.
    pub(super) item: u64,
    /// What the text is to the item.
    pub(super) piece: Piece,
}

impl Piece {
    /// What an event of this name adds to, if it adds a piece.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "output_text.delta" => Piece::Text,
            "refusal.delta" => Piece::Refusal,
            "reasoning_summary_text.delta" | "reasoning_text.delta" | "reasoning.delta" => {
                Piece::Reasoning
            }
            "function_call_arguments.delta" => Piece::Arguments,
            _ => return None,
        })
    }
}

impl OneText {
    /// Learns from an event that adds a piece and nothing else.
    pub(super) fn learn(
        buffer: &Bytes,
        event: &EventShape<'_>,
        item: u64,
        piece: Piece,
    ) -> Option<Self> {
        let unread = [event.sequence_number, event.obfuscation];
        Some(OneText {
            repeat: Repeat::learn(buffer, event.delta?.get().as_bytes(), &unread)?,
            kind: text(buffer, event.kind)?,
            item,
            piece,
        })
    }

    /// What an event says, if nothing else in it is new.
    pub(super) fn read(&self, buffer: &Bytes) -> Option<JsonText> {
        JsonText::slice(buffer, self.repeat.read(buffer)?).filter(|text| !text.is_empty())
    }
}
