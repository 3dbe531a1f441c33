//! A request that the client wrote in this form already: spliced, so that what nobody here has heard of reaches the
//! provider too, and schemas keep their order.

use bytes::Bytes;

use super::body::ENCRYPTED;
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Spoken, Verbatim};
use crate::domain::json::Raw;
use crate::wire::chat;

/// Fields that speak to the gateway (contract 10), and those that are written anew.
const NOT_COPIED: [&str; 17] = [
    "model",
    "models",
    "provider",
    "plugins",
    "session_id",
    "trace",
    "debug",
    "route",
    "stop_server_tools_when",
    "image_config",
    "cache_control",
    "speed",
    "stream",
    "store",
    "include",
    "user",
    "safety_identifier",
];

/// The body for `target`; `None` where the caller's own is not at hand.
pub(super) fn body(call: &Call, target: &Target) -> Option<Bytes> {
    let Verbatim {
        form: Spoken::Responses,
        body: Some(written),
        ..
    } = call.verbatim.as_ref()?
    else {
        return None;
    };
    let copied = |name: &str| {
        !NOT_COPIED.contains(&name) && written.given(name).is_some() && target.takes(name)
    };
    let mut body = written.splice(copied);
    body.text("model", &target.upstream_model);
    if call.stream {
        body.raw("stream", b"true");
    }
    body.raw("store", b"false");
    let include = included(written.given("include"), target);
    if !include.is_empty() {
        body.raw(
            "include",
            Raw::array(include.iter().map(Raw::as_str)).as_bytes(),
        );
    }
    for name in ["safety_identifier", "user"] {
        if let Some(user) = written.given(name).filter(|_| target.takes(name)) {
            body.text(name, &chat::hashed(user));
        }
    }
    Some(body.finish())
}

/// What is to come along. Nothing is stored, so reasoning must come in a form that can be sent back.
fn included(written: Option<&Raw>, target: &Target) -> Vec<Raw> {
    let mut include = written.and_then(Raw::elements).unwrap_or_default();
    let asked = |wanted: &Raw| wanted.parse::<String>().is_ok_and(|name| name == ENCRYPTED);
    if target.reasoning.is_some() && !include.iter().any(asked) {
        include.extend(Raw::of(ENCRYPTED));
    }
    include
}
