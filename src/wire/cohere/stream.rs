//! A streamed answer, event by event, into [`Event`]s.

use bytes::Bytes;

use super::answer::{CallShape, MessageShape, ended, gave_up};
use super::logprobs::{self, LogprobShape};
use super::usage::UsageShape;
use crate::domain::event::{About, Choice, Event, Message};
use crate::wire::call_id::{Seed, no_arguments};
use crate::wire::progress::{Progress, Said, arguments, emit};
use crate::wire::shape::{Given, List, count, malformed, shape, word};
use crate::wire::{DecodeError, Frame, StreamDecoder, fault};

shape! {
    /// An event.
    EventShape {
        kind = "type": Given<'a>,
        id = "id": Given<'a>,
        index = "index": Given<'a>,
        delta = "delta": DeltaShape<'a>,
        logprobs = "logprobs": List<LogprobShape<'a>>,
    }
    /// What an event adds.
    DeltaShape {
        message = "message": MessageShape<'a>,
        finish_reason = "finish_reason": Given<'a>,
        error = "error": Given<'a>,
        usage = "usage": UsageShape<'a>,
    }
}

/// Remembers of the events so far what the next ones depend on.
#[derive(Debug, Default)]
pub(super) struct EventDecoder {
    progress: Progress,
    about: About,
    /// The calls that have begun and not ended.
    open: Vec<Open>,
    calls: u32,
}

/// A call that has begun.
#[derive(Debug)]
struct Open {
    /// The provider's number.
    number: u64,
    index: u32,
    /// Whether any argument has come.
    argued: bool,
}

impl StreamDecoder for EventDecoder {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<(), DecodeError> {
        match self.progress.read(frame)? {
            Said::Nothing => Ok(()),
            Said::Json(json) => self.event(&frame.data, json, events),
            Said::Error(fault) => Err(DecodeError::Upstream(fault)),
        }
    }

    fn end(&mut self, _: &mut Vec<Event>) -> Result<(), DecodeError> {
        self.progress.end()
    }
}

impl EventDecoder {
    fn event(
        &mut self,
        buffer: &Bytes,
        json: &str,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        let event: EventShape<'_> =
            serde_json::from_str(json).map_err(|error| malformed(&error))?;
        let number = count(event.index).unwrap_or(0);
        let piece = &event.delta.message;
        match word(event.kind).as_deref() {
            Some("message-start") => {
                self.about.upstream_id = word(event.id).map(Into::into);
                events.push(Event::About(self.about.clone()));
            }
            Some("content-start" | "content-delta" | "tool-plan-delta" | "citation-start") => {
                let choice = Choice {
                    message: piece.words(buffer),
                    logprobs: logprobs::read(&event.logprobs.0),
                    ..Choice::default()
                };
                if !choice.is_empty() {
                    events.push(choice.into());
                }
            }
            Some("tool-call-start") => {
                for call in &piece.tool_calls.0 {
                    let message = self.begin(buffer, number, call);
                    emit(message, events);
                }
            }
            Some("tool-call-delta") => {
                for call in &piece.tool_calls.0 {
                    let message = self.more(buffer, number, call);
                    emit(message, events);
                }
            }
            Some("tool-call-end") => {
                let message = self.close(|open| open.number == number);
                emit(message, events);
            }
            Some("message-end") => self.finish(&event.delta, events)?,
            // Ends of what needs none, and what a later version brings.
            Some(_) => {
                if let Some(fault) = fault::reported(json) {
                    return Err(DecodeError::Upstream(fault));
                }
            }
            // No event of this protocol: an error, as the API words it, is a message.
            None => {
                let fault = fault::reported(json).or_else(|| fault::unlabelled(json));
                if let Some(fault) = fault {
                    return Err(DecodeError::Upstream(fault));
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, buffer: &Bytes, number: u64, call: &CallShape<'_>) -> Message {
        let index = self.calls;
        self.calls += 1;
        let answer = self.about.upstream_id.as_deref().unwrap_or_default();
        let mut called = call.called(buffer, Seed { answer, choice: 0 }, index);
        called.arguments = call.arguments(buffer);
        self.open.push(Open {
            number,
            index,
            argued: called.arguments.is_some(),
        });
        Message {
            tool_calls: vec![called],
            ..Message::default()
        }
    }

    fn more(&mut self, buffer: &Bytes, number: u64, call: &CallShape<'_>) -> Message {
        let mut message = Message::default();
        let open = self.open.iter_mut().rfind(|open| open.number == number);
        let piece = match &open {
            // In the middle of the arguments `null` is a word of them like any other.
            Some(open) if open.argued => crate::wire::shape::text(buffer, call.function.arguments),
            _ => call.arguments(buffer),
        };
        if let (Some(open), Some(piece)) = (open, piece) {
            open.argued = true;
            message.tool_calls = vec![arguments(open.index, Some(piece))];
        }
        message
    }

    /// Ends the calls that `ends` says. One that got no arguments has none: an empty object then.
    fn close(&mut self, ends: impl Fn(&Open) -> bool) -> Message {
        let ended = self.open.extract_if(.., |open| ends(open));
        Message {
            tool_calls: ended
                .filter(|open| !open.argued)
                .map(|open| arguments(open.index, no_arguments()))
                .collect(),
            ..Message::default()
        }
    }

    fn finish(
        &mut self,
        delta: &DeltaShape<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        if let Some(fault) = gave_up(delta.finish_reason, delta.error) {
            return Err(DecodeError::Upstream(fault));
        }
        let left = self.close(|_| true);
        emit(left, events);
        if let Some(finish) = ended(delta.finish_reason) {
            let choice = Choice {
                finish: Some(finish),
                ..Choice::default()
            };
            events.push(choice.into());
        }
        events.extend(delta.usage.tokens().map(Event::Usage));
        self.progress.finish();
        Ok(())
    }
}
