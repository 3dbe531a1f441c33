//! Answers of Anthropic's Messages API.

use serde_json::{Value, json};

use super::{documents, first_text, list};
use crate::wires::meaning::{Arguments, Called, Counts, Meaning, Said};
use crate::wires::recordings::Recording;

/// What the recording must be read as.
pub(crate) fn meaning(recording: &Recording) -> Meaning {
    let message = message(recording);
    let mut said = Said {
        cited: Some(Vec::new()),
        ..Said::default()
    };
    let mut thoughts = 0;
    for block in list(&message["content"]) {
        match first_text([&block["type"]]) {
            "text" => {
                said.text += first_text([&block["text"]]);
                let urls = list(&block["citations"])
                    .iter()
                    .filter_map(|cited| cited["url"].as_str());
                said.cited
                    .get_or_insert_default()
                    .extend(urls.map(str::to_owned));
            }
            "thinking" => {
                said.reasoning += first_text([&block["thinking"]]);
                let mut detail = json!({"type": "reasoning.text", "format": "anthropic-claude-v1", "index": thoughts});
                for (ours, theirs) in [("text", "thinking"), ("signature", "signature")] {
                    let given = first_text([&block[theirs]]);
                    if !given.is_empty() {
                        detail[ours] = json!(given);
                    }
                }
                said.reasoning_details.push(detail);
                thoughts += 1;
            }
            "redacted_thinking" => {
                said.reasoning_details.push(json!({
                    "type": "reasoning.encrypted", "format": "anthropic-claude-v1", "index": thoughts, "data": block["data"],
                }));
                thoughts += 1;
            }
            "tool_use" => {
                let at = said.calls.len() as u64;
                said.calls.insert(
                    at,
                    Called {
                        id: Some(first_text([&block["id"]]).to_owned()),
                        name: first_text([&block["name"]]).to_owned(),
                        arguments: Arguments(block["input"].to_string()),
                    },
                );
            }
            _ => {}
        }
    }
    said.finish = message["stop_reason"].as_str().map(|native| {
        let word = match native {
            "end_turn" | "stop_sequence" | "pause_turn" => "stop",
            "max_tokens" => "length",
            "tool_use" => "tool_calls",
            "refusal" => "content_filter",
            other => panic!("{other}"),
        };
        (word.to_owned(), native.to_owned())
    });
    let mut meaning = Meaning::default();
    meaning.choices.insert(0, said);
    meaning.tokens = message["usage"]
        .is_object()
        .then(|| counts(&message["usage"]));
    meaning
}

/// Where in a stream the event begins that ends the answer.
pub(crate) fn last_words_at(recording: &Recording) -> usize {
    super::last_words_at(recording, is_last)
}

/// Whether an event is the one that ends a stream.
fn is_last(_: &str, document: &Value) -> bool {
    document["type"] == "message_stop"
}

/// The error that the recording holds: message and code.
pub(crate) fn error(recording: &Recording) -> Option<(String, Option<String>)> {
    documents(recording).iter().find_map(|document| {
        let error = &document["error"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some((text(&error["message"])?, text(&error["type"])))
    })
}

/// The plain message, or the one that the events of a stream add up to.
fn message(recording: &Recording) -> Value {
    if !recording.streamed() {
        return recording.response.body.clone();
    }
    let mut message = json!({"content": []});
    let mut numbers = Vec::new();
    for event in documents(recording) {
        match first_text([&event["type"]]) {
            "message_start" => message["usage"] = event["message"]["usage"].clone(),
            "content_block_start" => {
                numbers.push(event["index"].clone());
                let blocks = message["content"].as_array_mut().unwrap();
                blocks.push(event["content_block"].clone());
                blocks.last_mut().unwrap()["json"] = json!("");
            }
            "content_block_delta" => {
                let at = numbers
                    .iter()
                    .rposition(|number| *number == event["index"])
                    .unwrap();
                add(&mut message["content"][at], &event["delta"]);
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                for (name, count) in event["usage"].as_object().into_iter().flatten() {
                    if !count.is_null() {
                        message["usage"][name] = count.clone();
                    }
                }
            }
            _ => {}
        }
    }
    for block in message["content"].as_array_mut().unwrap() {
        let json = block["json"].as_str().unwrap_or_default().to_owned();
        if !json.is_empty() {
            // Cut off by the limit of tokens, it is no JSON, and compared as it is.
            block["input"] = serde_json::from_str(&json).unwrap_or(Value::String(json));
        }
    }
    message
}

fn add(block: &mut Value, delta: &Value) {
    for (ours, theirs) in [
        ("text", "text"),
        ("thinking", "thinking"),
        ("signature", "signature"),
        ("json", "partial_json"),
    ] {
        if let Some(piece) = delta[theirs].as_str() {
            let so_far = block[ours].as_str().unwrap_or_default();
            block[ours] = json!(so_far.to_owned() + piece);
        }
    }
    if delta["citation"].is_object() {
        let mut all = block["citations"].as_array().cloned().unwrap_or_default();
        all.push(delta["citation"].clone());
        block["citations"] = json!(all);
    }
}

/// Several runs of the model are summed up in `iterations`, of which the top level leaves some out.
fn counts(usage: &Value) -> Counts {
    let runs = list(&usage["iterations"]);
    let runs: Vec<&Value> = if runs.is_empty() {
        vec![usage]
    } else {
        runs.iter().collect()
    };
    let sum = |of: &dyn Fn(&Value) -> &Value| -> u64 {
        runs.iter()
            .map(|run| of(run).as_u64().unwrap_or_default())
            .sum()
    };
    let cached = sum(&|run| &run["cache_read_input_tokens"]);
    let written = sum(&|run| &run["cache_creation_input_tokens"]);
    let hour = sum(&|run| &run["cache_creation"]["ephemeral_1h_input_tokens"]);
    let known = |value: &Value| value.as_u64().unwrap_or_default();
    Counts {
        prompt: sum(&|run| &run["input_tokens"]) + cached + written,
        completion: sum(&|run| &run["output_tokens"]),
        cached,
        reasoning: known(&usage["output_tokens_details"]["thinking_tokens"]),
        written: Some((written - hour, hour)),
        searches: Some(known(&usage["server_tool_use"]["web_search_requests"])),
    }
}
