//! An answer as a response: one result, or the events that build it up (contract 10).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::error;
use super::forward::{Calls, Forward};
use super::items::Items;
use crate::clock::now_ms;
use crate::domain::event::{Choice, Finish, FinishReason, Forwarded};
use crate::domain::json::{JsonObject, Raw};
use crate::edge::error::ApiError;
use crate::edge::skins::render::{Searches, ToolUse};
use crate::edge::skins::report;
use crate::stream::client::{Head, Receipt, Whole};

/// Fields of a result that repeat the request, with what stands there when the request is silent.
const ECHOED: [(&str, Value); 14] = [
    ("instructions", Value::Null),
    ("metadata", Value::Null),
    ("temperature", Value::Null),
    ("top_p", Value::Null),
    ("presence_penalty", Value::Null),
    ("frequency_penalty", Value::Null),
    ("max_output_tokens", Value::Null),
    ("max_tool_calls", Value::Null),
    ("parallel_tool_calls", Value::Bool(true)),
    ("reasoning", Value::Null),
    ("truncation", Value::Null),
    ("prompt_cache_key", Value::Null),
    ("safety_identifier", Value::Null),
    ("service_tier", Value::Null),
];

/// What a result repeats of its request.
#[derive(Debug)]
pub(super) struct Echo(Map<String, Value>);

impl Echo {
    /// The echo of a body.
    pub(super) fn of(body: &JsonObject) -> Self {
        let given = |name: &str| body.given(name).and_then(|value| value.parse().ok());
        let mut echo: Map<String, Value> = ECHOED
            .iter()
            .map(|(name, silent)| {
                (
                    (*name).to_owned(),
                    given(name).unwrap_or_else(|| silent.clone()),
                )
            })
            .collect();
        for (name, silent) in [("tools", json!([])), ("tool_choice", json!("auto"))] {
            echo.insert(name.to_owned(), given(name).unwrap_or(silent));
        }
        let text = given("text").unwrap_or_else(|| json!({ "format": { "type": "text" } }));
        echo.insert("text".to_owned(), text);
        // This one is never null.
        let likeliest = given("top_logprobs").map(|most| ("top_logprobs".to_owned(), most));
        echo.extend(likeliest);
        Echo(echo)
    }

    /// What a result says by this name of its request.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn result(&self, head: &Head, status: &str, output: &[Value]) -> Value {
        let ended = matches!(status, "completed" | "incomplete").then(|| now_ms() / 1_000);
        let mut result = json!({
            "id": format!("resp_{}", name(head)),
            "object": "response",
            "created_at": head.created,
            "completed_at": ended,
            "status": status,
            "model": head.model.as_str(),
            "output": output,
            "error": null,
            "incomplete_details": null,
            "store": false,
            "background": false,
            "previous_response_id": null,
        });
        if let Value::Object(result) = &mut result {
            result.extend(self.0.clone());
        }
        result
    }
}

/// What the ids of a run's parts end in.
fn name(head: &Head) -> &str {
    let id = head.id.as_str();
    id.strip_prefix("gen-").unwrap_or(id)
}

/// A whole answer.
pub(super) fn whole(echo: &Echo, whole: &Whole) -> Bytes {
    let mut items = Items::new();
    items.named(name(&whole.head));
    let choice = whole.reply.choices.first();
    // The events of a whole answer interest nobody.
    let mut untold = Vec::new();
    if let Some(choice) = choice {
        items.take(choice, &mut untold);
    }
    items.end(&mut untold);
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    let result = settled(echo, &whole.head, items.done(), finish, &whole.receipt);
    result.to_string().into()
}

/// The result of a request that does not fit the model; `None` for any other error.
pub(super) fn too_long(echo: &Echo, head: &Head, error: &ApiError) -> Option<Value> {
    error::is_about_length(error).then(|| {
        let mut result = echo.result(head, "incomplete", &[]);
        result["incomplete_details"] = json!({ "reason": "max_output_tokens" });
        result
    })
}

fn settled(
    echo: &Echo,
    head: &Head,
    output: &[Value],
    finish: Option<&Finish>,
    receipt: &Receipt,
) -> Value {
    let cut_short = match finish.map(|finish| finish.reason) {
        Some(FinishReason::Length) => Some("max_output_tokens"),
        Some(FinishReason::ContentFilter) => Some("content_filter"),
        _ => None,
    };
    let status = cut_short.map_or("completed", |_| "incomplete");
    let mut result = echo.result(head, status, output);
    result["incomplete_details"] =
        cut_short.map_or(Value::Null, |reason| json!({ "reason": reason }));
    if let Some(tier) = &receipt.service_tier {
        result["service_tier"] = tier.as_str().into();
    }
    result["usage"] = usage(receipt);
    if let Some(report) = &receipt.report {
        result["openrouter_metadata"] = report::metadata(report);
    }
    result
}

pub(super) fn usage(receipt: &Receipt) -> Value {
    let (tokens, charge) = (&receipt.usage.tokens, &receipt.charge);
    let mut usage = json!({
        "input_tokens": tokens.prompt,
        "input_tokens_details": {
            "cached_tokens": tokens.cached,
            "cache_write_tokens": tokens.cache_write_5m + tokens.cache_write_1h,
        },
        "output_tokens": tokens.completion,
        "output_tokens_details": { "reasoning_tokens": tokens.reasoning },
        "total_tokens": tokens.total(),
        "cost": charge.net,
        "is_byok": false,
        "cost_details": {
            "upstream_inference_cost": charge.gross,
            "upstream_inference_input_cost": charge.prompt_part,
            "upstream_inference_output_cost": charge.gross.saturating_sub(charge.prompt_part),
        },
    });
    if let Some(searches) = Searches::of(receipt) {
        usage["server_tool_use"] = json!(searches);
    }
    if let Some(used) = ToolUse::of(receipt) {
        usage["server_tool_use_details"] = json!(used);
    }
    usage
}

/// The events of one streamed response.
#[derive(Debug)]
pub(super) struct ResponseStream {
    echo: Echo,
    items: Items,
    begun: bool,
    /// What providers were sent and is yet to be told: clients want the beginning first.
    sent: Vec<Raw>,
    /// What a provider that tells its own events called.
    calls: Calls,
    /// Events that were put between those of a provider that numbers its own.
    put_between: u64,
    finish: Option<Finish>,
}

impl ResponseStream {
    pub(super) fn new(echo: Echo) -> Self {
        ResponseStream {
            echo,
            items: Items::new(),
            begun: false,
            sent: Vec::new(),
            calls: Calls::default(),
            put_between: 0,
            finish: None,
        }
    }

    pub(super) fn echo(&self) -> &Echo {
        &self.echo
    }

    /// What a provider was sent, for a caller who wants to see it.
    pub(super) fn sent(&mut self, body: &Raw) {
        self.sent.push(body.clone());
    }

    /// An event that the provider numbered itself.
    pub(super) fn forwarded(&mut self, head: &Head, event: &Forwarded, out: &mut Vec<u8>) {
        self.begun = true;
        self.items.forwarded();
        self.calls.learn(event);
        self.forward(head).event(event, out);
        self.put_between += self.tell_sent(out);
    }

    /// The last of such events.
    pub(super) fn forwarded_last(
        &self,
        head: &Head,
        events: &[Forwarded],
        receipt: &Receipt,
        out: &mut Vec<u8>,
    ) {
        self.forward(head).last(events, receipt, out);
    }

    /// What a forwarded answer is told with.
    pub(super) fn forward<'a>(&'a self, head: &'a Head) -> Forward<'a> {
        Forward {
            head,
            echo: &self.echo,
            calls: &self.calls,
            put_between: self.put_between,
        }
    }

    pub(super) fn choice(&mut self, head: &Head, choice: &Choice, out: &mut Vec<u8>) {
        self.begin(head, out);
        self.items.take(choice, out);
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
        self.items.end(out);
        let output = self.items.done();
        let result = settled(&self.echo, head, output, self.finish.as_ref(), receipt);
        let event = match result["status"].as_str() {
            Some("incomplete") => "response.incomplete",
            _ => "response.completed",
        };
        self.last(event, result, out);
    }

    pub(super) fn failed(&mut self, head: &Head, error: &ApiError, out: &mut Vec<u8>) {
        self.begin(head, out);
        if let Some(result) = too_long(&self.echo, head, error) {
            return self.last("response.incomplete", result, out);
        }
        let mut result = self.echo.result(head, "failed", self.items.done());
        result["error"] = error::of_result(error);
        result["error_type"] = error.error_type().into();
        if let Some(routing) = error.routing() {
            result["openrouter_metadata"] = routing.clone();
        }
        self.last("response.failed", result, out);
    }

    fn begin(&mut self, head: &Head, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.items.named(name(head));
            let result = self.echo.result(head, "in_progress", &[]);
            for event in ["response.created", "response.in_progress"] {
                self.items
                    .event(event, json!({ "response": result.clone() }), out);
            }
        }
        self.tell_sent(out);
    }

    /// Shows what providers were sent (contract 4.5), in so many events.
    fn tell_sent(&mut self, out: &mut Vec<u8>) -> u64 {
        let mut told = 0;
        for body in self.sent.drain(..) {
            let debug = json!({ "echo_upstream_body": body.parse::<Value>().unwrap_or_default() });
            self.items
                .event("response.debug", json!({ "debug": debug }), out);
            told += 1;
        }
        told
    }

    fn last(&mut self, event: &str, result: Value, out: &mut Vec<u8>) {
        self.items.event(event, json!({ "response": result }), out);
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
