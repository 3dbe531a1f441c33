//! What real providers said, through the whole gateway: whatever their accent, the client is answered in the
//! contract's shapes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::held::Held;
use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Step, Upstream};
use crate::wires::recordings::{Recording, recordings};

/// The recording that a request asks for by its number.
fn replay(recordings: &[Recording], seen: &Seen) -> Script {
    let content = match &seen.body["messages"] {
        Value::Null => &seen.body["prompt"],
        messages => &messages[0]["content"],
    };
    let recording = &recordings[content.as_str().unwrap().parse::<usize>().unwrap()];
    let media_type = if recording.streamed() {
        "text/event-stream"
    } else {
        "application/json"
    };
    let (status, body) = (recording.response.status, recording.body());
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    vec![Step::Write(head.into_bytes()), Step::Write(body)]
}

async fn check(api: &str, route: &'static str, ask: fn(usize) -> Value) {
    let all = Arc::new(recordings(api));
    let recorded = Arc::clone(&all);
    let upstream = Upstream::start(move |seen| replay(&recorded, seen)).await;
    let server = Server::alone(&upstream.provider("lab-a", "0.000001", "0.000002")).await;
    let mut held = Held::default();
    let path = route.replace("POST ", "/api/v1");
    for (number, recording) in all.iter().enumerate() {
        let mut body = ask(number);
        body["model"] = "acme/orca".into();
        body["stream"] = recording.stream.into();
        let answer = server.http.post(&path, &body).await;
        let status = answer.status.as_u16();
        assert_eq!(
            status == 200,
            recording.succeeded(),
            "{}: {}",
            recording.name,
            answer.text()
        );
        held.hold(route, status, answer);
    }
    held.finish_having_answered(&[route]);
    server.stop().await;
}

#[tokio::test]
async fn recorded_chats_keep_the_contract() {
    let ask =
        |number: usize| json!({"messages": [{"role": "user", "content": number.to_string()}]});
    check("openai-chat", "POST /chat/completions", ask).await;
}

#[tokio::test]
async fn recorded_completions_keep_the_contract() {
    check(
        "openai-completions",
        "POST /completions",
        |number| json!({"prompt": number.to_string()}),
    )
    .await;
}
