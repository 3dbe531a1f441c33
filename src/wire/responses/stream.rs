//! A streamed answer, event by event, into [`Event`]s.

use bytes::Bytes;

use super::answer::{
    ItemShape, PARAGRAPH, ResponseShape, SourceShape, arguments, called, cited, details, logprobs,
    picture,
};
use super::repeat::{OneText, Piece};
use crate::domain::event::{About, Choice, Event, Forwarded, Message};
use crate::domain::json::{JsonText, Raw};
use crate::wire::call_id::no_arguments;
use crate::wire::progress::{self, Progress, Said};
use crate::wire::shape::{Given, count, malformed, shape, text, word};
use crate::wire::{DecodeError, Fault, Frame, StreamDecoder, fault};

shape! {
    /// An event.
    EventShape {
        kind = "type": Given<'a>,
        output_index = "output_index": Given<'a>,
        // Read by nobody: its number, and what is there to be long or short.
        sequence_number = "sequence_number": Given<'a>,
        obfuscation = "obfuscation": Given<'a>,
        summary_index = "summary_index": Given<'a>,
        response = "response": ResponseShape<'a>,
        item = "item": ItemShape<'a>,
        // A text in most events, an object in some.
        delta = "delta": Given<'a>,
        arguments = "arguments": Given<'a>,
        logprobs = "logprobs": Given<'a>,
        annotation = "annotation": SourceShape<'a>,
    }
}

/// Events that end an answer, well or not.
const ENDS: [&str; 5] = ["completed", "incomplete", "failed", "cancelled", "done"];

/// Events that come often, and are no errors; those of pieces are none either.
const KNOWN: [&str; 4] = [
    "created",
    "output_item.added",
    "output_item.done",
    "output_text.annotation.added",
];

/// Remembers of the events so far what the next ones depend on.
#[derive(Debug, Default)]
pub(super) struct EventDecoder {
    progress: Progress,
    /// The client is to have the events as they are.
    forwards: bool,
    about: About,
    /// The items that have begun, by their number.
    items: Vec<(u64, Known)>,
    calls: u32,
    details: usize,
    searches: u64,
    /// The last event that held nothing but one text, to recognise its like.
    repeat: Option<OneText>,
}

/// What is known of an item.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Its place among the calls, when it is one.
    call: Option<u32>,
    /// Whether a piece of it has come, so that the whole of it is no news.
    told: bool,
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
            Said::Error(fault) => Err(DecodeError::Upstream(fault)),
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
        let Some(text) = known.read(buffer) else {
            return false;
        };
        let (number, piece) = (known.item, known.piece);
        if self.forwards {
            events.push(Event::Forwarded(Box::new(Forwarded {
                kind: known.kind.clone(),
                data: buffer.clone(),
                ends: false,
            })));
        }
        self.piece(number, piece, Some(text), None, events);
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
        let number = count(event.output_index).unwrap_or(0);
        let kind = word(event.kind).unwrap_or_default();
        let name = kind.strip_prefix("response.").unwrap_or(&kind);
        let ends = ENDS.contains(&name);
        if let Some(fault) = fault_of(name, ends, &event, json) {
            return Err(DecodeError::Upstream(fault));
        }
        if self.forwards {
            events.extend(progress::forwarded(buffer, event.kind, ends));
        }
        if let Some(piece) = Piece::named(name) {
            let logprobs = logprobs(buffer, event.logprobs);
            self.repeat = match logprobs {
                None => OneText::learn(buffer, &event, number, piece),
                Some(_) => None,
            };
            self.piece(number, piece, text(buffer, event.delta), logprobs, events);
            return Ok(());
        }
        match name {
            "created" => self.learn(event.response.about(), events),
            "output_item.added" => {
                let piece = self.begin(buffer, number, &event.item);
                progress::emit(piece, events);
            }
            "reasoning_summary_part.added" if count(event.summary_index).unwrap_or(0) > 0 => {
                self.say(number, events, |message| {
                    message.reasoning = Some(JsonText::of(PARAGRAPH))
                });
            }
            "output_text.annotation.added" => {
                let cited = cited(&event.annotation).map(|cited| Raw::array([cited.as_str()]));
                self.say(number, events, |message| message.annotations = cited);
            }
            "function_call_arguments.done" if !self.known(number).told => {
                self.argue(number, arguments(buffer, event.arguments), events);
            }
            "output_item.done" => self.finish_item(buffer, number, &event.item, events),
            _ if ends => self.finish(&event, events),
            // Progress of what the provider runs for itself, and what says again what was said.
            _ => {}
        }
        Ok(())
    }

    fn learn(&mut self, about: About, events: &mut Vec<Event>) {
        if self.about != about {
            self.about = about.clone();
            events.push(Event::About(about));
        }
    }

    /// What is known of the item of this number, which may be new.
    fn known(&mut self, number: u64) -> &mut Known {
        let at = self.items.iter().position(|(known, _)| *known == number);
        let at = at.unwrap_or_else(|| {
            self.items.push((number, Known::default()));
            self.items.len() - 1
        });
        &mut self.items[at].1
    }

    fn begin(&mut self, buffer: &Bytes, number: u64, item: &ItemShape<'_>) -> Message {
        let mut message = Message::default();
        if word(item.kind).as_deref() == Some("function_call") && self.known(number).call.is_none()
        {
            let index = self.calls;
            self.calls += 1;
            let id = self.about.upstream_id.as_deref().unwrap_or_default();
            message.tool_calls = vec![called(buffer, id, index, item)];
            self.known(number).call = Some(index);
        }
        message
    }

    /// The next piece of an item.
    fn piece(
        &mut self,
        number: u64,
        piece: Piece,
        said: Option<JsonText>,
        logprobs: Option<Raw>,
        events: &mut Vec<Event>,
    ) {
        match piece {
            Piece::Text => self.text(number, said, logprobs, events),
            Piece::Refusal => self.say(number, events, |message| message.refusal = said),
            Piece::Reasoning => self.say(number, events, |message| message.reasoning = said),
            Piece::Arguments => self.argue(number, said, events),
        }
    }

    fn text(
        &mut self,
        number: u64,
        content: Option<JsonText>,
        logprobs: Option<Raw>,
        events: &mut Vec<Event>,
    ) {
        if content.is_none() {
            return;
        }
        self.known(number).told = true;
        let choice = Choice {
            message: Message {
                content,
                ..Message::default()
            },
            logprobs,
            ..Choice::default()
        };
        events.push(choice.into());
    }

    fn say(&mut self, number: u64, events: &mut Vec<Event>, set: impl FnOnce(&mut Message)) {
        let mut message = Message::default();
        set(&mut message);
        self.known(number).told = true;
        progress::emit(message, events);
    }

    fn argue(&mut self, number: u64, piece: Option<JsonText>, events: &mut Vec<Event>) {
        let known = self.known(number);
        if let (Some(index), Some(piece)) = (known.call, piece) {
            known.told = true;
            progress::emit(of_call(index, Some(piece)), events);
        }
    }

    /// The whole item: what no piece of it said before, and the reasoning's seal.
    fn finish_item(
        &mut self,
        buffer: &Bytes,
        number: u64,
        item: &ItemShape<'_>,
        events: &mut Vec<Event>,
    ) {
        let told = self.known(number).told;
        match word(item.kind).as_deref() {
            Some("function_call") => {
                let begun = self.begin(buffer, number, item);
                progress::emit(begun, events);
                if let Some(index) = self.known(number).call.filter(|_| !told) {
                    self.known(number).told = true;
                    let whole = arguments(buffer, item.arguments).or_else(no_arguments);
                    progress::emit(of_call(index, whole), events);
                }
            }
            Some("reasoning") => {
                let details = details(buffer, self.details, item);
                self.details += details.len();
                let whole = || {
                    item.summary
                        .0
                        .iter()
                        .chain(&item.content.0)
                        .filter_map(|part| text(buffer, part.text))
                };
                let message = Message {
                    reasoning: if told {
                        None
                    } else {
                        JsonText::joined(&whole().collect::<Vec<_>>())
                    },
                    reasoning_details: (!details.is_empty())
                        .then(|| Raw::array(details.iter().map(Raw::as_str))),
                    ..Message::default()
                };
                progress::emit(message, events);
            }
            Some("message") if !told => {
                for part in &item.content.0 {
                    let message = Message {
                        content: text(buffer, part.text),
                        refusal: text(buffer, part.refusal),
                        ..Message::default()
                    };
                    progress::emit(message, events);
                }
            }
            Some("web_search_call") => self.searches += 1,
            Some("image_generation_call") => {
                let images = picture(item.result).map(|image| Raw::array([image.as_str()]));
                let message = Message {
                    images,
                    ..Message::default()
                };
                progress::emit(message, events);
            }
            _ => {}
        }
    }

    fn finish(&mut self, event: &EventShape<'_>, events: &mut Vec<Event>) {
        self.progress.finish();
        self.learn(event.response.about(), events);
        if let Some(finish) = event.response.ended(self.calls > 0) {
            let choice = Choice {
                finish: Some(finish),
                ..Choice::default()
            };
            events.push(choice.into());
        }
        events.extend(event.response.tokens(self.searches).map(Event::Usage));
    }
}

/// The error that an event tells, if it does: as such, of the whole answer, or in a form of nobody's.
fn fault_of(name: &str, ends: bool, event: &EventShape<'_>, json: &str) -> Option<Fault> {
    match name {
        "error" => Some(fault::of_event(json)),
        _ if ends => event.response.fault(),
        _ if KNOWN.contains(&name) || Piece::named(name).is_some() => None,
        _ => fault::reported(json),
    }
}

/// A message that is a piece of a call.
fn of_call(index: u32, arguments: Option<JsonText>) -> Message {
    Message {
        tool_calls: vec![progress::arguments(index, arguments)],
        ..Message::default()
    }
}
