//! An answer of a provider that speaks this form itself: its own words, with the model's name as the client knows it, and
//! what the answer cost.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::answer;
use crate::domain::event::Forwarded;
use crate::domain::json::{JsonObject, ObjectWriter, Raw};
use crate::edge::skins::report;
use crate::edge::sse::write_data;
use crate::stream::client::{Head, Receipt, Whole};

/// A whole answer; `None` when it cannot be read.
pub(super) fn whole(body: &Bytes, whole: &Whole) -> Option<Bytes> {
    let response = JsonObject::parse(body.clone()).ok()?;
    Some(settled(&response, &whole.head, &whole.receipt).finish())
}

/// An event on its way.
pub(super) fn event(head: &Head, event: &Forwarded, out: &mut Vec<u8>) {
    let begins = [
        &b"response.created"[..],
        b"response.in_progress",
        b"response.queued",
    ];
    let renamed = begins
        .contains(&event.kind.escaped())
        .then(|| changed(&event.data, |response| named(response, head, &[])))
        .flatten();
    write_data(renamed.as_ref().unwrap_or(&event.data), out);
}

/// The last event, which waited for the settlement.
pub(super) fn last(head: &Head, events: &[Forwarded], receipt: &Receipt, out: &mut Vec<u8>) {
    for event in events {
        let told = changed(&event.data, |response| settled(response, head, receipt));
        write_data(told.as_ref().unwrap_or(&event.data), out);
    }
    out.extend_from_slice(b"data: [DONE]\n\n");
}

/// The event with its response changed; `None` when it cannot be read.
fn changed(data: &Bytes, change: impl FnOnce(&JsonObject) -> ObjectWriter) -> Option<Bytes> {
    let event = JsonObject::parse(data.clone()).ok()?;
    let response = event.given("response")?.object()?;
    let mut told = event.splice(|name| name != "response");
    told.raw("response", &change(&response).finish());
    Some(told.finish())
}

fn settled(response: &JsonObject, head: &Head, receipt: &Receipt) -> ObjectWriter {
    let mut told = named(response, head, &["usage"]);
    told.raw("usage", usage(response.given("usage"), receipt).as_bytes());
    if let Some(report) = &receipt.report {
        let metadata = report::metadata(report).to_string();
        told.raw("openrouter_metadata", metadata.as_bytes());
    }
    told
}

/// The response without `more` of its fields, under the name that the client knows the model by. Whatever the provider
/// says of it, nothing is stored.
fn named(response: &JsonObject, head: &Head, more: &[&str]) -> ObjectWriter {
    let mut told =
        response.splice(|name| !["model", "store"].contains(&name) && !more.contains(&name));
    told.text("model", head.model.as_str());
    told.raw("store", b"false");
    told
}

/// What the provider says was used, and what was charged for it.
fn usage(written: Option<&Raw>, receipt: &Receipt) -> String {
    let mut usage: Map<String, Value> = written
        .and_then(|written| written.parse().ok())
        .unwrap_or_default();
    if let Value::Object(charged) = answer::usage(receipt) {
        usage.extend(charged);
    }
    Value::Object(usage).to_string()
}
