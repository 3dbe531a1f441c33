//! An answer of a provider that speaks this form itself: its own words, with the model's name as the client knows it, and
//! what the answer cost.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::answer;
use crate::domain::event::Forwarded;
use crate::domain::json::{JsonObject, ObjectWriter, Raw};
use crate::edge::skins::report;
use crate::edge::sse;
use crate::stream::client::{Head, Receipt, Whole};

/// A whole answer; `None` when it cannot be read.
pub(super) fn whole(body: &Bytes, whole: &Whole) -> Option<Bytes> {
    let message = JsonObject::parse(body.clone()).ok()?;
    let mut told = named(&message, &whole.head, &["usage"]);
    told.raw(
        "usage",
        usage(message.given("usage"), &whole.receipt).as_bytes(),
    );
    if let Some(report) = &whole.receipt.report {
        let metadata = report::metadata(report).to_string();
        told.raw("openrouter_metadata", metadata.as_bytes());
    }
    Some(told.finish())
}

/// An event on its way.
pub(super) fn event(head: &Head, event: &Forwarded, out: &mut Vec<u8>) {
    let renamed = (event.kind.escaped() == b"message_start")
        .then(|| started(head, &event.data))
        .flatten();
    write(event, renamed.as_ref().unwrap_or(&event.data), out);
}

/// The last events, which waited for the settlement.
pub(super) fn last(events: &[Forwarded], receipt: &Receipt, out: &mut Vec<u8>) {
    for event in events {
        let told = JsonObject::parse(event.data.clone()).ok().map(|object| {
            let mut told = object.splice(|name| name != "usage");
            if event.kind.escaped() == b"message_stop" {
                if let Some(report) = &receipt.report {
                    let metadata = report::metadata(report).to_string();
                    told.raw("openrouter_metadata", metadata.as_bytes());
                }
            } else {
                let usage = usage(object.given("usage"), receipt);
                told.raw("usage", usage.as_bytes());
            }
            told.finish()
        });
        write(event, told.as_ref().unwrap_or(&event.data), out);
    }
}

fn started(head: &Head, data: &Bytes) -> Option<Bytes> {
    let event = JsonObject::parse(data.clone()).ok()?;
    let message = event.given("message")?.object()?;
    let mut told = event.splice(|name| name != "message");
    told.raw("message", &named(&message, head, &[]).finish());
    Some(told.finish())
}

/// The message without `more` of its fields, under the name that the client knows the model by.
fn named(message: &JsonObject, head: &Head, more: &[&str]) -> ObjectWriter {
    let mut told =
        message.splice(|name| !["model", "provider"].contains(&name) && !more.contains(&name));
    told.text("model", head.model.as_str());
    told.text("provider", &head.provider);
    told
}

/// What the provider says was used, and what was charged for it.
fn usage(written: Option<&Raw>, receipt: &Receipt) -> String {
    let mut usage: Map<String, Value> = written
        .and_then(|written| written.parse().ok())
        .unwrap_or_default();
    if let Value::Object(charged) = answer::usage(receipt) {
        // What its own tools did the provider knows better.
        let theirs = usage.get("server_tool_use").is_some_and(Value::is_object);
        let is_ours = |name: &str| !(theirs && name == "server_tool_use");
        let told = charged.into_iter();
        usage.extend(told.filter(|(name, value)| is_ours(name) && !value.is_null()));
    }
    Value::Object(usage).to_string()
}

fn write(event: &Forwarded, data: &Bytes, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.kind.escaped());
    out.push(b'\n');
    sse::write_data(data, out);
}
