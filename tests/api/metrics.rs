//! `GET /metrics`.

use http::StatusCode;
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::server::Server;
use crate::support::upstream::{Upstream, answer, json_body};

#[tokio::test]
async fn an_operator_counts_what_went_through() {
    let upstream = Upstream::start(|seen| match seen.body["model"].as_str() {
        Some("orca-at-lab-a") => json_body(503, &json!({"error": {"message": "not now"}})),
        _ => answer(seen, "Four it is"),
    })
    .await;
    let config = [
        "[metrics]\ntoken = \"opens metrics\"\n".to_owned(),
        upstream.provider("lab-a", "0.000001", "0.000002"),
        upstream.provider("lab-b", "0.000001", "0.000002"),
    ];
    let server = Server::alone(&config.concat()).await;
    let ask = |only: &str| {
        json!({
            "model": "acme/orca", "messages": [{"role": "user", "content": "Two words?"}],
            "provider": {"order": ["lab-a", "lab-b"], "only": [only, "lab-a"]},
        })
    };
    let chat = "/api/v1/chat/completions";
    let served = server.http.post(chat, &ask("lab-b")).await;
    assert_eq!(served.status, StatusCode::OK, "{}", served.text());
    let failed = server.http.post(chat, &ask("lab-a")).await;
    assert!(failed.status.is_server_error());

    let page = server.http.with_key("opens metrics").get("/metrics").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(
        page.headers["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = page.text();
    for line in [
        r#"turnpike_generations_total{model="acme/orca",provider="lab-b",outcome="complete"} 1"#,
        r#"turnpike_generations_total{model="",provider="",outcome="failed"} 1"#,
        r#"turnpike_attempts_total{provider="lab-a",outcome="upstream_error"} 2"#,
        r#"turnpike_attempts_total{provider="lab-b",outcome="answered"} 1"#,
        r#"turnpike_tokens_total{model="acme/orca",provider="lab-b",kind="prompt"} 10"#,
        r#"turnpike_tokens_total{model="acme/orca",provider="lab-b",kind="completion"} 3"#,
        r#"turnpike_charged_nanodollars_total{model="acme/orca",provider="lab-b"} 16000"#,
        r#"turnpike_usage_total{provider="lab-b",source="reported"} 1"#,
        r#"turnpike_first_token_seconds_count{provider="lab-b"} 1"#,
        r#"turnpike_refusals_total{reason="upstream"} 1"#,
        "# EOF",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in {text}"
        );
    }
    let commits = text
        .lines()
        .find_map(|line| line.strip_prefix("turnpike_commit_seconds_count "));
    assert!(commits.is_some_and(|count| count != "0"), "{text}");
    let stranger = server.http.with_key("guesses").get("/metrics").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        server.http.get("/metrics").await.status,
        StatusCode::UNAUTHORIZED
    );
    server.stop().await;
}

#[tokio::test]
async fn the_tasks_of_all_threads_are_counted() {
    const CONNECTIONS: u64 = 16;
    let server = Server::alone("[metrics]\ntoken = \"opens metrics\"").await;
    let operator = server.http.with_key("opens metrics");
    let tasks = async || {
        let text = operator.get("/metrics").await.text();
        let mut lines = text.lines();
        let tasks = lines.find_map(|line| line.strip_prefix("turnpike_tasks "));
        tasks.unwrap().parse::<u64>().unwrap()
    };
    let before = tasks().await;
    let address = server.base.strip_prefix("http://").unwrap();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(TcpStream::connect(address).await.unwrap());
    }
    // Those that the server has yet to accept.
    while tasks().await < before + CONNECTIONS {}
    server.stop().await;
}
