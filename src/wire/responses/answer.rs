//! A whole answer into a [`Reply`], and what its items say, whole or in part.

use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;

use super::FORMAT;
use crate::domain::event::{About, Choice, Finish, FinishReason, Message, Reply, ToolCall};
use crate::domain::json::{JsonText, ObjectWriter, Raw};
use crate::domain::usage::Tokens;
use crate::wire::call_id::{Seed, no_arguments};
use crate::wire::shape::{Given, List, array, malformed, shape, text, utf8, word};
use crate::wire::usage::UsageShape;
use crate::wire::{DecodeError, Fault, fault, finish};

/// Stands between two parts of a summary, which are paragraphs.
pub(super) const PARAGRAPH: &str = "\n\n";

shape! {
    /// An answer, as far as it has come.
    ResponseShape {
        id = "id": Given<'a>,
        status = "status": Given<'a>,
        error = "error": Given<'a>,
        incomplete = "incomplete_details": IncompleteShape<'a>,
        output = "output": Option<List<ItemShape<'a>>>,
        usage = "usage": UsageShape<'a>,
        service_tier = "service_tier": Given<'a>,
    }
    /// Why an answer is not complete.
    IncompleteShape {
        reason = "reason": Given<'a>,
    }
    /// An item of the output.
    ItemShape {
        kind = "type": Given<'a>,
        id = "id": Given<'a>,
        content = "content": List<ContentShape<'a>>,
        summary = "summary": List<ContentShape<'a>>,
        encrypted_content = "encrypted_content": Given<'a>,
        call_id = "call_id": Given<'a>,
        name = "name": Given<'a>,
        arguments = "arguments": Given<'a>,
        result = "result": Given<'a>,
    }
    /// A part of an item.
    ContentShape {
        kind = "type": Given<'a>,
        text = "text": Given<'a>,
        refusal = "refusal": Given<'a>,
        annotations = "annotations": List<SourceShape<'a>>,
        logprobs = "logprobs": Given<'a>,
    }
    /// A source that a text names.
    SourceShape {
        kind = "type": Given<'a>,
        url = "url": Given<'a>,
        title = "title": Given<'a>,
        start = "start_index": Given<'a>,
        end = "end_index": Given<'a>,
    }
}

/// Reads a 2xx body.
pub(super) fn read(body: &Bytes) -> Result<Reply, DecodeError> {
    let json = utf8(body)?;
    let answer: ResponseShape<'_> =
        serde_json::from_str(json).map_err(|error| malformed(&error))?;
    if let Some(fault) = answer.fault() {
        return Err(DecodeError::Upstream(fault));
    }
    let Some(List(items)) = &answer.output else {
        let fault = fault::reported(json).or_else(|| fault::unlabelled(json));
        return Err(fault.map_or(
            DecodeError::Malformed("no output".to_owned()),
            DecodeError::Upstream,
        ));
    };
    let mut gathered = Gathered::default();
    for item in items {
        gathered.add(body, &answer, item);
    }
    let searches = gathered.searches;
    let called = !gathered.calls.is_empty();
    let (message, logprobs) = gathered.into_message();
    Ok(Reply {
        choices: vec![Choice {
            index: 0,
            message,
            finish: answer.ended(called),
            logprobs,
        }],
        usage: answer.tokens(searches),
        about: answer.about(),
        ..Reply::default()
    })
}

impl ResponseShape<'_> {
    /// The error that the answer ended with.
    pub(super) fn fault(&self) -> Option<Fault> {
        let failed = word(self.status).as_deref() == Some("failed");
        let told = self.error.and_then(fault::of_error);
        told.or_else(|| failed.then(Fault::default))
    }

    /// Why the answer ended, once it has. What its status leaves open, whether tools are called, its items tell.
    pub(super) fn ended(&self, called: bool) -> Option<Finish> {
        match word(self.status).as_deref() {
            Some("completed") => Some(Finish {
                reason: if called {
                    FinishReason::ToolCalls
                } else {
                    FinishReason::Stop
                },
                native: "completed".to_owned(),
            }),
            Some("incomplete") => {
                let reason = word(self.incomplete.reason);
                Some(finish::finish(
                    reason.as_deref().unwrap_or("max_output_tokens"),
                ))
            }
            Some("cancelled") => Some(Finish {
                reason: FinishReason::Error,
                native: "cancelled".to_owned(),
            }),
            _ => None,
        }
    }

    /// The counts.
    pub(super) fn tokens(&self, searches: u64) -> Option<Tokens> {
        let tokens = self.usage.tokens(false)?;
        Some(Tokens {
            web_searches: tokens.web_searches.max(searches),
            ..tokens
        })
    }

    /// Facts about the answer as a whole.
    pub(super) fn about(&self) -> About {
        About {
            upstream_id: word(self.id).map(Into::into),
            system_fingerprint: None,
            // Until it is served, the tier is the one that was asked for.
            service_tier: word(self.service_tier)
                .filter(|tier| tier != "auto")
                .map(Into::into),
        }
    }
}

/// The items of an answer, sorted by what they are.
#[derive(Default)]
struct Gathered {
    texts: Vec<JsonText>,
    refusals: Vec<JsonText>,
    thoughts: Vec<JsonText>,
    details: Vec<Raw>,
    calls: Vec<ToolCall>,
    sources: Vec<Raw>,
    images: Vec<Raw>,
    logprobs: Option<Raw>,
    searches: u64,
}

impl Gathered {
    fn add(&mut self, buffer: &Bytes, answer: &ResponseShape<'_>, item: &ItemShape<'_>) {
        match word(item.kind).as_deref() {
            // Some leave the type of a message out.
            Some("message") | None => item
                .content
                .0
                .iter()
                .for_each(|part| self.part(buffer, part)),
            Some("reasoning") => {
                for (position, part) in item.summary.0.iter().enumerate() {
                    if position > 0 {
                        self.thoughts.push(JsonText::of(PARAGRAPH));
                    }
                    self.thoughts.extend(text(buffer, part.text));
                }
                let plain = item
                    .content
                    .0
                    .iter()
                    .filter_map(|part| text(buffer, part.text));
                if item.summary.0.is_empty() {
                    self.thoughts.extend(plain);
                }
                self.details
                    .extend(details(buffer, self.details.len(), item));
            }
            Some("function_call") => {
                let index = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                let id = word(answer.id).unwrap_or_default();
                self.calls.push(ToolCall {
                    arguments: arguments(buffer, item.arguments).or_else(no_arguments),
                    ..called(buffer, &id, index, item)
                });
            }
            Some("web_search_call") => self.searches += 1,
            Some("image_generation_call") => self.images.extend(picture(item.result)),
            // What the provider ran for itself, and what a later version brings.
            Some(_) => {}
        }
    }

    fn part(&mut self, buffer: &Bytes, part: &ContentShape<'_>) {
        match word(part.kind).as_deref() {
            Some("refusal") => self.refusals.extend(text(buffer, part.refusal)),
            _ => {
                self.texts.extend(text(buffer, part.text));
                self.sources
                    .extend(part.annotations.0.iter().filter_map(cited));
                self.logprobs = self
                    .logprobs
                    .take()
                    .or_else(|| logprobs(buffer, part.logprobs));
            }
        }
    }

    fn into_message(self) -> (Message, Option<Raw>) {
        let array =
            |items: &[Raw]| (!items.is_empty()).then(|| Raw::array(items.iter().map(Raw::as_str)));
        let message = Message {
            content: JsonText::joined(&self.texts),
            refusal: JsonText::joined(&self.refusals),
            reasoning: JsonText::joined(&self.thoughts),
            reasoning_details: array(&self.details),
            tool_calls: self.calls,
            annotations: array(&self.sources),
            images: array(&self.images),
            audio: None,
        };
        (message, self.logprobs)
    }
}

/// A call's id and name, with a made up id where there is none.
pub(super) fn called(buffer: &Bytes, answer: &str, index: u32, item: &ItemShape<'_>) -> ToolCall {
    let name = text(buffer, item.name);
    let seed = Seed { answer, choice: 0 };
    ToolCall {
        index,
        id: text(buffer, item.call_id)
            .or_else(|| text(buffer, item.id))
            .or_else(|| Some(seed.id(index, name.as_ref()))),
        name,
        arguments: None,
    }
}

/// The arguments that a whole call has; `None` when there are none.
pub(super) fn arguments(buffer: &Bytes, given: Given<'_>) -> Option<JsonText> {
    let object = given.filter(|given| given.get().starts_with('{'));
    object
        .map(|object| JsonText::of(object.get()))
        .or_else(|| text(buffer, given))
}

/// What an item of reasoning says, as `reasoning_details` from `index` on (contract 3.5).
pub(super) fn details(buffer: &Bytes, index: usize, item: &ItemShape<'_>) -> Vec<Raw> {
    let id = text(buffer, item.id);
    let summaries = item
        .summary
        .0
        .iter()
        .map(|part| ("reasoning.summary", "summary", text(buffer, part.text)));
    let plain = item
        .content
        .0
        .iter()
        .map(|part| ("reasoning.text", "text", text(buffer, part.text)));
    let sealed = (
        "reasoning.encrypted",
        "data",
        text(buffer, item.encrypted_content),
    );
    let given = summaries
        .chain(plain)
        .chain([sealed])
        .filter_map(|(kind, field, value)| Some((kind, field, value?)));
    given
        .enumerate()
        .map(|(position, (kind, field, value))| {
            detail(kind, field, &value, id.as_ref(), index + position)
        })
        .collect()
}

fn detail(kind: &str, field: &str, value: &JsonText, id: Option<&JsonText>, index: usize) -> Raw {
    let mut detail = ObjectWriter::with_capacity(128 + value.len());
    detail.text("type", kind);
    detail.raw(field, value.as_bytes());
    if let Some(id) = id {
        detail.raw("id", id.as_bytes());
    }
    detail.text("format", FORMAT);
    detail.raw("index", index.to_string().as_bytes());
    detail.finish_raw()
}

/// A source on the web as an annotation (contract 3.6).
pub(super) fn cited(source: &SourceShape<'_>) -> Option<Raw> {
    if word(source.kind).is_some_and(|kind| kind != "url_citation") {
        return None;
    }
    let mut cited = json!({"url": word(source.url)?});
    if let Some(title) = word(source.title) {
        cited["title"] = json!(title);
    }
    for (name, place) in [("start_index", source.start), ("end_index", source.end)] {
        if let Some(place) = crate::wire::shape::count(place) {
            cited[name] = json!(place);
        }
    }
    Raw::of(&json!({"type": "url_citation", "url_citation": cited})).ok()
}

/// Log-probabilities in the shape of chat completions.
pub(super) fn logprobs(buffer: &Bytes, given: Given<'_>) -> Option<Raw> {
    let mut logprobs = ObjectWriter::with_capacity(32);
    logprobs.raw("content", array(buffer, given)?.as_bytes());
    Some(logprobs.finish_raw())
}

/// A generated image (contract 3.7).
pub(super) fn picture(result: Option<&RawValue>) -> Option<Raw> {
    let data = word(result)?;
    let url = format!("data:image/png;base64,{data}");
    Raw::of(&json!({"type": "image_url", "image_url": {"url": url}})).ok()
}
