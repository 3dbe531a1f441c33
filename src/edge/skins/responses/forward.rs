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
    /// So many events of the gateway's own stand before.
    pub(super) put_between: u64,
}

impl Forward<'_> {
    /// A whole answer; `None` when it cannot be read.
    pub(super) fn whole(self, body: &Bytes, whole: &Whole) -> Option<Bytes> {
        let response = JsonObject::parse(body.clone()).ok()?;
        Some(self.settled(&response, &whole.receipt).finish())
    }

    /// An event on its way.
    pub(super) fn event(self, event: &Forwarded, out: &mut Vec<u8>) {
        let begins = [
            &b"response.created"[..],
            b"response.in_progress",
            b"response.queued",
        ];
        let renamed = begins
            .contains(&event.kind.escaped())
            .then(|| changed(&event.data, |response| self.named(response, &[])))
            .flatten();
        self.write(renamed.as_ref().unwrap_or(&event.data), out);
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
