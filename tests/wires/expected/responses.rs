//! Answers of OpenAI's Responses API.

use serde_json::{Value, json};

use super::{documents, first_text, list};
use crate::wires::meaning::{Arguments, Called, Counts, Meaning, Said};
use crate::wires::recordings::Recording;

/// What the recording must be read as.
pub(crate) fn meaning(recording: &Recording) -> Meaning {
    let (items, response) = answer(recording);
    let mut said = Said {
        cited: Some(Vec::new()),
        ..Said::default()
    };
    let mut searches = 0;
    for item in &items {
        match first_text([&item["type"]]) {
            "message" | "" => {
                for part in list(&item["content"]) {
                    said.text += first_text([&part["text"]]);
                    said.refusal += first_text([&part["refusal"]]);
                    let urls = list(&part["annotations"])
                        .iter()
                        .filter_map(|cited| cited["url"].as_str());
                    said.cited
                        .get_or_insert_default()
                        .extend(urls.map(str::to_owned));
                }
            }
            "reasoning" => reason(item, &mut said),
            "function_call" => {
                let at = said.calls.len() as u64;
                let id = first_text([&item["call_id"]]);
                said.calls.insert(
                    at,
                    Called {
                        // Ids that were replaced are not the same in two events about one call.
                        id: (!id.contains("REDACTED")).then(|| id.to_owned()),
                        name: first_text([&item["name"]]).to_owned(),
                        arguments: Arguments(first_text([&item["arguments"]]).to_owned()),
                    },
                );
            }
            "web_search_call" => searches += 1,
            _ => {}
        }
    }
    let called = !said.calls.is_empty();
    said.finish = match first_text([&response["status"]]) {
        "completed" if called => Some(("tool_calls".to_owned(), "completed".to_owned())),
        "completed" => Some(("stop".to_owned(), "completed".to_owned())),
        "incomplete" => {
            let native = first_text([&response["incomplete_details"]["reason"]]);
            let word = if native == "content_filter" {
                native
            } else {
                "length"
            };
            Some((word.to_owned(), native.to_owned()))
        }
        _ => None,
    };
    let mut meaning = Meaning::default();
    meaning.choices.insert(0, said);
    let usage = &response["usage"];
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    meaning.tokens = usage.is_object().then(|| Counts {
        prompt: count(&usage["input_tokens"]),
        completion: count(&usage["output_tokens"]),
        cached: count(&usage["input_tokens_details"]["cached_tokens"]),
        reasoning: count(&usage["output_tokens_details"]["reasoning_tokens"]),
        written: Some((
            count(&usage["input_tokens_details"]["cache_write_tokens"]),
            0,
        )),
        searches: Some(searches),
    });
    meaning
}

/// Where in a stream the event begins that ends the answer.
pub(crate) fn last_words_at(recording: &Recording) -> usize {
    super::last_words_at(recording, is_last)
}

/// Whether an event is the one that ends a stream.
fn is_last(_: &str, document: &Value) -> bool {
    let kind = first_text([&document["type"]]);
    [
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    .contains(&kind)
}

/// The error that the recording holds: message and code.
pub(crate) fn error(recording: &Recording) -> Option<(String, Option<String>)> {
    documents(recording).iter().find_map(|document| {
        let error = &document["error"];
        let message = [&error["message"], error, &document["detail"]]
            .into_iter()
            .find_map(Value::as_str)?;
        let code = [&error["code"], &document["code"], &error["type"]]
            .into_iter()
            .find_map(Value::as_str);
        Some((message.to_owned(), code.map(str::to_owned)))
    })
}

fn reason(item: &Value, said: &mut Said) {
    let texts = |parts: &Value| -> Vec<String> {
        let texts = list(parts).iter().filter_map(|part| part["text"].as_str());
        texts
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (summaries, plain) = (texts(&item["summary"]), texts(&item["content"]));
    said.reasoning += &if summaries.is_empty() {
        plain.concat()
    } else {
        summaries.join("\n\n")
    };
    let sealed = item["encrypted_content"]
        .as_str()
        .filter(|data| !data.is_empty())
        .map(str::to_owned);
    let blocks = summaries
        .into_iter()
        .map(|text| ("reasoning.summary", "summary", text))
        .chain(
            plain
                .into_iter()
                .map(|text| ("reasoning.text", "text", text)),
        )
        .chain(sealed.map(|data| ("reasoning.encrypted", "data", data)));
    for (kind, field, value) in blocks {
        let mut block = json!({"type": kind, field: value, "format": "openai-responses-v1", "index": said.reasoning_details.len()});
        if let Some(id) = item["id"].as_str() {
            block["id"] = json!(id);
        }
        said.reasoning_details.push(block);
    }
}

/// The items of an answer, and the answer around them. Those of a stream are told whole as each ends.
fn answer(recording: &Recording) -> (Vec<Value>, Value) {
    let documents = documents(recording);
    if !recording.streamed() {
        let response = documents[0].clone();
        return (list(&response["output"]).to_vec(), response);
    }
    let done = documents
        .iter()
        .filter(|event| event["type"] == "response.output_item.done");
    let last = documents.iter().rfind(|event| is_last("", event)).unwrap();
    (
        done.map(|event| event["item"].clone()).collect(),
        last["response"].clone(),
    )
}
