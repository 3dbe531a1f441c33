//! One choice of an answer, whole or in part, in the dialects of OpenAI's relatives, read into the domain's words.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::domain::event::Message;
use crate::domain::json::{JsonText, Raw};
use crate::wire::shape::{Given, List, array, first_text, is_text, object, shape, text, word};

shape! {
    /// A choice: `message` in a whole answer, `delta` in a streamed one, `text` in a text completion. Each message is
    /// a [`MessageShape`], read once it is known which one counts.
    ChoiceShape {
        index = "index": Given<'a>,
        delta = "delta": Given<'a>,
        message = "message": Given<'a>,
        text = "text": Given<'a>,
        reasoning = "reasoning": Given<'a>,
        finish_reason = "finish_reason": Given<'a>,
        native_finish_reason = "native_finish_reason": Given<'a>,
        logprobs = "logprobs": Given<'a>,
        error = "error": Given<'a>,
    }
    /// A message or a piece of one.
    MessageShape {
        content = "content": Given<'a>,
        refusal = "refusal": Given<'a>,
        // The same text under the names of DeepSeek, OpenRouter and Groq, and GitHub Copilot; some send it under two.
        reasoning_content = "reasoning_content": Given<'a>,
        reasoning = "reasoning": Given<'a>,
        reasoning_text = "reasoning_text": Given<'a>,
        reasoning_details = "reasoning_details": Given<'a>,
        tool_calls = "tool_calls": List<CallShape<'a>>,
        function_call = "function_call": Option<FunctionShape<'a>>,
        annotations = "annotations": Given<'a>,
        images = "images": Given<'a>,
        audio = "audio": Given<'a>,
    }
    /// A call of a tool or a piece of one.
    CallShape {
        index = "index": Given<'a>,
        id = "id": Given<'a>,
        function = "function": FunctionShape<'a>,
    }
    /// The function that a call names.
    FunctionShape {
        name = "name": Given<'a>,
        arguments = "arguments": Given<'a>,
    }
    /// A part of a content array.
    PartShape {
        kind = "type": Given<'a>,
        text = "text": Given<'a>,
        thinking = "thinking": Given<'a>,
        refusal = "refusal": Given<'a>,
    }
    /// Generated audio, as far as it must be known.
    AudioShape {
        id = "id": Given<'a>,
        data = "data": Given<'a>,
        transcript = "transcript": Given<'a>,
    }
    /// A block of `reasoning_details`, where the plain text is wanted.
    DetailShape {
        text = "text": Given<'a>,
        summary = "summary": Given<'a>,
    }
}

impl MessageShape<'_> {
    /// What the message says. Its tool calls are left to the caller, who knows those before.
    pub(super) fn read(&self, buffer: &Bytes) -> Message {
        let mut message = Message {
            refusal: text(buffer, self.refusal),
            reasoning: first_text(
                buffer,
                &[self.reasoning_content, self.reasoning, self.reasoning_text],
            ),
            reasoning_details: array(buffer, self.reasoning_details),
            annotations: array(buffer, self.annotations),
            images: array(buffer, self.images),
            audio: self
                .audio
                .filter(sounds)
                .and_then(|audio| object(buffer, Some(audio))),
            ..Message::default()
        };
        match self.content {
            Some(content) if is_text(content) => message.content = JsonText::slice(buffer, content),
            Some(content) => read_parts(buffer, content, &mut message),
            None => {}
        }
        if message.reasoning.is_none() {
            message.reasoning = message.reasoning_details.as_ref().and_then(readable);
        }
        message
    }
}

impl FunctionShape<'_> {
    /// Whether nothing is said of it. Snowflake sends one with empty strings beside every text.
    pub(super) fn is_empty(&self) -> bool {
        [self.name, self.arguments]
            .into_iter()
            .all(|value| word(value).is_none())
    }
}

/// Whether there is audio in it; Snowflake sends an empty one with every answer.
fn sounds(audio: &&RawValue) -> bool {
    serde_json::from_str::<AudioShape<'_>>(audio.get()).is_ok_and(|audio| {
        [audio.id, audio.data, audio.transcript]
            .into_iter()
            .any(|value| word(value).is_some())
    })
}

/// Mistral's content arrays: text, thinking and images, one after the other.
fn read_parts(buffer: &Bytes, content: &RawValue, message: &mut Message) {
    let Ok(List(parts)) = serde_json::from_str::<List<&RawValue>>(content.get()) else {
        return;
    };
    let (mut texts, mut thoughts, mut images) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let Ok(shape) = serde_json::from_str::<PartShape<'_>>(part.get()) else {
            continue;
        };
        match word(shape.kind).as_deref() {
            Some("thinking") => thoughts.extend(thought(buffer, &shape)),
            Some("image_url") => images.push(part.get()),
            Some("refusal") => message.refusal = text(buffer, shape.refusal),
            _ => texts.extend(text(buffer, shape.text)),
        }
    }
    message.content = JsonText::joined(&texts);
    message.reasoning = message
        .reasoning
        .take()
        .or_else(|| JsonText::joined(&thoughts));
    if !images.is_empty() {
        message.images = Some(Raw::array(images));
    }
}

/// The text of a thinking part, which holds a string or text parts of its own.
fn thought(buffer: &Bytes, part: &PartShape<'_>) -> Option<JsonText> {
    text(buffer, part.thinking.or(part.text)).or_else(|| {
        let List(parts) = serde_json::from_str::<List<PartShape<'_>>>(part.thinking?.get()).ok()?;
        JsonText::joined(
            &parts
                .iter()
                .filter_map(|part| text(buffer, part.text))
                .collect::<Vec<_>>(),
        )
    })
}

/// The readable part of `reasoning_details`, for those who know only plain reasoning.
pub(super) fn readable(details: &Raw) -> Option<JsonText> {
    let List(blocks) = serde_json::from_slice::<List<DetailShape<'_>>>(details.as_bytes()).ok()?;
    let readable =
        |block: &DetailShape<'_>| first_text(details.bytes(), &[block.text, block.summary]);
    JsonText::joined(&blocks.iter().filter_map(readable).collect::<Vec<_>>())
}
