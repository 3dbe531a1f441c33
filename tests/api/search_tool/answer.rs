//! A model that searches is answered, every step is paid for, and no client sees the calls.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::content;
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Upstream, json_body};
use crate::support::web::{
    self, CHAT, CITED, ask_with_tool, call, curious, engine, exa_at, id, results, said, search,
};

on_both_engines! {
    async fn a_model_that_asks_is_answered_and_every_step_is_paid_for(db: TestDb) {
        let (engine, model) = (engine().await, curious().await);
        let config = format!("{}{}", exa_at(&engine, ""), model.provider("lab-a", "0.000001", "0.000002"));
        let server = Server::start(db, &config).await;
        for stream in [false, true] {
            let answer = server.http.post(CHAT, &ask_with_tool(json!({"max_results": 2}), json!({"stream": stream}))).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let (text, annotations, usage) = if stream {
                let events = answer.events();
                let annotated = events.iter().find(|event| event["choices"][0]["delta"]["annotations"].is_array()).unwrap();
                assert!(events.iter().all(|event| event["choices"][0]["delta"]["tool_calls"].is_null()));
                let reasons: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["finish_reason"]).filter(|reason| !reason.is_null()).collect();
                assert_eq!(reasons, ["stop"]);
                let usage = events.iter().find(|event| event["usage"].is_object()).unwrap()["usage"].clone();
                (content(&events), annotated["choices"][0]["delta"]["annotations"].clone(), usage)
            } else {
                let choice = answer.json()["choices"][0].clone();
                assert_eq!((&choice["finish_reason"], &choice["message"]["tool_calls"]), (&json!("stop"), &Value::Null));
                (choice["message"]["content"].as_str().unwrap().to_owned(), choice["message"]["annotations"].clone(), answer.json()["usage"].clone())
            };
            assert_eq!(text, format!("Let me look. {CITED}"));
            assert_eq!(annotations[0]["url_citation"]["start_index"], 23);
            assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(1500), &json!(20)));
            assert_eq!(usage["server_tool_use"]["web_search_requests"], 1);
            // 1500 tokens at a millionth, 20 at two, and the search.
            assert_eq!(usage["cost"], 0.00854);
            let record = server.generation(id(&answer)).await;
            assert_eq!((&record["total_cost"], &record["web_search_engine"]), (&json!(0.00854), &json!("exa")));
            assert_eq!(record["provider_responses"].as_array().unwrap().len(), 2);
        }
        assert!(server.store.verify().await.unwrap().holds());
        let seen = model.seen();
        let offered = &seen[0].body["tools"];
        assert_eq!((offered.as_array().unwrap().len(), &offered[0]["function"]["name"]), (1, &json!("openrouter_web_search")));
        let roles: Vec<&str> = seen[1].body["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "assistant", "tool"]);
        assert_eq!(seen[1].body["messages"][1]["tool_calls"], json!([search("c1", "who won")]));
        assert_eq!(seen[1].body["messages"][2]["tool_call_id"], "c1");
        assert!(results(&seen[1])[0].contains("\n> https://sport.example/a\n"));
        assert_eq!(results(&seen[3])[0].lines().count(), results(&seen[1])[0].lines().count());
        assert!(engine.seen().iter().all(|seen| seen.body["query"] == "who won" && seen.body["numResults"] == 2));
        server.stop().await;
    }
}

#[tokio::test]
async fn a_model_that_does_not_ask_costs_no_search() {
    let engine = engine().await;
    let model = Upstream::start(|seen| said(seen, 600, "I know.", &[])).await;
    let server = web::online(&engine, &model).await;
    for stream in [false, true] {
        let answer = server
            .http
            .post(CHAT, &ask_with_tool(json!({}), json!({"stream": stream})))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let record = server.generation(id(&answer)).await;
        assert_eq!(
            (&record["total_cost"], &record["web_search_engine"]),
            (&json!(0), &Value::Null)
        );
    }
    assert_eq!(engine.calls(), 0);
    server.stop().await;
}

#[tokio::test]
async fn the_clients_own_tools_are_the_clients() {
    let engine = engine().await;
    let model = Upstream::start(|seen| {
        said(
            seen,
            600,
            "",
            &[
                search("a", "one"),
                call("b", "weather", &json!({"city": "Oslo"})),
            ],
        )
    })
    .await;
    let server = web::online(&engine, &model).await;
    let weather = json!({"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}});
    let tools = json!({"tools": [weather, {"type": "web_search_2025_08_26", "filters": {"allowed_domains": ["sport.example"]}}]});
    let answer = server
        .http
        .post(CHAT, &ask_with_tool(json!({}), tools.clone()))
        .await;
    let choice = answer.json()["choices"][0].clone();
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["tool_calls"]),
        (
            &json!("tool_calls"),
            &json!([call("b", "weather", &json!({"city": "Oslo"}))])
        )
    );
    let mut streamed = ask_with_tool(json!({}), tools);
    streamed["stream"] = true.into();
    let answer = server.http.post(CHAT, &streamed).await;
    let calls: Vec<Value> = answer
        .events()
        .iter()
        .flat_map(|event| {
            event["choices"][0]["delta"]["tool_calls"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .collect();
    assert!(
        calls.iter().all(|call| call["index"] == 0) && calls[0]["function"]["name"] == "weather",
        "{calls:?}"
    );
    assert_eq!(engine.calls(), 0);
    assert_eq!(model.seen()[0].body["tools"][0], weather);
    server.stop().await;
}

#[tokio::test]
async fn a_search_that_fails_is_told_to_the_model() {
    let engine = Upstream::start(|_| json_body(500, &json!({}))).await;
    let model = curious().await;
    let server = web::online(&engine, &model).await;
    let answer = server
        .http
        .post(CHAT, &ask_with_tool(json!({}), json!({})))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(
        results(&model.seen()[1]),
        ["The search failed. Answer without it, and say so."]
    );
    assert_eq!(server.generation(id(&answer)).await["total_cost"], 0);
    server.stop().await;
}

#[tokio::test]
async fn other_forms_have_the_tool_too() {
    let (engine, model) = (engine().await, curious().await);
    let server = web::online(&engine, &model).await;
    let turns = json!([{"role": "user", "content": "Who won?"}]);
    let tools = [
        json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "blocked_domains": ["bad.example"]}),
        json!({"type": "openrouter:web_search"}),
    ];
    for tool in tools {
        let body =
            json!({"model": "acme/orca", "max_tokens": 50, "messages": turns, "tools": [tool]});
        let answer = server.http.post("/api/v1/messages", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(
            answer.json()["usage"]["server_tool_use"]["web_search_requests"],
            1
        );
        assert_eq!(
            answer.json()["content"][0]["citations"][0]["url"],
            "https://sport.example/a"
        );
    }
    assert_eq!(
        engine.seen()[0].body["excludeDomains"],
        json!(["bad.example"])
    );
    let body = json!({"model": "acme/orca", "input": "Who won?", "tools": [{"type": "web_search"}], "stream": true});
    let answer = server.http.post("/api/v1/responses", &body).await;
    let completed = answer.events().into_iter().rev().nth(1).unwrap();
    assert_eq!(
        completed["response"]["usage"]["server_tool_use"]["web_search_requests"],
        1,
        "{}",
        answer.text()
    );
    assert_eq!(engine.calls(), 3);
    server.stop().await;
}

#[tokio::test]
async fn a_provider_that_searches_gets_its_own_tool_and_others_an_engine() {
    let engine = engine().await;
    let model = Upstream::start(|seen| said(seen, 600, "I know.", &[])).await;
    let searching = model
        .provider("lab-n", "0", "0")
        .replace(
            "wire = \"openai\"",
            "wire = \"openai\"\nquirks = { web_search = \"options\" }",
        )
        .replace(
            "completion = \"0\"",
            "completion = \"0\", web_search = \"0.01\"",
        );
    for (provider, native) in [
        (searching, true),
        (model.provider("lab-a", "0", "0"), false),
    ] {
        let server = Server::alone(&format!("{}{provider}", exa_at(&engine, ""))).await;
        for parameters in [json!({}), json!({"engine": "native"})] {
            let answer = server
                .http
                .post(CHAT, &ask_with_tool(parameters, json!({})))
                .await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let seen = model.seen().pop().unwrap();
            assert_eq!(seen.body["web_search_options"].is_object(), native);
            assert_eq!(seen.body["tools"].is_array(), !native);
        }
        server.stop().await;
    }
}
