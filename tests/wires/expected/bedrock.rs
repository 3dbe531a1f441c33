//! Answers of Amazon Bedrock's Converse API.

use serde_json::{Value, json};

use super::{first_text, list};
use crate::wires::meaning::{Arguments, Called, Counts, Meaning, Said};
use crate::wires::recordings::Recording;

/// What the recording must be read as.
pub(crate) fn meaning(recording: &Recording) -> Meaning {
    let answer = answer(recording);
    let mut said = Said::default();
    for block in list(&answer["output"]["message"]["content"]) {
        said.text += first_text([&block["text"]]);
        let thought = &block["reasoningContent"];
        if thought.is_object() {
            let words = &thought["reasoningText"];
            said.reasoning += first_text([&words["text"]]);
            let index = said.reasoning_details.len();
            let mut detail =
                json!({"format": "anthropic-claude-v1", "index": index, "type": "reasoning.text"});
            for (ours, value) in [
                ("text", &words["text"]),
                ("signature", &words["signature"]),
                ("data", &thought["redactedContent"]),
            ] {
                if !first_text([value]).is_empty() {
                    detail[ours] = value.clone();
                }
            }
            if !detail["data"].is_null() {
                detail["type"] = json!("reasoning.encrypted");
            }
            said.reasoning_details.push(detail);
        }
        let call = &block["toolUse"];
        if call.is_object() && call["type"] != "server_tool_use" {
            let at = said.calls.len() as u64;
            said.calls.insert(
                at,
                Called {
                    id: Some(first_text([&call["toolUseId"]]).to_owned()),
                    name: first_text([&call["name"]]).to_owned(),
                    arguments: Arguments(call["input"].to_string()),
                },
            );
        }
    }
    said.finish = answer["stopReason"].as_str().map(|native| {
        let word = match native {
            "end_turn" | "stop_sequence" => "stop",
            "max_tokens" => "length",
            "tool_use" => "tool_calls",
            "guardrail_intervened" | "content_filtered" => "content_filter",
            other => panic!("{other}"),
        };
        (word.to_owned(), native.to_owned())
    });
    let mut meaning = Meaning::default();
    meaning.choices.insert(0, said);
    let usage = &answer["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    let (cached, written) = (
        count("cacheReadInputTokens"),
        count("cacheWriteInputTokens"),
    );
    let hours = list(&usage["cacheDetails"])
        .iter()
        .filter(|part| part["ttl"] == "1h");
    let hour: u64 = hours.filter_map(|part| part["inputTokens"].as_u64()).sum();
    meaning.tokens = usage.is_object().then(|| Counts {
        prompt: count("inputTokens") + cached + written,
        completion: count("outputTokens"),
        cached,
        written: Some((written - hour, hour)),
        ..Counts::default()
    });
    meaning
}

/// The message that ends a stream is found by its name in the bytes.
pub(crate) fn last_words_at(recording: &Recording) -> usize {
    let body = recording.body();
    let mut at = 0;
    loop {
        let length = u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize;
        let message = &body[at..at + length];
        if message.windows(11).any(|window| window == b"messageStop") {
            return at;
        }
        at += length;
    }
}

/// The error that the recording holds: message and code.
pub(crate) fn error(recording: &Recording) -> Option<(String, Option<String>)> {
    let message = recording.response.body["message"].as_str()?;
    let name = recording.response.headers.get("x-amzn-errortype");
    let code = name.map(|name| name.split(':').next().unwrap().to_owned());
    Some((message.to_owned(), code))
}

/// The plain answer, or the one that the messages of a stream add up to.
fn answer(recording: &Recording) -> Value {
    if !recording.streamed() {
        return recording.response.body.clone();
    }
    let mut blocks: Vec<(Value, Value)> = Vec::new();
    let mut answer = json!({});
    for event in events(&recording.body()) {
        let number = event["contentBlockIndex"].clone();
        if !number.is_null() && blocks.iter().all(|(known, _)| *known != number) {
            blocks.push((number.clone(), json!({})));
        }
        let block = blocks.iter_mut().rfind(|(known, _)| *known == number);
        if let Some((_, block)) = block {
            if event["start"]["toolUse"].is_object() {
                block["toolUse"] = event["start"]["toolUse"].clone();
                block["json"] = json!("");
            }
            let delta = &event["delta"];
            let thought = &delta["reasoningContent"];
            join(&mut block["text"], &delta["text"]);
            join(&mut block["json"], &delta["toolUse"]["input"]);
            for name in ["text", "signature"] {
                if thought[name].is_string() {
                    join(
                        &mut block["reasoningContent"]["reasoningText"][name],
                        &thought[name],
                    );
                }
            }
            if thought["redactedContent"].is_string() {
                block["reasoningContent"]["redactedContent"] = thought["redactedContent"].clone();
            }
        }
        for name in ["stopReason", "usage"] {
            if !event[name].is_null() {
                answer[name] = event[name].clone();
            }
        }
    }
    let content = blocks.into_iter().map(|(_, mut block)| {
        if block["toolUse"].is_object() {
            let input = first_text([&block["json"]]).to_owned();
            block["toolUse"]["input"] = serde_json::from_str(&input).unwrap_or(json!({}));
        }
        block
    });
    answer["output"] = json!({"message": {"content": content.collect::<Vec<_>>()}});
    answer
}

fn join(so_far: &mut Value, piece: &Value) {
    if let Some(piece) = piece.as_str() {
        *so_far = json!(so_far.as_str().unwrap_or_default().to_owned() + piece);
    }
}

/// The payloads of a binary stream. Its checksums are the framer's business.
fn events(mut body: &[u8]) -> Vec<Value> {
    let mut events = Vec::new();
    while !body.is_empty() {
        let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize;
        let (length, headers) = (number(0), number(4));
        events.push(serde_json::from_slice(&body[12 + headers..length - 4]).unwrap());
        body = &body[length..];
    }
    events
}
