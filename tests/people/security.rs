//! What attackers try on people: forged forms, frames, planted sessions, guessed accounts, script in names.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Method, StatusCode};
use serde_json::json;
use turnpike::domain::money::Nanos;

use crate::support::browser::{Browser, form_token};
use crate::support::client::Http;
use crate::support::db::TestDb;
use crate::support::server::{PASSWORD, Server};

#[tokio::test]
async fn a_form_from_elsewhere_is_refused() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let (_, victim) = server.person("ann@example.com", false).await;
    let (_, attacker) = server.person("eve@example.com", false).await;
    let stranger = Browser::new(&server.base);
    let tokens = [
        String::new(),
        "00".repeat(32),
        form_token(&attacker.get("/account").await.text()),
        form_token(&stranger.get("/sign-in").await.text()),
    ];
    for token in tokens {
        let answer = victim.post("/sign-out", &token, &[]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token}");
    }
    let own = form_token(&victim.get("/account").await.text());
    let body = Bytes::from(format!("form_token={own}"));
    for site in ["cross-site", "same-site"] {
        let answer = victim
            .send(
                Method::POST,
                "/sign-out",
                body.clone(),
                &[("sec-fetch-site", site)],
            )
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{site}");
    }
    let login = stranger
        .post(
            "/sign-in",
            "",
            &[("email", "eve@example.com"), ("password", PASSWORD)],
        )
        .await;
    assert_eq!(
        login.status,
        StatusCode::FORBIDDEN,
        "nobody is signed in as the attacker either"
    );
    assert_eq!(victim.get("/account").await.status, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn pages_allow_no_frame_no_foreign_script_and_no_storing() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let (_, browser) = server.person("ann@example.com", true).await;
    for page in [
        "/sign-in",
        "/account",
        "/auth?callback_url=https%3A%2F%2Fapp.example",
        "/nothing-here",
        "/password/x",
    ] {
        let answer = browser.get(page).await;
        let policy = answer
            .headers
            .get("content-security-policy")
            .map(|policy| policy.to_str().unwrap().to_owned());
        let policy = policy.unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{page}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(answer.headers["x-frame-options"], "DENY", "{page}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{page}");
        let text = answer.text();
        assert!(
            !text.contains("<script>") && !text.contains(" style=") && !text.contains(" onclick="),
            "{page}"
        );
        assert!(
            !text.contains("src=\"http") && !text.contains("href=\"http"),
            "{page}: a third party"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn the_session_cookie_is_out_of_reach() {
    let check = async |config: &str, secure: bool| {
        let db = TestDb::sqlite();
        let server = Server::start(&db, config).await;
        server.person("ann@example.com", false).await;
        let browser = Browser::new(&server.base);
        let answer = browser
            .submit(
                "/sign-in",
                "/sign-in",
                &[("email", "ann@example.com"), ("password", PASSWORD)],
            )
            .await;
        let cookie = answer.headers[SET_COOKIE].to_str().unwrap().to_owned();
        for flag in [
            "turnpike_session=",
            "; Path=/",
            "; HttpOnly",
            "; SameSite=Lax",
            "; Max-Age=",
        ] {
            assert!(cookie.contains(flag), "{cookie}");
        }
        assert_eq!(cookie.contains("; Secure"), secure, "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
        server.stop().await;
    };
    check("", false).await;
    check("public_url = \"https://gateway.example\"", true).await;
}

#[tokio::test]
async fn a_planted_session_is_not_the_one_signed_in() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let (_, attacker) = server.person("eve@example.com", false).await;
    let (account, _) = server.person("ann@example.com", false).await;
    let planted = attacker.cookie("turnpike_session").unwrap();
    let victim = Browser::new(&server.base);
    victim.set_cookie("turnpike_session", &planted);
    attacker.submit("/account", "/sign-out", &[]).await;
    victim.sign_in("ann@example.com", PASSWORD).await;
    assert_ne!(victim.cookie("turnpike_session").unwrap(), planted);
    attacker.set_cookie("turnpike_session", &planted);
    assert_eq!(attacker.get("/account").await.status, StatusCode::SEE_OTHER);
    let nobodys = Browser::new(&server.base);
    for forged in ["x", "a.b.c", &format!("{planted}x"), account.id.as_str()] {
        nobodys.set_cookie("turnpike_session", forged);
        assert_eq!(nobodys.get("/account").await.status, StatusCode::SEE_OTHER);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_copied_cookie_ends_the_session_once_both_are_used() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let copied = browser.cookie("turnpike_session").unwrap();
    let people = server.people();
    let now = turnpike::clock::now_ms();
    let later = now + 2 * 3_600_000;
    let renewed = people
        .session(&copied, later)
        .await
        .unwrap()
        .unwrap()
        .cookie
        .unwrap();
    assert_ne!(renewed, copied);
    let again = people
        .session(&copied, later + 1_000)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        again.cookie.as_deref(),
        Some(renewed.as_str()),
        "an answer that was lost is no theft"
    );
    assert!(
        people
            .session(&renewed, later + 2_000)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        people
            .session(&copied, later + 200_000)
            .await
            .unwrap()
            .is_none(),
        "the old cookie no longer works"
    );
    assert!(
        people
            .session(&renewed, later + 201_000)
            .await
            .unwrap()
            .is_none(),
        "and its use ends the session"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_address_takes_as_long_as_a_wrong_password() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    server.person("ann@example.com", false).await;
    let time = async |email: &str| {
        let mut times = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            let tried = server
                .people()
                .sign_in(
                    email,
                    &turnpike::domain::secret::Secret::new("wrong wrong"),
                    "test",
                    turnpike::clock::now_ms(),
                )
                .await;
            assert!(tried.is_err());
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        times[2]
    };
    let (_warm, unknown, known) = (
        time("warm@example.com").await,
        time("nobody@example.com").await,
        time("ann@example.com").await,
    );
    let (short, long) = (unknown.min(known), unknown.max(known));
    assert!(
        short > Duration::from_millis(2),
        "both are hashed: {unknown:?} and {known:?}"
    );
    assert!(
        long < short * 3,
        "{unknown:?} for nobody and {known:?} for somebody"
    );
    server.stop().await;
}

#[tokio::test]
async fn signing_in_leads_to_our_own_pages_alone() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    server.person("ann@example.com", false).await;
    for next in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
    ] {
        let browser = Browser::new(&server.base);
        let fields = [
            ("email", "ann@example.com"),
            ("password", PASSWORD),
            ("next", next),
        ];
        assert_eq!(
            browser
                .submit("/sign-in", "/sign-in", &fields)
                .await
                .location(),
            "/",
            "{next}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn what_others_name_is_text_wherever_it_is_shown() {
    const EVIL: &str = "<img src=x onerror=alert(1)>\"'";
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let (account, browser) = server.person("ann@example.com", false).await;
    let label: String = url::form_urlencoded::byte_serialize(EVIL.as_bytes()).collect();
    let query = format!("callback_url=https%3A%2F%2Fapp.example%2Fcb&key_label={label}");
    let asked = browser.get(&format!("/auth?{query}")).await.text();
    let fields = [("request", query.as_str()), ("decision", "approve")];
    let answer = browser.submit("/account", "/auth", &fields).await;
    let location = answer.location();
    let code = location.split("code=").nth(1).unwrap();
    let nobody = Http::new(&server.base);
    let exchanged = nobody
        .post("/api/v1/auth/keys", &json!({"code": code}))
        .await;
    let exchanged = exchanged.json();
    let app = nobody.with_key(exchanged["key"].as_str().unwrap());
    let chat = json!({
        "model": "turnpike/echo", "user": EVIL, "session_id": EVIL,
        "messages": [{"role": "user", "content": EVIL}],
    });
    let headers = [
        ("x-title", EVIL),
        ("http-referer", EVIL),
        ("user-agent", EVIL),
    ];
    let chat = Bytes::from(chat.to_string());
    let run = app
        .send(Method::POST, "/api/v1/chat/completions", chat, &headers)
        .await;
    let run = run.json()["id"].as_str().unwrap().to_owned();
    let grant = server.store.grant(
        &account.id,
        Nanos::from_dollars(1),
        EVIL,
        turnpike::clock::now_ms(),
    );
    assert!(grant.await.unwrap());
    let keys = server.store.keys(&account.id, 0, 10, true).await.unwrap();
    let mut shown = 0;
    for page in [
        "/",
        "/keys",
        &format!("/keys/{}", keys[0].hash),
        "/apps",
        "/activity?by=app",
        "/activity?by=key",
        &format!("/activity/{run}"),
        "/credits",
    ] {
        let text = browser.get(page).await.text();
        assert!(!text.contains("<img"), "{page}: {text}");
        shown += text.matches("&lt;img src=x").count();
    }
    assert!(
        asked.contains("&lt;img src=x") && !asked.contains("<img"),
        "{asked}"
    );
    assert!(shown >= 8, "they are shown, {shown} times");
    server.stop().await;
}
