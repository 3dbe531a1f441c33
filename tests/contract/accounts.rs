//! Keys, credits, runs and codes.

use http::Method;
use serde_json::{Value, json};
use turnpike::clock::now_ms;
use turnpike::domain::calendar::Windows;
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;

use super::held::Held;
use crate::support::client::{Answer, Http};
use crate::support::money::{run, settlement};
use crate::support::server::Server;
use crate::support::upstream::Upstream;

pub(super) const ROUTES: &[&str] = &[
    "GET /key",
    "GET /auth/key",
    "GET /keys",
    "POST /keys",
    "GET /keys/{hash}",
    "PATCH /keys/{hash}",
    "DELETE /keys/{hash}",
    "GET /credits",
    "GET /activity",
    "GET /generation",
    "GET /generation/explain",
    "POST /auth/keys",
    "POST /auth/keys/code",
];

async fn send(http: &Http, method: Method, path: &str, body: &Value) -> Answer {
    http.send(method, path, body.to_string().into(), &[]).await
}

#[tokio::test]
async fn accounts_keep_the_contract() {
    let upstream = Upstream::answering("Four").await;
    let server = Server::alone(&upstream.provider("lab-a", "0.000001", "0.000002")).await;
    let (manager, mut held) = (server.manager().await, Held::default());
    key(&server, &manager, &mut held).await;
    keys(&server, &manager, &mut held).await;
    generation(&server, &mut held).await;
    activity(&server, &manager, &mut held).await;
    codes(&server, &mut held).await;
    held.hold("GET /credits", 200, manager.get("/api/v1/credits").await);
    held.hold(
        "GET /credits",
        403,
        server.http.get("/api/v1/credits").await,
    );
    held.finish_having_answered(ROUTES);
    server.stop().await;
}

async fn key(server: &Server, manager: &Http, held: &mut Held) {
    let capped = server.create_key(|key| {
        (key.limit, key.limit_reset) = (Some(Nanos::from_dollars(2)), LimitReset::Monthly);
        key.expires_at = Some(4_000_000_000_000);
        key.creator = Some(key.account.clone());
    });
    let capped = server.http.with_key(&capped.await);
    for http in [&server.http, manager, &capped] {
        held.hold("GET /key", 200, http.get("/api/v1/key").await);
        held.hold("GET /auth/key", 200, http.get("/api/v1/auth/key").await);
    }
    let stranger = server.http.with_key("sk-or-v1-nonsense");
    held.hold("GET /key", 401, stranger.get("/api/v1/key").await);
}

async fn keys(server: &Server, manager: &Http, held: &mut Held) {
    let full = json!({"name": "n", "limit": 5, "limit_reset": "weekly", "include_byok_in_limit": true, "expires_at": "2099-01-01T00:00:00Z"});
    let made = held
        .hold("POST /keys", 201, manager.post("/api/v1/keys", &full).await)
        .json();
    held.hold(
        "POST /keys",
        201,
        manager
            .post("/api/v1/keys", &json!({"name": "plain"}))
            .await,
    );
    held.hold(
        "POST /keys",
        400,
        manager.post("/api/v1/keys", &json!({"name": ""})).await,
    );
    held.hold(
        "POST /keys",
        403,
        server.http.post("/api/v1/keys", &full).await,
    );
    held.hold(
        "GET /keys",
        200,
        manager.get("/api/v1/keys?include_disabled=true").await,
    );
    held.hold("GET /keys", 400, manager.get("/api/v1/keys?offset=x").await);
    held.hold("GET /keys", 403, server.http.get("/api/v1/keys").await);
    let path = format!("/api/v1/keys/{}", made["data"]["hash"].as_str().unwrap());
    let unknown = format!("/api/v1/keys/{}", "0".repeat(64));
    let change = json!({"name": "m", "disabled": true, "limit": null, "limit_reset": null});
    for (route, method, body) in [
        ("GET /keys/{hash}", Method::GET, &Value::Null),
        ("PATCH /keys/{hash}", Method::PATCH, &change),
        ("DELETE /keys/{hash}", Method::DELETE, &Value::Null),
    ] {
        held.hold(route, 200, send(manager, method.clone(), &path, body).await);
        held.hold(
            route,
            404,
            send(manager, method.clone(), &unknown, body).await,
        );
        held.hold(route, 403, send(&server.http, method, &path, body).await);
    }
    let wrong = json!({"limit": -1});
    held.hold(
        "PATCH /keys/{hash}",
        400,
        send(manager, Method::PATCH, &path, &wrong).await,
    );
}

async fn generation(server: &Server, held: &mut Held) {
    let ask = |more: Value| {
        let mut body =
            json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let (plain, streamed) = (
        json!({"session_id": "s", "user": "u"}),
        json!({"stream": true}),
    );
    for more in [plain, streamed, json!({"model": "turnpike/echo"})] {
        let answer = server
            .http
            .post("/api/v1/chat/completions", &ask(more))
            .await;
        let id = answer.headers["x-generation-id"]
            .to_str()
            .unwrap()
            .to_owned();
        server.generation(&id).await;
        held.hold(
            "GET /generation",
            200,
            server
                .http
                .get(&format!("/api/v1/generation?id={id}"))
                .await,
        );
        held.hold(
            "GET /generation/explain",
            200,
            server
                .http
                .get(&format!("/api/v1/generation/explain?id={id}"))
                .await,
        );
    }
    held.hold(
        "GET /generation",
        404,
        server.http.get("/api/v1/generation?id=gen-1-x").await,
    );
    held.hold(
        "GET /generation",
        400,
        server.http.get("/api/v1/generation").await,
    );
}

async fn activity(server: &Server, manager: &Http, held: &mut Held) {
    let who = server.store.known_key(&server.key).await.unwrap().unwrap();
    let yesterday = Windows::at(now_ms()).day - 1;
    let used = settlement("nobody", run(&who.principal, 7), yesterday);
    server.store.settle(&[used]).await.unwrap();
    for query in ["", "?group_by=workspace"] {
        let answer = manager.get(&format!("/api/v1/activity{query}")).await;
        let answer = held.hold("GET /activity", 200, answer).json();
        assert_eq!(answer["data"].as_array().unwrap().len(), 1);
    }
    let wrong = manager.get("/api/v1/activity?date=1999-01-01").await;
    held.hold("GET /activity", 400, wrong);
    let inference = server.http.get("/api/v1/activity").await;
    held.hold("GET /activity", 403, inference);
}

async fn codes(server: &Server, held: &mut Held) {
    let (make, exchange) = ("/api/v1/auth/keys/code", "/api/v1/auth/keys");
    let asked = json!({"callback_url": "https://app.example/cb", "limit": 1, "usage_limit_type": "monthly", "key_label": "My CLI", "expires_at": "2099-01-01T00:00:00Z"});
    let code = held
        .hold(
            "POST /auth/keys/code",
            200,
            server.http.post(make, &asked).await,
        )
        .json();
    let wrong = json!({"callback_url": "ftp://app.example"});
    held.hold(
        "POST /auth/keys/code",
        400,
        server.http.post(make, &wrong).await,
    );
    let anyone = Http::new(&server.base);
    held.hold("POST /auth/keys/code", 401, anyone.post(make, &asked).await);
    let body = json!({"code": code["data"]["id"]});
    held.hold("POST /auth/keys", 200, anyone.post(exchange, &body).await);
    held.hold("POST /auth/keys", 403, anyone.post(exchange, &body).await);
    held.hold(
        "POST /auth/keys",
        400,
        anyone.post(exchange, &json!({})).await,
    );
}
