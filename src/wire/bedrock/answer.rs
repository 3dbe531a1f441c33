//! A whole answer into a [`Reply`], and what its blocks say, whole or in part.

use bytes::Bytes;

use super::FORMAT;
use crate::domain::event::{Choice, Message, Reply, ToolCall};
use crate::domain::json::{JsonText, ObjectWriter, Raw};
use crate::domain::usage::Tokens;
use crate::wire::call_id::{Seed, no_arguments};
use crate::wire::shape::{Given, List, count, malformed, shape, text, utf8, word};
use crate::wire::usage::CacheApart;
use crate::wire::{DecodeError, fault, finish};

shape! {
    /// An answer.
    AnswerShape {
        output = "output": Option<OutputShape<'a>>,
        stop_reason = "stopReason": Given<'a>,
        usage = "usage": Option<UsageShape<'a>>,
    }
    OutputShape {
        message = "message": MessageShape<'a>,
    }
    MessageShape {
        content = "content": List<BlockShape<'a>>,
    }
    /// A block, or a piece of one.
    BlockShape {
        text = "text": Given<'a>,
        tool_use = "toolUse": Option<CallShape<'a>>,
        reasoning = "reasoningContent": Option<ReasoningShape<'a>>,
    }
    /// A call of a tool. One of the provider's own says so.
    CallShape {
        id = "toolUseId": Given<'a>,
        name = "name": Given<'a>,
        kind = "type": Given<'a>,
        input = "input": Given<'a>,
    }
    /// A thought: whole under `reasoningText`, in a stream without it.
    ReasoningShape {
        whole = "reasoningText": Option<SignedShape<'a>>,
        text = "text": Given<'a>,
        signature = "signature": Given<'a>,
        redacted = "redactedContent": Given<'a>,
    }
    SignedShape {
        text = "text": Given<'a>,
        signature = "signature": Given<'a>,
    }
    /// The counts, of which the input leaves out what a cache answered or took.
    UsageShape {
        input = "inputTokens": Given<'a>,
        output = "outputTokens": Given<'a>,
        cache_read = "cacheReadInputTokens": Given<'a>,
        cache_written = "cacheWriteInputTokens": Given<'a>,
        cache_details = "cacheDetails": List<WrittenShape<'a>>,
    }
    /// Cache writes of one lifetime.
    WrittenShape {
        tokens = "inputTokens": Given<'a>,
        ttl = "ttl": Given<'a>,
    }
}

/// Reads a 2xx body.
pub(super) fn read(body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let answer: AnswerShape<'_> = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    let Some(output) = &answer.output else {
        let fault = fault::unlabelled(json);
        return Err(fault.map_or(
            DecodeError::Malformed("no output".to_owned()),
            DecodeError::Upstream,
        ));
    };
    let (mut texts, mut thoughts, mut details, mut calls) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for block in &output.message.content.0 {
        texts.extend(text(body, block.text));
        if let Some(reasoning) = &block.reasoning {
            thoughts.extend(reasoning.words(body));
            details.extend(reasoning.detail(body, details.len()));
        }
        if let Some(call) = block
            .tool_use
            .as_ref()
            .filter(|call| !call.is_the_providers())
        {
            let index = u32::try_from(calls.len()).unwrap_or(u32::MAX);
            calls.push(ToolCall {
                arguments: call.input.map(super::body::written).or_else(no_arguments),
                ..call.called(body, index)
            });
        }
    }
    let message = Message {
        content: JsonText::joined(&texts),
        reasoning: JsonText::joined(&thoughts),
        reasoning_details: (!details.is_empty())
            .then(|| Raw::array(details.iter().map(Raw::as_str))),
        tool_calls: calls,
        ..Message::default()
    };
    Ok(Reply {
        choices: vec![Choice {
            index: 0,
            message,
            finish: word(answer.stop_reason).map(|reason| finish::finish(&reason)),
            logprobs: None,
        }],
        usage: answer.usage.as_ref().and_then(UsageShape::tokens),
        ..Reply::default()
    })
}

impl CallShape<'_> {
    /// Whether the provider runs the tool itself.
    pub(super) fn is_the_providers(&self) -> bool {
        word(self.kind).as_deref() == Some("server_tool_use")
    }

    /// The call's id and name, with a made up id where there is none.
    pub(super) fn called(&self, buffer: &Bytes, index: u32) -> ToolCall {
        let name = text(buffer, self.name);
        let seed = Seed {
            answer: "",
            choice: 0,
        };
        ToolCall {
            index,
            id: text(buffer, self.id).or_else(|| Some(seed.id(index, name.as_ref()))),
            name,
            arguments: None,
        }
    }
}

impl ReasoningShape<'_> {
    /// What was thought, as plain text.
    pub(super) fn words(&self, buffer: &Bytes) -> Option<JsonText> {
        text(
            buffer,
            self.whole.as_ref().map_or(self.text, |whole| whole.text),
        )
    }

    /// The same as `reasoning_details` has it, at `index` (contract 3.5).
    pub(super) fn detail(&self, buffer: &Bytes, index: usize) -> Option<Raw> {
        let signature = self
            .whole
            .as_ref()
            .map_or(self.signature, |whole| whole.signature);
        let (words, signature) = (self.words(buffer), text(buffer, signature));
        let sealed = text(buffer, self.redacted);
        if words.is_none() && signature.is_none() && sealed.is_none() {
            return None;
        }
        let mut detail = ObjectWriter::with_capacity(128);
        detail.text(
            "type",
            if sealed.is_some() {
                "reasoning.encrypted"
            } else {
                "reasoning.text"
            },
        );
        detail.text("format", FORMAT);
        detail.raw("index", index.to_string().as_bytes());
        for (name, value) in [("text", words), ("signature", signature), ("data", sealed)] {
            if let Some(value) = value {
                detail.raw(name, value.as_bytes());
            }
        }
        Some(detail.finish_raw())
    }
}

impl UsageShape<'_> {
    /// The counts; `None` when there are none.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        count(self.input).or_else(|| count(self.output))?;
        let known = |value| count(value).unwrap_or(0);
        let hours = self
            .cache_details
            .0
            .iter()
            .filter(|part| word(part.ttl).as_deref() == Some("1h"));
        let counted = CacheApart {
            input: known(self.input),
            output: known(self.output),
            cached: known(self.cache_read),
            written: known(self.cache_written),
            one_hour: hours
                .map(|part| known(part.tokens))
                .fold(0, u64::saturating_add),
        };
        Some(counted.tokens())
    }
}
