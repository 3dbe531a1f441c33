//! A conversation goes back to the endpoint that has its prompt in a cache (contract 6.6).

use serde_json::{Value, json};

use crate::support::server::Server;
use crate::support::upstream::{Seen, Upstream, answer, completion, json_body};

/// Two endpoints at one price, both with cheap reads from their cache; whoever is chosen is left to chance.
async fn two_caches(
    says: fn(&Seen) -> Vec<crate::support::upstream::Step>,
) -> (Server, [Upstream; 2]) {
    let labs = [Upstream::start(says).await, Upstream::start(says).await];
    let config: String = labs
        .iter()
        .zip(["lab-a", "lab-b"])
        .map(|(lab, slug)| {
            lab.provider(slug, "0.000001", "0.000002").replace(
                "completion = \"0.000002\"",
                "completion = \"0.000002\", cache_read = \"0.0000001\"",
            )
        })
        .collect();
    (Server::alone(&config).await, labs)
}

async fn ask(server: &Server, more: Value) -> String {
    let mut body =
        json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Can you?"}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = server
        .http
        .post("/api/v1/chat/completions", &body)
        .await
        .json();
    answer["provider"].as_str().unwrap().to_owned()
}

/// Whether twenty requests all went to one endpoint. By chance alone one in half a million would.
async fn sticks(server: &Server, more: Value) -> bool {
    let first = ask(server, more.clone()).await;
    let mut same = true;
    for _ in 0..20 {
        same &= ask(server, more.clone()).await == first;
    }
    same
}

#[tokio::test]
async fn a_named_conversation_sticks_and_others_are_spread() {
    let (server, _labs) = two_caches(|seen| answer(seen, "I can")).await;
    assert!(sticks(&server, json!({"session_id": "chat-17"})).await);
    assert!(sticks(&server, json!({"prompt_cache_key": "report"})).await);
    // Nobody has seen the cache work for a conversation without a name.
    assert!(!sticks(&server, json!({})).await);
    server.stop().await;
}

#[tokio::test]
async fn a_conversation_without_a_name_sticks_once_its_cache_was_seen_to_work() {
    let (server, _labs) = two_caches(|_| {
        let mut body = completion("I can");
        body["usage"]["prompt_tokens_details"] = json!({"cached_tokens": 8});
        json_body(200, &body)
    })
    .await;
    assert!(sticks(&server, json!({})).await);
    server.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_fails_loses_the_conversation() {
    let (server, labs) = two_caches(|seen| answer(seen, "I can")).await;
    let session = json!({"session_id": "chat-17"});
    let first = ask(&server, session.clone()).await;
    let gone = labs.iter().position(|lab| lab.calls() > 0).unwrap();
    let [a, b] = labs;
    let (dead, _alive) = if gone == 0 { (a, b) } else { (b, a) };
    drop(dead);
    let second = ask(&server, session.clone()).await;
    assert_ne!(first, second);
    assert_eq!(ask(&server, session).await, second);
    server.stop().await;
}
