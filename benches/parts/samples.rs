//! Streams as providers send them: a thousand pieces of one text, and what stands around them.

use serde_json::{Value, json};

/// Pieces of text in each stream.
pub(crate) const CHUNKS: u64 = 1000;

/// A stream, event by event.
pub(crate) struct Sample {
    /// What begins it.
    pub(crate) begin: Vec<Value>,
    /// The pieces of text.
    pub(crate) pieces: Vec<Value>,
    /// What ends it.
    pub(crate) end: Vec<Value>,
}

impl Sample {
    /// All of it, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Value> {
        self.begin.iter().chain(&self.pieces).chain(&self.end)
    }
}

/// OpenAI's chat completions, each chunk with a word of its own and a filler that hides its length.
pub(crate) fn openai() -> Sample {
    let chunk = |delta: Value, finish: Option<&str>, number: u64| {
        json!({
            "id": "chatcmpl-CcR7sVJfZV5JJ9Kd3nUxNqmPn0qYd", "object": "chat.completion.chunk",
            "created": 1_764_000_000, "model": "gpt-5-mini-2025-08-07", "service_tier": "default",
            "system_fingerprint": null,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            "usage": null, "obfuscation": filler(number),
        })
    };
    let mut usage = chunk(json!({}), None, 0);
    usage["choices"] = json!([]);
    usage["usage"] =
        json!({"prompt_tokens": 25, "completion_tokens": CHUNKS, "total_tokens": 25 + CHUNKS});
    Sample {
        begin: vec![chunk(json!({"role": "assistant", "content": ""}), None, 0)],
        pieces: pieces(|number, word| chunk(json!({"content": word}), None, number)),
        end: vec![chunk(json!({}), Some("stop"), 0), usage, json!("[DONE]")],
    }
}

/// Anthropic's Messages, one block of text.
pub(crate) fn anthropic() -> Sample {
    let usage = json!({"input_tokens": 25, "output_tokens": 1});
    let message = json!({
        "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    let delta = |word| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}});
    Sample {
        begin: vec![
            json!({"type": "message_start", "message": message}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ],
        pieces: pieces(|_, word| delta(word)),
        end: vec![
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": CHUNKS}}),
            json!({"type": "message_stop"}),
        ],
    }
}

/// OpenAI's Responses, one message, each event with its number and a filler that hides its length.
pub(crate) fn responses() -> Sample {
    let place = json!({"item_id": "msg_1", "output_index": 0, "content_index": 0});
    let event = |kind: &str, number: u64, more: Value| {
        let mut event = json!({"type": format!("response.{kind}"), "sequence_number": number});
        for (name, value) in [&place, &more]
            .into_iter()
            .filter_map(Value::as_object)
            .flatten()
        {
            event[name] = value.clone();
        }
        event
    };
    let response = |status: &str| json!({"id": "resp_1", "object": "response", "status": status, "model": "gpt-5-mini-2025-08-07", "output": []});
    let part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
    let item = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]});
    let mut last = response("completed");
    last["usage"] =
        json!({"input_tokens": 25, "output_tokens": CHUNKS, "total_tokens": 25 + CHUNKS});
    let delta = |number, word: String| {
        let more = json!({"delta": word, "logprobs": [], "obfuscation": filler(number)});
        event("output_text.delta", 4 + number, more)
    };
    Sample {
        begin: vec![
            event("created", 0, json!({"response": response("in_progress")})),
            event(
                "in_progress",
                1,
                json!({"response": response("in_progress")}),
            ),
            event("output_item.added", 2, json!({"item": item})),
            event("content_part.added", 3, json!({"part": part})),
        ],
        pieces: pieces(delta),
        end: vec![
            event(
                "output_text.done",
                4 + CHUNKS,
                json!({"text": "", "logprobs": []}),
            ),
            event("content_part.done", 5 + CHUNKS, json!({"part": part})),
            event("output_item.done", 6 + CHUNKS, json!({"item": item})),
            event("completed", 7 + CHUNKS, json!({"response": last})),
        ],
    }
}

fn pieces(piece: impl Fn(u64, String) -> Value) -> Vec<Value> {
    (0..CHUNKS)
        .map(|number| piece(number, format!(" word{number}")))
        .collect()
}

/// Letters of another number each time.
fn filler(number: u64) -> String {
    "kNq0Xw8Zt3Rb5Lm"[..(number % 15) as usize].to_owned()
}
