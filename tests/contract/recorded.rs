//! What real providers said, through the whole gateway: whatever their accent, the client is answered in the
//! contract's shapes.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use turnpike::domain::call::{Form, Spoken};
use turnpike::wire::WireName;

use super::foreign::Foreigners;
use super::held::Held;
use crate::support::client::Answer;
use crate::support::order::{self, CHANGES_IDS, with_steady_ids};
use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Step, Upstream, shoal_at};
use crate::wires::api::APIS;
use crate::wires::recordings::{Recording, recordings};
use crate::wires::served::serving_with;
use crate::wires::skins::{SKINS, Skin};

/// The recording that a request asks for by its number.
fn replay(recordings: &[Recording], seen: &Seen) -> Script {
    let body = &seen.body;
    let contents = [
        &body["messages"][0]["content"],
        &body["prompt"],
        &body["input"][0],
    ];
    let number = contents.into_iter().find_map(Value::as_str).unwrap();
    let recording = &recordings[number.parse::<usize>().unwrap()];
    let media_type = if recording.streamed() {
        "text/event-stream"
    } else {
        "application/json"
    };
    written(recording, media_type)
}

fn written(recording: &Recording, media_type: &str) -> Script {
    let (status, body) = (recording.response.status, recording.body());
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    vec![Step::Write(head.into_bytes()), Step::Write(body)]
}

async fn check(api: &str, route: &'static str, ask: fn(&str, &Recording) -> Value) {
    let all = Arc::new(recordings(api));
    let recorded = Arc::clone(&all);
    let upstream = Upstream::start(move |seen| replay(&recorded, seen)).await;
    let provider = upstream.provider("lab-a", "0.000001", "0.000002");
    let shoal = shoal_at(upstream.address, "lab-b", "0.000001", "");
    let krill = shoal_at(upstream.address, "lab-c", "0.000001", "byte_vectors = true");
    let krill = krill.replace("acme/shoal", "acme/krill");
    let server = Server::alone(&format!("{provider}{shoal}{krill}")).await;
    let mut held = Held::default();
    let path = route.replace("POST ", "/api/v1");
    for (number, recording) in all.iter().enumerate() {
        let mut body = ask(&number.to_string(), recording);
        body["stream"] = recording.stream.into();
        let answer = server.http.post(&path, &body).await;
        let status = answer.status.as_u16();
        assert_eq!(
            is_answered(&answer),
            recording.succeeded(),
            "{}: {}",
            recording.name,
            answer.text()
        );
        let answer = held.hold(route, status, answer);
        // Vectors are not streamed.
        if answer.headers["content-type"] == "text/event-stream" {
            assert_eq!(order::text(&answer.events()), Ok(()), "{}", recording.name);
        }
    }
    held.finish_having_answered(&[route]);
    server.stop().await;
}

/// A prompt that is too long is answered in Responses, by a result without usage (contract 5.6).
fn is_answered(answer: &Answer) -> bool {
    let empty = || {
        let body = answer.json();
        body["status"] == "incomplete" && body["usage"].is_null()
    };
    let is_json = answer.headers["content-type"] == "application/json";
    answer.status == StatusCode::OK && !(is_json && empty())
}

#[tokio::test]
async fn recorded_completions_keep_the_contract() {
    let ask = |number: &str, _: &Recording| json!({"model": "acme/orca", "prompt": number});
    check("openai-completions", "POST /completions", ask).await;
}

#[tokio::test]
async fn recorded_embeddings_keep_the_contract() {
    // As many inputs as there are vectors in the answer.
    let ask = |number: &str, recording: &Recording| {
        let vectors = recording.response.body["data"].as_array();
        let inputs = vectors.map_or(1, Vec::len);
        let model = match recording.provider.as_str() {
            "perplexity" => "acme/krill",
            _ => "acme/shoal",
        };
        let encoding = &recording.request.body["encoding_format"];
        json!({"model": model, "input": vec![number; inputs], "encoding_format": encoding})
    };
    for api in [
        "openai-embeddings",
        "mistral-embeddings",
        "voyage-embeddings",
    ] {
        check(api, "POST /embeddings", ask).await;
    }
}

/// The key of a provider that takes no plain one.
fn key(wire: WireName) -> &'static str {
    match wire {
        WireName::Bedrock => {
            r#"{"accessKeyId": "AKID", "secretAccessKey": "hush", "region": "eu-west-1"}"#
        }
        _ => "sk-1",
    }
}

/// Every protocol's recordings to a client of `skin`: each answer and each event keeps to its schema, and each stream to
/// its order.
async fn check_chats(skin: &Skin, route: &'static str) {
    let mut held = Held::default();
    let mut foreigners = Foreigners::default();
    let (mut wrong, mut ids_change) = (Vec::new(), false);
    for api in APIS.iter().filter(|api| api.form == Form::Chat) {
        let all = Arc::new(recordings(api.folder));
        let recorded = Arc::clone(&all);
        let upstream = Upstream::start(move |seen| replay_as_it_was(&recorded, seen)).await;
        let wire = WireName::names().find(|name| WireName::named(name) == Some(api.wire));
        let (server, _folder) = serving_with(wire.unwrap(), &upstream, key(api.wire), "").await;
        let spoken = turnpike::wire::wire(api.wire).unwrap().speaks();
        let mut answers = Vec::new();
        for (number, recording) in all.iter().enumerate() {
            let mut body = (skin.ask)(&format!("#{number}#"));
            body["stream"] = recording.stream.into();
            answers.push((recording, server.http.post(skin.path, &body).await));
        }
        // What is long to look at would keep the server from its work, and it would refuse some for that.
        server.stop().await;
        for (recording, answer) in answers {
            let fails_inside = recording.succeeded() && (api.error)(recording).is_some();
            if !fails_inside && is_answered(&answer) != recording.succeeded() {
                wrong.push(format!("{}: {}", recording.name, answer.text()));
            }
            let forwarded = skin.form.is_some() && spoken == skin.form;
            let answer = match forwarded && answer.status == StatusCode::OK {
                true => {
                    let from = (recording.provider.as_str(), &mut foreigners);
                    held.hold_forwarded(route, from, answer)
                }
                false => held.hold(route, answer.status.as_u16(), answer),
            };
            if answer.headers["content-type"] == "text/event-stream" {
                let mut events = answer.events();
                if forwarded && recording.provider == CHANGES_IDS {
                    ids_change |= (skin.ordered)(&events).is_err();
                    events = with_steady_ids(events);
                }
                let ordered = (skin.ordered)(&events);
                wrong.extend(
                    ordered
                        .err()
                        .map(|reason| format!("{}: {reason}", recording.name)),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    held.finish_having_answered(&[route]);
    let is_responses = skin.form == Some(Spoken::Responses);
    assert_eq!(ids_change, is_responses, "{CHANGES_IDS} and its ids");
    if skin.form.is_some() {
        foreigners.finish(skin.name.trim_end_matches('s'));
    }
}

/// The recording that a request asks for by its number, under the type it had.
fn replay_as_it_was(recordings: &[Recording], seen: &Seen) -> Script {
    let text = seen.body.to_string();
    let number = text.split('#').nth(1).unwrap();
    let recording = &recordings[number.parse::<usize>().unwrap()];
    let headers = &recording.response.headers;
    written(recording, &headers["content-type"])
}

#[tokio::test]
async fn recorded_chats_keep_the_contract() {
    check_chats(&SKINS[0], "POST /chat/completions").await;
}

#[tokio::test]
async fn recorded_chats_keep_the_contract_as_messages() {
    check_chats(&SKINS[1], "POST /messages").await;
}

#[tokio::test]
async fn recorded_chats_keep_the_contract_as_responses() {
    check_chats(&SKINS[2], "POST /responses").await;
}
