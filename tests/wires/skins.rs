//! What a client of each form gets to see, read by the shortest way there is, as the value that tests compare.

use serde_json::{Value, json};
use turnpike::domain::call::Spoken;

use super::expected::{first_text, list};
use super::meaning::{Arguments, Called, Said};
use crate::support::order;

/// A form that clients speak.
pub(crate) struct Skin {
    pub(crate) name: &'static str,
    /// The form, where providers speak it too.
    pub(crate) form: Option<Spoken>,
    pub(crate) path: &'static str,
    /// A request of the user that says this.
    pub(crate) ask: fn(&str) -> Value,
    /// The same with a picture at this address, and with a schema that the answer must fit.
    pub(crate) ask_about: fn(&str, &str) -> Value,
    pub(crate) ask_for: fn(&str, &Value) -> Value,
    /// What a plain answer says.
    pub(crate) plain: fn(&Value) -> Said,
    /// What a stream says.
    pub(crate) streamed: fn(&[Value]) -> Said,
    /// Whether its events come in order.
    pub(crate) ordered: fn(&[Value]) -> Result<(), String>,
    /// Whether an answer, or the last events of a stream, tell an error.
    pub(crate) is_error: fn(&Value) -> bool,
    pub(crate) is_broken: fn(&[Value]) -> bool,
}

pub(crate) const SKINS: [Skin; 3] = [
    Skin {
        name: "chat",
        form: None,
        path: "/api/v1/chat/completions",
        ask: |text| json!({"model": "acme/orca", "messages": [{"role": "user", "content": text}]}),
        ask_about: |text, url| json!({"model": "acme/orca", "messages": [{"role": "user", "content": [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]}]}),
        ask_for: |text, schema| {
            let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}});
            json!({"model": "acme/orca", "response_format": format, "messages": [{"role": "user", "content": text}]})
        },
        plain: |body| chat_message(&body["choices"][0], "message"),
        streamed: chat_stream,
        ordered: order::chat,
        is_error: |body| body["error"]["message"].is_string(),
        is_broken: |events| events.iter().any(|event| event["error"].is_object()),
    },
    Skin {
        name: "messages",
        form: Some(Spoken::Messages),
        path: "/api/v1/messages",
        ask: |text| json!({"model": "acme/orca", "max_tokens": 1_000, "messages": [{"role": "user", "content": text}]}),
        ask_about: |text, url| {
            let (head, data) = url.split_once(";base64,").unwrap();
            let source = json!({"type": "base64", "media_type": head.trim_start_matches("data:"), "data": data});
            json!({"model": "acme/orca", "max_tokens": 1_000, "messages": [{"role": "user", "content": [{"type": "text", "text": text}, {"type": "image", "source": source}]}]})
        },
        ask_for: |text, schema| {
            let format = json!({"type": "json_schema", "schema": schema});
            json!({"model": "acme/orca", "max_tokens": 1_000, "output_config": {"format": format}, "messages": [{"role": "user", "content": text}]})
        },
        plain: message,
        streamed: |events| message(&message_of(events)),
        ordered: order::messages,
        is_error: |body| body["type"] == "error" && body["error"]["type"].is_string(),
        is_broken: |events| events.iter().any(|event| event["type"] == "error"),
    },
    Skin {
        name: "responses",
        form: Some(Spoken::Responses),
        path: "/api/v1/responses",
        ask: |text| json!({"model": "acme/orca", "input": text}),
        ask_about: |text, url| json!({"model": "acme/orca", "input": [{"role": "user", "content": [{"type": "input_text", "text": text}, {"type": "input_image", "image_url": url, "detail": "auto"}]}]}),
        ask_for: |text, schema| json!({"model": "acme/orca", "input": text, "text": {"format": {"type": "json_schema", "name": "answer", "strict": true, "schema": schema}}}),
        plain: response,
        streamed: |events| {
            let last = events
                .iter()
                .rfind(|event| event["response"]["output"].is_array());
            let mut last = last
                .map(|event| event["response"].clone())
                .unwrap_or_default();
            // Some repeat nothing at the end.
            if list(&last["output"]).is_empty() {
                let done = events
                    .iter()
                    .filter(|event| event["type"] == "response.output_item.done");
                last["output"] = done.map(|event| event["item"].clone()).collect();
            }
            response(&last)
        },
        ordered: order::responses,
        is_error: |body| body["error"]["message"].is_string(),
        is_broken: |events| {
            events
                .iter()
                .any(|event| event["type"] == "response.failed")
        },
    },
];

fn chat_message(choice: &Value, name: &str) -> Said {
    let message = &choice[name];
    let mut said = Said {
        text: first_text([&message["content"]]).to_owned(),
        reasoning: first_text([&message["reasoning"]]).to_owned(),
        refusal: first_text([&message["refusal"]]).to_owned(),
        ..Said::default()
    };
    for (at, call) in (0..).zip(list(&message["tool_calls"])) {
        said.calls.insert(
            call["index"].as_u64().unwrap_or(at),
            called(
                &call["id"],
                &call["function"]["name"],
                first_text([&call["function"]["arguments"]]),
            ),
        );
    }
    said.finish = choice["finish_reason"]
        .as_str()
        .map(|word| (word.to_owned(), String::new()));
    said
}

fn chat_stream(events: &[Value]) -> Said {
    let mut whole = Said::default();
    let choices = events.iter().flat_map(|event| list(&event["choices"]));
    for choice in choices.filter(|choice| choice["index"] == 0) {
        let piece = chat_message(choice, "delta");
        whole.text += &piece.text;
        whole.reasoning += &piece.reasoning;
        whole.refusal += &piece.refusal;
        for (at, call) in piece.calls {
            let known = whole.calls.entry(at).or_default();
            known.id = known.id.take().or(call.id);
            known.name += &call.name;
            known.arguments.0 += &call.arguments.0;
        }
        whole.finish = whole.finish.or(piece.finish);
    }
    whole
}

fn message(message: &Value) -> Said {
    let mut said = Said::default();
    for block in list(&message["content"]) {
        match first_text([&block["type"]]) {
            "text" => said.text += first_text([&block["text"]]),
            "thinking" => said.reasoning += first_text([&block["thinking"]]),
            "tool_use" => {
                // Arguments that are no JSON are told as text.
                let arguments = match &block["input"] {
                    Value::String(text) => text.clone(),
                    input => input.to_string(),
                };
                let at = said.calls.len() as u64;
                said.calls
                    .insert(at, called(&block["id"], &block["name"], &arguments));
            }
            _ => {}
        }
    }
    said.finish = message["stop_reason"].as_str().map(|word| {
        let word = match word {
            "max_tokens" | "model_context_window_exceeded" => "length",
            "tool_use" => "tool_calls",
            "refusal" => "content_filter",
            _ => "stop",
        };
        (word.to_owned(), String::new())
    });
    said
}

/// The message that the events of a stream add up to.
fn message_of(events: &[Value]) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut message = json!({});
    for event in events {
        let delta = &event["delta"];
        match first_text([&event["type"]]) {
            "content_block_start" => blocks.push(event["content_block"].clone()),
            "content_block_delta" => {
                let block = blocks.last_mut().unwrap();
                for (name, piece) in [
                    ("text", &delta["text"]),
                    ("thinking", &delta["thinking"]),
                    ("json", &delta["partial_json"]),
                ] {
                    if let Some(piece) = piece.as_str() {
                        let so_far = first_text([&block[name]]).to_owned();
                        block[name] = json!(so_far + piece);
                    }
                }
            }
            "content_block_stop" => {
                let block = blocks.last_mut().unwrap();
                if let Some(text) = block["json"].as_str() {
                    block["input"] = serde_json::from_str(text).unwrap_or(json!(text));
                }
            }
            "message_delta" => message["stop_reason"] = delta["stop_reason"].clone(),
            _ => {}
        }
    }
    message["content"] = json!(blocks);
    message
}

fn response(response: &Value) -> Said {
    let mut said = Said::default();
    for item in list(&response["output"]) {
        let parts = || list(&item["content"]).iter();
        match first_text([&item["type"]]) {
            "message" => parts().for_each(|part| {
                said.text += first_text([&part["text"]]);
                said.refusal += first_text([&part["refusal"]]);
            }),
            "reasoning" => {
                let summary = list(&item["summary"]).iter();
                for part in summary.chain(parts()) {
                    said.reasoning += first_text([&part["text"]]);
                }
            }
            "function_call" => {
                let at = said.calls.len() as u64;
                let arguments = first_text([&item["arguments"]]);
                said.calls
                    .insert(at, called(&item["call_id"], &item["name"], arguments));
            }
            _ => {}
        }
    }
    said.finish = response["status"].as_str().map(|status| {
        let reason = &response["incomplete_details"]["reason"];
        let word = match (status, reason.as_str()) {
            (_, Some("max_output_tokens")) => "length",
            (_, Some("content_filter")) => "content_filter",
            _ if !said.calls.is_empty() => "tool_calls",
            _ => "stop",
        };
        (word.to_owned(), String::new())
    });
    said
}

fn called(id: &Value, name: &Value, arguments: &str) -> Called {
    Called {
        id: id.as_str().map(str::to_owned),
        name: first_text([name]).to_owned(),
        arguments: Arguments(arguments.to_owned()),
    }
}
