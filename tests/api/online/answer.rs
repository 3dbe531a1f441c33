//! What was found comes before the model, quoted, and is cited in the answer, in every form.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::content;
use crate::support::server::Server;
use crate::support::web::{self, CITED, ask, counting, engine, exa_at, send};

#[tokio::test]
async fn results_are_quoted_before_the_last_turn_and_cited_in_the_answer() {
    let (engine, model) = (engine().await, counting(600, CITED).await);
    let server = web::online(&engine, &model).await;
    let body = ask(json!({
        "model": "acme/orca",
        "plugins": [{"id": "web", "max_results": 2, "include_domains": ["sport.example"]}],
        "web_search_options": {"search_context_size": "low"},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Who won?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "late"},
            {"role": "assistant", "content": "The"}
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    }));
    let provider_takes_images = body.to_string().replace(
        "{\"image_url\":{\"url\":\"data:image/png;base64,AA==\"},\"type\":\"image_url\"}",
        "{\"type\":\"text\",\"text\":\"Today?\"}",
    );
    let body: Value = serde_json::from_str(&provider_takes_images).unwrap();
    let answer = send(&server, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());

    let asked = engine.seen().remove(0);
    assert_eq!(asked.body["query"], "Who won? Today?");
    assert_eq!(
        (&asked.body["numResults"], &asked.body["includeDomains"]),
        (&json!(2), &json!(["sport.example"]))
    );

    let sent = model.seen().remove(0).body;
    let roles: Vec<&str> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(
        roles,
        ["system", "user", "user", "assistant", "tool", "assistant"]
    );
    assert_eq!(sent["messages"][2], body["messages"][1]);
    assert_eq!(
        (&sent["plugins"], &sent["web_search_options"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(sent["tools"], body["tools"]);
    let quoted = sent["messages"][1]["content"].as_str().unwrap();
    for part in [
        "markdown link named by the domain",
        "\n> [1] Match report\n> https://sport.example/a\n> published 2026-11-29\n> The reds won 2:1. [...] Full time was late.\n",
        "\n> https://sport.example/b\n> The blues lost.\n",
    ] {
        assert!(quoted.contains(part), "{part}\n{quoted}");
    }

    let message = answer.json()["choices"][0]["message"].clone();
    assert_eq!(
        message["annotations"],
        json!([
            {"type": "url_citation", "url_citation": {
                "url": "https://sport.example/a", "title": "Match report", "content": "The reds won 2:1. [...] Full time was late.",
                "start_index": 10, "end_index": 50
            }},
            {"type": "url_citation", "url_citation": {"url": "https://sport.example/b", "content": "The blues lost."}}
        ])
    );
    assert_eq!(&CITED[10..50], "[sport.example](https://sport.example/a)");
    let stage = &answer.json()["openrouter_metadata"]["pipeline"][0];
    assert_eq!(
        (&stage["type"], &stage["name"], &stage["cost_usd"]),
        (&json!("plugin"), &json!("web"), &json!(0.007))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_annotations_and_then_its_reason() {
    let (engine, model) = (engine().await, counting(600, CITED).await);
    let server = web::online(&engine, &model).await;
    let answer = send(&server, &ask(json!({"stream": true}))).await;
    let events = answer.events();
    assert_eq!(content(&events), CITED);
    let position = |is: &dyn Fn(&Value) -> bool| events.iter().position(is).unwrap();
    let annotated = position(&|event| event["choices"][0]["delta"]["annotations"].is_array());
    let citation = &events[annotated]["choices"][0]["delta"]["annotations"][0]["url_citation"];
    assert_eq!(
        (&citation["start_index"], &citation["end_index"]),
        (&json!(10), &json!(50))
    );
    let spoken = events
        .iter()
        .rposition(|event| {
            event["choices"][0]["delta"]["content"]
                .as_str()
                .is_some_and(|text| text.contains("example"))
        })
        .unwrap();
    let finished = position(&|event| event["choices"][0]["finish_reason"] == "stop");
    let used = position(&|event| event["usage"].is_object());
    assert!(
        spoken < annotated && annotated < finished && finished < used,
        "{}",
        answer.text()
    );
    assert_eq!(
        events[used]["usage"]["server_tool_use"]["web_search_requests"],
        1
    );
    assert_eq!(events[used]["usage"]["cost"], 0.007);
    server.stop().await;
}

#[tokio::test]
async fn every_form_of_request_is_searched_for_and_told_in_its_own_words() {
    let (engine, model) = (engine().await, counting(600, CITED).await);
    let provider = model.provider("lab-a", "0", "0").replace(
        "wire = \"openai\"",
        "wire = \"openai\"\nquirks = { text_completions = true }",
    );
    let server = Server::alone(&format!("{}{provider}", exa_at(&engine, ""))).await;
    let turns = json!([{"role": "user", "content": "Who won?"}]);
    let messages = json!({"model": "acme/orca:online", "max_tokens": 50, "messages": turns});
    let answer = server.http.post("/api/v1/messages", &messages).await.json();
    assert_eq!(
        answer["content"][0]["citations"][0]["url"], "https://sport.example/a",
        "{answer}"
    );
    assert_eq!(
        answer["usage"]["server_tool_use"],
        json!({"web_search_requests": 1, "web_fetch_requests": 0})
    );
    let mut streamed = messages.clone();
    streamed["stream"] = true.into();
    let events = server
        .http
        .post("/api/v1/messages", &streamed)
        .await
        .events();
    let cited = events
        .iter()
        .find(|event| event["delta"]["type"] == "citations_delta")
        .unwrap();
    assert_eq!(cited["delta"]["citation"]["url"], "https://sport.example/a");

    let responses = json!({"model": "acme/orca", "plugins": [{"id": "web"}], "input": "Who won?"});
    let answer = server
        .http
        .post("/api/v1/responses", &responses)
        .await
        .json();
    let annotation = &answer["output"][0]["content"][0]["annotations"][0];
    assert_eq!(
        (&annotation["url"], &annotation["start_index"]),
        (&json!("https://sport.example/a"), &json!(10)),
        "{answer}"
    );
    assert_eq!(
        answer["usage"]["server_tool_use_details"]["web_search_requests"],
        1
    );

    let text = json!({"model": "acme/orca:online", "prompt": "Who won?", "max_tokens": 50});
    let answer = server.http.post("/api/v1/completions", &text).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let sent = model.seen().pop().unwrap().body["prompt"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        sent.contains("> https://sport.example/a\n") && sent.ends_with("---\n\nWho won?"),
        "{sent}"
    );
    assert_eq!(engine.calls(), 4);
    assert!(
        engine
            .seen()
            .iter()
            .all(|seen| seen.body["query"] == "Who won?")
    );
    server.stop().await;
}
