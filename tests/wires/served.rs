//! Providers of other protocols behind the gateway: what a client of chat completions gets to see, and what the
//! provider gets to see of the client.

use std::fs;

use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::recordings::{Recording, recordings};
use crate::support::client::content;
use crate::support::server::Server;
use crate::support::upstream::{Seen, Step, Upstream, json_body, json_with, shoal_at};

/// A provider that answers each request with the first recording that `fits` and was streamed as it is.
pub(crate) async fn replaying(api: &[&str], fits: fn(&Recording) -> bool) -> Upstream {
    let recordings: Vec<Recording> = api.iter().flat_map(|api| recordings(api)).collect();
    let plain = recordings
        .iter()
        .find(|recording| !recording.streamed() && recording.succeeded() && fits(recording));
    let streamed = recordings
        .iter()
        .find(|recording| recording.streamed() && recording.succeeded() && fits(recording));
    let (plain, streamed) = (plain.unwrap().response.body.clone(), streamed.unwrap());
    let kind = streamed.response.headers["content-type"].clone();
    let bytes = streamed.body();
    Upstream::start(move |seen: &Seen| {
        // Some say in the path that they want a stream.
        let named = ["-stream", "alt=sse"]
            .iter()
            .any(|end| seen.path.ends_with(end));
        if seen.streams() || named {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
            let pieces = bytes.chunks(700).map(|piece| Step::Write(piece.to_vec()));
            std::iter::once(Step::Write(head.into_bytes()))
                .chain(pieces)
                .collect()
        } else {
            json_with(200, "", &plain)
        }
    })
    .await
}

/// A server with one provider of this protocol, and the folder that its key lies in.
async fn serving(wire: &str, upstream: &Upstream, key: &str) -> (Server, TempDir) {
    serving_with(wire, upstream, key, "").await
}

/// The same with more said of the model.
pub(crate) async fn serving_with(
    wire: &str,
    upstream: &Upstream,
    key: &str,
    more: &str,
) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, key).unwrap();
    let config = upstream
        .provider("lab-a", "0.000001", "0.000002")
        .replace(
            "wire = \"openai\"",
            &format!(
                "wire = \"{wire}\"\napi_key = {{ file = \"{}\" }}",
                file.display()
            ),
        )
        .replace("id = \"acme/orca\"", &format!("id = \"acme/orca\"\n{more}"));
    let config = match more.contains("max_output_tokens") {
        true => config.replace("max_output_tokens = 4096", ""),
        false => config,
    };
    (Server::alone(&config).await, folder)
}

/// Asks plain and streamed, and gives both answers with what the provider saw.
async fn asked(wire: &str, upstream: &Upstream, key: &str) -> (Value, Vec<Value>, Vec<Seen>) {
    let (server, _folder) = serving(wire, upstream, key).await;
    let mut body =
        json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Hello"}]});
    let plain = server.http.post("/api/v1/chat/completions", &body).await;
    assert_eq!(plain.status, StatusCode::OK, "{}", plain.text());
    body["stream"] = json!(true);
    let streamed = server.http.post("/api/v1/chat/completions", &body).await;
    assert_eq!(streamed.status, StatusCode::OK, "{}", streamed.text());
    let answers = (plain.json(), streamed.events(), upstream.seen());
    for seen in &answers.2 {
        // The caller's key stays here.
        assert!(!seen.head.contains("sk-or-v1-"));
    }
    server.stop().await;
    answers
}

/// What any protocol must come out as.
pub(crate) fn check(plain: &Value, events: &[Value]) {
    assert!(
        !plain["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .is_empty(),
        "{plain}"
    );
    assert_eq!(plain["choices"][0]["finish_reason"], "stop");
    assert!(plain["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
    assert!(
        plain["usage"]["cost"].as_f64().unwrap() > 0.0,
        "the run is billed"
    );
    assert!(!content(events).is_empty());
    let [.., finish, usage, end] = events else {
        panic!("{events:?}")
    };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert!(
        usage["usage"]["cost"].as_f64().unwrap() > 0.0,
        "the run is billed"
    );
    assert_eq!(end, "[DONE]");
}

/// An answer of text, and nothing else.
pub(crate) fn is_text(recording: &Recording) -> bool {
    let other = [
        "tool_call",
        "error",
        "length",
        "error_in_stream",
        "server_tool_call",
        "refusal",
        "incomplete",
        "content_filter",
    ];
    !recording
        .features
        .iter()
        .any(|feature| other.contains(&feature.as_str()))
}

/// The same, without tools on offer.
fn is_plain_text(recording: &Recording) -> bool {
    is_text(recording) && !recording.features.iter().any(|feature| feature == "tools")
}

#[tokio::test]
async fn anthropic() {
    let upstream = replaying(&["anthropic-messages"], is_plain_text).await;
    let (plain, events, seen) = asked("anthropic", &upstream, "sk-ant-1").await;
    check(&plain, &events);
    for seen in &seen {
        assert_eq!(seen.path, "/v1/messages");
        assert_eq!(seen.header("x-api-key"), Some("sk-ant-1"));
        assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
        assert_eq!(seen.body["max_tokens"], 4096);
    }
}

#[tokio::test]
async fn responses() {
    let upstream = replaying(&["openai-responses"], is_plain_text).await;
    let (plain, events, seen) = asked("responses", &upstream, "sk-1").await;
    check(&plain, &events);
    for seen in &seen {
        assert_eq!(
            (seen.path.as_str(), seen.header("authorization")),
            ("/v1/responses", Some("Bearer sk-1"))
        );
        assert_eq!(seen.body["store"], false);
    }
}

#[tokio::test]
async fn azure() {
    let upstream = replaying(&["openai-chat"], |recording| {
        recording.provider == "azure" && is_plain_text(recording)
    })
    .await;
    let (plain, events, seen) = asked("azure", &upstream, "az-1").await;
    check(&plain, &events);
    for seen in &seen {
        assert_eq!(
            seen.path,
            "/v1/deployments/orca-at-lab-a/chat/completions?api-version=2024-10-21"
        );
        assert_eq!(seen.header("api-key"), Some("az-1"));
    }
}

#[tokio::test]
async fn gemini() {
    let upstream = replaying(&["gemini-generate", "gemini-stream"], is_plain_text).await;
    let (plain, events, seen) = asked("gemini", &upstream, "AIza-1").await;
    check(&plain, &events);
    let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/v1/models/orca-at-lab-a:generateContent",
            "/v1/models/orca-at-lab-a:streamGenerateContent?alt=sse"
        ]
    );
    for seen in &seen {
        assert_eq!(seen.header("x-goog-api-key"), Some("AIza-1"));
    }
}

#[tokio::test]
async fn bedrock() {
    let upstream = replaying(&["bedrock-converse", "bedrock-converse-stream"], is_text).await;
    let key = r#"{"accessKeyId": "AKID", "secretAccessKey": "hush", "region": "eu-west-1"}"#;
    let (plain, events, seen) = asked("bedrock", &upstream, key).await;
    check(&plain, &events);
    let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/v1/model/orca-at-lab-a/converse",
            "/v1/model/orca-at-lab-a/converse-stream"
        ]
    );
    for seen in &seen {
        let proof = seen.header("authorization").unwrap();
        assert!(
            proof.starts_with("AWS4-HMAC-SHA256 Credential=AKID/")
                && proof.contains("/eu-west-1/bedrock/aws4_request"),
            "{proof}"
        );
        assert!(!seen.head.contains("hush"));
    }
}

#[tokio::test]
async fn cohere() {
    let upstream = replaying(&["cohere-v2-chat"], is_text_of_coheres).await;
    let (plain, events, seen) = asked("cohere", &upstream, "co-1").await;
    check(&plain, &events);
    for seen in &seen {
        assert_eq!(
            (seen.path.as_str(), seen.header("authorization")),
            ("/v1/chat", Some("Bearer co-1"))
        );
        assert_eq!(seen.body["messages"][0]["content"], "Hello");
    }
}

/// Some of its texts cite what tools gave back.
fn is_text_of_coheres(recording: &Recording) -> bool {
    let ends = recording.response.body.to_string();
    is_text(recording) && ends.contains("COMPLETE")
}

/// An answer of another protocol that breaks off is no answer: nothing is charged, and the client is told.
#[tokio::test]
async fn a_broken_stream_of_anthropics_is_told() {
    let upstream = Upstream::start(|_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let events = [
            json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 9, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Half"}}),
        ];
        let events = events.map(|event| Step::Write(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()).into_bytes()));
        std::iter::once(Step::Write(head.as_bytes().to_vec())).chain(events).collect()
    })
    .await;
    let (server, _folder) = serving("anthropic", &upstream, "sk-ant-1").await;
    let body = json!({"model": "acme/orca", "stream": true, "messages": [{"role": "user", "content": "Hello"}]});
    let events = server
        .http
        .post("/api/v1/chat/completions", &body)
        .await
        .events();
    let last = events.iter().rfind(|event| event.is_object()).unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "error");
    assert_eq!(last["error"]["code"], 502);
    server.stop().await;
}

/// More inputs than the provider takes at once go in several requests, and come back in order.
#[tokio::test]
async fn geminis_embeddings_go_in_batches() {
    let upstream = Upstream::start(|seen| {
        let requests = seen.body["requests"].as_array().unwrap();
        let vector = |request: &Value| {
            let text = request["content"]["parts"][0]["text"].as_str().unwrap();
            json!({"values": [text.parse::<f64>().unwrap(), -2.0]})
        };
        let vectors: Vec<Value> = requests.iter().map(vector).collect();
        let usage = json!({"promptTokenCount": 3 * vectors.len()});
        json_body(200, &json!({"embeddings": vectors, "usageMetadata": usage}))
    })
    .await;
    let config = shoal_at(upstream.address, "lab-a", "0.000001", "max_inputs = 2")
        .replace("wire = \"openai\"", "wire = \"gemini\"");
    let server = Server::alone(&config).await;
    let question = json!({"model": "acme/shoal", "input": ["1", "2", "3"], "dimensions": 2});
    let answer = server.http.post("/api/v1/embeddings", &question).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let answer = answer.json();
    let data = answer["data"].as_array().unwrap();
    let vectors: Vec<&Value> = data.iter().map(|vector| &vector["embedding"]).collect();
    assert_eq!(
        json!(vectors),
        json!([[1.0, -2.0], [2.0, -2.0], [3.0, -2.0]])
    );
    assert_eq!(answer["usage"]["prompt_tokens"], 9);
    let mut sizes: Vec<usize> = Vec::new();
    for seen in upstream.seen() {
        assert_eq!(seen.path, "/v1/models/shoal-at-lab-a:batchEmbedContents");
        assert_eq!(seen.body["requests"][0]["outputDimensionality"], 2);
        sizes.push(seen.body["requests"].as_array().unwrap().len());
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2]);
    server.stop().await;
}
