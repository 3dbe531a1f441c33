//! A streamed answer, event by event, into [`Event`]s. Each frame is named for its event; an exception in place of
//! one is named `exception:…` by the framer.

use bytes::Bytes;

use super::answer::{BlockShape, CallShape, UsageShape};
use crate::domain::event::{Choice, Event, Message};
use crate::domain::json::Raw;
use crate::wire::call_id::no_arguments;
use crate::wire::progress::{Progress, arguments, emit};
use crate::wire::shape::{Given, count, malformed, shape, text, utf8, word};
use crate::wire::{DecodeError, Fault, Frame, Framing, StreamDecoder, fault, finish};

shape! {
    /// An event.
    EventShape {
        index = "contentBlockIndex": Given<'a>,
        start = "start": StartShape<'a>,
        delta = "delta": BlockShape<'a>,
        stop_reason = "stopReason": Given<'a>,
        usage = "usage": Option<UsageShape<'a>>,
    }
    StartShape {
        tool_use = "toolUse": Option<CallShape<'a>>,
    }
}

/// Remembers of the events so far what the next ones depend on.
#[derive(Debug, Default)]
pub(super) struct EventDecoder {
    progress: Progress,
    /// The calls that have begun and not ended: number of the block, place, whether any argument has come.
    open: Vec<(u64, u32, bool)>,
    calls: u32,
    /// The numbers of the blocks that are thoughts.
    thoughts: Vec<u64>,
}

impl StreamDecoder for EventDecoder {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<(), DecodeError> {
        let name = frame.event.as_deref().unwrap_or_default();
        if let Some((_, code)) = name.split_once(':') {
            return Err(DecodeError::Upstream(exception(code, utf8(&frame.data)?)));
        }
        let json = utf8(&frame.data)?;
        let event: EventShape<'_> =
            serde_json::from_str(json).map_err(|error| malformed(&error))?;
        let number = count(event.index).unwrap_or(0);
        match name {
            "contentBlockStart" => {
                let piece = self.begin(&frame.data, number, &event.start);
                emit(piece, events);
            }
            "contentBlockDelta" => {
                let piece = self.more(&frame.data, number, &event.delta);
                emit(piece, events);
            }
            "contentBlockStop" => {
                let piece = self.close(number);
                emit(piece, events);
            }
            "messageStop" => {
                self.progress.finish();
                let choice = Choice {
                    finish: word(event.stop_reason).map(|reason| finish::finish(&reason)),
                    ..Choice::default()
                };
                events.push(choice.into());
            }
            "metadata" => events.extend(
                event
                    .usage
                    .as_ref()
                    .and_then(UsageShape::tokens)
                    .map(Event::Usage),
            ),
            // The beginning of the message says nothing, and a later version may say more.
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<Event>) -> Result<(), DecodeError> {
        self.progress.end()
    }

    fn framing(&self) -> Framing {
        Framing::AwsEventStream
    }
}

impl EventDecoder {
    fn begin(&mut self, buffer: &Bytes, number: u64, start: &StartShape<'_>) -> Message {
        let mut message = Message::default();
        if let Some(call) = start
            .tool_use
            .as_ref()
            .filter(|call| !call.is_the_providers())
        {
            message.tool_calls = vec![call.called(buffer, self.calls)];
            self.open.push((number, self.calls, false));
            self.calls += 1;
        }
        message
    }

    fn more(&mut self, buffer: &Bytes, number: u64, delta: &BlockShape<'_>) -> Message {
        let mut message = Message {
            content: text(buffer, delta.text),
            ..Message::default()
        };
        if let Some(reasoning) = &delta.reasoning {
            let index = self.thought(number);
            message.reasoning = reasoning.words(buffer);
            message.reasoning_details = reasoning
                .detail(buffer, index)
                .map(|detail| Raw::array([detail.as_str()]));
        }
        let input = delta
            .tool_use
            .as_ref()
            .and_then(|call| text(buffer, call.input));
        let open = self.open.iter_mut().find(|(known, ..)| *known == number);
        if let (Some((_, index, argued)), Some(input)) = (open, input) {
            *argued = true;
            message.tool_calls = vec![arguments(*index, Some(input))];
        }
        message
    }

    /// A call that got no arguments has none: an empty object then.
    fn close(&mut self, number: u64) -> Message {
        let mut message = Message::default();
        if let Some(at) = self.open.iter().position(|(known, ..)| *known == number) {
            let (_, index, argued) = self.open.remove(at);
            if !argued {
                message.tool_calls = vec![arguments(index, no_arguments())];
            }
        }
        message
    }

    /// The place of a thought among the thoughts.
    fn thought(&mut self, number: u64) -> usize {
        let known = self.thoughts.iter().position(|known| *known == number);
        known.unwrap_or_else(|| {
            self.thoughts.push(number);
            self.thoughts.len() - 1
        })
    }
}

/// An exception inside a stream, with the status that it has outside of one.
fn exception(code: &str, json: &str) -> Fault {
    let status = match code {
        "validationException" => 400,
        "throttlingException" => 429,
        "serviceUnavailableException" => 503,
        "modelTimeoutException" => 408,
        "modelStreamErrorException" => 424,
        _ => 500,
    };
    Fault {
        status,
        code: Some(code.to_owned()),
        ..fault::of_event(json)
    }
}
