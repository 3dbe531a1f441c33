//! What a model answers, in chat form: the one shape that wires produce and skins render.
//!
//! A whole answer is a [`Reply`]; a streamed one is a sequence of [`Event`]s whose [`Choice`]s
//! carry pieces of the same fields. Text stays in its JSON literal (see [`JsonText`]).

use std::sync::Arc;

use bytes::Bytes;

use super::ids::ModelId;
use super::json::{JsonText, Raw};
use super::usage::Tokens;

/// A complete answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The choices, in order of index; none where vectors were asked for.
    pub choices: Vec<Choice>,
    /// The embeddings, in the order of what was embedded and in the encoding that was asked for: JSON arrays of
    /// numbers, or texts with 32-bit floats, little-endian, in base64. None for a completion.
    pub vectors: Vec<Raw>,
    /// Documents in the order of their relevance, the best first; none but where an order was asked for.
    pub ranking: Vec<Ranked>,
    /// What the provider says was used; `None` when it is silent.
    pub usage: Option<Tokens>,
    /// Facts about the answer as a whole.
    pub about: About,
    /// The answer as it was written, where the client speaks the provider's own form.
    pub verbatim: Option<Bytes>,
}

/// A document of the request in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Its place among the documents, from 0.
    pub index: usize,
    /// How relevant it is: a JSON number, as the provider wrote it.
    pub score: Raw,
}

/// One step of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// More of one choice. Boxed, since it travels through queues whose slots should be small.
    Choice(Box<Choice>),
    /// One step of several is over: what comes next is counted anew. It may be another who makes it.
    Step(Option<Box<Maker>>),
    /// The provider's count, replacing any earlier one of the step.
    Usage(Tokens),
    /// Facts about the answer as a whole, as soon as they are known.
    About(About),
    /// The provider's own event, for a client that speaks its form; what it means follows it.
    Forwarded(Box<Forwarded>),
    /// What a provider was sent, for a caller who wants to see it: a JSON object.
    Sent(Raw),
}

/// Who makes a step that another began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    /// The model.
    pub model: ModelId,
    /// The provider's display name.
    pub provider: Arc<str>,
}

/// An event of a provider's that goes to the client as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Its type.
    pub kind: JsonText,
    /// What it says: a JSON object.
    pub data: Bytes,
    /// Whether it tells that the answer is over, or what it cost: it waits for the settlement then.
    pub ends: bool,
}

/// Facts that the provider states once for the whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The provider's own id of the answer.
    pub upstream_id: Option<String>,
    /// OpenAI's `system_fingerprint`.
    pub system_fingerprint: Option<String>,
    /// The tier that served it, as the provider names it.
    pub service_tier: Option<String>,
}

/// One choice of an answer, or a piece of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Position among the choices, from 0.
    pub index: u32,
    /// The message, or the piece of it that this event adds.
    pub message: Message,
    /// Why the choice ended, once it has.
    pub finish: Option<Finish>,
    /// Token log-probabilities in OpenAI's shape.
    pub logprobs: Option<Raw>,
}

/// A message of the assistant, or a piece of one. Absent fields were not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Visible text.
    pub content: Option<JsonText>,
    /// A refusal in words.
    pub refusal: Option<JsonText>,
    /// Reasoning as plain text.
    pub reasoning: Option<JsonText>,
    /// A JSON array of reasoning blocks with signatures (contract 3.5).
    pub reasoning_details: Option<Raw>,
    /// Calls of the client's tools.
    pub tool_calls: Vec<ToolCall>,
    /// A JSON array of citations and files (contract 3.6).
    pub annotations: Option<Raw>,
    /// A JSON array of generated images (contract 3.7).
    pub images: Option<Raw>,
    /// Generated audio (contract 3.7).
    pub audio: Option<Raw>,
}

/// A call of a tool, or a piece of one: id and name come once, arguments in fragments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Position among the calls of the message, from 0.
    pub index: u32,
    /// The call's id, which its result must repeat.
    pub id: Option<JsonText>,
    /// The function's name.
    pub name: Option<JsonText>,
    /// The arguments, JSON inside a string, or the next fragment of them.
    pub arguments: Option<JsonText>,
}

/// Why a choice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The reason in the contract's vocabulary (3.2).
    pub reason: FinishReason,
    /// The provider's own word; empty where it has none.
    pub native: String,
}

/// The contract's finish reasons (3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done or met a stop sequence.
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// The model calls tools.
    ToolCalls,
    /// The provider withheld the answer.
    ContentFilter,
    /// The provider failed after work began.
    Error,
}

impl FinishReason {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::Error => "error",
        }
    }
}

impl Message {
    /// Whether nothing in it would reach a person or a program.
    pub fn is_empty(&self) -> bool {
        let blank = |text: &Option<JsonText>| text.as_ref().is_none_or(JsonText::is_empty);
        blank(&self.content)
            && blank(&self.refusal)
            && blank(&self.reasoning)
            && self.tool_calls.is_empty()
            && [
                &self.reasoning_details,
                &self.annotations,
                &self.images,
                &self.audio,
            ]
            .iter()
            .all(|part| part.is_none())
    }

    /// Takes out what the client asked not to be shown (contract 2.4 `exclude`).
    pub fn hide_reasoning(&mut self) {
        self.reasoning = None;
        self.reasoning_details = None;
    }
}

impl Choice {
    /// Whether there is nothing in it to send.
    pub fn is_empty(&self) -> bool {
        self.message.is_empty() && self.finish.is_none() && self.logprobs.is_none()
    }
}

impl Choice {
    /// Adds a later piece of the same choice.
    pub fn extend(&mut self, piece: Choice) {
        self.message.extend(piece.message);
        self.finish = piece.finish.or(self.finish.take());
        self.logprobs = piece.logprobs.or(self.logprobs.take());
    }
}

impl Message {
    /// Adds a later piece of the same message. Calls of tools are whole.
    fn extend(&mut self, piece: Message) {
        let joined = |text: &mut Option<JsonText>, more: Option<JsonText>| {
            let pieces: Vec<JsonText> = text.take().into_iter().chain(more).collect();
            *text = JsonText::joined(&pieces);
        };
        joined(&mut self.content, piece.content);
        joined(&mut self.refusal, piece.refusal);
        joined(&mut self.reasoning, piece.reasoning);
        let listed = |list: &mut Option<Raw>, more: Option<Raw>| {
            let elements: Vec<Raw> = list
                .take()
                .iter()
                .chain(&more)
                .flat_map(|list| list.elements().unwrap_or_default())
                .collect();
            *list = (!elements.is_empty()).then(|| Raw::array(elements.iter().map(Raw::as_str)));
        };
        listed(&mut self.reasoning_details, piece.reasoning_details);
        listed(&mut self.annotations, piece.annotations);
        listed(&mut self.images, piece.images);
        self.tool_calls.extend(piece.tool_calls);
        self.audio = piece.audio.or(self.audio.take());
    }
}

impl From<Choice> for Event {
    fn from(choice: Choice) -> Self {
        Event::Choice(Box::new(choice))
    }
}

impl Event {
    /// Whether this event is worth committing to: content, reasoning, a tool call or a finish
    /// reason. Before it, a failure may still go to another endpoint.
    pub fn commits(&self) -> bool {
        matches!(self, Event::Choice(choice) if choice.finish.is_some() || !choice.message.is_empty())
    }
}

impl Reply {
    /// Whether the answer has anything to say (contract 6.8: an empty answer fails over).
    pub fn is_empty(&self) -> bool {
        let says_nothing = |choice: &Choice| choice.message.is_empty() && choice.finish.is_none();
        self.vectors.is_empty() && self.ranking.is_empty() && self.choices.iter().all(says_nothing)
    }
}
