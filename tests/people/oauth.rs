//! OAuth with PKCE over HTTP (contract 17), on both databases.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;
use turnpike::store::Grant;
use url::{Url, form_urlencoded};

use crate::support::browser::Browser;
use crate::support::client::{Answer, Http};
use crate::support::db::{TestDb, on_both_engines};
use crate::support::server::{PASSWORD, Server};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CALLBACK: &str = "https://app.example/cb?state=x%20y";

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER.as_bytes()))
}

fn ask(parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().copied());
    query.finish()
}

/// Asks for consent and gives it; answers where the browser is sent.
async fn consent(
    browser: &Browser,
    parameters: &[(&str, &str)],
    decision: &[(&str, &str)],
) -> Answer {
    let query = ask(parameters);
    let fields: Vec<(&str, &str)> = [("request", query.as_str())]
        .into_iter()
        .chain(decision.iter().copied())
        .collect();
    browser
        .submit(&format!("/auth?{query}"), "/auth", &fields)
        .await
}

async fn code(browser: &Browser, parameters: &[(&str, &str)]) -> String {
    let answer = consent(browser, parameters, &[("decision", "approve")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    code_of(&answer.location())
}

fn code_of(location: &str) -> String {
    let url = Url::parse(location).unwrap();
    url.query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1
        .into_owned()
}

async fn exchange(server: &Server, body: &Value) -> Answer {
    Http::new(&server.base)
        .post("/api/v1/auth/keys", body)
        .await
}

#[track_caller]
fn refused(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains(words), "{message}");
}

on_both_engines! { async fn an_app_gets_a_key_of_its_own(db: TestDb) {
    let server = Server::start(db, "").await;
    let (account, browser) = server.person("ann@example.com", false).await;
    let challenge = challenge();
    let parameters = [
        ("callback_url", CALLBACK),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("key_label", "My CLI"),
        ("limit", "5"),
        ("usage_limit_type", "weekly"),
        ("expires_at", "2099-01-01T00:00:00Z"),
    ];
    let page = browser.get(&format!("/auth?{}", ask(&parameters))).await.text();
    for words in ["app.example", "at most <strong>$5.00</strong> a week", "1 Jan 2099", "My CLI"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let answer = consent(&browser, &parameters, &[("decision", "approve"), ("limit", "2.50")]).await;
    let location = answer.location();
    assert!(location.starts_with("https://app.example/cb?state=x%20y&code="), "{location}");

    let body = json!({"code": code_of(&location), "code_verifier": VERIFIER, "code_challenge_method": "S256"});
    let answer = exchange(&server, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.json()["user_id"], account.id.as_str());
    let text = answer.json()["key"].as_str().unwrap().to_owned();
    let key = Http::new(&server.base).with_key(&text);
    let shown = key.get("/api/v1/key").await.json();
    assert_eq!((&shown["data"]["limit"], &shown["data"]["limit_reset"]), (&json!(2.5), &json!("weekly")), "{shown}");
    assert_eq!(shown["data"]["expires_at"], "2099-01-01T00:00:00.000Z");
    let chat = json!({"model": "turnpike/echo", "messages": [{"role": "user", "content": "hello"}]});
    assert_eq!(key.post("/api/v1/chat/completions", &chat).await.status, StatusCode::OK);

    let keys = server.store.keys(&account.id, 0, 10, true).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["My CLI"]);
    let apps = server.store.app_keys(&account.id).await.unwrap();
    assert_eq!((apps[0].key, apps[0].app.as_str()), (keys[0].hash, "https://app.example"));
    server.stop().await;
}}

on_both_engines! { async fn every_method_is_held_to_its_challenge(db: TestDb) {
    let server = Server::start(db, "").await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let challenge = challenge();
    let s256 = [("callback_url", CALLBACK), ("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")];
    let plain = [("callback_url", CALLBACK), ("code_challenge", VERIFIER), ("code_challenge_method", "plain")];
    let none = [("callback_url", CALLBACK)];

    let with = |code: &str, rest: Value| {
        let mut body = rest;
        body["code"] = code.into();
        body
    };
    let first = code(&browser, &s256).await;
    refused(&exchange(&server, &with(&first, json!({}))).await, 403, "code_verifier");
    refused(&exchange(&server, &with(&first, json!({"code_verifier": "wrong"}))).await, 403, "code_verifier");
    refused(&exchange(&server, &with(&first, json!({"code_verifier": challenge}))).await, 403, "code_verifier");
    refused(&exchange(&server, &with(&first, json!({"code_verifier": VERIFIER, "code_challenge_method": "plain"}))).await, 400, "differs");
    refused(&exchange(&server, &with(&first, json!({"code_verifier": VERIFIER, "code_challenge_method": "MD5"}))).await, 400, "S256 or plain");
    let done = exchange(&server, &with(&first, json!({"code_verifier": VERIFIER, "code_challenge_method": "S256"}))).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    refused(&exchange(&server, &with(&first, json!({"code_verifier": VERIFIER}))).await, 403, "used already");

    let second = code(&browser, &plain).await;
    refused(&exchange(&server, &with(&second, json!({"code_verifier": "wrong"}))).await, 403, "code_verifier");
    assert_eq!(exchange(&server, &with(&second, json!({"code_verifier": VERIFIER, "code_challenge_method": null}))).await.status, StatusCode::OK);

    let third = code(&browser, &none).await;
    refused(&exchange(&server, &with(&third, json!({"code_verifier": VERIFIER, "code_challenge_method": "S256"}))).await, 400, "differs");
    assert_eq!(exchange(&server, &with(&third, json!({}))).await.status, StatusCode::OK);
    refused(&exchange(&server, &json!({"code": "nonsense"})).await, 403, "Invalid code");
    refused(&exchange(&server, &json!({"code": "x".repeat(100_000)})).await, 403, "Invalid code");
    refused(&exchange(&server, &json!({})).await, 400, "code");
    let read = Http::new(&server.base).get("/api/v1/auth/keys").await;
    assert_eq!(read.status, StatusCode::METHOD_NOT_ALLOWED);
    server.stop().await;
}}

on_both_engines! { async fn of_many_exchanges_at_once_one_gets_a_key(db: TestDb) {
    let server = Server::start(db, "").await;
    let (account, browser) = server.person("ann@example.com", false).await;
    let body = json!({"code": code(&browser, &[("callback_url", CALLBACK)]).await});
    let answers = futures_util::future::join_all((0..8).map(|_| exchange(&server, &body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403, 403, 403, 403, 403, 403, 403]);
    assert_eq!(server.store.keys(&account.id, 0, 10, true).await.unwrap().len(), 1);
    server.stop().await;
}}

on_both_engines! { async fn a_code_ends(db: TestDb) {
    let server = Server::start(db, "").await;
    let grant = Grant {
        account: server.account.clone(),
        app: "https://app.example".to_owned(),
        app_name: "app.example".to_owned(),
        challenge: None,
        method: None,
        key_name: "late".to_owned(),
        limit: Some(Nanos::from_dollars(1)),
        limit_reset: LimitReset::Never,
        key_expires_at: None,
    };
    let hash: [u8; 32] = Sha256::digest(b"late").into();
    server.store.create_code(&hash, &grant, 1, 600_001).await.unwrap();
    refused(&exchange(&server, &json!({"code": "late"})).await, 403, "expired");
    server.stop().await;
}}

#[tokio::test]
async fn signing_in_between_keeps_the_request() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    server.person("ann@example.com", false).await;
    let browser = Browser::new(&server.base);
    let page = format!(
        "/auth?{}",
        ask(&[("callback_url", CALLBACK), ("limit", "3")])
    );
    let sent = browser.get(&page).await.location();
    assert!(
        sent.starts_with("/sign-in?next=%2Fauth%3Fcallback_url%3D"),
        "{sent}"
    );
    let fields = [
        ("email", "ann@example.com"),
        ("password", PASSWORD),
        ("next", page.as_str()),
    ];
    let back = browser.submit(&sent, "/sign-in", &fields).await.location();
    assert_eq!(back, page);
    assert!(browser.get(&back).await.text().contains("$3.00"));
    server.stop().await;
}

#[tokio::test]
async fn saying_no_goes_back_with_an_error() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let (account, browser) = server.person("ann@example.com", false).await;
    let answer = consent(
        &browser,
        &[("callback_url", CALLBACK)],
        &[("decision", "deny")],
    )
    .await;
    assert_eq!(answer.location(), format!("{CALLBACK}&error=access_denied"));
    let challenge = challenge();
    let headless = [
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let answer = consent(&browser, &headless, &[("decision", "deny")]).await;
    assert!(answer.text().contains("You said no"), "{}", answer.text());
    assert!(
        server
            .store
            .keys(&account.id, 0, 10, true)
            .await
            .unwrap()
            .is_empty()
    );
    server.stop().await;
}

#[tokio::test]
async fn without_a_callback_the_code_is_shown() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let challenge = challenge();
    let headless = [
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let page = consent(&browser, &headless, &[("decision", "approve")])
        .await
        .text();
    let code = page
        .split("id=\"code\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    let body = json!({"code": code, "code_verifier": VERIFIER, "code_challenge_method": "S256"});
    assert_eq!(exchange(&server, &body).await.status, StatusCode::OK);
    let unprotected = browser.get("/auth").await;
    assert_eq!(unprotected.status, StatusCode::BAD_REQUEST);
    assert!(unprotected.text().contains("code_challenge is required"));
    server.stop().await;
}

#[tokio::test]
async fn nobody_is_sent_to_a_wrong_callback() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let long = format!("https://app.example/{}", "x".repeat(4_000));
    let wrong = [
        "http://app.example/cb",
        "https://app.example@evil.example/",
        "http://localhost.evil.example/",
        "//evil.example",
        "javascript:alert(document.domain)",
        "https://app.example\\@evil.example",
        "https://app.example/\r\nSet-Cookie: a=b",
        long.as_str(),
    ];
    for callback in wrong {
        let query = ask(&[("callback_url", callback)]);
        let asked = browser.get(&format!("/auth?{query}")).await;
        assert_eq!(asked.status, StatusCode::BAD_REQUEST, "{callback}");
        let tampered = browser
            .submit(
                "/account",
                "/auth",
                &[("request", query.as_str()), ("decision", "approve")],
            )
            .await;
        assert_eq!(tampered.status, StatusCode::BAD_REQUEST, "{callback}");
        let denied = browser
            .submit(
                "/account",
                "/auth",
                &[("request", query.as_str()), ("decision", "deny")],
            )
            .await;
        assert_eq!(denied.status, StatusCode::BAD_REQUEST, "{callback}");
        assert!(!denied.headers.contains_key("location"));
    }
    for (name, value) in [
        ("key_label", "x".repeat(101)),
        ("limit", "nan".to_owned()),
        ("limit", "9".repeat(50)),
        ("usage_limit_type", "yearly".to_owned()),
        ("expires_at", "soon".to_owned()),
        ("code_challenge", "y".repeat(5_000)),
    ] {
        let query = ask(&[("callback_url", CALLBACK), (name, &value)]);
        assert_eq!(
            browser.get(&format!("/auth?{query}")).await.status,
            StatusCode::BAD_REQUEST,
            "{name}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_person_may_lower_the_limit_and_not_raise_it() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let capped = [("callback_url", CALLBACK), ("limit", "5")];
    let raised = consent(
        &browser,
        &capped,
        &[("decision", "approve"), ("limit", "6")],
    )
    .await;
    assert_eq!(raised.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        raised.text().contains("asked for $5.00"),
        "{}",
        raised.text()
    );
    let free = [("callback_url", CALLBACK)];
    let answer = consent(
        &browser,
        &free,
        &[
            ("decision", "approve"),
            ("limit", "$1"),
            ("limit_reset", "daily"),
        ],
    )
    .await;
    let answer = exchange(&server, &json!({"code": code_of(&answer.location())})).await;
    let key = Http::new(&server.base).with_key(answer.json()["key"].as_str().unwrap());
    let shown = key.get("/api/v1/key").await.json();
    assert_eq!(
        (&shown["data"]["limit"], &shown["data"]["limit_reset"]),
        (&json!(1), &json!("daily")),
        "{shown}"
    );
    server.stop().await;
}

on_both_engines! { async fn a_key_can_make_codes_within_its_own_limits(db: TestDb) {
    let server = Server::start(db, "").await;
    let body = json!({"callback_url": CALLBACK, "code_challenge": challenge(), "code_challenge_method": "S256", "limit": 7, "usage_limit_type": "daily", "key_label": "spawned"});
    let answer = server.http.post("/api/v1/auth/keys/code", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let data = answer.json()["data"].clone();
    assert!(data["app_id"].is_i64() && data["created_at"].as_str().unwrap().ends_with('Z'), "{data}");
    let answer = exchange(&server, &json!({"code": data["id"], "code_verifier": VERIFIER})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());

    // What a capped key made would spend beside its cap, and what an app made would outlive its end.
    let capped = server.create_key(|key| key.limit = Some(Nanos::from_dollars(2))).await;
    let apps = answer.json()["key"].as_str().unwrap().to_owned();
    let uncapped = json!({"callback_url": CALLBACK});
    let code = server.http.post("/api/v1/auth/keys/code", &uncapped).await.json();
    let answer = exchange(&server, &json!({"code": code["data"]["id"]})).await.json();
    for key in [&capped, &apps, answer["key"].as_str().unwrap()] {
        let http = server.http.with_key(key);
        refused(&http.post("/api/v1/auth/keys/code", &uncapped).await, 403, "cannot make codes");
    }
    let ending = server.create_key(|key| key.expires_at = Some(4_102_444_800_000)).await;
    let late = json!({"callback_url": CALLBACK, "expires_at": "2200-01-01T00:00:00Z"});
    let code = server.http.with_key(&ending).post("/api/v1/auth/keys/code", &late).await.json();
    let answer = exchange(&server, &json!({"code": code["data"]["id"]})).await.json();
    let shown = server.http.with_key(answer["key"].as_str().unwrap()).get("/api/v1/key").await.json();
    assert_eq!(shown["data"]["expires_at"], "2100-01-01T00:00:00.000Z", "{shown}");

    refused(&Http::new(&server.base).post("/api/v1/auth/keys/code", &body).await, 401, "");
    refused(&server.http.post("/api/v1/auth/keys/code", &json!({"callback_url": "http://app.example"})).await, 400, "callback_url");
    refused(&server.http.post("/api/v1/auth/keys/code", &json!({"callback_url": ""})).await, 400, "");
    server.stop().await;
}}

#[tokio::test]
async fn browsers_may_exchange_from_any_origin() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let headers = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "content-type,x-stainless-os",
        ),
    ];
    for path in [
        "/api/v1/auth/keys",
        "/api/v1/chat/completions",
        "/api/v1/nothing-here",
    ] {
        let answer = Http::new(&server.base)
            .send(Method::OPTIONS, path, Bytes::new(), &headers)
            .await;
        assert!(answer.status.is_success(), "{path}: {}", answer.status);
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
        assert_eq!(
            answer.headers["access-control-allow-headers"], "content-type,x-stainless-os",
            "{path}"
        );
    }
    let unknown = Http::new(&server.base).get("/api/v1/nothing-here").await;
    assert_eq!(
        (
            unknown.status,
            unknown.headers["access-control-allow-origin"].as_bytes()
        ),
        (StatusCode::NOT_FOUND, b"*".as_slice())
    );
    assert!(
        !Http::new(&server.base)
            .get("/sign-in")
            .await
            .headers
            .contains_key("access-control-allow-origin"),
        "pages are for nobody else"
    );
    server.stop().await;
}
