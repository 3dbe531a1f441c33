//! The server tool `openrouter:web_search`: the model asks, the gateway searches, one run pays for all steps.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::{Answer, content};
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{
    Script, Seen, Step, Upstream, chunk, done, event, json_body, sse_head,
};

const CHAT: &str = "/api/v1/chat/completions";
const CITED: &str = "Reds won ([sport.example](https://sport.example/a)).";

async fn engine() -> Upstream {
    Upstream::start(|_| {
        let fixture: Value =
            serde_json::from_str(include_str!("../fixtures/search/exa.json")).unwrap();
        json_body(200, &fixture["answer"])
    })
    .await
}

fn exa_at(engine: &Upstream) -> String {
    format!(
        "[exa]\napi_key = \"k\"\nbase_url = \"http://{}\"\n",
        engine.address
    )
}

fn ask(parameters: Value, more: Value) -> Value {
    let mut body = json!({
        "model": "acme/orca", "messages": [{"role": "user", "content": "Who won?"}], "max_tokens": 50,
        "tools": [{"type": "openrouter:web_search", "parameters": parameters}]
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

fn call(id: &str, name: &str, arguments: &Value) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
}

fn search(id: &str, query: &str) -> Value {
    call(id, "openrouter_web_search", &json!({"query": query}))
}

/// What a model says in one step, as it is asked for it.
fn said(seen: &Seen, prompt_tokens: u64, text: &str, calls: &[Value]) -> Script {
    let usage = json!({"prompt_tokens": prompt_tokens, "completion_tokens": 10, "total_tokens": prompt_tokens + 10});
    let finish = if calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    };
    if !seen.streams() {
        let message = json!({"role": "assistant", "content": text, "tool_calls": calls});
        return json_body(
            200,
            &json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}),
        );
    }
    let mut script = vec![sse_head()];
    for piece in text.split_inclusive(' ') {
        script.push(event(&chunk(&json!({"content": piece}), None)));
    }
    for (index, call) in calls.iter().enumerate() {
        let arguments = call["function"]["arguments"].as_str().unwrap();
        let (first, second) = arguments.split_at(arguments.len() / 2);
        let named = json!({"index": index, "id": call["id"], "type": "function", "function": {"name": call["function"]["name"], "arguments": first}});
        script.push(event(&chunk(&json!({"tool_calls": [named]}), None)));
        let rest = json!({"index": index, "function": {"arguments": second}});
        script.push(event(&chunk(&json!({"tool_calls": [rest]}), None)));
    }
    let mut last = chunk(&json!({}), Some(finish));
    last["usage"] = usage;
    script.extend([event(&last), done()]);
    script
}

fn results(seen: &Seen) -> Vec<String> {
    let messages = seen.body["messages"].as_array().unwrap();
    let tools = messages.iter().filter(|message| message["role"] == "tool");
    tools
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect()
}

/// A model that asks once and then answers.
async fn curious() -> Upstream {
    Upstream::start(|seen| match results(seen).len() {
        0 => said(seen, 600, "Let me look. ", &[search("c1", "who won")]),
        _ => said(seen, 900, CITED, &[]),
    })
    .await
}

fn id(answer: &Answer) -> &str {
    answer.headers["x-generation-id"].to_str().unwrap()
}

on_both_engines! {
    async fn a_model_that_asks_is_answered_and_every_step_is_paid_for(db: TestDb) {
        let (engine, model) = (engine().await, curious().await);
        let config = format!("{}{}", exa_at(&engine), model.provider("lab-a", "0.000001", "0.000002"));
        let server = Server::start(db, &config).await;
        for stream in [false, true] {
            let answer = server.http.post(CHAT, &ask(json!({"max_results": 2}), json!({"stream": stream}))).await;
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
    let server = Server::alone(&format!(
        "{}{}",
        exa_at(&engine),
        model.provider("lab-a", "0", "0")
    ))
    .await;
    for stream in [false, true] {
        let answer = server
            .http
            .post(CHAT, &ask(json!({}), json!({"stream": stream})))
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
    let server = Server::alone(&format!(
        "{}{}",
        exa_at(&engine),
        model.provider("lab-a", "0", "0")
    ))
    .await;
    for stream in [false, true] {
        let answer = server
            .http
            .post(
                CHAT,
                &ask(
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
    let server = Server::alone(&format!(
        "{}{}",
        exa_at(&engine),
        model.provider("lab-a", "0", "0")
    ))
    .await;
    let answer = server
        .http
        .post(CHAT, &ask(json!({"max_total_results": 3}), json!({})))
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
    let server = Server::alone(&format!(
        "{}{}",
        exa_at(&engine),
        model.provider("lab-a", "0", "0")
    ))
    .await;
    let weather = json!({"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}});
    let tools = json!({"tools": [weather, {"type": "web_search_2025_08_26", "filters": {"allowed_domains": ["sport.example"]}}]});
    let answer = server.http.post(CHAT, &ask(json!({}), tools.clone())).await;
    let choice = answer.json()["choices"][0].clone();
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["tool_calls"]),
        (
            &json!("tool_calls"),
            &json!([call("b", "weather", &json!({"city": "Oslo"}))])
        )
    );
    let mut streamed = ask(json!({}), tools);
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
    let server = Server::alone(&format!(
        "{}{}",
        exa_at(&engine),
        model.provider("lab-a", "0", "0")
    ))
    .await;
    let answer = server.http.post(CHAT, &ask(json!({}), json!({}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(
        results(&model.seen()[1]),
        ["The search failed. Answer without it, and say so."]
    );
    assert_eq!(server.generation(id(&answer)).await["total_cost"], 0);
    server.stop().await;
}

#[tokio::test]
async fn a_step_that_fails_fails_the_run_and_is_not_charged() {
    let engine = engine().await;
    let model = Upstream::start(|seen| match results(seen).len() {
        0 => said(seen, 600, "Let me look. ", &[search("c1", "who won")]),
        _ => vec![Step::Reset],
    })
    .await;
    let server = Server::alone(&format!(
        "{}{}",
        exa_at(&engine),
        model.provider("lab-a", "0.000001", "0.000002")
    ))
    .await;
    let plain = server.http.post(CHAT, &ask(json!({}), json!({}))).await;
    assert_eq!(plain.status, StatusCode::BAD_GATEWAY, "{}", plain.text());
    let streamed = server
        .http
        .post(CHAT, &ask(json!({}), json!({"stream": true})))
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

#[tokio::test]
async fn other_forms_have_the_tool_too() {
    let (engine, model) = (engine().await, curious().await);
    let server = Server::alone(&format!(
        "{}{}",
        exa_at(&engine),
        model.provider("lab-a", "0", "0")
    ))
    .await;
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
        let server = Server::alone(&format!("{}{provider}", exa_at(&engine))).await;
        for parameters in [json!({}), json!({"engine": "native"})] {
            let answer = server.http.post(CHAT, &ask(parameters, json!({}))).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let seen = model.seen().pop().unwrap();
            assert_eq!(seen.body["web_search_options"].is_object(), native);
            assert_eq!(seen.body["tools"].is_array(), !native);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_tool_that_makes_no_sense_is_refused_with_its_place() {
    let (engine, model) = (engine().await, curious().await);
    let server = Server::alone(&format!(
        "{}{}",
        exa_at(&engine),
        model.provider("lab-a", "0", "0")
    ))
    .await;
    let check = |answer: Answer, words: &str| {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert!(answer.text().contains(words), "{}", answer.text());
    };
    let post = |body: Value| {
        let http = server.http.clone();
        async move { http.post(CHAT, &body).await }
    };
    check(
        post(ask(json!({"max_results": 99}), json!({}))).await,
        "tools[0].max_results: must be 1 to 25",
    );
    check(
        post(ask(json!({"max_characters": 0}), json!({}))).await,
        "tools[0].max_characters: must be 1 to 100000",
    );
    check(
        post(ask(json!({"search_context_size": "vast"}), json!({}))).await,
        "tools[0].search_context_size: unknown variant",
    );
    check(post(ask(json!({}), json!({"n": 2}))).await, "`n` must be 1");
    check(
        post(ask(json!({}), json!({"max_tool_calls": 31}))).await,
        "max_tool_calls: must be 1 to 30",
    );
    assert_eq!((engine.calls(), model.calls()), (0, 0));
    server.stop().await;
    let bare = Server::alone(&model.provider("lab-a", "0", "0")).await;
    check(
        bare.http.post(CHAT, &ask(json!({}), json!({}))).await,
        "the operator may set EXA_API_KEY",
    );
    bare.stop().await;
}
