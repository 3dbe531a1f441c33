//! What pieces of a candidate say, until they make a [`Choice`]: of a whole answer all of them, of a stream those of one
//! event.

use serde_json::{Value, json};

use super::candidate::BlobShape;
use super::logprobs;
use crate::domain::event::{Choice, Finish, FinishReason, Message, ToolCall};
use crate::domain::json::{JsonText, Raw};
use crate::wire::progress::arguments;
use crate::wire::shape::word;

/// The pieces, sorted by what they are.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) texts: Vec<JsonText>,
    pub(super) thoughts: Vec<JsonText>,
    pub(super) details: Vec<Raw>,
    pub(super) calls: Vec<ToolCall>,
    pub(super) sources: Vec<Raw>,
    images: Vec<Raw>,
    audio: Option<Raw>,
    pub(super) refusal: Option<JsonText>,
    pub(super) finish: Option<Finish>,
    pub(super) logprobs: Vec<Value>,
}

impl Gathered {
    /// The arguments of a call, which may have begun in these pieces or before.
    pub(super) fn argue(&mut self, index: u32, whole: JsonText) {
        match self.calls.iter_mut().find(|call| call.index == index) {
            Some(call) => call.arguments = Some(whole),
            None => self.calls.push(arguments(index, Some(whole))),
        }
    }

    /// The prompt was refused for this reason.
    pub(super) fn refused(&mut self, reason: &str, message: Option<JsonText>) {
        self.refusal = message;
        self.finish = Some(Finish {
            reason: FinishReason::ContentFilter,
            native: reason.to_owned(),
        });
    }

    /// A generated file, of the answer whose id is `answer`.
    pub(super) fn file(&mut self, answer: &str, blob: &BlobShape<'_>) {
        let (Some(mime), Some(data)) = (word(blob.mime), word(blob.data)) else {
            return;
        };
        if mime.starts_with("image/") {
            let url = format!("data:{mime};base64,{data}");
            let image = json!({"type": "image_url", "image_url": {"url": url}});
            self.images.extend(Raw::of(&image).ok());
        } else if mime.starts_with("audio/") {
            self.audio = Raw::of(&json!({"id": answer, "data": data, "transcript": ""})).ok();
        }
    }

    /// The choice, or the piece of it, at `index`.
    pub(super) fn into_choice(self, index: u32) -> Choice {
        let array =
            |items: &[Raw]| (!items.is_empty()).then(|| Raw::array(items.iter().map(Raw::as_str)));
        Choice {
            index,
            message: Message {
                content: JsonText::joined(&self.texts),
                refusal: self.refusal,
                reasoning: JsonText::joined(&self.thoughts),
                reasoning_details: array(&self.details),
                tool_calls: self.calls,
                annotations: array(&self.sources),
                images: array(&self.images),
                audio: self.audio,
            },
            finish: self.finish,
            logprobs: logprobs::of_choice(&self.logprobs),
        }
    }
}
