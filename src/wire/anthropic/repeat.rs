//! The event that differs from the one before only in its text: see [`crate::wire::repeat`].

use bytes::Bytes;

use super::answer::CitationShape;
use super::stream::{DeltaShape, EventShape};
use crate::domain::json::JsonText;
use crate::wire::repeat::Repeat;
use crate::wire::shape::text;

/// An event that adds one text to a block.
#[derive(Debug)]
pub(super) struct OneText {
    repeat: Repeat,
    /// The event's type.
    pub(super) kind: JsonText,
    /// The block's number.
    pub(super) block: u64,
    piece: Piece,
}

/// What the text is to the block.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Text,
    Thinking,
    Arguments,
}

impl OneText {
    /// Learns from an event that adds to a block; `None` where it adds more than one text.
    pub(super) fn learn(buffer: &Bytes, event: &EventShape<'_>, block: u64) -> Option<Self> {
        let DeltaShape {
            text: words,
            thinking,
            signature: None,
            partial_json,
            citation: CitationShape { url: None, .. },
            ..
        } = event.delta
        else {
            return None;
        };
        let (piece, only) = match (words, thinking, partial_json) {
            (Some(text), None, None) => (Piece::Text, text),
            (None, Some(text), None) => (Piece::Thinking, text),
            (None, None, Some(text)) => (Piece::Arguments, text),
            _ => return None,
        };
        Some(OneText {
            repeat: Repeat::learn(buffer, only.get().as_bytes(), &[])?,
            kind: text(buffer, event.kind)?,
            block,
            piece,
        })
    }

    /// What an event adds, if only its text is new.
    pub(super) fn read<'a>(&self, buffer: &'a Bytes) -> Option<DeltaShape<'a>> {
        let said = Some(self.repeat.read(buffer)?);
        let mut delta = DeltaShape::default();
        match self.piece {
            Piece::Text => delta.text = said,
            Piece::Thinking => delta.thinking = said,
            Piece::Arguments => delta.partial_json = said,
        }
        Some(delta)
    }
}
