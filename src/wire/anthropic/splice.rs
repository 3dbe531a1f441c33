//! A request that the client wrote in this form already: spliced, so that what nobody here has heard of reaches the
//! provider too, and schemas keep their order.

use bytes::Bytes;

use super::body::tier;
use super::marker;
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Spoken, Verbatim};
use crate::domain::json::{JsonObject, ObjectWriter, Raw};
use crate::wire::anthropic::holds_to_schemas;
use crate::wire::chat;
use crate::wire::quirks::ReasoningForm;

/// Fields that speak to the gateway (contract 11), and those that are written anew.
const NOT_COPIED: [&str; 15] = [
    "model",
    "models",
    "fallbacks",
    "provider",
    "plugins",
    "session_id",
    "trace",
    "route",
    "stop_server_tools_when",
    "max_tool_calls",
    "cache_control",
    "speed",
    "stream",
    "metadata",
    "service_tier",
];

/// The body for `target`, with a field and its text that this address wants in it; `None` where the caller's own does
/// not fit and must be rebuilt.
pub(super) fn body(call: &Call, target: &Target, (name, text): (&str, &str)) -> Option<Bytes> {
    let Verbatim {
        form: Spoken::Messages,
        body: Some(written),
        unsayable,
    } = call.verbatim.as_ref()?
    else {
        return None;
    };
    if unsayable.is_none() && !fits(written, target) {
        return None;
    }
    // The provider may know a marker for the whole prompt by now; where its models are served elsewhere, it is not known.
    let marker = written.given("cache_control");
    let marked = marker.and_then(|marker| marker::set(written, marker));
    let copied = |field: &str| {
        let is_marked = marked.as_ref().is_some_and(|(marked, _)| field == *marked);
        let is_theirs = field != name && !is_marked && !NOT_COPIED.contains(&field);
        is_theirs && written.given(field).is_some() && target.takes(field)
    };
    let mut body = written.splice(copied);
    if let Some((field, marked)) = &marked {
        body.raw(field, marked.as_bytes());
    }
    body.text(name, text);
    if call.stream {
        body.raw("stream", b"true");
    }
    if let Some(user) = written
        .given("metadata")
        .and_then(Raw::object)
        .and_then(|metadata| metadata.given("user_id").cloned())
    {
        let mut metadata = ObjectWriter::with_capacity(96);
        metadata.text("user_id", &chat::hashed(&user));
        body.raw("metadata", &metadata.finish());
    }
    let word = written.given("service_tier");
    if let Some(tier) = word.and_then(|word| tier(&word.parse::<String>().ok()?)) {
        body.text("service_tier", tier);
    }
    Some(body.finish())
}

/// Whether the endpoint takes the request as it is. A caller who names a family, or models to fall back to, cannot
/// know which kind of thinking the one that answers is asked for.
fn fits(written: &JsonObject, target: &Target) -> bool {
    let known = target.reasoning.as_ref();
    let thinks_so = match word(written, "thinking").as_deref() {
        None | Some("disabled") => true,
        Some(_) if !target.takes("reasoning") => false,
        Some("enabled") => {
            target.quirks.reasoning != ReasoningForm::Adaptive
                || known.is_some_and(|known| known.budget)
        }
        Some("adaptive") => target.quirks.reasoning != ReasoningForm::Budget,
        Some(_) => true,
    };
    // Instead of a schema that the model cannot be held to, it is told in words.
    let has_schema = written
        .given("output_config")
        .and_then(Raw::object)
        .is_some_and(|config| config.given("format").is_some());
    thinks_so && (!has_schema || holds_to_schemas(target))
}

/// The type of an object among the fields.
fn word(written: &JsonObject, name: &str) -> Option<String> {
    let object = written.given(name)?.object()?;
    object.given("type")?.parse().ok()
}
