//! How often a model may search, and what of the tool makes no sense.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::server::Server;
use crate::support::upstream::Upstream;
use crate::support::web::{
    self, CHAT, ask_with_tool, call, curious, engine, id, results, said, search,
};

#[tokio::test]
async fn limits_are_told_to_the_model_and_end_the_loop() {
    let engine = engine().await;
    // It would go on for ever.
    let model = Upstream::start(|seen| {
        said(
            seen,
            600,
            "More. ",
            &[
                search("a", "one"),
                search("b", "two"),
                call("c", "openrouter_web_search", &json!({"q": 1})),
            ],
        )
    })
    .await;
    let server = web::online(&engine, &model).await;
    for stream in [false, true] {
        let answer = server
            .http
            .post(
                CHAT,
                &ask_with_tool(
                    json!({"max_uses": 3}),
                    json!({"stream": stream, "tool_choice": {"type": "openrouter:web_search"}}),
                ),
            )
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert!(
            !answer.text().contains("openrouter_web_search"),
            "{}",
            answer.text()
        );
        let record = server.generation(id(&answer)).await;
        assert_eq!(
            (&record["total_cost"], &record["num_search_results"]),
            (&json!(0.021), &json!(6))
        );
    }
    let seen = &model.seen()[..3];
    assert_eq!(
        seen[0].body["tool_choice"],
        json!({"type": "function", "function": {"name": "openrouter_web_search"}})
    );
    assert_eq!(seen[1].body["tool_choice"], Value::Null);
    assert!(seen[1].body["tools"].is_array());
    // Asked often enough; the tools stay defined, as providers want it of a conversation with calls.
    assert_eq!(
        (&seen[2].body["tool_choice"], &seen[2].body["tools"]),
        (&json!("none"), &seen[1].body["tools"])
    );
    let told = results(&seen[2]);
    assert_eq!(told.len(), 6);
    assert_eq!(
        (told[2].as_str(), told[5].as_str()),
        ("The call has no query.", "The call has no query.")
    );
    assert!(
        told[4].starts_with("No more searches are allowed"),
        "{}",
        told[4]
    );
    assert_eq!((engine.calls(), model.calls()), (6, 6));
    server.stop().await;
}

#[tokio::test]
async fn results_of_all_searches_together_are_limited() {
    let engine = engine().await;
    let model = Upstream::start(|seen| {
        said(
            seen,
            600,
            "More. ",
            &[search("a", "one"), search("b", "two")],
        )
    })
    .await;
    let server = web::online(&engine, &model).await;
    let answer = server
        .http
        .post(
            CHAT,
            &ask_with_tool(json!({"max_total_results": 3}), json!({})),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(
        server.generation(id(&answer)).await["num_search_results"],
        3
    );
    let wanted: Vec<Value> = engine
        .seen()
        .iter()
        .map(|seen| seen.body["numResults"].clone())
        .collect();
    assert_eq!(wanted, [json!(3), json!(1)]);
    server.stop().await;
}

#[tokio::test]
async fn a_tool_that_makes_no_sense_is_refused_with_its_place() {
    let (engine, model) = (engine().await, curious().await);
    let server = web::online(&engine, &model).await;
    let check = |answer: Answer, words: &str| {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert!(answer.text().contains(words), "{}", answer.text());
    };
    let post = |body: Value| {
        let http = server.http.clone();
        async move { http.post(CHAT, &body).await }
    };
    check(
        post(ask_with_tool(json!({"max_results": 99}), json!({}))).await,
        "tools[0].max_results: must be 1 to 25",
    );
    check(
        post(ask_with_tool(json!({"max_characters": 0}), json!({}))).await,
        "tools[0].max_characters: must be 1 to 100000",
    );
    check(
        post(ask_with_tool(
            json!({"search_context_size": "vast"}),
            json!({}),
        ))
        .await,
        "tools[0].search_context_size: unknown variant",
    );
    check(
        post(ask_with_tool(json!({}), json!({"n": 2}))).await,
        "`n` must be 1",
    );
    check(
        post(ask_with_tool(json!({}), json!({"max_tool_calls": 31}))).await,
        "max_tool_calls: must be 1 to 30",
    );
    assert_eq!((engine.calls(), model.calls()), (0, 0));
    server.stop().await;
    let bare = Server::alone(&model.provider("lab-a", "0", "0")).await;
    check(
        bare.http
            .post(CHAT, &ask_with_tool(json!({}), json!({})))
            .await,
        "the operator may set EXA_API_KEY",
    );
    bare.stop().await;
}
