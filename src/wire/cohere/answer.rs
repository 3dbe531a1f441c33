//! A whole answer into a [`Reply`], and what its parts say, whole or in part.

use bytes::Bytes;

use super::citations::{self, CitationShape};
use super::logprobs::{self, LogprobShape};
use super::usage::UsageShape;
use crate::domain::event::{About, Choice, Finish, Message, Reply, ToolCall};
use crate::domain::json::JsonText;
use crate::wire::call_id::{Seed, no_arguments};
use crate::wire::shape::{Given, List, malformed, shape, shape_of, text, utf8, word};
use crate::wire::{DecodeError, Fault, fault, finish};

shape! {
    /// An answer. Of an error, `message` is a text.
    AnswerShape {
        id = "id": Given<'a>,
        message = "message": Given<'a>,
        finish_reason = "finish_reason": Given<'a>,
        error = "error": Given<'a>,
        usage = "usage": UsageShape<'a>,
        logprobs = "logprobs": List<LogprobShape<'a>>,
    }
    /// A message, or a piece of one, whose lists are then their one element.
    MessageShape {
        content = "content": List<ContentShape<'a>>,
        tool_plan = "tool_plan": Given<'a>,
        tool_calls = "tool_calls": List<CallShape<'a>>,
        citations = "citations": List<CitationShape<'a>>,
    }
    /// A part of the content, or a piece of one.
    ContentShape {
        text = "text": Given<'a>,
        thinking = "thinking": Given<'a>,
    }
    /// A call of a tool, or a piece of one.
    CallShape {
        id = "id": Given<'a>,
        function = "function": FunctionShape<'a>,
    }
    /// What is called.
    FunctionShape {
        name = "name": Given<'a>,
        arguments = "arguments": Given<'a>,
    }
}

/// Reads a 2xx body.
pub(super) fn read(body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let answer: AnswerShape<'_> = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    let is_object = |message: &&serde_json::value::RawValue| message.get().starts_with('{');
    let Some(shape) = shape_of::<MessageShape<'_>>(answer.message.filter(is_object)) else {
        let fault = fault::reported(json).or_else(|| fault::unlabelled(json));
        return Err(fault.map_or(
            DecodeError::Malformed("no message".to_owned()),
            DecodeError::Upstream,
        ));
    };
    if let Some(fault) = gave_up(answer.finish_reason, answer.error) {
        return Err(DecodeError::Upstream(fault));
    }
    let id = word(answer.id);
    let mut message = shape.words(body);
    let seed = Seed {
        answer: id.as_deref().unwrap_or_default(),
        choice: 0,
    };
    for (index, call) in (0..).zip(&shape.tool_calls.0) {
        message.tool_calls.push(ToolCall {
            arguments: call.arguments(body).or_else(no_arguments),
            ..call.called(body, seed, index)
        });
    }
    Ok(Reply {
        choices: vec![Choice {
            index: 0,
            message,
            finish: ended(answer.finish_reason),
            logprobs: logprobs::read(&answer.logprobs.0),
        }],
        usage: answer.usage.tokens(),
        about: About {
            upstream_id: id.map(Into::into),
            ..About::default()
        },
        ..Reply::default()
    })
}

/// Why the answer ended, once it has.
pub(super) fn ended(finish_reason: Given<'_>) -> Option<Finish> {
    word(finish_reason).map(|reason| finish::finish(&reason))
}

/// The error of an answer that the provider could not bring to its end.
pub(super) fn gave_up(finish_reason: Given<'_>, error: Given<'_>) -> Option<Fault> {
    let code = word(finish_reason).filter(|word| matches!(&**word, "ERROR" | "TIMEOUT"))?;
    let told = error.and_then(fault::of_error).unwrap_or_default();
    let message = match told.message {
        empty if empty.is_empty() => "the provider gave up on the answer".to_owned(),
        message => message,
    };
    Some(Fault {
        code: Some(code.into_owned()),
        message,
        ..told
    })
}

impl MessageShape<'_> {
    /// All but the calls. A plan comes before the text, of which there is seldom any beside it.
    pub(super) fn words(&self, buffer: &Bytes) -> Message {
        let texts: Vec<JsonText> = text(buffer, self.tool_plan)
            .into_iter()
            .chain(
                self.content
                    .0
                    .iter()
                    .filter_map(|part| text(buffer, part.text)),
            )
            .collect();
        let thoughts = self.content.0.iter();
        let thoughts: Vec<JsonText> = thoughts
            .filter_map(|part| text(buffer, part.thinking))
            .collect();
        Message {
            content: JsonText::joined(&texts),
            reasoning: JsonText::joined(&thoughts),
            annotations: citations::annotations(&self.citations.0),
            ..Message::default()
        }
    }
}

impl CallShape<'_> {
    /// The call's id and name, with a made up id where there is none.
    pub(super) fn called(&self, buffer: &Bytes, seed: Seed<'_>, index: u32) -> ToolCall {
        let name = text(buffer, self.function.name);
        ToolCall {
            index,
            id: text(buffer, self.id).or_else(|| Some(seed.id(index, name.as_ref()))),
            name,
            arguments: None,
        }
    }

    /// The arguments, or a piece of them. A call without any has `null`, which clients take for none at all.
    pub(super) fn arguments(&self, buffer: &Bytes) -> Option<JsonText> {
        text(buffer, self.function.arguments).filter(|piece| piece.escaped() != b"null")
    }
}
