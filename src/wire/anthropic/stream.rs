//! A streamed answer, event by event, into [`Event`]s.

use bytes::Bytes;
use serde_json::Value;

use super::answer::{BlockShape, CitationShape, MessageShape, StopShape};
use super::answer::{annotation, called, cited, ended, input, sealed, served_by, signed};
use super::repeat::OneText;
use super::usage::{Counted, UsageShape};
use super::{reported, with_status};
use crate::domain::event::{About, Choice, Event, Forwarded, Message};
use crate::domain::json::{JsonText, Raw};
use crate::wire::call_id::no_arguments;
use crate::wire::progress::{Progress, Said, arguments, emit, forwarded};
use crate::wire::shape::{Given, count, malformed, shape, text, word};
use crate::wire::{DecodeError, Frame, StreamDecoder};

shape! {
    /// An event.
    EventShape {
        kind = "type": Given<'a>,
        index = "index": Given<'a>,
        message = "message": MessageShape<'a>,
        content_block = "content_block": BlockShape<'a>,
        delta = "delta": DeltaShape<'a>,
        usage = "usage": UsageShape<'a>,
    }
    /// What an event adds: to a block, or to the message.
    DeltaShape {
        kind = "type": Given<'a>,
        text = "text": Given<'a>,
        thinking = "thinking": Given<'a>,
        signature = "signature": Given<'a>,
        partial_json = "partial_json": Given<'a>,
        citation = "citation": CitationShape<'a>,
        stop_reason = "stop_reason": Given<'a>,
        stop_details = "stop_details": StopShape<'a>,
    }
}

/// Events that are no errors.
const KNOWN: [&str; 7] = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
];

/// Remembers of the events so far what the next ones depend on.
#[derive(Debug, Default)]
pub(super) struct EventDecoder {
    progress: Progress,
    /// The client is to have the events as they are.
    forwards: bool,
    about: About,
    counted: Counted,
    /// The blocks that have begun and not ended, by their number.
    open: Vec<(u64, Open)>,
    calls: u32,
    /// Characters of text so far.
    said: usize,
    /// How many blocks of thought there were.
    thoughts: usize,
    /// The last event that held nothing but one text, to recognise its like.
    repeat: Option<OneText>,
}

/// A block that has begun.
#[derive(Clone, Debug)]
enum Open {
    Text {
        /// Where it begins in the answer.
        start: usize,
        /// What it rests on; where it ends is not known yet.
        cited: Vec<Value>,
    },
    Thought {
        index: usize,
    },
    Call {
        index: u32,
        /// The arguments that came with the beginning, in case none follow.
        whole: Option<JsonText>,
        argued: bool,
    },
    /// What the provider runs for itself, and what a later version brings.
    Other,
}

impl EventDecoder {
    /// A decoder that tells each event as it is, too, if `forwards`: the client speaks its form.
    pub(super) fn new(forwards: bool) -> Self {
        EventDecoder {
            forwards,
            ..EventDecoder::default()
        }
    }
}

impl StreamDecoder for EventDecoder {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<(), DecodeError> {
        match self.progress.read(frame)? {
            Said::Nothing => Ok(()),
            Said::Json(_) if self.repeated(&frame.data, events) => Ok(()),
            Said::Json(json) => self.event(&frame.data, json, events),
            Said::Error(fault) => Err(DecodeError::Upstream(with_status(fault))),
        }
    }

    fn end(&mut self, _: &mut Vec<Event>) -> Result<(), DecodeError> {
        self.progress.end()
    }
}

impl EventDecoder {
    /// Whether an event is like the last one but for its text, and needed no parser.
    fn repeated(&mut self, buffer: &Bytes, events: &mut Vec<Event>) -> bool {
        let Some(known) = &self.repeat else {
            return false;
        };
        let Some(delta) = known.read(buffer) else {
            return false;
        };
        let block = known.block;
        if self.forwards {
            events.push(Event::Forwarded(Box::new(Forwarded {
                kind: known.kind.clone(),
                data: buffer.clone(),
                ends: false,
            })));
        }
        let piece = self.more(buffer, block, &delta);
        emit(piece, events);
        true
    }

    fn event(
        &mut self,
        buffer: &Bytes,
        json: &str,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        let event: EventShape<'_> =
            serde_json::from_str(json).map_err(|error| malformed(&error))?;
        let number = count(event.index).unwrap_or(0);
        let kind = word(event.kind);
        // An error, or nothing of this protocol at all, or something new.
        if !kind.as_deref().is_some_and(|kind| KNOWN.contains(&kind))
            && let Some(fault) = reported(json)
        {
            return Err(DecodeError::Upstream(fault));
        }
        if self.forwards {
            let ends = matches!(kind.as_deref(), Some("message_delta" | "message_stop"));
            events.extend(forwarded(buffer, event.kind, ends));
        }
        match kind.as_deref() {
            Some("message_start") => self.start(&event.message, events),
            Some("content_block_start") => {
                let piece = self.open(buffer, number, &event.content_block);
                emit(piece, events);
            }
            Some("content_block_delta") => {
                let piece = self.more(buffer, number, &event.delta);
                emit(piece, events);
                self.repeat = OneText::learn(buffer, &event, number);
            }
            Some("content_block_stop") => {
                let piece = self.close(number);
                emit(piece, events);
            }
            Some("message_delta") => self.finish(buffer, &event, events),
            Some("message_stop") => self.progress.finish(),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, message: &MessageShape<'_>, events: &mut Vec<Event>) {
        self.counted.learn(&message.usage);
        self.about = message.about();
        events.push(Event::About(self.about.clone()));
        // What the prompt took is known from here on, however the answer ends. Routers that do not know it say 0.
        let tokens = self.counted.tokens().filter(|tokens| tokens.prompt > 0);
        events.extend(tokens.map(Event::Usage));
    }

    fn open(&mut self, buffer: &Bytes, number: u64, block: &BlockShape<'_>) -> Message {
        let mut message = Message::default();
        let open = match word(block.kind).as_deref() {
            Some("text") => {
                let start = self.said;
                message.content = text(buffer, block.text);
                self.said += message.content.as_ref().map_or(0, JsonText::characters);
                Open::Text {
                    start,
                    cited: Vec::new(),
                }
            }
            Some("thinking") => {
                let index = self.thought();
                message.reasoning = text(buffer, block.thinking);
                message.reasoning_details =
                    only(signed(buffer, index, block.thinking, block.signature));
                Open::Thought { index }
            }
            Some("redacted_thinking") => {
                let index = self.thought();
                message.reasoning_details = only(sealed(buffer, index, block.data));
                Open::Other
            }
            Some("tool_use") => {
                let index = self.calls;
                self.calls += 1;
                let id = self.about.upstream_id.as_deref().unwrap_or_default();
                message.tool_calls = vec![called(buffer, id, index, block)];
                Open::Call {
                    index,
                    whole: input(block.input),
                    argued: false,
                }
            }
            _ => Open::Other,
        };
        self.open.push((number, open));
        message
    }

    fn more(&mut self, buffer: &Bytes, number: u64, delta: &DeltaShape<'_>) -> Message {
        let mut message = Message::default();
        let open = self.open.iter_mut().rfind(|(known, _)| *known == number);
        match open.map(|(_, open)| open) {
            Some(Open::Text { cited: sources, .. }) => {
                message.content = text(buffer, delta.text);
                self.said += message.content.as_ref().map_or(0, JsonText::characters);
                sources.extend(cited(&delta.citation));
            }
            Some(Open::Thought { index }) => {
                message.reasoning = text(buffer, delta.thinking);
                message.reasoning_details =
                    only(signed(buffer, *index, delta.thinking, delta.signature));
            }
            Some(Open::Call { index, argued, .. }) => {
                if let Some(piece) = text(buffer, delta.partial_json) {
                    *argued = true;
                    message.tool_calls = vec![arguments(*index, Some(piece))];
                }
            }
            Some(Open::Other) | None => {}
        }
        message
    }

    /// A call that got no arguments has those of its beginning, or none: an empty object then. What a text rests on is
    /// told once it is known where the text ends.
    fn close(&mut self, number: u64) -> Message {
        let mut message = Message::default();
        let at = self.open.iter().rposition(|(known, _)| *known == number);
        let open = at.map(|at| self.open.remove(at).1);
        match open {
            Some(Open::Call {
                index,
                whole,
                argued: false,
            }) => message.tool_calls = vec![arguments(index, whole.or_else(no_arguments))],
            Some(Open::Text { start, cited }) => {
                let place = (start, self.said);
                let cited = cited.into_iter();
                let annotations: Vec<Raw> =
                    cited.filter_map(|cited| annotation(cited, place)).collect();
                message.annotations = (!annotations.is_empty())
                    .then(|| Raw::array(annotations.iter().map(Raw::as_str)));
            }
            Some(_) | None => {}
        }
        message
    }

    fn finish(&mut self, buffer: &Bytes, event: &EventShape<'_>, events: &mut Vec<Event>) {
        self.counted.learn(&event.usage);
        let tier =
            served_by(&event.usage).filter(|tier| self.about.service_tier.as_ref() != Some(tier));
        if tier.is_some() {
            self.about.service_tier = tier;
            events.push(Event::About(self.about.clone()));
        }
        // Blocks that were not closed.
        let left: Vec<u64> = self.open.iter().map(|(number, _)| *number).collect();
        for number in left {
            let piece = self.close(number);
            emit(piece, events);
        }
        if let Some(finish) = ended(event.delta.stop_reason) {
            let choice = Choice {
                message: Message {
                    refusal: text(buffer, event.delta.stop_details.explanation),
                    ..Message::default()
                },
                finish: Some(finish),
                ..Choice::default()
            };
            events.push(choice.into());
        }
        events.extend(self.counted.tokens().map(Event::Usage));
    }

    fn thought(&mut self) -> usize {
        self.thoughts += 1;
        self.thoughts - 1
    }
}

fn only(item: Option<Raw>) -> Option<Raw> {
    item.map(|item| Raw::array([item.as_str()]))
}
