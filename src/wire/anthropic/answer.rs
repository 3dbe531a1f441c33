//! A whole answer into a [`Reply`], and what its blocks say, whole or in part.

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::usage::{Counted, UsageShape};
use super::{FORMAT, reported};
use crate::domain::event::{About, Choice, Finish, Message, Reply, ToolCall};
use crate::domain::json::{JsonText, ObjectWriter, Raw};
use crate::wire::call_id::{Seed, no_arguments};
use crate::wire::shape::{Given, List, malformed, shape, text, utf8, word};
use crate::wire::{DecodeError, finish};

shape! {
    /// A message, or the beginning of a streamed one.
    MessageShape {
        id = "id": Given<'a>,
        kind = "type": Given<'a>,
        error = "error": Given<'a>,
        content = "content": Option<List<BlockShape<'a>>>,
        stop_reason = "stop_reason": Given<'a>,
        stop_details = "stop_details": StopShape<'a>,
        usage = "usage": UsageShape<'a>,
    }
    /// A block of content, or the beginning of one.
    BlockShape {
        kind = "type": Given<'a>,
        text = "text": Given<'a>,
        citations = "citations": List<CitationShape<'a>>,
        thinking = "thinking": Given<'a>,
        signature = "signature": Given<'a>,
        data = "data": Given<'a>,
        id = "id": Given<'a>,
        name = "name": Given<'a>,
        input = "input": Given<'a>,
    }
    /// A source that a text names.
    CitationShape {
        url = "url": Given<'a>,
        title = "title": Given<'a>,
        cited_text = "cited_text": Given<'a>,
    }
    /// More on why the answer ended.
    StopShape {
        explanation = "explanation": Given<'a>,
    }
}

/// Reads a 2xx body.
pub(super) fn read(body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let answer: MessageShape<'_> = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    let Some(List(blocks)) = &answer.content else {
        let fault = reported(json).or_else(|| crate::wire::fault::unlabelled(json));
        return Err(fault.map_or(
            DecodeError::Malformed("no content".to_owned()),
            DecodeError::Upstream,
        ));
    };
    let mut gathered = Gathered::default();
    for block in blocks {
        gathered.add(body, &answer, block);
    }
    let mut message = gathered.into_message();
    message.refusal = text(body, answer.stop_details.explanation);
    let mut counted = Counted::default();
    counted.learn(&answer.usage);
    Ok(Reply {
        choices: vec![Choice {
            index: 0,
            message,
            finish: ended(answer.stop_reason),
            logprobs: None,
        }],
        usage: counted.tokens(),
        about: answer.about(),
        ..Reply::default()
    })
}

/// The blocks of a message, sorted by what they are.
#[derive(Default)]
struct Gathered {
    texts: Vec<JsonText>,
    /// Characters of the texts so far.
    said: usize,
    thoughts: Vec<JsonText>,
    details: Vec<Raw>,
    calls: Vec<ToolCall>,
    citations: Vec<Raw>,
}

impl Gathered {
    fn add(&mut self, buffer: &Bytes, answer: &MessageShape<'_>, block: &BlockShape<'_>) {
        match word(block.kind).as_deref() {
            Some("text") => {
                let start = self.said;
                if let Some(text) = text(buffer, block.text) {
                    self.said += text.characters();
                    self.texts.push(text);
                }
                let place = (start, self.said);
                let cited = block.citations.0.iter().filter_map(cited);
                self.citations
                    .extend(cited.filter_map(|cited| annotation(cited, place)));
            }
            Some("thinking") => {
                self.thoughts.extend(text(buffer, block.thinking));
                let at = self.details.len();
                self.details
                    .extend(signed(buffer, at, block.thinking, block.signature));
            }
            Some("redacted_thinking") => {
                let at = self.details.len();
                self.details.extend(sealed(buffer, at, block.data));
            }
            Some("tool_use") => {
                let index = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                let id = word(answer.id).unwrap_or_default();
                self.calls.push(ToolCall {
                    arguments: input(block.input).or_else(no_arguments),
                    ..called(buffer, &id, index, block)
                });
            }
            // What the provider ran for itself, and what a later version brings.
            _ => {}
        }
    }

    fn into_message(self) -> Message {
        let array =
            |items: &[Raw]| (!items.is_empty()).then(|| Raw::array(items.iter().map(Raw::as_str)));
        Message {
            content: JsonText::joined(&self.texts),
            reasoning: JsonText::joined(&self.thoughts),
            reasoning_details: array(&self.details),
            tool_calls: self.calls,
            annotations: array(&self.citations),
            ..Message::default()
        }
    }
}

impl MessageShape<'_> {
    /// Facts about the answer as a whole.
    pub(super) fn about(&self) -> About {
        About {
            upstream_id: word(self.id).map(Into::into),
            system_fingerprint: None,
            service_tier: served_by(&self.usage),
        }
    }
}

/// The tier that served, in the contract's words (6.7).
pub(super) fn served_by(usage: &UsageShape<'_>) -> Option<String> {
    let tier = word(usage.service_tier)?;
    Some(if tier == "standard" {
        "default".to_owned()
    } else {
        tier.into_owned()
    })
}

/// Why the answer ended, once it has.
pub(super) fn ended(stop_reason: Given<'_>) -> Option<Finish> {
    word(stop_reason).map(|reason| finish::finish(&reason))
}

/// A call's id and name, with a made up id where there is none.
pub(super) fn called(buffer: &Bytes, answer: &str, index: u32, block: &BlockShape<'_>) -> ToolCall {
    let name = text(buffer, block.name);
    let seed = Seed { answer, choice: 0 };
    ToolCall {
        index,
        id: text(buffer, block.id).or_else(|| Some(seed.id(index, name.as_ref()))),
        name,
        arguments: None,
    }
}

/// The arguments that a whole call has; `None` when there are none.
pub(super) fn input(input: Given<'_>) -> Option<JsonText> {
    let json = input.map(RawValue::get)?;
    let empty = json.trim_start_matches('{').trim_start().starts_with('}');
    (!empty).then(|| JsonText::of(json))
}

/// A piece of a block of thought at `index`, as `reasoning_details` has it (contract 3.5).
pub(super) fn signed(
    buffer: &Bytes,
    index: usize,
    thinking: Given<'_>,
    signature: Given<'_>,
) -> Option<Raw> {
    let (thinking, signature) = (text(buffer, thinking), text(buffer, signature));
    if thinking.is_none() && signature.is_none() {
        return None;
    }
    let mut detail = detail("reasoning.text", index);
    if let Some(thinking) = &thinking {
        detail.raw("text", thinking.as_bytes());
    }
    if let Some(signature) = &signature {
        detail.raw("signature", signature.as_bytes());
    }
    Some(detail.finish_raw())
}

/// A block of thought that only the provider can read.
pub(super) fn sealed(buffer: &Bytes, index: usize, data: Given<'_>) -> Option<Raw> {
    let mut detail = detail("reasoning.encrypted", index);
    detail.raw("data", text(buffer, data)?.as_bytes());
    Some(detail.finish_raw())
}

fn detail(kind: &str, index: usize) -> ObjectWriter {
    let mut detail = ObjectWriter::with_capacity(128);
    detail.text("type", kind);
    detail.text("format", FORMAT);
    detail.raw("index", index.to_string().as_bytes());
    detail
}

/// A source on the web, as an annotation has it (contract 3.6). Places in the caller's own documents have no form there.
pub(super) fn cited(citation: &CitationShape<'_>) -> Option<Value> {
    let mut cited = json!({"url": word(citation.url)?});
    if let Some(title) = word(citation.title) {
        cited["title"] = json!(title);
    }
    if let Some(content) = word(citation.cited_text) {
        cited["content"] = json!(content);
    }
    Some(cited)
}

/// The annotation of a source, which the whole text of its block rests on: from where to where in the answer.
pub(super) fn annotation(mut cited: Value, (start, end): (usize, usize)) -> Option<Raw> {
    cited["start_index"] = start.into();
    cited["end_index"] = end.into();
    Raw::of(&json!({"type": "url_citation", "url_citation": cited})).ok()
}
