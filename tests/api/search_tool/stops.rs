//! `stop_server_tools_when`: conditions after which the model answers without tools, and what is told of the calls.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::server::Server;
use crate::support::upstream::{Upstream, json_body};
use crate::support::web::{self, CHAT, ask_with_tool, call, engine, id, said, search};

/// A model that would search for ever.
async fn restless() -> Upstream {
    Upstream::start(|seen| match seen.body["tool_choice"] == "none" {
        true => said(seen, 600, "Enough.", &[]),
        false => said(seen, 600, "More. ", &[search("a", "one")]),
    })
    .await
}

async fn asked(server: &Server, parameters: Value, more: Value) -> Answer {
    let answer = server
        .http
        .post(CHAT, &ask_with_tool(parameters, more))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer
}

#[tokio::test]
async fn any_condition_ends_the_searches_and_the_model_answers() {
    let (engine, model) = (engine().await, restless().await);
    let server = web::online(&engine, &model).await;
    // Each step uses 610 tokens and costs a search, $0.007.
    for (condition, steps) in [
        (json!({"type": "step_count_is", "step_count": 2}), 3),
        (json!({"type": "max_tokens_used", "max_tokens": 1500}), 4),
        (json!({"type": "max_cost", "max_cost_in_dollars": 0.01}), 3),
        (
            json!({"type": "has_tool_call", "tool_name": "openrouter:web_search"}),
            2,
        ),
        (
            json!({"type": "finish_reason_is", "reason": "tool_calls"}),
            2,
        ),
        (json!({"type": "finish_reason_is", "reason": "length"}), 6),
    ] {
        let before = model.calls();
        let stops = json!({"stop_server_tools_when": [condition, {"type": "step_count_is", "step_count": 20}]});
        let answer = asked(&server, json!({}), stops).await;
        assert_eq!(model.calls() - before, steps, "{condition}");
        let text = answer.json()["choices"][0]["message"]["content"].clone();
        assert!(text.as_str().unwrap().ends_with("Enough."), "{text}");
        // What was asked for is done before the last turn.
        let searches = answer.json()["usage"]["server_tool_use"]["web_search_requests"].clone();
        assert_eq!(searches, json!(steps - 1), "{condition}");
    }
    server.stop().await;
}

#[tokio::test]
async fn conditions_come_in_the_place_of_max_tool_calls() {
    let (engine, model) = (engine().await, restless().await);
    let server = web::online(&engine, &model).await;
    let stops = json!({"max_tool_calls": 1, "stop_server_tools_when": [{"type": "step_count_is", "step_count": 3}]});
    asked(&server, json!({}), stops).await;
    assert_eq!(engine.calls(), 3);
    asked(&server, json!({}), json!({"max_tool_calls": 1})).await;
    assert_eq!(engine.calls(), 4);
    assert!(
        model
            .seen()
            .iter()
            .all(|seen| seen.body["stop_server_tools_when"].is_null())
    );
    server.stop().await;
}

#[tokio::test]
async fn calls_are_counted_as_they_are_made_and_as_they_are_done() {
    let engine = Upstream::start(|seen| match seen.body["query"] == "broken" {
        true => json_body(500, &json!({})),
        false => json_body(200, &web::exa_answer()),
    })
    .await;
    let nonsense = || call("c", "openrouter_web_search", &json!({"q": 1}));
    let model = Upstream::start(move |seen| match web::results(seen).len() {
        0 => said(
            seen,
            600,
            "",
            &[search("a", "one"), search("b", "broken"), nonsense()],
        ),
        _ => said(seen, 600, "Reds.", &[]),
    })
    .await;
    let server = web::online(&engine, &model).await;
    let expect =
        json!({"tool_calls_requested": 3, "tool_calls_executed": 1, "web_search_requests": 1});
    let answer = asked(&server, json!({}), json!({})).await;
    assert_eq!(answer.json()["usage"]["server_tool_use_details"], expect);
    let body =
        json!({"model": "acme/orca", "input": "Who won?", "tools": [{"type": "web_search"}]});
    let answer = server.http.post("/api/v1/responses", &body).await;
    assert_eq!(
        answer.json()["usage"]["server_tool_use_details"],
        expect,
        "{}",
        answer.text()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_model_that_calls_in_vain_is_not_asked_for_ever() {
    let engine = engine().await;
    let model = Upstream::start(|seen| {
        said(
            seen,
            600,
            "",
            &[call("c", "openrouter_web_search", &json!({"q": 1}))],
        )
    })
    .await;
    let server = web::online(&engine, &model).await;
    let answer = asked(&server, json!({"max_uses": 3}), json!({})).await;
    assert_eq!((engine.calls(), model.calls()), (0, 4));
    let details =
        json!({"tool_calls_requested": 4, "tool_calls_executed": 0, "web_search_requests": 0});
    assert_eq!(answer.json()["usage"]["server_tool_use_details"], details);
    assert_eq!(server.generation(id(&answer)).await["total_cost"], 0);
    server.stop().await;
}

#[tokio::test]
async fn conditions_that_make_no_sense_are_refused_with_their_place() {
    let (engine, model) = (engine().await, restless().await);
    let server = web::online(&engine, &model).await;
    for (stops, words) in [
        (
            json!([]),
            "stop_server_tools_when: must be an array with at least one condition",
        ),
        (
            json!({"type": "max_cost"}),
            "stop_server_tools_when: must be an array with at least one condition",
        ),
        (
            json!([{"type": "full_moon"}]),
            "stop_server_tools_when[0].type: unknown variant `full_moon`",
        ),
        (
            json!([{"type": "step_count_is"}]),
            "missing field `step_count`",
        ),
        (
            json!([{"type": "max_cost"}]),
            "stop_server_tools_when[0].max_cost_in_dollars: missing",
        ),
        (
            json!([{"type": "max_cost", "max_cost_in_dollars": "much"}]),
            "max_cost_in_dollars: not a decimal number",
        ),
        (
            json!([{"type": "has_tool_call", "tool_name": ""}]),
            "stop_server_tools_when[0].tool_name: must not be empty",
        ),
    ] {
        let body = ask_with_tool(json!({}), json!({"stop_server_tools_when": stops}));
        let answer = server.http.post(CHAT, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    assert_eq!(model.calls(), 0);
    server.stop().await;
}
