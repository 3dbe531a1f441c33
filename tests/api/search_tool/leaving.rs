//! A caller who leaves between two steps pays for those that are over, and for the one under way where its provider
//! cannot be stopped; once.

use serde_json::json;

use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Step, Upstream};
use crate::support::web::{CHAT, ask_with_tool, engine, exa_at, owed, results, runs, said, search};

/// A model that asks again and again, and takes its time for the second step and those after it.
async fn slow(second: fn(&Seen) -> Script) -> Upstream {
    Upstream::start(move |seen| match results(seen).len() {
        0 => said(seen, 600, "Let me look. ", &[search("c1", "who won")]),
        _ => second(seen),
    })
    .await
}

/// The run of a caller who leaves a plain call once the second step is asked for.
async fn left(server: &Server, model: &Upstream) {
    let http = server.http.clone();
    let body = ask_with_tool(json!({}), json!({}));
    let call = tokio::spawn(async move { http.post(CHAT, &body).await });
    model.called(2).await;
    call.abort();
}

on_both_engines! {
    async fn a_step_that_is_stopped_costs_nothing_and_those_before_it_do(db: TestDb) {
        let (engine, model) = (engine().await, slow(|_| vec![Step::Silence]).await);
        let config = format!("{}{}", exa_at(&engine, ""), model.provider("lab-a", "0.000001", "0.000002"));
        let server = Server::start(db, &config).await;
        left(&server, &model).await;
        model.hung_up(1).await;
        settled(&server).await;
        // 600 tokens at a millionth, ten at two, and the search.
        let run = runs(&server).await.remove(0);
        assert_eq!((run.charge.net.0, run.cancelled), (7_620_000, true));
        assert_eq!(owed(&server, "lab-a").await, 620_000);
        assert!(server.store.verify().await.unwrap().holds());
        server.stop().await;
        assert_eq!(model.calls(), 2);
    }

    async fn a_step_that_cannot_be_stopped_is_paid_for_and_the_last(db: TestDb) {
        let engine = engine().await;
        let model = slow(|seen| {
            let answer = said(seen, 900, "More. ", &[search("c2", "and then")]);
            [vec![Step::Wait(std::time::Duration::from_secs(1))], answer].concat()
        })
        .await;
        let provider = model.provider("lab-a", "0.000001", "0.000002").replace("wire =", "cancels = false\nwire =");
        let server = Server::start(db, &format!("{}{provider}", exa_at(&engine, ""))).await;
        left(&server, &model).await;
        settled(&server).await;
        let run = runs(&server).await.remove(0);
        assert_eq!((run.charge.net.0, run.cancelled), (7_620_000 + 920_000, true));
        assert!(server.store.verify().await.unwrap().holds());
        server.stop().await;
        // Nobody waits for what would follow.
        assert_eq!((model.calls(), engine.calls()), (2, 1));
    }
}

/// Waits for the run's record.
async fn settled(server: &Server) {
    while runs(server).await.is_empty() {
        tokio::task::yield_now().await;
    }
}
