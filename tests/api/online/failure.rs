//! Searches that fail, that there is nothing for, or that nobody waits for.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::server::Server;
use crate::support::upstream::{Script, Step, Upstream, json_body};
use crate::support::web::{self, CHAT, ask, counting, engine, exa_at, id, send};

#[tokio::test]
async fn a_search_that_fails_leaves_an_answer_without_results_that_says_so() {
    let broken: Vec<(&str, Script, &str)> = vec![
        (
            "",
            json_body(
                401,
                &json!({"error": "Invalid API key", "tag": "INVALID_API_KEY"}),
            ),
            "refused",
        ),
        ("", json_body(200, &json!({"results": 7})), "malformed"),
        ("", vec![Step::Reset], "connection"),
        ("timeout = \"100ms\"", vec![Step::Silence], "timeout"),
    ];
    for (more, script, reason) in broken {
        let engine = Upstream::start(move |_| script.clone()).await;
        let model = counting(20, "I do not know.").await;
        let provider = model.provider("lab-a", "0", "0");
        let server = Server::alone(&format!("{}{provider}", exa_at(&engine, more))).await;
        for stream in [false, true] {
            let answer = send(&server, &ask(json!({"stream": stream}))).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let last = if stream {
                answer.events().into_iter().rev().nth(1).unwrap()
            } else {
                answer.json()
            };
            let stage = &last["openrouter_metadata"]["pipeline"][0];
            assert_eq!(
                (&stage["data"]["failure"], &stage["cost_usd"]),
                (&json!(reason), &json!(0)),
                "{last}"
            );
            assert_eq!(
                (&last["usage"]["cost"], &last["usage"]["server_tool_use"]),
                (&json!(0), &Value::Null)
            );
        }
        let sent = &model.seen()[0].body;
        assert_eq!(
            sent["messages"],
            json!([{"role": "user", "content": "Who won?"}])
        );
        server.stop().await;

        let config = format!(
            "{}{provider}",
            exa_at(&engine, &format!("on_failure = \"fail\"\n{more}"))
        );
        let server = Server::alone(&config).await;
        let answer = send(&server, &ask(json!({}))).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{reason}");
        assert_eq!(answer.json()["error"]["message"], "The web search failed");
        assert_eq!(server.generation(id(&answer)).await["total_cost"], 0);
        assert_eq!(model.calls(), 2, "{reason}: not asked again");
        server.stop().await;
    }
}

#[tokio::test]
async fn nothing_to_search_for_is_no_search() {
    let (engine, model) = (engine().await, counting(20, "What?").await);
    let server = web::online(&engine, &model).await;
    for messages in [
        json!([{"role": "system", "content": "Hi"}]),
        json!([{"role": "user", "content": " "}]),
    ] {
        let answer = send(&server, &ask(json!({"messages": messages}))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json()["usage"]["cost"], 0);
        assert_eq!(
            answer.json()["openrouter_metadata"]["pipeline"][0]["data"]["failure"],
            "no_question"
        );
    }
    assert_eq!(engine.calls(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_caller_who_leaves_during_the_search_pays_nothing() {
    let engine = Upstream::start(|_| vec![Step::Silence]).await;
    let model = Upstream::answering("never").await;
    let server = web::online(&engine, &model).await;
    let body = ask(json!({}));
    let asking = server.http.post(CHAT, &body);
    tokio::select! {
        answer = asking => panic!("{}", answer.text()),
        () = engine.called(1) => {}
    }
    engine.hung_up(1).await;
    server.stop().await;
    assert_eq!(model.calls(), 0);
}
