//! Why a request went where it went: the report beside the answer, the record afterwards, and the
//! command line beforehand.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::db::TestDb;
use crate::support::process::Process;
use crate::support::server::Server;
use crate::support::upstream::{Step, Upstream, chunk, event, json_body, sse_head};

/// One that fails, one that answers, and one that is too dear.
async fn three_labs() -> (String, [Upstream; 3]) {
    let failing = Upstream::start(|_| json_body(503, &json!({"error": {"message": "no"}}))).await;
    let (good, dear) = (
        Upstream::answering("I can").await,
        Upstream::answering("I can").await,
    );
    let config = format!(
        "{}{}{}",
        failing.provider("lab-a", "0.000001", "0.000002"),
        good.provider("lab-b", "0.000002", "0.000004"),
        dear.provider("lab-c", "0.000009", "0.000009")
    );
    (config, [failing, good, dear])
}

fn ask(stream: bool, provider: Value) -> Value {
    json!({
        "model": "acme/orca:floor", "stream": stream, "messages": [{"role": "user", "content": "Can you?"}],
        "provider": provider,
    })
}

async fn with_metadata(server: &Server, body: &Value) -> Answer {
    let headers = [("X-OpenRouter-Metadata", "enabled")];
    let body = Bytes::from(body.to_string());
    server
        .http
        .send(Method::POST, "/api/v1/chat/completions", body, &headers)
        .await
}

#[tokio::test]
async fn the_report_and_the_record_say_the_same() {
    let (config, _labs) = three_labs().await;
    let server = Server::alone(&config).await;
    for stream in [false, true] {
        let body = ask(stream, json!({"max_price": {"prompt": 5}}));
        let plain = server.http.post("/api/v1/chat/completions", &body).await;
        assert!(!plain.text().contains("openrouter_metadata"));

        let answer = with_metadata(&server, &body).await;
        let report = if stream {
            let events = answer.events();
            events[events.len() - 2]["openrouter_metadata"].clone()
        } else {
            answer.json()["openrouter_metadata"].clone()
        };
        assert_eq!(report["requested"], "acme/orca:floor");
        assert_eq!(
            (&report["strategy"], &report["attempt"]),
            (&json!("direct"), &json!(2))
        );
        assert_eq!(
            report["endpoints"],
            json!({"total": 3, "available": [
                {"provider": "lab-a Inc", "model": "acme/orca", "selected": false},
                {"provider": "lab-b Inc", "model": "acme/orca", "selected": true},
            ]})
        );
        assert_eq!(
            report["attempts"],
            json!([
                {"provider": "lab-a Inc", "model": "acme/orca", "status": 503},
                {"provider": "lab-b Inc", "model": "acme/orca", "status": 200},
            ])
        );

        let id = answer.headers["x-generation-id"].to_str().unwrap();
        server.generation(id).await;
        let path = format!("/api/v1/generation/explain?id={id}");
        let why = server.http.get(&path).await.json()["data"].clone();
        let candidates = why["candidates"].as_array().unwrap();
        let places: Vec<(&Value, &Value)> = candidates
            .iter()
            .map(|one| (&one["endpoint"], &one["place"]))
            .collect();
        assert_eq!(
            places,
            [
                (&json!("lab-a"), &json!(1)),
                (&json!("lab-b"), &json!(2)),
                (&json!("lab-c"), &Value::Null)
            ]
        );
        assert_eq!(candidates[0]["score"]["ordered_by"], "price");
        assert_eq!(candidates[2]["refused"]["by"], "max_price");
        assert_eq!(
            (
                &why["attempts"][0]["failure"],
                &why["attempts"][1]["failure"]
            ),
            (&json!("upstream_error"), &Value::Null)
        );
        assert_eq!(
            (&why["provider_name"], &why["price"]["net"]),
            (&json!("lab-b Inc"), &json!(0.000_028))
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn failures_carry_the_report_and_the_callers_own_faults_do_not() {
    let (config, _labs) = three_labs().await;
    let server = Server::alone(&config).await;
    let failed = with_metadata(&server, &ask(false, json!({"only": ["lab-a"]})))
        .await
        .json();
    assert_eq!(failed["openrouter_metadata"]["attempt"], 1);
    assert_eq!(failed["openrouter_metadata"]["attempts"][0]["status"], 503);
    let unfit = with_metadata(&server, &ask(false, json!({"max_price": {"prompt": 0.1}})))
        .await
        .json();
    assert_eq!(unfit["error"]["code"], 404);
    let report = &unfit["openrouter_metadata"];
    assert_eq!(
        (&report["attempt"], &report["endpoints"]),
        (&json!(0), &json!({"total": 3, "available": []}))
    );
    let wrong = with_metadata(&server, &ask(false, json!({"sort": "beauty"})))
        .await
        .json();
    assert_eq!(
        (&wrong["error"]["code"], &wrong["openrouter_metadata"]),
        (&json!(400), &Value::Null)
    );
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_carries_the_report_in_every_form() {
    let cut = [
        sse_head(),
        event(&chunk(&json!({"content": "I"}), None)),
        Step::Reset,
    ];
    let lab = Upstream::start(move |_| cut.to_vec()).await;
    let server = Server::alone(&lab.provider("lab-a", "0.000001", "0.000002")).await;
    let headers = [("X-OpenRouter-Metadata", "enabled")];
    let question = json!([{"role": "user", "content": "Can you?"}]);
    for (path, body, report) in [
        (
            "chat/completions",
            json!({"messages": question}),
            "/openrouter_metadata",
        ),
        (
            "messages",
            json!({"messages": question, "max_tokens": 20}),
            "/openrouter_metadata",
        ),
        (
            "responses",
            json!({"input": "Can you?"}),
            "/response/openrouter_metadata",
        ),
    ] {
        let mut body = body;
        body["model"] = "acme/orca".into();
        body["stream"] = true.into();
        let body = Bytes::from(body.to_string());
        let path = format!("/api/v1/{path}");
        let answer = server.http.send(Method::POST, &path, body, &headers).await;
        let events = answer.events();
        let report = events.iter().find_map(|event| event.pointer(report));
        let report = report.unwrap_or_else(|| panic!("{path}: {}", answer.text()));
        assert_eq!(report["endpoints"]["total"], 1);
        assert_eq!(report["attempts"][0]["provider"], "lab-a Inc");
    }
    server.stop().await;
}

#[tokio::test]
async fn nobody_else_may_ask_why() {
    let (config, _labs) = three_labs().await;
    let server = Server::alone(&config).await;
    let path = "/api/v1/generation/explain?id=gen-1-nobody";
    assert_eq!(server.http.get(path).await.status, 404);
    assert_eq!(
        server.http.get("/api/v1/generation/explain").await.status,
        400
    );
    server.stop().await;
}

#[tokio::test]
async fn the_command_line_tells_where_a_request_would_go() {
    let (config, _labs) = three_labs().await;
    let process = Process::start(&TestDb::sqlite(), &config).await;
    let provider = r#"{"sort": "price", "ignore": ["lab-b"]}"#;
    let route = process
        .run(&[
            "explain",
            "acme/orca",
            "--provider-json",
            provider,
            "--json",
        ])
        .await;
    let order: Vec<&Value> = route["considered"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["endpoint"])
        .collect();
    assert_eq!(order, ["lab-a", "lab-c", "lab-b"]);
    assert_eq!(route["considered"][0]["ranked"]["by"], "price");
    assert_eq!(route["considered"][2]["refused"]["by"], "ignore");
    process.terminate().await;
}
