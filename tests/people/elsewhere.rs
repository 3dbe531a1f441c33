//! Signing in with an account elsewhere: what an issuer's word opens, and what is no such word.

use http::StatusCode;
use http::header::SET_COOKIE;
use serde_json::{Value, json};
use turnpike::clock::now_ms;

use crate::support::browser::Browser;
use crate::support::client::Answer;
use crate::support::db::on_both_engines;
use crate::support::issuer::{self, Issuer, Sent};
use crate::support::server::{PASSWORD, Server};
use crate::support::upstream::Upstream;

const OPEN: &str = "[people]\nsign_up = \"open\"\n";

fn open(issuer: &Issuer) -> String {
    format!("{OPEN}{}", issuer.config(""))
}

#[track_caller]
fn refused(answer: &Answer, status: StatusCode, words: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert!(text.contains(words), "{text}");
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.get("/account").await.status == StatusCode::OK
}

on_both_engines! { async fn whom_an_issuer_knows_gets_one_account(db: TestDb) {
    let issuer = Issuer::start().await;
    let server = Server::start(db, &open(&issuer)).await;
    let browser = Browser::new(&server.base);
    let sent = Sent::from(&browser, "/sign-in", &[("next", "/keys?q=a")]).await;
    assert!(sent.0.as_str().starts_with(&format!("{}/authorize?", issuer.url())));
    assert_eq!(sent.parameter("response_type"), "code");
    assert_eq!(sent.parameter("scope"), "openid email profile");
    assert_eq!(sent.parameter("code_challenge_method"), "S256");
    assert_eq!(sent.parameter("redirect_uri"), format!("{}/sign-in/fake/callback", server.base));
    let answer = browser.get(&issuer.approve(&sent, |_| {})).await;
    assert_eq!((answer.status, answer.location().as_str()), (StatusCode::SEE_OTHER, "/keys?q=a"), "{}", answer.text());
    assert!(browser.get("/account").await.text().contains("ann@example.com"));
    assert_eq!(browser.cookie("turnpike_sign_in"), None, "the note serves once");
    let account = server.store.account_by_email("ann@example.com").await.unwrap().unwrap();
    browser.submit("/account", "/sign-out", &[]).await;
    assert!(!is_signed_in(&browser).await);

    // The subject counts, not the address, whose owner may have changed.
    let again = Browser::new(&server.base);
    let moved = |claims: &mut Value| claims["email"] = json!("ann@elsewhere.example");
    assert_eq!(issuer.sign_in(&again, "/sign-in", moved).await.status, StatusCode::SEE_OTHER);
    assert!(again.get("/account").await.text().contains(account.id.as_str()));
    let unknown = server.store.account_by_email("ann@elsewhere.example").await.unwrap();
    assert!(unknown.is_none());
    let other = Browser::new(&server.base);
    let answer = issuer.sign_in(&other, "/sign-in", |claims| claims["sub"] = json!("eve-at-issuer")).await;
    refused(&answer, StatusCode::CONFLICT, "There is an account with this e-mail address already");
    server.stop().await;
}}

#[tokio::test]
async fn an_answer_that_proves_nothing_signs_nobody_in() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 9] = [
        ("another sign-in's nonce", |claims| {
            claims["nonce"] = json!("other")
        }),
        ("no nonce", |claims| {
            drop(claims.as_object_mut().unwrap().remove("nonce"))
        }),
        ("another issuer", |claims| {
            claims["iss"] = json!("https://evil.example")
        }),
        ("another audience", |claims| {
            claims["aud"] = json!("somebody")
        }),
        ("a further audience", |claims| {
            claims["aud"] = json!(["turnpike", "somebody"])
        }),
        ("expired", |claims| {
            claims["exp"] = json!(now_ms() / 1_000 - 1)
        }),
        ("unsigned", |claims| claims["alg"] = json!("none")),
        ("signed by the secret", |claims| {
            claims["alg"] = json!("HS256")
        }),
        ("another access token", |claims| {
            claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA")
        }),
    ];
    for (what, change) in changes {
        let browser = Browser::new(&server.base);
        let answer = issuer.sign_in(&browser, "/sign-in", change).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
        refused(
            &answer,
            StatusCode::FORBIDDEN,
            "Fake did not prove who you are",
        );
        assert!(!is_signed_in(&browser).await, "{what}");
    }
    let known = server.store.account_by_email("ann@example.com").await;
    assert!(known.unwrap().is_none());
    server.stop().await;
}

#[tokio::test]
async fn an_answer_belongs_to_the_browser_that_asked() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    let (browser, thief) = (Browser::new(&server.base), Browser::new(&server.base));
    let sent = Sent::from(&browser, "/sign-in", &[]).await;
    let back = issuer.approve(&sent, |_| {});
    let lost = "took too long or was begun in another browser";
    refused(&thief.get(&back).await, StatusCode::BAD_REQUEST, lost);
    let own = Sent::from(&thief, "/sign-in", &[]).await;
    refused(&thief.get(&back).await, StatusCode::BAD_REQUEST, lost);
    // The state of one and the code of the other: the code opens with its own browser's verifier alone.
    let code = back
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let mixed = own.back(&[("code", code), ("state", &own.parameter("state"))]);
    let thief = Browser::new(&server.base);
    refused(&thief.get(&mixed).await, StatusCode::BAD_REQUEST, lost);
    for answer in [
        vec![("code", code)],
        vec![("code", code), ("state", "")],
        vec![("code", code), ("state", "00")],
    ] {
        refused(
            &browser.get(&sent.back(&answer)).await,
            StatusCode::BAD_REQUEST,
            lost,
        );
    }
    assert!(
        !issuer.asked().iter().any(|path| path == "/token"),
        "no code was tried"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_stolen_code_opens_nothing() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    let (browser, thief) = (Browser::new(&server.base), Browser::new(&server.base));
    let victims = Sent::from(&browser, "/sign-in", &[]).await;
    let back = issuer.approve(&victims, |_| {});
    let code = back
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let own = Sent::from(&thief, "/sign-in", &[]).await;
    let mixed = own.back(&[("code", code), ("state", &own.parameter("state"))]);
    refused(
        &thief.get(&mixed).await,
        StatusCode::FORBIDDEN,
        "did not prove who you are",
    );
    assert!(!is_signed_in(&thief).await);
    server.stop().await;
}

#[tokio::test]
async fn who_says_no_at_the_issuer_is_told_so() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    let browser = Browser::new(&server.base);
    let sent = Sent::from(&browser, "/sign-in", &[]).await;
    let state = sent.parameter("state");
    let denied = sent.back(&[
        ("error", "access_denied"),
        ("error_description", "<script>alert(1)</script>"),
        ("state", &state),
    ]);
    let answer = browser.get(&denied).await;
    refused(&answer, StatusCode::FORBIDDEN, "Fake did not let you in");
    assert!(!answer.text().contains("<script>"));
    server.stop().await;
}

#[tokio::test]
async fn an_unverified_address_makes_no_account() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    let changes: [fn(&mut Value); 3] = [
        |claims| claims["email_verified"] = json!(false),
        |claims| drop(claims.as_object_mut().unwrap().remove("email_verified")),
        |claims| drop(claims.as_object_mut().unwrap().remove("email")),
    ];
    for change in changes {
        let browser = Browser::new(&server.base);
        let answer = issuer.sign_in(&browser, "/sign-in", change).await;
        refused(
            &answer,
            StatusCode::FORBIDDEN,
            "has not verified your e-mail address",
        );
        assert!(!is_signed_in(&browser).await);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_address_may_be_told_beside_the_token() {
    let issuer = Issuer::start().await;
    issuer.keep_tokens_thin();
    let server = Server::alone(&open(&issuer)).await;
    let browser = Browser::new(&server.base);
    assert_eq!(
        issuer.sign_in(&browser, "/sign-in", |_| {}).await.status,
        StatusCode::SEE_OTHER
    );
    assert!(
        browser
            .get("/account")
            .await
            .text()
            .contains("ann@example.com")
    );
    server.stop().await;
}

on_both_engines! { async fn strangers_come_in_as_the_sign_up_allows(db: TestDb) {
    let issuer = Issuer::start().await;
    let server = Server::start(db, &issuer.config("")).await;
    let browser = Browser::new(&server.base);
    let answer = issuer.sign_in(&browser, "/sign-in", |_| {}).await;
    refused(&answer, StatusCode::FORBIDDEN, "Signing up is not open here");
    let nobody = server.store.account_by_email("ann@example.com").await.unwrap();
    assert!(nobody.is_none() && !is_signed_in(&browser).await);

    let link = server.people().invitation(now_ms()).await.unwrap();
    let page = format!("/sign-up?invitation={}", link.expose());
    let invited = [("invitation", link.expose())];
    let sent = Sent::from(&browser, &page, &invited).await;
    let answer = browser.get(&issuer.approve(&sent, |_| {})).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert!(is_signed_in(&browser).await);
    let second = Browser::new(&server.base);
    let sent = Sent::from(&second, "/sign-in", &invited).await;
    let back = issuer.approve(&sent, |claims| {
        (claims["sub"], claims["email"]) = (json!("eve"), json!("eve@example.com"));
    });
    refused(&second.get(&back).await, StatusCode::FORBIDDEN, "was used already");
    let nobody = server.store.account_by_email("eve@example.com").await.unwrap();
    assert!(nobody.is_none());
    server.stop().await;
}}

on_both_engines! { async fn an_account_with_a_password_is_connected_by_its_owner_alone(db: TestDb) {
    let issuer = Issuer::start().await;
    let server = Server::start(db, &open(&issuer)).await;
    let (account, ann) = server.person("ann@example.com", false).await;
    let stranger = Browser::new(&server.base);
    let answer = issuer.sign_in(&stranger, "/sign-in", |_| {}).await;
    refused(&answer, StatusCode::CONFLICT, "Sign in to it first, then connect the two");
    assert!(!is_signed_in(&stranger).await);

    // What she is called there does not matter: she is signed in at both.
    let other_name = |claims: &mut Value| {
        (claims["email"], claims["email_verified"]) = (json!("a@work.example"), json!(false));
    };
    let answer = issuer.sign_in(&ann, "/account", other_name).await;
    assert_eq!(answer.location(), "/account", "{}", answer.text());
    assert!(ann.get("/account").await.text().contains("a@work.example"));
    assert_eq!(issuer.sign_in(&stranger, "/sign-in", other_name).await.status, StatusCode::SEE_OTHER);
    assert!(stranger.get("/account").await.text().contains(account.id.as_str()));

    let (_, eve) = server.person("eve@example.com", false).await;
    let answer = issuer.sign_in(&eve, "/account", |_| {}).await;
    refused(&answer, StatusCode::CONFLICT, "connected to another account");
    let which = [("issuer", issuer.url()), ("subject", "ann-at-issuer".to_owned())];
    let which = which.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = eve.submit("/account", "/account/identities/remove", &which).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let answer = ann.submit("/account", "/account/identities/remove", &which).await;
    assert_eq!(answer.location(), "/account");
    let answer = issuer.sign_in(&Browser::new(&server.base), "/sign-in", |_| {}).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "it is disconnected");
    server.stop().await;
}}

#[tokio::test]
async fn a_connection_is_made_for_the_account_it_was_begun_from() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let sent = Sent::from(&browser, "/account", &[]).await;
    browser.submit("/account", "/sign-out", &[]).await;
    let back = issuer.approve(&sent, |_| {});
    refused(
        &browser.get(&back).await,
        StatusCode::BAD_REQUEST,
        "Try again",
    );
    assert!(!is_signed_in(&browser).await);

    let sent = Sent::from(&browser, "/sign-in", &[]).await;
    browser.sign_in("ann@example.com", PASSWORD).await;
    let first = Browser::new(&server.base);
    first.sign_in("ann@example.com", PASSWORD).await;
    let anns = Sent::from(&first, "/account", &[]).await;
    server.person("eve@example.com", false).await;
    first.submit("/account", "/sign-out", &[]).await;
    first.sign_in("eve@example.com", PASSWORD).await;
    let answer = first.get(&issuer.approve(&anns, |_| {})).await;
    refused(&answer, StatusCode::BAD_REQUEST, "Try again");
    drop(sent);
    server.stop().await;
}

#[tokio::test]
async fn the_last_way_in_stays() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    let browser = Browser::new(&server.base);
    issuer.sign_in(&browser, "/sign-in", |_| {}).await;
    let url = issuer.url();
    let which = [("issuer", url.as_str()), ("subject", "ann-at-issuer")];
    let answer = browser
        .submit("/account", "/account/identities/remove", &which)
        .await;
    refused(
        &answer,
        StatusCode::CONFLICT,
        "the only way into your account",
    );
    let answer = issuer
        .sign_in(&browser, "/account", |claims| {
            claims["sub"] = json!("second")
        })
        .await;
    assert_eq!(answer.location(), "/account");
    let answer = browser
        .submit("/account", "/account/identities/remove", &which)
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "another is left");
    server.stop().await;
}

#[tokio::test]
async fn an_address_opens_an_account_where_the_operator_trusts_the_issuer() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&issuer.config("trust_email = true")).await;
    let (account, _) = server.person("Ann@Example.com", false).await;
    let browser = Browser::new(&server.base);
    let unverified = |claims: &mut Value| claims["email_verified"] = json!(false);
    let answer = issuer.sign_in(&browser, "/sign-in", unverified).await;
    refused(&answer, StatusCode::FORBIDDEN, "has not verified");
    let answer = issuer.sign_in(&browser, "/sign-in", |_| {}).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert!(
        browser
            .get("/account")
            .await
            .text()
            .contains(account.id.as_str())
    );
    server.stop().await;
}

#[tokio::test]
async fn consent_waits_for_a_sign_in_elsewhere() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    let browser = Browser::new(&server.base);
    let consent = "/auth?callback_url=https%3A%2F%2Fapp.example%2Fcb%3Fa%3Db&code_challenge=x&code_challenge_method=plain&key_label=An%20app";
    let page = browser.get(consent).await.location();
    let next = page.split("next=").nth(1).unwrap();
    let next: String = url::form_urlencoded::parse(format!("next={next}").as_bytes())
        .next()
        .unwrap()
        .1
        .into_owned();
    let sent = Sent::from(&browser, &page, &[("next", &next)]).await;
    let answer = browser.get(&issuer.approve(&sent, |_| {})).await;
    assert_eq!(answer.location(), consent);
    assert!(browser.get(consent).await.text().contains("app.example"));
    let elsewhere = Browser::new(&server.base);
    let sent = Sent::from(&elsewhere, "/sign-in", &[("next", "https://evil.example")]).await;
    let answer = elsewhere.get(&issuer.approve(&sent, |_| {})).await;
    assert_eq!(answer.location(), "/", "and nowhere else");
    let long = format!(
        "/auth?callback_url=https%3A%2F%2Fapp.example%2F{}",
        "x".repeat(4_000)
    );
    let answer = Browser::new(&server.base)
        .submit("/sign-in", "/sign-in/fake", &[("next", &long)])
        .await;
    refused(&answer, StatusCode::BAD_REQUEST, "too long an address");
    server.stop().await;
}

#[tokio::test]
async fn an_issuer_that_is_away_costs_a_page_and_no_more() {
    let nobody = format!("http://{}", Upstream::nobody().await);
    let silent = issuer::silent().await;
    let silent = format!("http://{}", silent.address);
    for url in [nobody, silent] {
        let server = Server::alone(&issuer::config_at(&url, "")).await;
        let begun = std::time::Instant::now();
        let answer = Browser::new(&server.base)
            .submit("/sign-in", "/sign-in/fake", &[("next", "/keys")])
            .await;
        refused(
            &answer,
            StatusCode::FAILED_DEPENDENCY,
            "Fake does not answer",
        );
        assert!(
            answer.text().contains("name=\"password\""),
            "there is another way"
        );
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
        server.stop().await;
    }
}

#[tokio::test]
async fn an_issuer_that_calls_itself_otherwise_is_not_used() {
    let issuer = Issuer::start().await;
    let url = issuer.url().replace("127.0.0.1", "localhost") + "/";
    let server = Server::alone(&issuer::config_at(&url, "")).await;
    let answer = Browser::new(&server.base)
        .submit("/sign-in", "/sign-in/fake", &[])
        .await;
    refused(
        &answer,
        StatusCode::FAILED_DEPENDENCY,
        "Fake does not answer",
    );
    server.stop().await;
}

#[tokio::test]
async fn a_changed_key_is_asked_for_and_what_is_known_is_not() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    let asked = |path: &str| issuer.asked().iter().filter(|asked| *asked == path).count();
    for _ in 0..2 {
        issuer
            .sign_in(&Browser::new(&server.base), "/sign-in", |_| {})
            .await;
    }
    assert_eq!(asked("/keys"), 1);
    issuer.change_key();
    let browser = Browser::new(&server.base);
    let answer = issuer.sign_in(&browser, "/sign-in", |_| {}).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert_eq!(asked("/keys"), 2);
    server.stop().await;
}

#[tokio::test]
async fn tries_with_made_up_codes_are_counted() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&open(&issuer)).await;
    let browser = Browser::new(&server.base);
    let mut statuses = Vec::new();
    for _ in 0..61 {
        let sent = Sent::from(&browser, "/sign-in", &[]).await;
        let state = sent.parameter("state");
        let back = sent.back(&[("code", "made-up"), ("state", &state)]);
        statuses.push(browser.get(&back).await.status);
    }
    let (last, before) = statuses.split_last().unwrap();
    assert!(before.iter().all(|status| *status == StatusCode::FORBIDDEN));
    assert_eq!(*last, StatusCode::TOO_MANY_REQUESTS);
    server.stop().await;
}

#[tokio::test]
async fn the_note_is_for_the_way_there_and_back_alone() {
    let issuer = Issuer::start().await;
    let config = format!(
        "public_url = \"https://gateway.example\"\n{}",
        open(&issuer)
    );
    let server = Server::alone(&config).await;
    let browser = Browser::new(&server.base);
    let answer = browser.submit("/sign-in", "/sign-in/fake", &[]).await;
    let note = answer
        .headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|cookie| cookie.to_str().unwrap())
        .find(|cookie| cookie.starts_with("turnpike_sign_in="))
        .unwrap();
    for flag in [
        "; Path=/sign-in/",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Secure",
        "; Max-Age=600",
    ] {
        assert!(note.contains(flag), "{note}");
    }
    let refresh = answer.headers["refresh"].to_str().unwrap();
    assert!(
        refresh.contains("redirect_uri=https%3A%2F%2Fgateway.example%2Fsign-in%2Ffake%2Fcallback")
    );
    for part in refresh
        .split('&')
        .filter(|part| part.starts_with("state=") || part.starts_with("nonce="))
    {
        let secret = part.split('=').nth(1).unwrap();
        assert!(!note.contains(secret), "the note holds no secret");
    }
    let forged = browser.post("/sign-in/fake", "", &[]).await;
    assert_eq!(
        forged.status,
        StatusCode::FORBIDDEN,
        "no other site begins it"
    );
    server.stop().await;
}
