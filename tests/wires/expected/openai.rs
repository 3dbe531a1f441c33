//! What a recorded answer in OpenAI's shape says, read from its JSON by the shortest way there is.
//! It shares no code with the wire, knows nothing of speed and may hold everything in memory.

use serde_json::Value;

use super::{documents, first_text, list};
use crate::wires::meaning::{Counts, Meaning, Said};
use crate::wires::recordings::Recording;

/// What the recording must be read as.
pub(crate) fn meaning(recording: &Recording) -> Meaning {
    let mut meaning = Meaning::default();
    // Perplexity's chunks have the message so far beside the delta.
    let part = if recording.streamed() {
        "delta"
    } else {
        "message"
    };
    for document in documents(recording) {
        for choice in list(&document["choices"]) {
            let index = choice["index"].as_u64().unwrap_or_default();
            add(meaning.choices.entry(index).or_default(), part, choice);
        }
        let usages = [&document["usage"], &document["x_groq"]["usage"]];
        if let Some(usage) = usages.into_iter().find(|usage| usage.is_object()) {
            meaning.tokens = Some(counts(usage, &recording.provider));
        }
    }
    // Snowflake's streams have no reason for their end.
    let ended = recording.response.body.as_str();
    if ended.is_some_and(|stream| stream.contains("data: [DONE]")) {
        for said in meaning.choices.values_mut() {
            let calls = !said.calls.is_empty();
            let reason = if calls { "tool_calls" } else { "stop" };
            let unexplained = || (reason.to_owned(), String::new());
            said.finish.get_or_insert_with(unexplained);
        }
    }
    meaning
}

/// Where in a stream the event begins that ends the answer.
pub(crate) fn last_words_at(recording: &Recording) -> usize {
    super::last_words_at(recording, is_last)
}

/// Whether an event first says that the answer is over: a finish reason or `[DONE]`.
fn is_last(_: &str, document: &Value) -> bool {
    let finished = |choice: &Value| {
        choice["finish_reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    };
    document == "[DONE]" || list(&document["choices"]).iter().any(finished)
}

/// The error that the recording holds, in a body of its own or inside a stream: message and code.
pub(crate) fn error(recording: &Recording) -> Option<(String, Option<String>)> {
    documents(recording).iter().find_map(|document| {
        let error = &document["error"];
        let message = [
            &error["message"],
            error,
            &document["message"],
            &document["detail"],
        ]
        .into_iter()
        .find_map(Value::as_str)?;
        // A word says more than a number, which is often the status again.
        let codes = [&error["code"], &error["type"], &document["type"]];
        let word = codes.into_iter().find_map(Value::as_str).map(str::to_owned);
        let code = word.or_else(|| error["code"].as_u64().map(|number| number.to_string()));
        let is_one = error.is_object() || error.is_string() || !recording.succeeded();
        is_one.then(|| (message.to_owned(), code))
    })
}

fn add(said: &mut Said, part: &str, choice: &Value) {
    let message = &choice[part];
    said.text += first_text([&choice["text"], &message["content"]]);
    said.reasoning += &reasoning(message);
    // Mistral's content is a list where it has thoughts in it.
    for part in list(&message["content"]) {
        said.text += first_text([&part["text"]]);
        let thoughts = list(&part["thinking"]).iter();
        said.reasoning
            .extend(thoughts.map(|part| first_text([&part["text"]])));
    }
    said.refusal += first_text([&message["refusal"]]);
    said.reasoning_details
        .extend(list(&message["reasoning_details"]).iter().cloned());
    for (position, call) in (0..).zip(list(&message["tool_calls"])) {
        let at = call["index"].as_u64().unwrap_or(position);
        let called = said.calls.entry(at).or_default();
        let id = first_text([&call["id"]]);
        if !id.is_empty() {
            called.id = Some(id.to_owned());
        }
        called.name += first_text([&call["function"]["name"]]);
        called.arguments.0 += first_text([&call["function"]["arguments"]]);
    }
    // The call as it was before there were tools; Snowflake sends one without a name beside each text.
    let legacy = &message["function_call"];
    if !first_text([&legacy["name"]]).is_empty() {
        let called = said.calls.entry(0).or_default();
        called.name += first_text([&legacy["name"]]);
        called.arguments.0 += first_text([&legacy["arguments"]]);
    }
    let native = first_text([&choice["native_finish_reason"], &choice["finish_reason"]]);
    if !native.is_empty() {
        said.finish = Some((
            contract_word(first_text([&choice["finish_reason"]])).to_owned(),
            native.to_owned(),
        ));
    }
}

/// The reasoning, under the names that providers give it; what is only in blocks is read from them.
fn reasoning(message: &Value) -> String {
    let plain = ["reasoning", "reasoning_content"].map(|name| first_text([&message[name]]));
    let plain = plain.into_iter().find(|text| !text.is_empty());
    let blocks = list(&message["reasoning_details"]).iter();
    plain.map_or_else(
        || {
            blocks
                .map(|block| first_text([&block["text"], &block["summary"]]))
                .collect()
        },
        str::to_owned,
    )
}

fn contract_word(reason: &str) -> &str {
    match reason {
        "eos" => "stop",
        "function_call" => "tool_calls",
        word => word,
    }
}

fn counts(usage: &Value, provider: &str) -> Counts {
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let reasoning = count(&usage["completion_tokens_details"]["reasoning_tokens"]);
    Counts {
        prompt: count(&usage["prompt_tokens"]),
        // xAI counts what was thought apart from what was said.
        completion: count(&usage["completion_tokens"])
            + if provider == "xai" { reasoning } else { 0 },
        // The second is Mistral's.
        cached: count(&usage["prompt_tokens_details"]["cached_tokens"])
            .max(count(&usage["num_cached_tokens"])),
        reasoning,
        ..Counts::default()
    }
}
