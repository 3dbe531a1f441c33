//! A client and a provider that speak the same form: the request reaches the provider as it was written, and the answer
//! the client as the provider gave it, but for what is the gateway's own business.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::api::Told;
use super::expected::{anthropic, responses};
use super::recordings::{Recording, are_the_fixtures, recordings};
use super::requests::without_nulls;
use super::served::serving_with;
use crate::support::order::{self, CHANGES_IDS, with_steady_ids};
use crate::support::upstream::{Script, Seen, Step, Upstream};

/// The least share of recorded requests that must go through unchanged, in percent, of those that the contract allows.
const LEAST: usize = 98;

/// A model that everything recorded fits.
pub(super) const LARGE: &str =
    "input_modalities = [\"text\", \"image\", \"file\", \"audio\"]\nmax_output_tokens = 128000\n";

pub(super) struct Same {
    pub(super) api: &'static str,
    pub(super) wire: &'static str,
    pub(super) path: &'static str,
    /// Why the contract refuses a request, if it does.
    pub(super) refused: fn(&Value) -> Option<&'static str>,
    /// The error that the recording holds.
    error: fn(&Recording) -> Option<Told>,
    /// The request without what is the gateway's own business.
    normal: fn(&Value) -> Value,
    /// A request that names a recording by its number.
    pub(super) ask: fn(usize) -> Value,
    ordered: fn(&[Value]) -> Result<(), String>,
    /// An answer without what is the gateway's own business.
    answer: fn(&Value) -> Value,
    /// What the gateway says where the provider does not: the form wants it said.
    added: &'static [&'static str],
}

pub(super) const MESSAGES: Same = Same {
    api: "anthropic-messages",
    wire: "anthropic",
    path: "/api/v1/messages",
    refused: |body| {
        let names_files = body.to_string().contains("\"file_id\":");
        not_the_contracts(body).or(names_files.then_some("it names files that are not here"))
    },
    error: anthropic::error,
    normal: |body| {
        let mut body = without_nulls(body);
        let fields = body.as_object_mut().unwrap();
        // The end user is hashed, and a tier named otherwise.
        fields.remove("metadata");
        fields.remove("service_tier");
        fields.retain(|name, value| name != "stream" || *value == true);
        body
    },
    ask: |number| json!({"model": "acme/orca", "max_tokens": 100, "messages": [{"role": "user", "content": format!("#{number}#")}]}),
    ordered: order::messages,
    answer: |message| without(message, &["model", "provider", "usage"]),
    added: &["container", "stop_details", "citations", "caller"],
};

pub(super) const RESPONSES: Same = Same {
    api: "openai-responses",
    wire: "responses",
    path: "/api/v1/responses",
    refused: |body| {
        if let Some(reason) = not_the_contracts(body) {
            return Some(reason);
        }
        if body["provider"]["only"].is_array() {
            return Some("it names providers that are not here");
        }
        if body.to_string().contains("\"file_id\":") {
            return Some("it names files that are not here");
        }
        let on = |name: &str| body[name] == true;
        let said = |name: &str| !body[name].is_null();
        if on("store") || on("background") {
            return Some("nothing is stored here");
        }
        let state = ["previous_response_id", "conversation", "prompt"];
        let refers = body["input"]
            .as_array()
            .is_some_and(|items| items.iter().any(|item| item["type"] == "item_reference"));
        (state.into_iter().any(said) || refers).then_some("it refers to what would be stored")
    },
    error: responses::error,
    normal: |body| {
        let mut body = without_nulls(body);
        let fields = body.as_object_mut().unwrap();
        for name in ["store", "user", "safety_identifier", "provider"] {
            fields.remove(name);
        }
        fields.retain(|name, value| name != "stream" || *value == true);
        body
    },
    ask: |number| json!({"model": "acme/orca", "input": format!("#{number}#")}),
    ordered: order::responses,
    answer: |response| without(response, &["model", "store", "usage"]),
    added: &[
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
        "name",
    ],
};

/// What neither form may say here (contract 2.1).
fn not_the_contracts(body: &Value) -> Option<&'static str> {
    let out = |number: f64| !(0.0..=2.0).contains(&number);
    let is_out = body["temperature"].as_f64().is_some_and(out);
    is_out.then_some("its temperature is out of range")
}

fn without(value: &Value, names: &[&str]) -> Value {
    let fields = value.as_object().unwrap().iter();
    let kept = fields.filter(|(name, _)| !names.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

pub(super) fn replay(recording: &Recording) -> Script {
    let (status, body) = (recording.response.status, recording.body());
    let media_type = &recording.response.headers["content-type"];
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    vec![Step::Write(head.into_bytes()), Step::Write(body)]
}

/// Thoughts that are not there to be read again, or not signed, are rebuilt, as the provider would refuse them.
async fn requests_go_through(same: &Same) {
    let all = recordings(same.api);
    let good = all.iter().find(|one| one.succeeded() && !one.streamed());
    let script = replay(good.unwrap());
    let upstream = Upstream::start(move |_| script.clone()).await;
    let (server, _folder) = serving_with(same.wire, &upstream, "sk-1", LARGE).await;
    let (mut sent, mut changed) = (0, Vec::new());
    for recording in all.iter().filter(|one| one.request.body.is_object()) {
        let recorded = &recording.request.body;
        let mut body = recorded.clone();
        body["model"] = json!("acme/orca");
        body["stream"] = json!(false);
        let answer = server.http.post(same.path, &body).await;
        if answer.status.is_client_error() && (same.refused)(recorded).is_some() {
            continue;
        }
        sent += 1;
        if answer.status != StatusCode::OK {
            changed.push(format!("{}: {}", recording.name, answer.text()));
            continue;
        }
        body["model"] = json!("orca-at-lab-a");
        let (seen, wanted) = (
            (same.normal)(&upstream.seen().pop().unwrap().body),
            (same.normal)(&body),
        );
        if seen != wanted {
            changed.push(format!(
                "{}:\n  {seen}\n  is not\n  {wanted}",
                recording.name
            ));
        }
    }
    assert!(
        (sent - changed.len()) * 100 >= sent * LEAST,
        "{} of {sent} are changed:\n{}",
        changed.len(),
        changed.join("\n")
    );
    server.stop().await;
}

#[tokio::test]
async fn recorded_messages_reach_anthropic_as_they_were_written() {
    requests_go_through(&MESSAGES).await;
}

#[tokio::test]
async fn recorded_requests_for_responses_reach_openai_as_they_were_written() {
    requests_go_through(&RESPONSES).await;
}

fn number(seen: &Seen) -> usize {
    let text = seen.body.to_string();
    text.split('#').nth(1).unwrap().parse().unwrap()
}

async fn answers_come_as_they_were_given(same: &Same) {
    let all = recordings(same.api).into_iter();
    let all: Arc<Vec<Recording>> = Arc::new(
        all.filter(|one| one.succeeded() && (same.error)(one).is_none())
            .collect(),
    );
    let recorded = Arc::clone(&all);
    let upstream = Upstream::start(move |seen| replay(&recorded[number(seen)])).await;
    let (server, _folder) = serving_with(same.wire, &upstream, "sk-1", LARGE).await;
    let mut wrong = Vec::new();
    for (number, recording) in all.iter().enumerate() {
        let mut body = (same.ask)(number);
        body["stream"] = recording.streamed().into();
        let answer = server.http.post(same.path, &body).await;
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "{}: {}",
            recording.name,
            answer.text()
        );
        let checked = if recording.streamed() {
            stream_is_the_same(same, recording, &answer.events())
        } else {
            let told = answer.json();
            assert!(told["usage"]["cost"].is_number() && told["model"] == "acme/orca");
            let (told, given) = (
                (same.answer)(&told),
                (same.answer)(&recording.response.body),
            );
            if is_whole(&told, &given, same.added) {
                Ok(())
            } else {
                Err(format!("\n  {told}\n  is not\n  {given}"))
            }
        };
        if let Err(reason) = checked {
            wrong.push(format!("{}: {reason}", recording.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!are_the_fixtures() || all.len() > 40);
    server.stop().await;
}

fn stream_is_the_same(same: &Same, recording: &Recording, told: &[Value]) -> Result<(), String> {
    (same.ordered)(&match recording.provider == CHANGES_IDS {
        true => with_steady_ids(told.to_vec()),
        false => told.to_vec(),
    })?;
    let given = super::expected::documents(recording);
    let plain = |events: &[Value]| -> Vec<Value> {
        let events = events.iter().filter(|event| event.is_object());
        let plain = events.map(|event| {
            let mut event = event.clone();
            for name in ["message", "response"] {
                if event[name].is_object() {
                    event[name] = (same.answer)(&event[name]);
                }
            }
            let fields = event.as_object_mut().unwrap();
            fields.retain(|_, value| !value.is_null());
            fields.remove("usage");
            event
        });
        plain.collect()
    };
    let (told, given) = (plain(told), plain(&given));
    let mut pairs = told.iter().zip(&given);
    let at = pairs.position(|(told, given)| !is_whole(told, given, same.added));
    if at.is_none() && told.len() == given.len() {
        return Ok(());
    }
    let at = at.unwrap_or(told.len().min(given.len()));
    let (told, given) = (told.get(at), given.get(at));
    Err(format!("event {at}:\n  {told:?}\n  is not\n  {given:?}"))
}

/// Whether a value is what was given, and has nothing more but fields that may be `added`.
fn is_whole(told: &Value, given: &Value, added: &[&str]) -> bool {
    match (told, given) {
        (Value::Object(told), Value::Object(given)) => {
            let kept = |(name, value): (&String, &Value)| {
                told.get(name)
                    .is_some_and(|told| is_whole(told, value, added))
            };
            let may_be =
                |name: &&String| given.contains_key(*name) || added.contains(&name.as_str());
            given.iter().all(kept) && told.keys().all(|name| may_be(&name))
        }
        (Value::Array(told), Value::Array(given)) => {
            let mut pairs = told.iter().zip(given);
            told.len() == given.len() && pairs.all(|(told, given)| is_whole(told, given, added))
        }
        _ => told == given,
    }
}

#[tokio::test]
async fn recorded_messages_reach_the_client_as_they_were_given() {
    answers_come_as_they_were_given(&MESSAGES).await;
}

#[tokio::test]
async fn recorded_responses_reach_the_client_as_they_were_given() {
    answers_come_as_they_were_given(&RESPONSES).await;
}

/// A provider that answers every message as one did when it was recorded.
async fn answering_well() -> Upstream {
    let recordings = recordings("anthropic-messages");
    let good = recordings
        .iter()
        .find(|one| one.succeeded() && !one.streamed());
    let script = replay(good.unwrap());
    Upstream::start(move |_| script.clone()).await
}

/// The order of a schema's properties, and fields that nobody here has heard of.
#[tokio::test]
async fn a_request_keeps_its_order_and_what_is_new_in_it() {
    let upstream = answering_well().await;
    let (server, _folder) = serving_with("anthropic", &upstream, "sk-1", LARGE).await;
    let body = r#"{"max_tokens":9,"model":"acme/orca","news":{"z":1,"a":2},"tools":[{"name":"f","input_schema":{"type":"object","properties":{"z":{},"a":{}}}}],"provider":{"allow_fallbacks":true},"metadata":{"user_id":"ann"},"messages":[{"role":"user","content":"hi"}]}"#;
    let headers = [("anthropic-beta", "new-2026")];
    let sent = server
        .http
        .send(
            http::Method::POST,
            "/api/v1/messages",
            body.into(),
            &headers,
        )
        .await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.text());
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.header("anthropic-beta"), Some("new-2026"));
    assert_eq!(seen.body["news"], json!({"z": 1, "a": 2}));
    assert_eq!(seen.body.get("provider"), None);
    assert_ne!(seen.body["metadata"]["user_id"], "ann");
    server.stop().await;
}

/// A marker for the whole prompt goes where the provider would put it, and costs the request nothing that is new in it.
#[tokio::test]
async fn a_request_with_a_marker_for_the_whole_keeps_what_is_new_in_it() {
    let upstream = answering_well().await;
    let (server, _folder) = serving_with("anthropic", &upstream, "sk-1", LARGE).await;
    let marker = json!({"type": "ephemeral", "ttl": "1h"});
    let edits = json!({"edits": [{"type": "clear_tool_uses_20250919"}]});
    let mut body = json!({
        "model": "acme/orca", "max_tokens": 9, "cache_control": marker, "context_management": edits,
        "mcp_servers": [{"type": "url", "name": "z", "url": "https://mcp.example"}],
        "system": "Be brief.", "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
            {"role": "user", "content": [{"type": "text", "text": "And?"}, {"type": "text", "text": "Well?"}]}
        ]
    });
    let sent = server.http.post("/api/v1/messages", &body).await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.text());
    body["messages"][2]["content"][1]["cache_control"] = marker;
    body["model"] = json!("orca-at-lab-a");
    body.as_object_mut().unwrap().remove("cache_control");
    assert_eq!(upstream.seen().remove(0).body, body);
    server.stop().await;
}

/// What only the provider's own form can say does not go to others, who are told why.
#[tokio::test]
async fn what_others_cannot_be_told_is_refused_there() {
    let upstream = Upstream::answering("hi").await;
    let (server, _folder) = serving_with("openai", &upstream, "sk-1", "").await;
    let tool = json!([{"type": "bash_20250124", "name": "bash"}]);
    let body = json!({"model": "acme/orca", "max_tokens": 9, "tools": tool, "messages": [{"role": "user", "content": "hi"}]});
    let answer = server.http.post("/api/v1/messages", &body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    assert!(
        answer.text().contains("run by Anthropic alone"),
        "{}",
        answer.text()
    );
    assert_eq!(upstream.calls(), 0);
    server.stop().await;
}

/// A stream that breaks off after forwarded events ends in the form's own error, numbered on.
#[tokio::test]
async fn a_forwarded_stream_that_breaks_off_is_told() {
    for same in [&MESSAGES, &RESPONSES] {
        let recordings = recordings(same.api);
        let whole = recordings
            .iter()
            .find(|one| one.succeeded() && one.streamed());
        let mut script = replay(whole.unwrap());
        if let Some(Step::Write(body)) = script.last_mut() {
            body.truncate(body.len() - 40);
        }
        let upstream = Upstream::start(move |_| script.clone()).await;
        let (server, _folder) = serving_with(same.wire, &upstream, "sk-1", LARGE).await;
        let mut body = (same.ask)(0);
        body["stream"] = json!(true);
        let events = server.http.post(same.path, &body).await.events();
        assert_eq!((same.ordered)(&events), Ok(()));
        let failed = |event: &Value| event["type"] == "error" || event["type"] == "response.failed";
        assert!(events.iter().any(failed), "{events:?}");
        server.stop().await;
    }
}
