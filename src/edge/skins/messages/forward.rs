//! An answer of a provider that speaks this form itself: its own words, with the model's name as the client knows it, what
//! the answer cost, and what an older version of the form left unsaid.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::answer;
use crate::domain::event::Forwarded;
use crate::domain::json::{JsonObject, ObjectWriter, Raw};
use crate::edge::skins::report;
use crate::edge::sse;
use crate::stream::client::{Head, Receipt, Whole};

/// What a message has, and what it is where the provider does not say.
const OF_MESSAGE: [(&str, &str); 2] = [("container", "null"), ("stop_details", "null")];

/// The same of a message's usage.
const OF_USAGE: [&str; 5] = [
    "cache_creation",
    "inference_geo",
    "output_tokens_details",
    "server_tool_use",
    "service_tier",
];

/// A whole answer; `None` when it cannot be read.
pub(super) fn whole(body: &Bytes, whole: &Whole) -> Option<Bytes> {
    let message = JsonObject::parse(body.clone()).ok()?;
    let content = message.given("content").and_then(content);
    let mut told = named(&message, &whole.head, &["content", "usage"]);
    if let Some(content) = content.as_ref().or(message.get("content")) {
        told.raw("content", content.as_bytes());
    }
    let mut usage = usage(message.given("usage"), &whole.receipt);
    of_message(&mut usage);
    told.raw("usage", Value::Object(usage).to_string().as_bytes());
    if let Some(report) = &whole.receipt.report {
        let metadata = report::metadata(report).to_string();
        told.raw("openrouter_metadata", metadata.as_bytes());
    }
    Some(told.finish())
}

/// An event on its way. Nothing is added to the pieces of a block.
pub(super) fn event(head: &Head, event: &Forwarded, out: &mut Vec<u8>) {
    let told = match event.kind.escaped() {
        b"message_start" => within(&event.data, "message", |message| started(message, head)),
        b"content_block_start" => within(&event.data, "content_block", block),
        _ => None,
    };
    write(event, told.as_ref().unwrap_or(&event.data), out);
}

/// The last events, which waited for the settlement.
pub(super) fn last(events: &[Forwarded], receipt: &Receipt, out: &mut Vec<u8>) {
    for event in events {
        let told = JsonObject::parse(event.data.clone()).ok().map(|object| {
            if event.kind.escaped() == b"message_stop" {
                let mut told = object.splice(|name| name != "usage");
                if let Some(report) = &receipt.report {
                    let metadata = report::metadata(report).to_string();
                    told.raw("openrouter_metadata", metadata.as_bytes());
                }
                return told.finish();
            }
            let delta = object.given("delta").and_then(Raw::object);
            let mut told = object.splice(|name| name != "usage" && name != "delta");
            if let Some(delta) = delta {
                let delta = filled(&delta, &OF_MESSAGE, delta.splice(|_| true));
                told.raw("delta", &delta.finish());
            }
            let mut usage = usage(object.given("usage"), receipt);
            usage.entry("server_tool_use").or_insert(Value::Null);
            told.raw("usage", Value::Object(usage).to_string().as_bytes());
            told.finish()
        });
        write(event, told.as_ref().unwrap_or(&event.data), out);
    }
}

/// The event with one of its objects changed; `None` where there is nothing to change.
fn within(data: &Bytes, name: &str, change: impl FnOnce(&Raw) -> Option<Raw>) -> Option<Bytes> {
    let event = JsonObject::parse(data.clone()).ok()?;
    let changed = change(event.given(name)?)?;
    let mut told = event.splice(|field| field != name);
    told.raw(name, changed.as_bytes());
    Some(told.finish())
}

fn started(message: &Raw, head: &Head) -> Option<Raw> {
    let message = message.object()?;
    let mut told = named(&message, head, &["usage"]);
    let mut usage = counted(message.given("usage"));
    of_message(&mut usage);
    told.raw("usage", Value::Object(usage).to_string().as_bytes());
    Some(told.finish_raw())
}

/// The message without `more` of its fields, under the name that the client knows the model by.
fn named(message: &JsonObject, head: &Head, more: &[&str]) -> ObjectWriter {
    let told =
        message.splice(|name| !["model", "provider"].contains(&name) && !more.contains(&name));
    let mut told = filled(message, &OF_MESSAGE, told);
    told.text("model", head.model.as_str());
    told.text("provider", &head.provider);
    told
}

/// What is written of an object, with those fields that it has not.
fn filled(object: &JsonObject, wanted: &[(&str, &str)], mut told: ObjectWriter) -> ObjectWriter {
    for (name, value) in wanted {
        if object.get(name).is_none() {
            told.raw(name, value.as_bytes());
        }
    }
    told
}

/// The blocks of a message; `None` where they lack nothing.
fn content(content: &Raw) -> Option<Raw> {
    let blocks = content.elements()?;
    let filled: Vec<Option<Raw>> = blocks.iter().map(block).collect();
    let lacks = filled.iter().any(Option::is_some);
    let all = filled.iter().zip(&blocks);
    lacks.then(|| Raw::array(all.map(|(filled, block)| filled.as_ref().unwrap_or(block).as_str())))
}

/// A block, with whom its tool was called by and what its text cites; `None` where it lacks nothing.
fn block(block: &Raw) -> Option<Raw> {
    const NOTHING: (&str, &str) = ("citations", "null");
    const THE_MODEL: (&str, &str) = ("caller", r#"{"type":"direct"}"#);
    let block = block.object()?;
    let wanted = match block.given("type")?.text()?.escaped() {
        b"text" => NOTHING,
        b"tool_use" | b"web_search_tool_result" | b"web_fetch_tool_result" => THE_MODEL,
        _ => return None,
    };
    let lacks = block.get(wanted.0).is_none();
    lacks.then(|| filled(&block, &[wanted], block.splice(|_| true)).finish_raw())
}

/// What the provider says was used, and what was charged for it.
fn usage(written: Option<&Raw>, receipt: &Receipt) -> Map<String, Value> {
    let mut usage = counted(written);
    if let Value::Object(charged) = answer::usage(receipt) {
        // What its own tools did the provider knows better.
        let theirs = usage.get("server_tool_use").is_some_and(Value::is_object);
        let is_ours = |name: &str| !(theirs && name == "server_tool_use");
        let told = charged.into_iter();
        usage.extend(told.filter(|(name, value)| is_ours(name) && !value.is_null()));
    }
    usage
}

/// What the provider says was used. Where it counts its searches, it counts what it fetched too.
fn counted(written: Option<&Raw>) -> Map<String, Value> {
    let usage = written.and_then(|written| written.parse().ok());
    let mut usage: Map<String, Value> = usage.unwrap_or_default();
    if let Some(Value::Object(tools)) = usage.get_mut("server_tool_use") {
        for count in ["web_search_requests", "web_fetch_requests"] {
            tools.entry(count).or_insert(0.into());
        }
    }
    usage
}

/// A message's usage says more than that of its end.
fn of_message(usage: &mut Map<String, Value>) {
    for name in OF_USAGE {
        usage.entry(name).or_insert(Value::Null);
    }
}

fn write(event: &Forwarded, data: &Bytes, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.kind.escaped());
    out.push(b'\n');
    sse::write_data(data, out);
}
