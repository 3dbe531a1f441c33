//! What a search costs: its price, held before it is made, once, beside the terms of the account.

use http::StatusCode;
use serde_json::json;
use turnpike::domain::money::Nanos;

use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Seen, Step, Upstream, chunk, event, json_body, sse_head};
use crate::support::web::{CHAT, CITED, ask, counting, engine, exa_at, id, send};

on_both_engines! {
    async fn a_free_model_pays_for_its_search_and_for_nothing_else(db: TestDb) {
        let (engine, model) = (engine().await, counting(600, CITED).await);
        let config = format!("{}{}", exa_at(&engine, ""), model.provider("lab-a", "0", "0"));
        let server = Server::start(db, &config).await;
        let answer = send(&server, &ask(json!({}))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let usage = answer.json()["usage"].clone();
        assert_eq!(usage["cost"], 0.007);
        assert_eq!(usage["cost_details"]["upstream_inference_cost"], 0);
        assert_eq!(usage["server_tool_use"], json!({"web_search_requests": 1}));
        assert_eq!(usage["server_tool_use_details"], json!({"web_search_requests": 1}));
        let record = server.generation(id(&answer)).await;
        assert_eq!((&record["web_search_engine"], &record["num_search_results"]), (&json!("exa"), &json!(2)));
        assert_eq!(record["total_cost"], 0.007);
        assert_eq!((&record["turnpike"]["fee"], &record["turnpike"]["searches"]), (&json!(0.007), &json!(0.007)));
        let credits = server.manager().await.get("/api/v1/credits").await.json();
        assert_eq!(credits["data"]["total_usage"], 0.007);
        assert!(server.store.verify().await.unwrap().holds());
        server.stop().await;
    }

    async fn the_price_of_a_search_stands_beside_the_terms_of_the_account(db: TestDb) {
        let (engine, model) = (engine().await, counting(600, CITED).await);
        let config = format!(
            "[ledger]\nmarkup = \"10\"\n{}price = \"0.000000003\"\n{}",
            exa_at(&engine, ""), model.provider("lab-a", "0.000001", "0.000002")
        );
        let server = Server::start(db, &config).await;
        for stream in [false, true] {
            let answer = send(&server, &ask(json!({"stream": stream}))).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            // 600 tokens at a millionth and ten at two, a tenth on top, and the search.
            assert_eq!(server.generation(id(&answer)).await["total_cost"], 0.000682003);
        }
        assert!(server.store.verify().await.unwrap().holds());
        server.stop().await;
    }

    async fn failover_searches_once_and_charges_once(db: TestDb) {
        let engine = engine().await;
        let failing = Upstream::start(|_| json_body(503, &json!({"error": {"message": "no"}}))).await;
        let model = counting(600, CITED).await;
        let other = model.provider("lab-c", "0", "0").replace("\"acme/orca\"", "\"acme/whale\"");
        let config = format!("{}{}{}{other}", exa_at(&engine, ""), failing.provider("lab-a", "0", "0"), failing.provider("lab-b", "0", "0"));
        let server = Server::start(db, &config).await;
        for (stream, calls) in [(false, 1), (true, 2)] {
            let answer = send(&server, &ask(json!({"stream": stream, "models": ["acme/whale:online"]}))).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert_eq!(engine.calls(), calls);
            let record = server.generation(id(&answer)).await;
            assert_eq!(record["provider_responses"].as_array().unwrap().len(), 3);
            assert_eq!(record["total_cost"], 0.007);
        }
        let quoted = |seen: &Seen| seen.body["messages"][0]["content"].clone();
        let (tried, answered) = (failing.seen(), model.seen());
        assert_eq!(quoted(&tried[0]), quoted(&tried[1]));
        assert_eq!(quoted(&tried[0]), quoted(&answered[0]));
        server.stop().await;
    }

    async fn a_run_that_fails_pays_for_no_search(db: TestDb) {
        let engine = engine().await;
        let failing = Upstream::start(|seen| match seen.streams() {
            false => json_body(500, &json!({"error": {"message": "no"}})),
            true => vec![sse_head(), event(&chunk(&json!({"content": "Re"}), None)), Step::Reset],
        })
        .await;
        let config = format!("{}{}", exa_at(&engine, ""), failing.provider("lab-a", "0", "0"));
        let server = Server::start(db, &config).await;
        let failed = send(&server, &ask(json!({}))).await;
        assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(failed.json()["openrouter_metadata"]["pipeline"][0]["data"]["results"], 2);
        let broken = send(&server, &ask(json!({"stream": true}))).await;
        for answer in [failed, broken] {
            let record = server.generation(id(&answer)).await;
            assert_eq!((&record["total_cost"], &record["finish_reason"]), (&json!(0), &json!("error")));
        }
        assert_eq!(engine.calls(), 2);
        server.stop().await;
    }

    async fn the_search_is_held_before_it_is_made(db: TestDb) {
        let (engine, model) = (engine().await, counting(600, CITED).await);
        let config = format!("{}{}", exa_at(&engine, ""), model.provider("lab-a", "0", "0"));
        let server = Server::start(db, &config).await;
        let capped = server.create_key(|key| key.limit = Some(Nanos(6_999_999))).await;
        let answer = server.http.with_key(&capped).post(CHAT, &ask(json!({}))).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
        assert_eq!((engine.calls(), model.calls()), (0, 0));
        let enough = server.create_key(|key| key.limit = Some(Nanos(7_000_000))).await;
        let answer = server.http.with_key(&enough).post(CHAT, &ask(json!({}))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        server.stop().await;
    }
}
