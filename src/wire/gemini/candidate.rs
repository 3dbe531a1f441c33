//! One candidate of an answer, whole or piece by piece.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::FORMAT;
use super::gathered::Gathered;
use super::grounding::{CitationsShape, GroundingShape, Sources};
use super::logprobs::{self, LogprobsShape};
use super::partial::{ArgumentShape, Partial};
use crate::domain::event::{Finish, FinishReason, ToolCall};
use crate::domain::json::{JsonText, ObjectWriter, Raw};
use crate::wire::call_id::Seed;
use crate::wire::finish;
use crate::wire::shape::{Given, List, count, shape, text, word};

/// Reasons by their number, which some clients ask for in place of the word.
const REASONS: [&str; 10] = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
];

shape! {
    /// A candidate.
    CandidateShape {
        index = "index": Given<'a>,
        content = "content": ContentShape<'a>,
        finish_reason = "finishReason": Given<'a>,
        finish_message = "finishMessage": Given<'a>,
        grounding = "groundingMetadata": GroundingShape<'a>,
        citations = "citationMetadata": CitationsShape<'a>,
        logprobs = "logprobsResult": LogprobsShape<'a>,
    }
    ContentShape {
        parts = "parts": List<PartShape<'a>>,
    }
    /// A part. Those of the provider's own tools have none of these fields but a signature.
    PartShape {
        text = "text": Given<'a>,
        thought = "thought": Given<'a>,
        signature = "thoughtSignature": Given<'a>,
        call = "functionCall": Option<CallShape<'a>>,
        blob = "inlineData": Option<BlobShape<'a>>,
    }
    /// A call of a tool, or a piece of one.
    CallShape {
        id = "id": Given<'a>,
        name = "name": Given<'a>,
        args = "args": Given<'a>,
        partial_args = "partialArgs": List<ArgumentShape<'a>>,
        will_continue = "willContinue": Given<'a>,
    }
    /// A generated file.
    BlobShape {
        mime = "mimeType": Given<'a>,
        data = "data": Given<'a>,
    }
}

/// What is remembered of a candidate from one piece to the next.
#[derive(Debug, Default)]
pub(super) struct Candidate {
    pub(super) index: u32,
    pub(super) finished: bool,
    /// It stands for a prompt that was refused.
    pub(super) refused: bool,
    pub(super) searches: u64,
    calls: u32,
    details: usize,
    /// The place of the thought that is being told.
    thinking: Option<usize>,
    /// The call whose arguments come value by value.
    open: Option<(u32, Partial)>,
    sources: Sources,
}

impl Candidate {
    pub(super) fn new(index: u32) -> Self {
        Candidate {
            index,
            ..Candidate::default()
        }
    }

    /// Takes a piece in, of the answer whose id is `answer`.
    pub(super) fn read(
        &mut self,
        buffer: &Bytes,
        answer: &str,
        shape: &CandidateShape<'_>,
        gathered: &mut Gathered,
    ) {
        for part in &shape.content.parts.0 {
            self.part(buffer, answer, part, gathered);
        }
        self.sources.learn(&shape.grounding, &shape.citations);
        self.searches = self.searches.max(shape.grounding.searches());
        gathered.logprobs.extend(logprobs::entries(&shape.logprobs));
        if let Some(reason) = reason(shape.finish_reason) {
            self.close(gathered);
            self.finished = true;
            let finish = self.ended(&reason);
            if finish.reason == FinishReason::ContentFilter {
                gathered.refusal = text(buffer, shape.finish_message);
            }
            gathered.finish = Some(finish);
        }
        if self.finished {
            self.cite(gathered);
        }
    }

    /// Tells the sources. Where they count is known once the text is complete.
    pub(super) fn cite(&mut self, gathered: &mut Gathered) {
        gathered.sources.extend(self.sources.annotations());
    }

    fn part(
        &mut self,
        buffer: &Bytes,
        answer: &str,
        part: &PartShape<'_>,
        gathered: &mut Gathered,
    ) {
        let signature = text(buffer, part.signature);
        let is_thought = part.thought.map(RawValue::get) == Some("true");
        if let Some(call) = &part.call {
            self.call(buffer, answer, call, signature, gathered);
        } else if let Some(blob) = &part.blob {
            // A thought may have sketches, which are not the picture.
            if !is_thought {
                gathered.file(answer, blob);
            }
            self.sign(None, signature, gathered);
        } else if is_thought {
            let words = text(buffer, part.text);
            let index = *self.thinking.get_or_insert_with(|| next(&mut self.details));
            if words.is_some() || signature.is_some() {
                let fields = [("text", words.clone()), ("signature", signature)];
                gathered
                    .details
                    .push(detail("reasoning.text", index, fields));
            }
            gathered.thoughts.extend(words);
        } else if part.text.is_some() {
            self.thinking = None;
            let words = text(buffer, part.text);
            words.iter().for_each(|words| self.sources.said(words));
            gathered.texts.extend(words);
            self.sign(None, signature, gathered);
        }
    }

    /// A signature of the answer, or of the call of this id, which it must come back with.
    fn sign(&mut self, call: Option<JsonText>, data: Option<JsonText>, gathered: &mut Gathered) {
        if data.is_some() {
            let index = next(&mut self.details);
            let fields = [("data", data), ("id", call)];
            gathered
                .details
                .push(detail("reasoning.encrypted", index, fields));
        }
    }

    /// A call, or a piece of one: its name comes first, then its arguments, and a piece that does not go on ends it.
    fn call(
        &mut self,
        buffer: &Bytes,
        answer: &str,
        call: &CallShape<'_>,
        signature: Option<JsonText>,
        gathered: &mut Gathered,
    ) {
        let goes_on = call.will_continue.map(RawValue::get) == Some("true");
        if let Some(name) = text(buffer, call.name) {
            self.close(gathered);
            self.thinking = None;
            let index = self.calls;
            self.calls += 1;
            // Without an id of the answer, the arguments tell one call from another.
            let answer = match answer {
                "" => call.args.map(RawValue::get).unwrap_or_default(),
                answer => answer,
            };
            let seed = Seed {
                answer,
                choice: self.index,
            };
            let id = text(buffer, call.id).unwrap_or_else(|| seed.id(index, Some(&name)));
            self.sign(Some(id.clone()), signature, gathered);
            gathered.calls.push(ToolCall {
                index,
                id: Some(id),
                name: Some(name),
                arguments: None,
            });
            self.open = Some((index, Partial::default()));
        }
        let whole = call.args.filter(|args| args.get().starts_with('{'));
        if let Some((index, partial)) = &mut self.open {
            partial.learn(&call.partial_args);
            if let Some(whole) = whole {
                let index = *index;
                self.open = None;
                gathered.argue(index, JsonText::of(whole.get()));
            }
        }
        if !goes_on {
            self.close(gathered);
        }
    }

    /// Ends the call that is open; one without arguments has the empty object.
    fn close(&mut self, gathered: &mut Gathered) {
        if let Some((index, partial)) = self.open.take() {
            gathered.argue(index, partial.whole());
        }
    }

    /// Why the candidate ended: a call is no reason of its own there.
    fn ended(&self, reason: &str) -> Finish {
        let finish = finish::finish(reason);
        match finish.reason {
            FinishReason::Stop if self.calls > 0 => Finish {
                reason: FinishReason::ToolCalls,
                ..finish
            },
            _ => finish,
        }
    }
}

/// The provider's word for why a candidate ended, once it has.
fn reason(given: Given<'_>) -> Option<String> {
    let by_number = || {
        let number = usize::try_from(count(given)?).ok()?;
        let known = REASONS.get(number).map(|&word| word.to_owned());
        Some(known.unwrap_or_else(|| number.to_string()))
    };
    let reason = word(given).map(Cow::into_owned).or_else(by_number);
    reason.filter(|reason| reason != REASONS[0])
}

/// A block of `reasoning_details` (contract 3.5).
fn detail(kind: &str, index: usize, fields: [(&str, Option<JsonText>); 2]) -> Raw {
    let mut detail = ObjectWriter::with_capacity(128);
    detail.text("type", kind);
    for (name, value) in fields {
        if let Some(value) = value {
            detail.raw(name, value.as_bytes());
        }
    }
    detail.text("format", FORMAT);
    detail.raw("index", index.to_string().as_bytes());
    detail.finish_raw()
}

fn next(counter: &mut usize) -> usize {
    *counter += 1;
    *counter - 1
}
