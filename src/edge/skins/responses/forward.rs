//! An answer of a provider that speaks this form itself: its own words, with the model's name as the client knows it, what
//! the answer cost, and what the form wants to be said and this provider leaves out.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::answer::{self, Echo};
use crate::domain::event::Forwarded;
use crate::domain::json::{JsonObject, ObjectWriter, Raw};
use crate::edge::skins::report;
use crate::edge::sse::write_data;
use crate::stream::client::{Head, Receipt, Whole};

/// What a result always says. Where the provider does not, it is what the request says, or null.
const REQUIRED: [&str; 12] = [
    "completed_at",
    "error",
    "incomplete_details",
    "instructions",
    "metadata",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "parallel_tool_calls",
    "tools",
    "tool_choice",
];

/// What a forwarded answer is told with.
#[derive(Clone, Copy)]
pub(super) struct Forward<'a> {
    /// Who answers.
    pub(super) head: &'a Head,
    /// What a result repeats of its request.
    pub(super) echo: &'a Echo,
    /// The functions that it called so far.
    pub(super) calls: &'a Calls,
    /// So many events of the gateway's own stand before.
    pub(super) put_between: u64,
}

/// The functions that a forwarded answer called, by the places of their items: older providers do not repeat their names
/// where the arguments end.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<(Raw, Raw)>);

impl Calls {
    /// Takes note of an item that is added, if it is a call.
    pub(super) fn learn(&mut self, event: &Forwarded) {
        if event.kind.escaped() == b"response.output_item.added" {
            self.0.extend(called(&event.data));
        }
    }

    /// The event that ends the arguments, with the function's name; `None` where it has one.
    fn named(&self, data: &Bytes) -> Option<Bytes> {
        let event = JsonObject::parse(data.clone()).ok()?;
        let place = event.given("output_index")?;
        let mut known = self.0.iter();
        let (_, name) = known.find(|(known, _)| known == place)?;
        event.get("name").is_none().then(|| {
            let mut told = event.splice(|_| true);
            told.raw("name", name.as_bytes());
            told.finish()
        })
    }
}

/// The place of an item and the function that it calls.
fn called(data: &Bytes) -> Option<(Raw, Raw)> {
    let event = JsonObject::parse(data.clone()).ok()?;
    let item = event.given("item")?.object()?;
    let is_call = item.given("type")?.as_str() == "\"function_call\"";
    let place = event.given("output_index")?.clone();
    is_call.then_some((place, item.given("name")?.clone()))
}

impl Forward<'_> {
    /// A whole answer; `None` when it cannot be read.
    pub(super) fn whole(self, body: &Bytes, whole: &Whole) -> Option<Bytes> {
        let response = JsonObject::parse(body.clone()).ok()?;
        Some(self.settled(&response, &whole.receipt).finish())
    }

    /// An event on its way. Nothing is added to the pieces of an item.
    pub(super) fn event(self, event: &Forwarded, out: &mut Vec<u8>) {
        let told = match event.kind.escaped() {
            b"response.created" | b"response.in_progress" | b"response.queued" => {
                changed(&event.data, |response| self.begun(response))
            }
            b"response.function_call_arguments.done" => self.calls.named(&event.data),
            _ => None,
        };
        self.write(told.as_ref().unwrap_or(&event.data), out);
    }

    /// The last event, which waited for the settlement.
    pub(super) fn last(self, events: &[Forwarded], receipt: &Receipt, out: &mut Vec<u8>) {
        for event in events {
            let told = changed(&event.data, |response| self.settled(response, receipt));
            self.write(told.as_ref().unwrap_or(&event.data), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Writes an event. Its number stays the provider's, unless there are others between.
    fn write(self, data: &Bytes, out: &mut Vec<u8>) {
        let between = self.put_between;
        let renumbered = (between > 0).then(|| renumbered(data, between)).flatten();
        write_data(renumbered.as_ref().unwrap_or(data), out);
    }

    /// A response that has begun. A usage that is yet to be counted is left out, as the form has it.
    fn begun(self, response: &JsonObject) -> ObjectWriter {
        match response.given("usage") {
            Some(_) => self.named(response, &[]),
            None => self.named(response, &["usage"]),
        }
    }

    fn settled(self, response: &JsonObject, receipt: &Receipt) -> ObjectWriter {
        let mut told = self.named(response, &["usage"]);
        told.raw("usage", usage(response.given("usage"), receipt).as_bytes());
        if let Some(report) = &receipt.report {
            let metadata = report::metadata(report).to_string();
            told.raw("openrouter_metadata", metadata.as_bytes());
        }
        told
    }

    /// The response without `more` of its fields, under the name that the client knows the model by. Whatever the
    /// provider says of it, nothing is stored.
    fn named(self, response: &JsonObject, more: &[&str]) -> ObjectWriter {
        let mut told =
            response.splice(|name| !["model", "store"].contains(&name) && !more.contains(&name));
        told.text("model", self.head.model.as_str());
        told.raw("store", b"false");
        for name in REQUIRED {
            if response.get(name).is_none() {
                let said = self.echo.get(name).unwrap_or(&Value::Null);
                told.raw(name, said.to_string().as_bytes());
            }
        }
        told
    }
}

/// The event with its response changed; `None` when it cannot be read.
fn changed(data: &Bytes, change: impl FnOnce(&JsonObject) -> ObjectWriter) -> Option<Bytes> {
    let event = JsonObject::parse(data.clone()).ok()?;
    let response = event.given("response")?.object()?;
    let mut told = event.splice(|name| name != "response");
    told.raw("response", &change(&response).finish());
    Some(told.finish())
}

fn renumbered(data: &Bytes, more: u64) -> Option<Bytes> {
    let event = JsonObject::parse(data.clone()).ok()?;
    let number: u64 = event.given("sequence_number")?.parse().ok()?;
    let mut told = event.splice(|name| name != "sequence_number");
    told.raw(
        "sequence_number",
        number.saturating_add(more).to_string().as_bytes(),
    );
    Some(told.finish())
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
