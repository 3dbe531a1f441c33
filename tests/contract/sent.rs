//! `debug.echo_upstream_body` (contract 4.5): what every provider that was tried was sent, before anything it says.

use serde_json::{Value, json};

use super::held::Held;
use crate::support::order;
use crate::support::server::Server;
use crate::support::upstream::{Upstream, json_body};
use crate::wires::served::{is_text, replaying};

type Ordered = fn(&[Value]) -> Result<(), String>;

/// The bodies that a stream shows.
fn shown(events: &[Value]) -> Vec<Value> {
    let shown = events
        .iter()
        .map(|event| &event["debug"]["echo_upstream_body"]);
    shown.filter(|body| body.is_object()).cloned().collect()
}

#[tokio::test]
async fn a_stream_shows_what_each_provider_was_sent_and_a_plain_answer_does_not() {
    let failing = Upstream::start(|_| json_body(500, &json!({"error": {"message": "no"}}))).await;
    let good = Upstream::answering("Four it is").await;
    let config = format!(
        "{}{}",
        failing.provider("lab-a", "0.000001", "0.000001"),
        good.provider("lab-b", "0.000001", "0.000001")
    );
    let server = Server::alone(&config).await;
    let mut held = Held::default();
    let words = json!([{"role": "user", "content": "Two and two?"}]);
    let (chat, text, responses) = (
        "POST /chat/completions",
        "POST /completions",
        "POST /responses",
    );
    let orders: [Ordered; 3] = [order::chat, order::text, order::responses];
    for ((route, field, said), ordered) in [
        (chat, "messages", words.clone()),
        (text, "prompt", json!("Two and two?")),
        (responses, "input", json!("Two and two?")),
    ]
    .into_iter()
    .zip(orders)
    {
        let mut body = json!({
            "model": "acme/orca", "stream": true, "debug": {"echo_upstream_body": true},
            "provider": {"order": ["lab-a", "lab-b"]}
        });
        body[field] = said;
        let path = route.replace("POST ", "/api/v1");
        let answer = held.hold(route, 200, server.http.post(&path, &body).await);
        let events = answer.events();
        let sent = [failing.seen().pop().unwrap(), good.seen().pop().unwrap()];
        assert_eq!(shown(&events), sent.map(|seen| seen.body), "{route}");
        assert_eq!(ordered(&events), Ok(()));
        for without in [json!({"echo_upstream_body": false}), Value::Null] {
            body["debug"] = without;
            let answer = held.hold(route, 200, server.http.post(&path, &body).await);
            assert!(!answer.text().contains("echo_upstream_body"));
        }
        body["debug"] = json!({"echo_upstream_body": true});
        body["stream"] = json!(false);
        let answer = held.hold(route, 200, server.http.post(&path, &body).await);
        assert!(!answer.text().contains("echo_upstream_body"));
    }
    // Anthropic's form has no event for it.
    let body = json!({
        "model": "acme/orca", "max_tokens": 9, "stream": true, "messages": words,
        "debug": {"echo_upstream_body": true}
    });
    let answer = server.http.post("/api/v1/messages", &body).await;
    let answer = held.hold("POST /messages", 200, answer);
    assert!(!answer.text().contains("echo_upstream_body"));
    held.finish();
    server.stop().await;
}

/// Where a provider numbers its own events, those after the one that is put between have other numbers.
#[tokio::test]
async fn a_forwarded_stream_shows_it_after_its_beginning() {
    let provider = replaying(&["openai-responses"], is_text).await;
    let config = provider.provider("lab-a", "0.000001", "0.000001");
    let config = config.replace("wire = \"openai\"", "wire = \"responses\"");
    let server = Server::alone(&config).await;
    let mut body = json!({"model": "acme/orca", "stream": true, "input": "hi"});
    let plain = server.http.post("/api/v1/responses", &body).await.events();
    body["debug"] = json!({"echo_upstream_body": true});
    let events = server.http.post("/api/v1/responses", &body).await.events();
    assert_eq!(order::responses(&events), Ok(()));
    assert_eq!(shown(&events), [provider.seen().pop().unwrap().body]);
    assert_eq!(provider.seen()[1].body.get("debug"), None);
    let kinds = |events: &[Value]| -> Vec<Value> {
        events.iter().map(|event| event["type"].clone()).collect()
    };
    let mut expected = kinds(&plain);
    expected.insert(1, json!("response.debug"));
    assert_eq!(kinds(&events), expected);
    server.stop().await;
}
