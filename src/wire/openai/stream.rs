//! A streamed answer, chunk by chunk, into [`Event`]s.

use std::sync::Arc;

use bytes::Bytes;

use super::calls::Calls;
use super::citations;
use super::decode::AnswerShape;
use super::piece::{ChoiceShape, MessageShape};
use super::repeat::OneText;
use crate::domain::call::Call;
use crate::domain::event::{About, Choice, Event, Finish, FinishReason};
use crate::domain::json::Raw;
use crate::wire::call_id::Seed;
use crate::wire::quirks::Quirks;
use crate::wire::shape::{Given, List, array, malformed, shape_of, utf8, word};
use crate::wire::{DecodeError, Fault, Frame, StreamDecoder, fault};

/// Remembers of the chunks so far what the next ones depend on.
pub(super) struct ChunkDecoder {
    quirks: Arc<Quirks>,
    /// How many choices the call asked for.
    wanted: usize,
    about: About,
    choices: Vec<Progress>,
    /// The sources as last listed; Perplexity repeats them in every chunk.
    sources: [Option<Raw>; 2],
    done: bool,
    /// The last chunk that held only a text, to recognise its like.
    repeat: Option<OneText>,
}

/// How far one choice has come.
#[derive(Default)]
struct Progress {
    index: u32,
    calls: Calls,
    finished: bool,
    /// Something has been said.
    spoke: bool,
    /// A `delta` has come, so that a `message` beside later ones is the whole text again.
    in_deltas: bool,
    annotated: bool,
}

impl ChunkDecoder {
    pub(super) fn new(call: &Call, quirks: &Arc<Quirks>) -> Self {
        ChunkDecoder {
            quirks: Arc::clone(quirks),
            wanted: usize::try_from(call.choices).unwrap_or(1),
            about: About::default(),
            choices: Vec::new(),
            sources: [None, None],
            done: false,
            repeat: None,
        }
    }
}

impl StreamDecoder for ChunkDecoder {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<(), DecodeError> {
        let data = frame.data.trim_ascii();
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.done = true;
            events.extend(self.choices.iter_mut().filter_map(Progress::unexplained));
            return Ok(());
        }
        match frame.event.as_deref() {
            Some("error") => Err(DecodeError::Upstream(fault::of_event(utf8(data)?))),
            Some("ping" | "keepalive" | "heartbeat") => Ok(()),
            _ => self.any_chunk(&frame.data, events),
        }
    }

    /// Some never say `[DONE]`; then every choice must have said why it ended.
    fn end(&mut self, _: &mut Vec<Event>) -> Result<(), DecodeError> {
        let finished = self.choices.len() >= self.wanted.max(1)
            && self.choices.iter().all(|choice| choice.finished);
        if self.done || finished {
            Ok(())
        } else {
            Err(DecodeError::Truncated)
        }
    }
}

impl ChunkDecoder {
    /// A chunk, parsed only if it is not like the one before.
    fn any_chunk(&mut self, buffer: &Bytes, events: &mut Vec<Event>) -> Result<(), DecodeError> {
        if let Some(choice) = self.repeat.as_ref().and_then(|repeat| repeat.read(buffer)) {
            events.push(choice.into());
            return Ok(());
        }
        let known = events.len();
        let filler = self.chunk(buffer, utf8(buffer)?, events)?;
        self.repeat = OneText::learn(buffer, &events[known..], &[filler]);
        Ok(())
    }

    /// Reads a chunk; gives the value in it that is there to be long or short, and is of another length each time.
    fn chunk<'a>(
        &mut self,
        buffer: &Bytes,
        json: &'a str,
        events: &mut Vec<Event>,
    ) -> Result<Given<'a>, DecodeError> {
        let mut chunk: AnswerShape<'a> =
            serde_json::from_str(json).map_err(|error| malformed(&error))?;
        if let Some(fault) = self.fault(&chunk, json) {
            return Err(DecodeError::Upstream(fault));
        }
        let List(shapes) = chunk.choices.take().unwrap_or_default();
        self.about(&chunk, !shapes.is_empty(), events);
        self.remember_sources(buffer, &chunk);
        for (position, shape) in (0..).zip(&shapes) {
            self.choice(buffer, position, shape, events)?;
        }
        events.extend(chunk.tokens(&self.quirks).map(Event::Usage));
        Ok(chunk.obfuscation)
    }

    /// An error in place of a chunk, or beside its choices.
    fn fault(&self, chunk: &AnswerShape<'_>, json: &str) -> Option<Fault> {
        let bare = chunk.choices.is_none() && chunk.usage.is_none() && chunk.id.is_none();
        chunk
            .fault(json)
            .or_else(|| if bare { fault::unlabelled(json) } else { None })
    }

    /// Facts about the whole, when a chunk brings new ones. The id of a chunk without choices is not the answer's
    /// own: Azure's filter results come first, under another.
    fn about(&mut self, chunk: &AnswerShape<'_>, has_choices: bool, events: &mut Vec<Event>) {
        let mut news = false;
        let mut learn = |known: &mut Option<String>, value: Given<'_>, latest: bool| {
            let Some(word) = word(value) else { return };
            if known.is_none() || latest && known.as_deref() != Some(&*word) {
                *known = Some(word.into_owned());
                news = true;
            }
        };
        if has_choices {
            learn(&mut self.about.upstream_id, chunk.id, false);
        }
        learn(
            &mut self.about.system_fingerprint,
            chunk.system_fingerprint,
            false,
        );
        learn(&mut self.about.service_tier, chunk.service_tier, true);
        if news {
            events.push(Event::About(self.about.clone()));
        }
    }

    fn remember_sources(&mut self, buffer: &Bytes, chunk: &AnswerShape<'_>) {
        for (known, given) in self
            .sources
            .iter_mut()
            .zip([chunk.search_results, chunk.citations])
        {
            if given.is_some() {
                *known = array(buffer, given).or(known.take());
            }
        }
    }

    fn choice(
        &mut self,
        buffer: &Bytes,
        position: u32,
        shape: &ChoiceShape<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), DecodeError> {
        if let Some(fault) = shape.fault() {
            return Err(DecodeError::Upstream(fault));
        }
        let index = shape.index_at(position);
        let answer = self.about.upstream_id.as_deref().unwrap_or_default();
        let progress = progress(&mut self.choices, index);
        let mut choice = progress.piece(
            buffer,
            Seed {
                answer,
                choice: index,
            },
            shape,
        );
        if choice.finish.is_some() && index == 0 && !progress.annotated {
            choice.message.annotations = cited(&self.sources);
        }
        if !choice.is_empty() {
            events.push(choice.into());
        }
        Ok(())
    }
}

impl Progress {
    fn piece(&mut self, buffer: &Bytes, seed: Seed<'_>, shape: &ChoiceShape<'_>) -> Choice {
        self.in_deltas |= shape.delta.is_some();
        let mut choice = Choice {
            index: self.index,
            logprobs: shape.logprobs(buffer),
            ..Choice::default()
        };
        let said = shape.delta.or(shape.message.filter(|_| !self.in_deltas));
        if let Some(said) = shape_of::<MessageShape<'_>>(said) {
            choice.message = said.read(buffer);
            choice.message.content = choice.message.content.filter(|text| !text.is_empty());
            choice.message.tool_calls = said
                .calls()
                .iter()
                .map(|call| self.calls.piece(buffer, seed, call))
                .collect();
        }
        shape.complete(buffer, &mut choice.message);
        self.annotated |= choice.message.annotations.is_some();
        self.spoke |= !choice.message.is_empty();
        // OpenRouter says it twice, the second time beside the usage.
        if !self.finished
            && let Some(finish) = shape.finish()
        {
            self.finished = true;
            self.calls.close(&mut choice.message.tool_calls);
            choice.finish = Some(finish);
        }
        choice
    }
}

impl Progress {
    /// The end of a choice of whose end no reason was told, though it had something to say: Snowflake tells none. The
    /// provider has no word for it then.
    fn unexplained(&mut self) -> Option<Event> {
        if self.finished || !self.spoke {
            return None;
        }
        self.finished = true;
        let mut choice = Choice {
            index: self.index,
            ..Choice::default()
        };
        self.calls.close(&mut choice.message.tool_calls);
        let reason = match self.calls.is_empty() {
            true => FinishReason::Stop,
            false => FinishReason::ToolCalls,
        };
        let native = String::new();
        choice.finish = Some(Finish { reason, native });
        Some(choice.into())
    }
}

/// The progress of a choice, which may be new.
fn progress(choices: &mut Vec<Progress>, index: u32) -> &mut Progress {
    let at = choices
        .iter()
        .position(|choice| choice.index == index)
        .unwrap_or_else(|| {
            choices.push(Progress {
                index,
                ..Progress::default()
            });
            choices.len() - 1
        });
    &mut choices[at]
}

fn cited(sources: &[Option<Raw>; 2]) -> Option<Raw> {
    let parse = |raw: &Option<Raw>| {
        raw.as_ref()
            .and_then(|raw| raw.parse::<Box<serde_json::value::RawValue>>().ok())
    };
    let [results, citations] = [parse(&sources[0]), parse(&sources[1])];
    citations::annotations(results.as_deref(), citations.as_deref())
}
