//! `:online` on one of `models[]`: searched for that model alone, when its turn comes.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Seen, Upstream, json_body};
use crate::support::web::{CITED, ask, counting, engine, exa_at, id, send};

async fn down() -> Upstream {
    Upstream::start(|_| json_body(503, &json!({"error": {"message": "no"}}))).await
}

/// A second model, of a second provider.
fn whale(upstream: &Upstream) -> String {
    let provider = upstream.provider("lab-b", "0", "0");
    provider.replace("\"acme/orca\"", "\"acme/whale\"")
}

fn config(engine: &Upstream, orca: &Upstream, whale_at: &Upstream) -> String {
    let (orca, whale) = (orca.provider("lab-a", "0", "0"), whale(whale_at));
    format!("{}{orca}{whale}", exa_at(engine, ""))
}

fn models(first: &str, second: &str, stream: bool) -> Value {
    ask(json!({"model": first, "models": [second], "stream": stream}))
}

fn is_quoted(seen: &Seen) -> bool {
    seen.body["messages"].to_string().contains("web results")
}

on_both_engines! {
    async fn a_model_that_never_comes_up_is_not_searched_for(db: TestDb) {
        let (engine, orca, other) = (engine().await, counting(20, "Reds.").await, counting(600, CITED).await);
        let server = Server::start(db, &config(&engine, &orca, &other)).await;
        for stream in [false, true] {
            let answer = send(&server, &models("acme/orca", "acme/whale:online", stream)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert_eq!(server.generation(id(&answer)).await["total_cost"], 0);
        }
        assert_eq!((engine.calls(), other.calls()), (0, 0));
        assert!(orca.seen().iter().all(|seen| !is_quoted(seen)));
        server.stop().await;
    }

    async fn a_fallback_is_searched_for_when_its_turn_comes(db: TestDb) {
        let (engine, orca, other) = (engine().await, down().await, counting(600, CITED).await);
        let server = Server::start(db, &config(&engine, &orca, &other)).await;
        for stream in [false, true] {
            let answer = send(&server, &models("acme/orca", "acme/whale:online", stream)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert!(answer.text().contains("\"url_citation\""), "{}", answer.text());
            let record = server.generation(id(&answer)).await;
            assert_eq!((&record["total_cost"], &record["model"]), (&json!(0.007), &json!("acme/whale")));
        }
        assert_eq!(engine.calls(), 2);
        assert!(orca.seen().iter().all(|seen| !is_quoted(seen)));
        assert!(other.seen().iter().all(is_quoted));
        assert!(server.store.verify().await.unwrap().holds());
        server.stop().await;
    }

    /// The search was made, so it is paid for; the model that answers has not asked for it and does not get it.
    async fn what_was_searched_for_one_model_is_not_shown_to_another(db: TestDb) {
        let (engine, orca, other) = (engine().await, down().await, counting(20, CITED).await);
        let server = Server::start(db, &config(&engine, &orca, &other)).await;
        for stream in [false, true] {
            let answer = send(&server, &models("acme/orca:online", "acme/whale", stream)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert!(!answer.text().contains("\"url_citation\""), "{}", answer.text());
            assert!(answer.text().contains("\"name\":\"web\""), "{}", answer.text());
            let record = server.generation(id(&answer)).await;
            assert_eq!((&record["total_cost"], &record["model"]), (&json!(0.007), &json!("acme/whale")));
        }
        assert_eq!(engine.calls(), 2);
        assert!(orca.seen().iter().all(is_quoted));
        let plain = json!([{"role": "user", "content": "Who won?"}]);
        assert!(other.seen().iter().all(|seen| seen.body["messages"] == plain));
        assert!(server.store.verify().await.unwrap().holds());
        server.stop().await;
    }
}

#[tokio::test]
async fn the_plugin_is_for_every_model_and_searches_once() {
    let (engine, orca, other) = (engine().await, down().await, counting(600, CITED).await);
    let server = Server::alone(&config(&engine, &orca, &other)).await;
    let body =
        ask(json!({"model": "acme/orca", "models": ["acme/whale"], "plugins": [{"id": "web"}]}));
    assert_eq!(send(&server, &body).await.status, StatusCode::OK);
    assert_eq!(engine.calls(), 1);
    assert!(is_quoted(&orca.seen()[0]) && is_quoted(&other.seen()[0]));
    server.stop().await;
}

#[tokio::test]
async fn a_search_that_must_not_fail_leaves_the_models_that_need_none() {
    let broken = Upstream::start(|_| json_body(500, &json!({}))).await;
    let (orca, other) = (counting(20, "Reds.").await, counting(20, "Blues.").await);
    let server = Server::alone(&format!(
        "[web]\non_failure = \"fail\"\n{}",
        config(&broken, &orca, &other).replace("[web]\n", "")
    ))
    .await;
    let answer = send(&server, &models("acme/orca:online", "acme/whale", false)).await;
    assert_eq!(answer.json()["model"], "acme/whale", "{}", answer.text());
    assert_eq!(server.generation(id(&answer)).await["total_cost"], 0);
    let alone = send(
        &server,
        &models("acme/orca:online", "acme/whale:online", false),
    )
    .await;
    assert_eq!(alone.status, StatusCode::BAD_GATEWAY, "{}", alone.text());
    assert_eq!((orca.calls(), other.calls(), broken.calls()), (0, 1, 2));
    server.stop().await;
}

#[tokio::test]
async fn a_provider_that_searches_itself_is_told_so_for_its_model_alone() {
    let (orca, other) = (down().await, counting(20, "Blues.").await);
    let searching = |provider: String| {
        let way = "wire = \"openai\"\nquirks = { web_search = \"options\" }";
        let price = "completion = \"0\", web_search = \"0\"";
        provider
            .replace("wire = \"openai\"", way)
            .replace("completion = \"0\"", price)
    };
    let providers = [orca.provider("lab-a", "0", "0"), whale(&other)].map(searching);
    let server = Server::alone(&providers.concat()).await;
    let answer = send(&server, &models("acme/orca:online", "acme/whale", false)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert!(orca.seen()[0].body["web_search_options"].is_object());
    assert_eq!(other.seen()[0].body["web_search_options"], Value::Null);
    server.stop().await;
}
