//! An answer as Anthropic tells it: one message, or the events that build it up (contract 11).

use bytes::Bytes;
use serde_json::{Value, json};

use super::{error, thinking};
use crate::domain::event::{Choice, Finish, FinishReason};
use crate::domain::ids::GenerationId;
use crate::domain::json::{JsonText, unescape};
use crate::domain::usage::Tokens;
use crate::edge::error::ApiError;
use crate::edge::skins::blocks::{Block, Blocks, Delta, Step};
use crate::edge::skins::report;
use crate::stream::client::{Head, Receipt, Whole};

/// A whole answer.
pub(super) fn whole(whole: &Whole) -> Bytes {
    let mut steps = Vec::new();
    let mut blocks = Blocks::default();
    let choice = whole.reply.choices.first();
    if let Some(choice) = choice {
        blocks.take(&choice.message, &mut steps);
    }
    blocks.end(&mut steps);
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    let mut message = message(&whole.head, content(steps));
    message["stop_reason"] = stop_reason(finish).into();
    message["usage"] = of_message(usage(&whole.receipt));
    if let Some(report) = &whole.receipt.report {
        message["openrouter_metadata"] = report::metadata(report);
    }
    message.to_string().into()
}

/// The blocks that the steps build up.
fn content(steps: Vec<Step>) -> Vec<Value> {
    let mut content: Vec<Value> = Vec::new();
    let mut text = Vec::new();
    for step in steps {
        match (step, content.last_mut()) {
            (Step::Start(_, block), _) => content.push(started(&block)),
            (Step::Delta(_, delta), Some(block)) => match delta {
                Delta::Text(more) => text.extend_from_slice(more.escaped()),
                Delta::Signature(signature) => block["signature"] = signature.to_text().into(),
                Delta::Citation(cited) => match &mut block["citations"] {
                    Value::Array(citations) => citations.push(citation(&cited)),
                    none => *none = json!([citation(&cited)]),
                },
                Delta::Hidden(_) => {}
            },
            (Step::Stop(_), Some(block)) => complete(block, unescape(&std::mem::take(&mut text))),
            (Step::Delta(..) | Step::Stop(_), None) => {}
        }
    }
    content
}

/// Gives a block the text that its deltas added up to.
fn complete(block: &mut Value, text: String) {
    match block["type"].as_str() {
        Some("tool_use") if text.is_empty() => {}
        // Arguments that are no JSON are the model's mistake: the client gets to see them.
        Some("tool_use") => {
            block["input"] = serde_json::from_str(&text).unwrap_or_else(|_| text.into());
        }
        Some("text") => block["text"] = text.into(),
        Some("thinking") => block["thinking"] = text.into(),
        _ => {}
    }
}

/// A block as it begins.
fn started(block: &Block) -> Value {
    match block {
        Block::Text | Block::Refusal => json!({ "type": "text", "text": "", "citations": null }),
        Block::Thinking(_) | Block::Summary(_) => {
            json!({ "type": "thinking", "thinking": "", "signature": "" })
        }
        Block::Hidden(detail) => {
            json!({ "type": "redacted_thinking", "data": thinking::data(detail) })
        }
        Block::Call { id, name } => json!({
            "type": "tool_use",
            "id": id.to_text(),
            "name": name.to_text(),
            "input": {},
            "caller": { "type": "direct" },
        }),
    }
}

/// A cited page. The index that Anthropic encrypts is its own; clients only send it back.
fn citation(cited: &Value) -> Value {
    json!({
        "type": "web_search_result_location",
        "url": cited["url"],
        "title": cited["title"],
        "cited_text": cited["content"].as_str().unwrap_or_default(),
        "encrypted_index": "",
    })
}

fn message(head: &Head, content: Vec<Value>) -> Value {
    json!({
        "id": message_id(&head.id),
        "type": "message",
        "role": "assistant",
        "model": head.model.as_str(),
        "provider": &*head.provider,
        "content": content,
        "container": null,
        "stop_reason": null,
        "stop_sequence": null,
        "stop_details": null,
    })
}

/// `msg_…`, as clients of this form expect; the generation's own id is in `X-Generation-Id`.
fn message_id(id: &GenerationId) -> String {
    let id = id.as_str();
    format!("msg_{}", id.strip_prefix("gen-").unwrap_or(id))
}

fn stop_reason(finish: Option<&Finish>) -> &'static str {
    /// Reasons that the contract's vocabulary has no word for, told as the provider told them.
    const NATIVE: [&str; 4] = [
        "stop_sequence",
        "pause_turn",
        "model_context_window_exceeded",
        "compaction",
    ];
    let Some(finish) = finish else {
        return "end_turn";
    };
    let said = |native: &&&str| native.eq_ignore_ascii_case(&finish.native);
    if let Some(native) = NATIVE.iter().find(said) {
        return native;
    }
    match finish.reason {
        FinishReason::Stop | FinishReason::Error => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// Token counts: Anthropic counts what came from a cache or went into one apart from the input.
fn counts(tokens: &Tokens) -> Value {
    let written = tokens.cache_write_5m + tokens.cache_write_1h;
    let apart = tokens.cached.saturating_add(written);
    json!({
        "input_tokens": tokens.prompt.saturating_sub(apart),
        "output_tokens": tokens.completion,
        "output_tokens_details": { "thinking_tokens": tokens.reasoning },
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write_5m,
            "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "server_tool_use": null,
    })
}

/// The counts, and what they cost.
pub(super) fn usage(receipt: &Receipt) -> Value {
    let charge = &receipt.charge;
    let mut usage = counts(&receipt.usage.tokens);
    usage["cost"] = json!(charge.net);
    usage["is_byok"] = false.into();
    usage["cost_details"] = json!({
        "upstream_inference_cost": charge.gross,
        "upstream_inference_prompt_cost": charge.prompt_part,
        "upstream_inference_completions_cost": charge.gross.saturating_sub(charge.prompt_part),
    });
    let searches = receipt.web_searches();
    if searches > 0 {
        usage["server_tool_use"] =
            json!({ "web_search_requests": searches, "web_fetch_requests": 0 });
    }
    usage
}

/// A message's usage says two things more, of which nothing is known here.
fn of_message(mut usage: Value) -> Value {
    usage["inference_geo"] = Value::Null;
    usage["service_tier"] = Value::Null;
    usage
}

/// The events of one streamed message.
#[derive(Debug, Default)]
pub(super) struct MessageStream {
    blocks: Blocks,
    /// What the deltas of the open block are called: their type, and the field of their text.
    open: (&'static str, &'static str),
    begun: bool,
    finish: Option<Finish>,
}

impl MessageStream {
    pub(super) fn choice(&mut self, head: &Head, choice: &Choice, out: &mut Vec<u8>) {
        self.begin(head, out);
        let mut steps = Vec::new();
        self.blocks.take(&choice.message, &mut steps);
        self.write(&steps, out);
        if choice.finish.is_some() {
            self.finish.clone_from(&choice.finish);
        }
    }

    pub(super) fn settled(
        &mut self,
        head: &Head,
        held: &[Choice],
        receipt: &Receipt,
        out: &mut Vec<u8>,
    ) {
        self.begin(head, out);
        held.iter()
            .for_each(|choice| self.choice(head, choice, out));
        let mut steps = Vec::new();
        self.blocks.end(&mut steps);
        self.write(&steps, out);
        let delta = json!({
            "stop_reason": stop_reason(self.finish.as_ref()),
            "stop_sequence": null,
            "stop_details": null,
            "container": null,
        });
        let last = json!({ "type": "message_delta", "delta": delta, "usage": usage(receipt) });
        write_event("message_delta", &last, out);
        let mut stop = json!({ "type": "message_stop" });
        if let Some(report) = &receipt.report {
            stop["openrouter_metadata"] = report::metadata(report);
        }
        write_event("message_stop", &stop, out);
    }

    pub(super) fn failed(&mut self, head: &Head, error: &ApiError, out: &mut Vec<u8>) {
        let mut event = json!({
            "type": "error",
            "error": error::object(error),
            "request_id": head.id.as_str(),
        });
        if let Some(routing) = error.routing() {
            event["openrouter_metadata"] = routing.clone();
        }
        write_event("error", &event, out);
    }

    fn write(&mut self, steps: &[Step], out: &mut Vec<u8>) {
        for step in steps {
            match step {
                Step::Start(index, block) => {
                    self.open = match block {
                        Block::Thinking(_) | Block::Summary(_) => ("thinking_delta", "thinking"),
                        Block::Call { .. } => ("input_json_delta", "partial_json"),
                        Block::Text | Block::Refusal | Block::Hidden(_) => ("text_delta", "text"),
                    };
                    let event = json!({ "type": "content_block_start", "index": index, "content_block": started(block) });
                    write_event("content_block_start", &event, out);
                }
                Step::Delta(index, Delta::Text(text)) => {
                    write_delta(*index, self.open.0, self.open.1, text, out);
                }
                Step::Delta(index, Delta::Signature(signature)) => {
                    write_delta(*index, "signature_delta", "signature", signature, out);
                }
                Step::Delta(index, Delta::Citation(cited)) => {
                    let delta = json!({ "type": "citations_delta", "citation": citation(cited) });
                    let event =
                        json!({ "type": "content_block_delta", "index": index, "delta": delta });
                    write_event("content_block_delta", &event, out);
                }
                // Is a block of its own in this form.
                Step::Delta(_, Delta::Hidden(_)) => {}
                Step::Stop(index) => {
                    let event = json!({ "type": "content_block_stop", "index": index });
                    write_event("content_block_stop", &event, out);
                }
            }
        }
    }

    fn begin(&mut self, head: &Head, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let mut message = message(head, Vec::new());
        // What it cost is known at the end, in `message_delta`.
        message["usage"] = of_message(counts(&Tokens::default()));
        let event = json!({ "type": "message_start", "message": message });
        write_event("message_start", &event, out);
    }
}

fn write_event(name: &str, data: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("event: {name}\ndata: {data}\n\n").as_bytes());
}

/// The event of every chunk: its text is copied as the literal it came in.
fn write_delta(index: u32, kind: &str, field: &str, text: &JsonText, out: &mut Vec<u8>) {
    let head = format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"{kind}\",\"{field}\":"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"}}\n\n");
}
