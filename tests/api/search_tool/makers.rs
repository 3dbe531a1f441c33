//! Who makes the steps: the endpoint of the first while it can, then the next, each at its own price.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::content;
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Seen, Step, Upstream};
use crate::support::web::{
    CHAT, CITED, ask_with_tool, curious, engine, exa_at, id, owed, results, said, search,
};

const LOOK: &str = "Let me look. ";

/// A model that asks once, and cannot go on.
async fn fickle() -> Upstream {
    Upstream::start(|seen| match results(seen).len() {
        0 => said(seen, 600, LOOK, &[search("c1", "who won")]),
        _ => vec![Step::Reset],
    })
    .await
}

fn in_order(stream: bool) -> Value {
    ask_with_tool(
        json!({}),
        json!({"stream": stream, "provider": {"order": ["lab-a", "lab-b"]}}),
    )
}

on_both_engines! {
    async fn a_step_goes_on_elsewhere_and_each_is_paid_to_who_made_it(db: TestDb) {
        let (engine, first, second) = (engine().await, fickle().await, curious().await);
        let config = format!(
            "[ledger]\nmarkup = \"10\"\n{}{}{}",
            exa_at(&engine, ""), first.provider("lab-a", "0.000001", "0.000002"), second.provider("lab-b", "0.00001", "0.00002")
        );
        let server = Server::start(db, &config).await;
        for stream in [false, true] {
            let answer = server.http.post(CHAT, &in_order(stream)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let told: Vec<Value> = if stream {
                let events = answer.events();
                assert_eq!(content(&events), format!("{LOOK}{CITED}"));
                vec![events[0]["provider"].clone(), events.iter().rev().nth(1).unwrap()["provider"].clone()]
            } else {
                assert_eq!(answer.json()["choices"][0]["message"]["content"], format!("{LOOK}{CITED}"));
                vec![json!("lab-a Inc"), answer.json()["provider"].clone()]
            };
            assert_eq!(told, ["lab-a Inc", "lab-b Inc"]);
            let record = server.generation(id(&answer)).await;
            // 600 tokens at a millionth and ten at two; 900 and ten at ten times that; a tenth on top, and the search.
            assert_eq!(record["total_cost"], 0.017802);
            let statuses: Vec<&Value> = record["provider_responses"].as_array().unwrap().iter().map(|tried| &tried["status"]).collect();
            assert_eq!(statuses, [&json!(200), &Value::Null, &json!(200)]);
        }
        assert_eq!((owed(&server, "lab-a").await, owed(&server, "lab-b").await), (2 * 620_000, 2 * 9_200_000));
        assert!(server.store.verify().await.unwrap().holds());
        // What the first said is told to the second, with what was found.
        let seen = second.seen();
        assert_eq!(seen[0].body["messages"][1]["tool_calls"], json!([search("c1", "who won")]));
        assert_eq!((results(&seen[0]).len(), engine.calls()), (1, 2));
        server.stop().await;
    }
}

#[tokio::test]
async fn a_step_that_goes_to_another_model_says_which() {
    let (engine, first, second) = (engine().await, fickle().await, curious().await);
    let other = second.provider("lab-b", "0", "0");
    let other = other.replace("\"acme/orca\"", "\"acme/whale\"");
    let config = format!(
        "{}{}{other}",
        exa_at(&engine, ""),
        first.provider("lab-a", "0", "0")
    );
    let server = Server::alone(&config).await;
    for stream in [false, true] {
        let more = json!({"models": ["acme/whale"], "stream": stream});
        let answer = server
            .http
            .post(CHAT, &ask_with_tool(json!({}), more))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let last = if stream {
            answer.events().into_iter().rev().nth(1).unwrap()
        } else {
            answer.json()
        };
        assert_eq!(last["model"], "acme/whale");
        let record = server.generation(id(&answer)).await;
        assert_eq!(record["model"], "acme/whale");
        assert!(server.store.verify().await.unwrap().holds());
    }
    server.stop().await;
}

#[tokio::test]
async fn files_that_are_named_by_address_are_fetched_once_for_all_steps() {
    let (engine, model) = (engine().await, curious().await);
    let host = Upstream::start(|_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 4\r\nconnection: close\r\n\r\n\u{7f}PNG";
        vec![Step::Write(head.as_bytes().to_vec())]
    })
    .await;
    let takes_bytes = model
        .provider("lab-a", "0", "0")
        .replace("wire =", "quirks = { inline_media = true }\nwire =")
        .replace(
            "context_length",
            "input_modalities = [\"text\", \"image\"]\ncontext_length",
        );
    let config = format!(
        "[media]\nnetworks = \"127.0.0.1\"\n{}{takes_bytes}",
        exa_at(&engine, "")
    );
    let server = Server::alone(&config).await;
    let url = format!("http://{}/a.png", host.address);
    let turn = json!([{"role": "user", "content": [
        {"type": "text", "text": "Who is this?"}, {"type": "image_url", "image_url": {"url": url}}
    ]}]);
    let body = ask_with_tool(json!({}), json!({"messages": turn}));
    let answer = server.http.post(CHAT, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!((model.calls(), host.calls()), (2, 1));
    let part = |seen: &Seen| seen.body["messages"][0]["content"][1]["image_url"]["url"].clone();
    let seen = model.seen();
    assert_eq!(part(&seen[0]), part(&seen[1]));
    assert!(
        part(&seen[0])
            .as_str()
            .unwrap()
            .starts_with("data:image/png;base64,")
    );
    server.stop().await;
}

#[tokio::test]
async fn a_step_that_fails_fails_the_run_and_is_not_charged() {
    let engine = engine().await;
    let model = fickle().await;
    let server = Server::alone(&format!(
        "{}{}",
        exa_at(&engine, ""),
        model.provider("lab-a", "0.000001", "0.000002")
    ))
    .await;
    let plain = server
        .http
        .post(CHAT, &ask_with_tool(json!({}), json!({})))
        .await;
    assert_eq!(plain.status, StatusCode::BAD_GATEWAY, "{}", plain.text());
    let streamed = server
        .http
        .post(CHAT, &ask_with_tool(json!({}), json!({"stream": true})))
        .await;
    assert_eq!(
        streamed.events().last().unwrap()["choices"][0]["finish_reason"],
        "error"
    );
    for answer in [plain, streamed] {
        assert_eq!(server.generation(id(&answer)).await["total_cost"], 0);
    }
    server.stop().await;
}
