//! What the stream decoders of several wires have in common: which frames to skip, when an answer has ended, and how
//! a piece of a message becomes an event.

use bytes::Bytes;

use super::shape::{Given, text, utf8};
use super::{DecodeError, Fault, Frame, fault};
use crate::domain::event::{Choice, Event, Forwarded, Message, ToolCall};
use crate::domain::json::JsonText;

/// How far a streamed answer has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    ended: bool,
}

/// What a server-sent event holds.
pub(super) enum Said<'a> {
    /// Nothing: blank, OpenAI's `[DONE]`, which routers send in other protocols too, or past the end.
    Nothing,
    /// A document of the protocol.
    Json(&'a str),
    /// An error, by the event's name.
    Error(Fault),
}

impl Progress {
    /// What `frame` holds, as far as it still counts.
    pub(super) fn read<'a>(&self, frame: &'a Frame) -> Result<Said<'a>, DecodeError> {
        let data = frame.data.trim_ascii();
        if self.ended || data.is_empty() || data == b"[DONE]" {
            return Ok(Said::Nothing);
        }
        Ok(match frame.event.as_deref() {
            Some("error") => Said::Error(fault::of_event(utf8(data)?)),
            _ => Said::Json(utf8(&frame.data)?),
        })
    }

    /// The answer has said that it is over.
    pub(super) fn finish(&mut self) {
        self.ended = true;
    }

    /// The upstream closed the stream: an error, unless the answer was over.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.ended {
            Ok(())
        } else {
            Err(DecodeError::Truncated)
        }
    }
}

/// Appends a piece of the only choice, if it says anything.
pub(super) fn emit(message: Message, events: &mut Vec<Event>) {
    emit_choice(
        Choice {
            message,
            ..Choice::default()
        },
        events,
    );
}

/// Appends a piece of a choice, if it says anything.
pub(super) fn emit_choice(choice: Choice, events: &mut Vec<Event>) {
    if !choice.is_empty() {
        events.push(choice.into());
    }
}

/// An event as it is, for a client that speaks its form; none of one without a type.
pub(super) fn forwarded(buffer: &Bytes, kind: Given<'_>, ends: bool) -> Option<Event> {
    Some(Event::Forwarded(Box::new(Forwarded {
        kind: text(buffer, kind)?,
        data: buffer.clone(),
        ends,
    })))
}

/// A piece of the arguments of the call at `index`.
pub(super) fn arguments(index: u32, arguments: Option<JsonText>) -> ToolCall {
    ToolCall {
        index,
        arguments,
        ..ToolCall::default()
    }
}
