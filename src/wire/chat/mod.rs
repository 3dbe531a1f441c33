//! A chat request read in full (contract 2), for wires that build a body of their own. What the caller left out stays
//! absent, what the endpoint refuses is dropped, and what cannot be read is an error that names its place.
//!
//! Knows the contract's form of a request; knows no provider's.

use sha2::{Digest, Sha256};

use super::EncodeError;
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Form};
use crate::domain::json::{JsonText, Raw};

mod format;
mod message;
mod part;
pub mod reasoning;
pub mod search;
#[cfg(test)]
mod tests;
mod thought;
mod tools;

pub use format::{JsonSchema, ResponseFormat};
pub use message::{Message, ToolCall, ToolResult, Turn};
pub use part::{CacheControl, Content, Media, Part};
pub use reasoning::{Effort, Wish};
pub use search::Search;
pub use thought::{Thought, ThoughtKind};
pub use tools::{Function, Tool, ToolChoice};

/// A request, typed.
#[derive(Clone, Debug, Default)]
pub struct Chat {
    /// The conversation, in order.
    pub messages: Vec<Message>,
    /// The tools on offer, in order; none that the gateway itself would run.
    pub tools: Vec<Tool>,
    /// How the model may choose among them; only given where there are some.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may come in one turn.
    pub parallel_tool_calls: Option<bool>,
    /// The web search that the provider is to make.
    pub search: Option<Search>,
    /// The form that the text must have; `None` is free text.
    pub response_format: Option<ResponseFormat>,
    /// Whether and how much to reason.
    pub reasoning: Wish,
    /// The cap on output tokens.
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<JsonText>,
    /// How to pick tokens.
    pub sampling: Sampling,
    /// A marker that stands for the last block that can be cached (contract 2.1).
    pub cache_control: Option<CacheControl>,
    /// The serving tier, `fast` read as `priority` (contract 6.7).
    pub service_tier: Option<String>,
    /// The end user, hashed: providers can tell them apart and learn nothing of them.
    pub user: Option<String>,
    /// `low` to `max`.
    pub verbosity: Option<Effort>,
    /// The kinds of output that are wanted; empty when the caller does not say.
    pub modalities: Vec<String>,
}

/// Numbers that steer the choice of tokens, as the caller wrote them.
#[derive(Clone, Debug, Default)]
pub struct Sampling {
    /// 0 to 2.
    pub temperature: Option<Raw>,
    /// Above 0, up to 1.
    pub top_p: Option<Raw>,
    /// An integer from 0.
    pub top_k: Option<Raw>,
    /// 0 to 1.
    pub min_p: Option<Raw>,
    /// 0 to 1.
    pub top_a: Option<Raw>,
    /// -2 to 2.
    pub frequency_penalty: Option<Raw>,
    /// -2 to 2.
    pub presence_penalty: Option<Raw>,
    /// Above 0, up to 2.
    pub repetition_penalty: Option<Raw>,
    /// An integer.
    pub seed: Option<Raw>,
    /// An object from token to bias.
    pub logit_bias: Option<Raw>,
    /// Whether log-probabilities are wanted.
    pub logprobs: Option<Raw>,
    /// How many at each place, 0 to 20.
    pub top_logprobs: Option<Raw>,
}

impl Chat {
    /// Reads what `call` asks of `target`. A text call is a chat of one message.
    pub fn read(call: &Call, target: &Target) -> Result<Chat, EncodeError> {
        let given = |name: &str| call.body.given(name).filter(|_| target.takes(name));
        let number = |name: &str| given(name).cloned();
        let word = |name: &str| given(name).and_then(|raw| raw.parse::<String>().ok());
        let tools = tools::read(call, &given)?;
        Ok(Chat {
            messages: messages(call)?,
            tool_choice: tools::choice(call, &tools, &given)?,
            parallel_tool_calls: given("parallel_tool_calls")
                .filter(|_| !tools.is_empty())
                .and_then(|raw| raw.parse().ok()),
            tools,
            search: Search::of(call, target),
            response_format: given("response_format")
                .map(format::read)
                .transpose()?
                .flatten(),
            reasoning: if target.takes("reasoning") {
                Wish::of(call)
            } else {
                Wish::default()
            },
            max_tokens: call.max_tokens,
            stop: given("stop").map(stop).unwrap_or_default(),
            sampling: Sampling {
                temperature: number("temperature"),
                top_p: number("top_p"),
                top_k: number("top_k"),
                min_p: number("min_p"),
                top_a: number("top_a"),
                frequency_penalty: number("frequency_penalty"),
                presence_penalty: number("presence_penalty"),
                repetition_penalty: number("repetition_penalty"),
                seed: number("seed"),
                logit_bias: number("logit_bias"),
                logprobs: number("logprobs"),
                top_logprobs: number("top_logprobs"),
            },
            cache_control: call
                .body
                .given("cache_control")
                .and_then(CacheControl::read),
            service_tier: word("service_tier").map(|tier| match &*tier {
                "fast" => "priority".to_owned(),
                _ => tier,
            }),
            user: given("user").map(hashed),
            verbosity: word("verbosity").and_then(|word| Effort::named(&word)),
            modalities: given("modalities")
                .and_then(|raw| raw.parse().ok())
                .unwrap_or_default(),
        })
    }

    /// The functions among the tools.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.tools.iter().filter_map(|tool| match tool {
            Tool::Function(function) => Some(function),
            Tool::Native(_) => None,
        })
    }
}

/// The parts of a `content`, which stands at `place` in the request.
pub fn parts(content: Option<&Raw>, place: &str) -> Result<Vec<Part>, EncodeError> {
    part::read(content, place)
}

/// The name under which a provider learns of an end user (contract 2.1 `user`).
pub fn hashed(user: &Raw) -> String {
    let name = user
        .parse::<String>()
        .unwrap_or_else(|_| user.as_str().to_owned());
    hex::encode(Sha256::digest(name))
}

/// The one text that `prompt` is. Token ids and batches have no place in a chat.
pub fn only_text(prompt: &Raw) -> Result<JsonText, EncodeError> {
    let only = match prompt.elements().as_deref() {
        Some([only]) => only.text(),
        Some(_) => None,
        None => prompt.text(),
    };
    only.ok_or_else(|| {
        EncodeError::Unsupported("this endpoint takes a single text as `prompt`".to_owned())
    })
}

fn messages(call: &Call) -> Result<Vec<Message>, EncodeError> {
    match call.form {
        Form::Chat => message::read(call.body.given("messages")),
        Form::Embeddings => Err(EncodeError::Unsupported(
            "this endpoint makes no embeddings".to_owned(),
        )),
        Form::Rerank => Err(EncodeError::Unsupported(
            "this endpoint ranks no documents".to_owned(),
        )),
        Form::Text => {
            let prompt = call.body.given("prompt").map(only_text).transpose()?;
            let parts = prompt.into_iter().map(Part::text).collect();
            Ok(vec![Message::User(parts)])
        }
    }
}

/// One text or several; empty ones would end the answer at once.
fn stop(given: &Raw) -> Vec<JsonText> {
    let texts = match given.elements() {
        Some(elements) => elements.iter().filter_map(Raw::text).collect(),
        None => given.text().into_iter().collect::<Vec<_>>(),
    };
    texts.into_iter().filter(|text| !text.is_empty()).collect()
}

/// Something in the request that cannot be read or said, with its place.
fn unreadable(place: &str, reason: &str) -> EncodeError {
    EncodeError::Unsupported(format!("{place}: {reason}"))
}
