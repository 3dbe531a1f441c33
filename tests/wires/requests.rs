//! Recorded requests, told in chat form, must come out of their wire as they were recorded, field by field: what a
//! client library sent, and the provider took, is what the gateway should send.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::{Value, json};
use turnpike::catalog::snapshot::{Reasoning, Target};
use turnpike::domain::call::{Call, Form, Origin};
use turnpike::domain::event::Message;
use turnpike::domain::json::{JsonObject, JsonText};
use turnpike::wire::quirks::{Quirks, ReasoningForm};
use turnpike::wire::{WireName, wire};

use super::recordings::{Recording, are_the_fixtures, recordings};

mod anthropic;
mod bedrock;
mod cohere;
pub(crate) mod gemini;
mod mistral;
mod responses;

/// A call of this body in chat form.
pub(crate) fn call(body: &Value) -> Call {
    Call {
        form: Form::Chat,
        body: JsonObject::parse(body.to_string().into()).unwrap(),
        model: None,
        models: Vec::new(),
        stream: body["stream"] == true,
        max_tokens: body["max_tokens"].as_u64(),
        choices: 1,
        provider: None,
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
    }
}

/// An endpoint that takes everything its wire can say.
pub(crate) fn target(wire: WireName, model: &str) -> Target {
    Target {
        wire,
        upstream_model: model.to_owned(),
        quirks: Arc::new(Quirks::default()),
        unsupported_parameters: Vec::new(),
        max_output_tokens: None,
        reasoning: None,
    }
}

/// The body that `wire` makes of a chat.
#[track_caller]
pub(crate) fn encoded(chat: &Value, target: &Target) -> Value {
    let encoded = wire(target.wire).unwrap().encode(&call(chat), target);
    serde_json::from_slice(&encoded.unwrap().body).unwrap()
}

/// Runs `check` on every recorded request of an api, which says whether it has one to tell in chat form, and prints how
/// many have and which have not; `known` is how many of the fixtures have.
#[expect(clippy::print_stdout, reason = "the runner shows it when asked to")]
pub(crate) fn for_each(api: &str, known: usize, mut check: impl FnMut(&Recording) -> bool) {
    let (mut told, mut untold, mut different) = (0, Vec::new(), Vec::new());
    for recording in recordings(api)
        .iter()
        .filter(|recording| recording.request.body.is_object())
    {
        // All that differ are told in one run.
        match catch_unwind(AssertUnwindSafe(|| check(recording))) {
            Ok(true) => told += 1,
            Ok(false) => untold.push(recording.name.clone()),
            Err(_) => different.push(recording.name.clone()),
        }
    }
    println!(
        "{api}: {told} of {} as recorded; without words for it in chat form: {untold:#?}",
        told + different.len()
    );
    assert!(different.is_empty(), "{different:#?}");
    if are_the_fixtures() {
        assert_eq!(told, known);
    }
}

/// A model that reasons by its own measure, or by a budget.
pub(crate) fn reasoning(form: ReasoningForm, target: Target) -> Target {
    let efforts = ["low", "medium", "high", "xhigh", "max"].map(str::to_owned);
    let adaptive = form == ReasoningForm::Adaptive;
    Target {
        quirks: Arc::new(Quirks {
            reasoning: form,
            ..Quirks::default()
        }),
        reasoning: Some(Reasoning {
            mandatory: false,
            efforts: if adaptive {
                efforts.to_vec()
            } else {
                Vec::new()
            },
            budget: !adaptive,
        }),
        ..target
    }
}

/// `value` without the fields that are `null`.
pub(crate) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let given = fields.iter().filter(|(_, value)| !value.is_null());
            given
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// What was said, as a client keeps it for the next turn.
pub(crate) fn said(message: &Message) -> Value {
    let text = |text: &Option<JsonText>| text.as_ref().map(JsonText::to_text);
    let calls = message.tool_calls.iter().map(|call| {
        json!({"id": text(&call.id), "type": "function",
            "function": {"name": text(&call.name), "arguments": text(&call.arguments)}})
    });
    let calls: Vec<Value> = calls.collect();
    let details: Value = message
        .reasoning_details
        .as_ref()
        .map_or(json!([]), |raw| raw.parse().unwrap());
    json!({"role": "assistant", "content": text(&message.content), "reasoning_details": details, "tool_calls": calls})
}

/// A data URL.
pub(crate) fn data_url(mime: &Value, data: &Value) -> Value {
    json!(format!(
        "data:{};base64,{}",
        mime.as_str().unwrap(),
        data.as_str().unwrap()
    ))
}
