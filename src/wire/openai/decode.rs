//! A whole answer into a [`Reply`].

use bytes::Bytes;

use super::calls::Calls;
use super::citations;
use super::logprobs;
use super::piece::{CallShape, ChoiceShape, MessageShape};
use crate::domain::event::{About, Choice, Finish, FinishReason, Message, Reply};
use crate::domain::json::Raw;
use crate::domain::usage::Tokens;
use crate::wire::call_id::Seed;
use crate::wire::quirks::Quirks;
use crate::wire::shape::{Given, List, count, malformed, shape, shape_of, text, utf8, word};
use crate::wire::usage::UsageShape;
use crate::wire::{DecodeError, Fault, fault, finish};

shape! {
    /// An answer, or a chunk of a streamed one.
    AnswerShape {
        id = "id": Given<'a>,
        choices = "choices": Option<List<ChoiceShape<'a>>>,
        // Read only where there is one, which most chunks of a stream do not have.
        usage = "usage": Given<'a>,
        x_groq = "x_groq": Given<'a>,
        system_fingerprint = "system_fingerprint": Given<'a>,
        service_tier = "service_tier": Given<'a>,
        obfuscation = "obfuscation": Given<'a>,
        error = "error": Given<'a>,
        base_resp = "base_resp": Given<'a>,
        search_results = "search_results": Given<'a>,
        citations = "citations": Given<'a>,
    }
    /// Groq's own corner, where streams carry the usage.
    GroqShape {
        usage = "usage": UsageShape<'a>,
    }
}

/// Reads a 2xx body.
pub(super) fn decode(quirks: &Quirks, body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let mut answer: AnswerShape<'_> =
        serde_json::from_str(json).map_err(|error| malformed(&error))?;
    if let Some(fault) = answer.fault(json) {
        return Err(DecodeError::Upstream(fault));
    }
    let Some(List(shapes)) = answer.choices.take() else {
        let fault = fault::unlabelled(json);
        return Err(fault.map_or(
            DecodeError::Malformed("no choices".to_owned()),
            DecodeError::Upstream,
        ));
    };
    let id = word(answer.id).unwrap_or_default();
    let mut choices = Vec::with_capacity(shapes.len());
    for (position, shape) in (0..).zip(&shapes) {
        choices.push(choice(body, &id, position, shape)?);
    }
    if let Some(first) = choices
        .first_mut()
        .filter(|first| first.message.annotations.is_none())
    {
        first.message.annotations = citations::annotations(answer.search_results, answer.citations);
    }
    Ok(Reply {
        choices,
        usage: answer.tokens(quirks),
        about: answer.about(),
        ..Reply::default()
    })
}

impl AnswerShape<'_> {
    /// The error that an answer reports instead of, or after, a result.
    pub(super) fn fault(&self, json: &str) -> Option<Fault> {
        let silent = self.choices.is_none() && self.usage.is_none();
        if self.error.is_some() || self.base_resp.is_some() || silent {
            fault::reported(json)
        } else {
            None
        }
    }

    /// The counts, wherever they stand.
    pub(super) fn tokens(&self, quirks: &Quirks) -> Option<Tokens> {
        let tokens = |usage: &UsageShape<'_>| usage.tokens(quirks.reasoning_apart);
        let groqs = || tokens(&shape_of::<GroqShape<'_>>(self.x_groq)?.usage);
        self.usage
            .and_then(|usage| tokens(&shape_of(Some(usage))?))
            .or_else(groqs)
    }

    /// What is said of the answer as a whole.
    pub(super) fn about(&self) -> About {
        let owned = |value| word(value).map(Into::into);
        About {
            upstream_id: owned(self.id),
            system_fingerprint: owned(self.system_fingerprint),
            service_tier: owned(self.service_tier),
        }
    }
}

impl ChoiceShape<'_> {
    /// Why the choice ended, if it has. Another router's `native_finish_reason` is nearer to the source.
    pub(super) fn finish(&self) -> Option<Finish> {
        let word_of = |value| word(value).filter(|word| word != "null");
        let finish = finish::finish(&word_of(self.finish_reason)?);
        Some(match word_of(self.native_finish_reason) {
            Some(native) => Finish {
                native: native.into(),
                ..finish
            },
            None => finish,
        })
    }

    /// The index, which a lone choice may leave out.
    pub(super) fn index_at(&self, position: u32) -> u32 {
        count(self.index)
            .and_then(|index| u32::try_from(index).ok())
            .unwrap_or(position)
    }

    /// The error that the choice ended with.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.error.and_then(fault::of_error)
    }

    /// What surrounds the message: a text completion's text, reasoning beside it.
    pub(super) fn complete(&self, buffer: &Bytes, message: &mut Message) {
        if message.content.is_none() {
            message.content = text(buffer, self.text);
        }
        if message.reasoning.is_none() {
            message.reasoning = text(buffer, self.reasoning);
        }
    }

    /// The log-probabilities.
    pub(super) fn logprobs(&self, buffer: &Bytes) -> Option<Raw> {
        logprobs::read(buffer, self.logprobs?)
    }
}

impl<'a> MessageShape<'a> {
    /// The calls, the legacy `function_call` counting as one.
    pub(super) fn calls(&self) -> Vec<CallShape<'a>> {
        match &self.function_call {
            Some(function) if self.tool_calls.0.is_empty() && !function.is_empty() => {
                vec![CallShape {
                    function: function.clone(),
                    ..CallShape::default()
                }]
            }
            _ => self.tool_calls.0.clone(),
        }
    }
}

fn choice(
    buffer: &Bytes,
    id: &str,
    position: u32,
    shape: &ChoiceShape<'_>,
) -> Result<Choice, DecodeError> {
    let mut choice = Choice {
        index: shape.index_at(position),
        finish: shape.finish(),
        logprobs: shape.logprobs(buffer),
        ..Choice::default()
    };
    if let Some(said) = shape_of::<MessageShape<'_>>(shape.message.or(shape.delta)) {
        let (mut calls, seed) = (
            Calls::default(),
            Seed {
                answer: id,
                choice: choice.index,
            },
        );
        choice.message = said.read(buffer);
        choice.message.tool_calls = said
            .calls()
            .iter()
            .map(|call| calls.whole(buffer, seed, call))
            .collect();
    }
    shape.complete(buffer, &mut choice.message);
    match shape.fault() {
        Some(fault) if choice.message.is_empty() => Err(DecodeError::Upstream(fault)),
        Some(fault) => {
            let native = choice
                .finish
                .map(|finish| finish.native)
                .or(fault.code)
                .unwrap_or_else(|| "error".to_owned());
            Ok(Choice {
                finish: Some(Finish {
                    reason: FinishReason::Error,
                    native,
                }),
                ..choice
            })
        }
        None => Ok(choice),
    }
}
