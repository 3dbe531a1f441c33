//! Answers of Cohere's second chat API.

use serde_json::{Value, json};

use super::{documents, first_text, list};
use crate::wires::meaning::{Arguments, Called, Counts, Meaning, Said};
use crate::wires::recordings::Recording;

/// What the recording must be read as.
pub(crate) fn meaning(recording: &Recording) -> Meaning {
    let answer = answer(recording);
    let message = &answer["message"];
    let mut said = Said {
        text: first_text([&message["tool_plan"]]).to_owned(),
        ..Said::default()
    };
    for part in list(&message["content"]) {
        said.text += first_text([&part["text"]]);
        said.reasoning += first_text([&part["thinking"]]);
    }
    for (at, call) in (0..).zip(list(&message["tool_calls"])) {
        let arguments = first_text([&call["function"]["arguments"]]);
        said.calls.insert(
            at,
            Called {
                id: Some(first_text([&call["id"]]).to_owned()),
                name: first_text([&call["function"]["name"]]).to_owned(),
                // A call without arguments has `null`.
                arguments: Arguments(arguments.replace("null", "{}")),
            },
        );
    }
    let sources = list(&message["citations"])
        .iter()
        .flat_map(|citation| list(&citation["sources"]));
    let address = |source: &Value| {
        let url = first_text([&source["document"]["url"], &source["tool_output"]["url"]]);
        (!url.is_empty()).then(|| url.to_owned())
    };
    said.cited = Some(sources.filter_map(address).collect());
    said.finish = answer["finish_reason"].as_str().map(|native| {
        let word = match native {
            "COMPLETE" | "STOP_SEQUENCE" => "stop",
            "MAX_TOKENS" => "length",
            "TOOL_CALL" => "tool_calls",
            other => panic!("{other}"),
        };
        (word.to_owned(), native.to_owned())
    });
    let usage = &answer["usage"];
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let (prompt, completion) = (
        count(&usage["billed_units"]["input_tokens"]),
        count(&usage["billed_units"]["output_tokens"]),
    );
    let mut meaning = Meaning::default();
    meaning.choices.insert(0, said);
    meaning.tokens = usage.is_object().then(|| Counts {
        prompt,
        completion,
        cached: count(&usage["cached_tokens"]).min(prompt),
        reasoning: count(&usage["tokens"]["reasoning_tokens"]).min(completion),
        ..Counts::default()
    });
    meaning
}

/// Where in a stream the event begins that ends the answer.
pub(crate) fn last_words_at(recording: &Recording) -> usize {
    super::last_words_at(recording, |_, document| document["type"] == "message-end")
}

/// The error that the recording holds: message and code.
pub(crate) fn error(recording: &Recording) -> Option<(String, Option<String>)> {
    let message = recording.response.body["message"].as_str()?;
    Some((message.to_owned(), None))
}

/// The plain answer, or the one that the events of a stream add up to.
fn answer(recording: &Recording) -> Value {
    if !recording.streamed() {
        return recording.response.body.clone();
    }
    let mut answer = json!({"message": {"content": [], "tool_calls": [], "citations": []}});
    for event in documents(recording) {
        let (kind, delta) = (first_text([&event["type"]]), &event["delta"]);
        let piece = &delta["message"];
        let message = &mut answer["message"];
        match kind {
            "content-start" | "tool-call-start" | "citation-start" => {
                let name = match kind {
                    "content-start" => "content",
                    "tool-call-start" => "tool_calls",
                    _ => "citations",
                };
                let whole = message[name].as_array_mut().unwrap();
                whole.push(piece[name].clone());
            }
            "content-delta" => {
                let last = message["content"].as_array_mut().unwrap().last_mut();
                let last = last.unwrap();
                for name in ["text", "thinking"] {
                    join(&mut last[name], &piece["content"][name]);
                }
            }
            "tool-plan-delta" => join(&mut message["tool_plan"], &piece["tool_plan"]),
            "tool-call-delta" => {
                let last = message["tool_calls"].as_array_mut().unwrap().last_mut();
                join(
                    &mut last.unwrap()["function"]["arguments"],
                    &piece["tool_calls"]["function"]["arguments"],
                );
            }
            "message-end" => {
                answer["finish_reason"] = delta["finish_reason"].clone();
                answer["usage"] = delta["usage"].clone();
            }
            _ => {}
        }
    }
    answer
}

fn join(so_far: &mut Value, piece: &Value) {
    if let Some(piece) = piece.as_str() {
        *so_far = json!(so_far.as_str().unwrap_or_default().to_owned() + piece);
    }
}
