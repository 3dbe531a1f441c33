//! OpenAI's answer shapes, written straight into the output buffer: text and raw parts are copied
//! as they came, and what every chunk of a stream repeats is written once and kept.

use bytes::Bytes;
use serde::Serialize;

use super::report;

use crate::domain::event::{Choice, Message, ToolCall};
use crate::domain::generation::Charge;
use crate::domain::json::{JsonText, Raw, write_string};
use crate::domain::money::Nanos;
use crate::edge::error::ApiError;
use crate::stream::client::{Head, Receipt, Whole};

/// The two shapes of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `message` or `delta` (contract 3, 4).
    Chat,
    /// `text` (contract 9).
    Text,
}

/// A whole answer.
pub(super) fn whole(shape: Shape, whole: &Whole) -> Bytes {
    let Whole {
        head,
        reply,
        receipt,
    } = whole;
    let object = match shape {
        Shape::Chat => "chat.completion",
        Shape::Text => "text_completion",
    };
    let mut out = Vec::with_capacity(1_024);
    write_head(head, object, &mut out);
    out.extend_from_slice(b",\"system_fingerprint\":");
    write_optional(receipt.system_fingerprint.as_deref(), &mut out);
    if receipt.service_tier.is_some() {
        out.extend_from_slice(b",\"service_tier\":");
        write_optional(receipt.service_tier.as_deref(), &mut out);
    }
    out.extend_from_slice(b",\"choices\":[");
    for (position, choice) in reply.choices.iter().enumerate() {
        separate(position, &mut out);
        match shape {
            Shape::Chat => write_chat_choice("message", choice, &mut out, |out| {
                write_message(&choice.message, out)
            }),
            Shape::Text => write_text_choice(choice, &mut out),
        }
    }
    out.extend_from_slice(b"],\"usage\":");
    write_usage_object(receipt, &mut out);
    write_report(receipt, &mut out);
    out.push(b'}');
    out.into()
}

/// Writes the chunks of one stream.
#[derive(Debug)]
pub(super) struct ChunkFrame {
    shape: Shape,
    /// `data: {"id":…,"choices":[`, once the head is known.
    prefix: Vec<u8>,
    /// One bit per choice whose role has been sent; choices past 63 repeat it.
    greeted: u64,
}

impl ChunkFrame {
    pub(super) fn new(shape: Shape) -> Self {
        ChunkFrame {
            shape,
            prefix: Vec::new(),
            greeted: 0,
        }
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Another answers from here: what is known of the head is so no more.
    pub(super) fn forget_head(&mut self) {
        self.prefix.clear();
    }

    /// One chunk with a piece of a choice.
    pub(super) fn write_choice(&mut self, head: &Head, choice: &Choice, out: &mut Vec<u8>) {
        self.open(head, out);
        match self.shape {
            Shape::Chat => {
                let greets = self.greet(choice.index);
                write_chat_choice("delta", choice, out, |out| {
                    write_delta(&choice.message, greets, out)
                });
            }
            Shape::Text => write_text_choice(choice, out),
        }
        out.extend_from_slice(b"]}\n\n");
    }

    /// The chunk that shows what a provider was sent (contract 4.5).
    pub(super) fn write_sent(&mut self, head: &Head, body: &Raw, out: &mut Vec<u8>) {
        self.open(head, out);
        out.extend_from_slice(b"],\"debug\":{\"echo_upstream_body\":");
        out.extend_from_slice(body.as_bytes());
        out.extend_from_slice(b"}}\n\n");
    }

    /// The usage chunk: one choice with an empty delta, which all known clients accept (contract 4.4).
    pub(super) fn write_usage(&mut self, head: &Head, receipt: &Receipt, out: &mut Vec<u8>) {
        self.open(head, out);
        match self.shape {
            Shape::Chat => out.extend_from_slice(
                br#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null}"#,
            ),
            Shape::Text => out.extend_from_slice(br#"{"index":0,"text":"","finish_reason":null,"native_finish_reason":null,"logprobs":null}"#),
        }
        out.extend_from_slice(b"],\"usage\":");
        write_usage_object(receipt, out);
        write_report(receipt, out);
        out.extend_from_slice(b"}\n\n");
    }

    /// The one last event of a stream that failed (contract 4.6).
    pub(super) fn write_error(&mut self, head: &Head, error: &ApiError, out: &mut Vec<u8>) {
        self.open(head, out);
        match self.shape {
            Shape::Chat => out.extend_from_slice(
                br#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"error","native_finish_reason":"error"}"#,
            ),
            Shape::Text => {
                out.extend_from_slice(br#"{"index":0,"text":"","finish_reason":"error","native_finish_reason":"error","logprobs":null}"#);
            }
        }
        out.extend_from_slice(b"],\"error\":");
        out.extend_from_slice(error.error_object().to_string().as_bytes());
        if let Some(routing) = error.routing() {
            write_routing(routing, out);
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn open(&mut self, head: &Head, out: &mut Vec<u8>) {
        if self.prefix.is_empty() {
            self.prefix.extend_from_slice(b"data: ");
            let object = match self.shape {
                Shape::Chat => "chat.completion.chunk",
                Shape::Text => "text_completion",
            };
            write_head(head, object, &mut self.prefix);
            self.prefix.extend_from_slice(b",\"choices\":[");
        }
        out.extend_from_slice(&self.prefix);
    }

    /// Whether this is the choice's first chunk, which carries its role.
    fn greet(&mut self, index: u32) -> bool {
        let bit = 1_u64.checked_shl(index).unwrap_or(0);
        let first = self.greeted & bit == 0;
        self.greeted |= bit;
        first
    }
}

fn write_head(head: &Head, object: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    write_string(out, head.id.as_str());
    out.extend_from_slice(b",\"object\":");
    write_string(out, object);
    out.extend_from_slice(b",\"created\":");
    write_plain(&head.created, out);
    out.extend_from_slice(b",\"model\":");
    write_string(out, head.model.as_str());
    if !head.provider.is_empty() {
        out.extend_from_slice(b",\"provider\":");
        write_string(out, &head.provider);
    }
}

fn write_chat_choice(
    name: &str,
    choice: &Choice,
    out: &mut Vec<u8>,
    write_message: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(b"{\"index\":");
    write_plain(&choice.index, out);
    for part in [",\"", name, "\":"] {
        out.extend_from_slice(part.as_bytes());
    }
    write_message(out);
    write_finish(choice, out);
    if let Some(logprobs) = &choice.logprobs {
        out.extend_from_slice(b",\"logprobs\":");
        out.extend_from_slice(logprobs.as_bytes());
    } else if name == "message" {
        out.extend_from_slice(b",\"logprobs\":null");
    }
    out.push(b'}');
}

fn write_text_choice(choice: &Choice, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"index\":{},\"text\":", choice.index).as_bytes());
    out.extend_from_slice(
        choice
            .message
            .content
            .as_ref()
            .map_or(b"\"\"", JsonText::as_bytes),
    );
    write_finish(choice, out);
    if let Some(reasoning) = &choice.message.reasoning {
        out.extend_from_slice(b",\"reasoning\":");
        out.extend_from_slice(reasoning.as_bytes());
    }
    out.extend_from_slice(b",\"logprobs\":");
    out.extend_from_slice(
        choice
            .logprobs
            .as_ref()
            .map_or(b"null", |logprobs| logprobs.as_bytes()),
    );
    out.push(b'}');
}

fn write_finish(choice: &Choice, out: &mut Vec<u8>) {
    let finish = choice.finish.as_ref();
    out.extend_from_slice(b",\"finish_reason\":");
    write_optional(finish.map(|finish| finish.reason.as_str()), out);
    out.extend_from_slice(b",\"native_finish_reason\":");
    let native = finish.map(|finish| finish.native.as_str());
    write_optional(native.filter(|native| !native.is_empty()), out);
}

/// A whole message shows what is absent as null, as the reference does.
fn write_message(message: &Message, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"role\":\"assistant\"");
    for (name, text) in [
        (",\"content\":", &message.content),
        (",\"refusal\":", &message.refusal),
        (",\"reasoning\":", &message.reasoning),
    ] {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(text.as_ref().map_or(b"null", JsonText::as_bytes));
    }
    write_parts(message, false, out);
    out.push(b'}');
}

fn write_delta(message: &Message, greets: bool, out: &mut Vec<u8>) {
    out.push(b'{');
    let start = out.len();
    if greets {
        out.extend_from_slice(b"\"role\":\"assistant\"");
    }
    for (name, text) in [
        ("content", &message.content),
        ("refusal", &message.refusal),
        ("reasoning", &message.reasoning),
    ] {
        if let Some(text) = text {
            separate(out.len() - start, out);
            out.extend_from_slice(format!("\"{name}\":").as_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
    if out.len() == start {
        // Clients expect a delta to have something in it; the reference sends an empty text.
        out.extend_from_slice(b"\"content\":\"\"");
    }
    write_parts(message, true, out);
    out.push(b'}');
}

/// The parts that are rarely there. Something has been written before them.
fn write_parts(message: &Message, delta: bool, out: &mut Vec<u8>) {
    let raw = [
        ("reasoning_details", &message.reasoning_details),
        ("annotations", &message.annotations),
        ("images", &message.images),
        ("audio", &message.audio),
    ];
    for (name, value) in raw {
        if let Some(value) = value {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
    }
    if message.tool_calls.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"tool_calls\":[");
    for (position, call) in message.tool_calls.iter().enumerate() {
        separate(position, out);
        write_tool_call(call, delta, out);
    }
    out.push(b']');
}

/// A whole call has its place by its order; a piece of one says which it belongs to.
fn write_tool_call(call: &ToolCall, delta: bool, out: &mut Vec<u8>) {
    out.push(b'{');
    if delta {
        out.extend_from_slice(format!("\"index\":{},", call.index).as_bytes());
    }
    if let Some(id) = &call.id {
        out.extend_from_slice(b"\"id\":");
        out.extend_from_slice(id.as_bytes());
        out.push(b',');
    }
    if call.id.is_some() || !delta {
        out.extend_from_slice(b"\"type\":\"function\",");
    }
    out.extend_from_slice(b"\"function\":{");
    if let Some(name) = &call.name {
        out.extend_from_slice(b"\"name\":");
        out.extend_from_slice(name.as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(b"\"arguments\":");
    out.extend_from_slice(call.arguments.as_ref().map_or(b"\"\"", JsonText::as_bytes));
    out.extend_from_slice(b"}}");
}

fn write_report(receipt: &Receipt, out: &mut Vec<u8>) {
    if let Some(report) = &receipt.report {
        write_routing(&report::metadata(report), out);
    }
}

fn write_routing(metadata: &serde_json::Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"openrouter_metadata\":");
    out.extend_from_slice(metadata.to_string().as_bytes());
}

fn write_optional(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

fn separate(position: usize, out: &mut Vec<u8>) {
    if position > 0 {
        out.push(b',');
    }
}

/// What was searched for an answer: `server_tool_use` of contract 3.3.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Searches {
    web_search_requests: u64,
}

impl Searches {
    /// `None` where nothing was searched.
    pub(super) fn of(receipt: &Receipt) -> Option<Self> {
        let web_search_requests = receipt.web_searches();
        (web_search_requests > 0).then_some(Searches {
            web_search_requests,
        })
    }
}

/// The same as the schemas have it, `server_tool_use_details`: with the calls of the gateway's own tools, where there were any.
#[derive(Clone, Copy, Serialize)]
pub(super) struct ToolUse {
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls_requested: Option<u64>,
    /// Those that brought a result.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls_executed: Option<u64>,
    web_search_requests: u64,
}

impl ToolUse {
    /// `None` where nothing was searched, nor was to be.
    pub(super) fn of(receipt: &Receipt) -> Option<Self> {
        let web_search_requests = receipt.web_searches();
        let tool_calls_requested = receipt.tool_calls;
        (web_search_requests > 0 || tool_calls_requested.is_some()).then_some(ToolUse {
            tool_calls_requested,
            tool_calls_executed: tool_calls_requested.map(|_| receipt.searches),
            web_search_requests,
        })
    }
}

/// `cost_details` of contract 3.3.
#[derive(Serialize)]
pub(super) struct CostDetails {
    upstream_inference_cost: Nanos,
    upstream_inference_prompt_cost: Nanos,
    upstream_inference_completions_cost: Nanos,
}

impl CostDetails {
    pub(super) fn of(charge: &Charge) -> Self {
        CostDetails {
            upstream_inference_cost: charge.gross,
            upstream_inference_prompt_cost: charge.prompt_part,
            upstream_inference_completions_cost: charge.gross.saturating_sub(charge.prompt_part),
        }
    }
}

/// `usage` of contract 3.3. Every answer has one, and a derived writer looks at each letter of its names.
fn write_usage_object(receipt: &Receipt, out: &mut Vec<u8>) {
    let (tokens, charge) = (&receipt.usage.tokens, &receipt.charge);
    out.extend_from_slice(b"{\"prompt_tokens\":");
    write_number(tokens.prompt, out);
    let counts = [
        (",\"completion_tokens\":", tokens.completion),
        (",\"total_tokens\":", tokens.total()),
    ];
    write_counts(counts, out);
    write_amount(",\"cost\":", charge.net, out);
    out.extend_from_slice(b",\"is_byok\":false");
    let counts = [
        (
            ",\"prompt_tokens_details\":{\"cached_tokens\":",
            tokens.cached,
        ),
        (
            ",\"cache_write_tokens\":",
            tokens.cache_write_5m + tokens.cache_write_1h,
        ),
        (",\"audio_tokens\":", tokens.audio_in),
        (",\"video_tokens\":", 0),
        (
            "},\"completion_tokens_details\":{\"reasoning_tokens\":",
            tokens.reasoning,
        ),
        (",\"audio_tokens\":", tokens.audio_out),
        (",\"image_tokens\":", tokens.image_out),
    ];
    write_counts(counts, out);
    out.push(b'}');
    if let Some(searches) = Searches::of(receipt) {
        out.extend_from_slice(b",\"server_tool_use\":");
        write_plain(&searches, out);
    }
    if let Some(tools) = ToolUse::of(receipt) {
        out.extend_from_slice(b",\"server_tool_use_details\":");
        write_plain(&tools, out);
    }
    let cost = CostDetails::of(charge);
    for (name, amount) in [
        (
            ",\"cost_details\":{\"upstream_inference_cost\":",
            cost.upstream_inference_cost,
        ),
        (
            ",\"upstream_inference_prompt_cost\":",
            cost.upstream_inference_prompt_cost,
        ),
        (
            ",\"upstream_inference_completions_cost\":",
            cost.upstream_inference_completions_cost,
        ),
    ] {
        write_amount(name, amount, out);
    }
    out.extend_from_slice(b"}}");
}

fn write_counts<const N: usize>(counts: [(&str, u64); N], out: &mut Vec<u8>) {
    for (name, count) in counts {
        out.extend_from_slice(name.as_bytes());
        write_number(count, out);
    }
}

fn write_number(number: u64, out: &mut Vec<u8>) {
    write_plain(&number, out);
}

fn write_amount(name: &str, amount: Nanos, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(amount.decimal().as_str().as_bytes());
}

/// Numbers, and structs of numbers: writing those to memory does not fail.
fn write_plain(value: &impl Serialize, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}
