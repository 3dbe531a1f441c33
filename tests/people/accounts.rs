//! Signing up, in and out; passwords and links.

use http::StatusCode;
use turnpike::clock::now_ms;

use crate::support::browser::Browser;
use crate::support::db::{TestDb, on_both_engines};
use crate::support::server::{PASSWORD, Server};

const OPEN: &str = "[people]\nsign_up = \"open\"";

on_both_engines! { async fn who_signs_up_is_signed_in(db: TestDb) {
    let server = Server::start(db, OPEN).await;
    let browser = Browser::new(&server.base);
    let fields = [("email", " New@Example.com "), ("password", PASSWORD), ("next", "/account")];
    let answer = browser.submit("/sign-up", "/sign-up", &fields).await;
    assert_eq!((answer.status, answer.location().as_str()), (StatusCode::SEE_OTHER, "/account"));
    let account = browser.get("/account").await;
    assert!(account.text().contains("new@example.com"), "{}", account.text());
    let again = Browser::new(&server.base).submit("/sign-up", "/sign-up", &fields).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text().contains("Sign in instead"), "{}", again.text());
    server.stop().await;
}}

#[tokio::test]
async fn signing_up_needs_an_invitation_unless_it_is_open() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, "").await;
    let browser = Browser::new(&server.base);
    assert_eq!(browser.get("/sign-up").await.status, StatusCode::FORBIDDEN);
    let link = server.people().invitation(now_ms()).await.unwrap();
    let page = format!("/sign-up?invitation={}", link.expose());
    let fields = |email: &'static str| {
        [
            ("email", email),
            ("password", PASSWORD),
            ("invitation", link.expose()),
        ]
    };
    let answer = browser
        .submit(&page, "/sign-up", &fields("guest@example.com"))
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    let second = Browser::new(&server.base);
    assert_eq!(
        second.get(&page).await.status,
        StatusCode::FORBIDDEN,
        "an invitation works once"
    );
    let answer = second
        .submit("/sign-in", "/sign-up", &fields("second@example.com"))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(
        server
            .store
            .account_by_email("second@example.com")
            .await
            .unwrap()
            .is_none()
    );
    server.stop().await;
}

#[tokio::test]
async fn errors_stand_beside_their_field() {
    let db = TestDb::sqlite();
    let server = Server::start(&db, OPEN).await;
    let check = async |email: &str, password: &str, words: &str| {
        let fields = [("email", email), ("password", password)];
        let answer = Browser::new(&server.base)
            .submit("/sign-up", "/sign-up", &fields)
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text().contains(words), "{}", answer.text());
        assert!(
            !answer.text().contains(password),
            "a password is never shown"
        );
    };
    check("a@example.com", "too-short", "Use at least 10 characters.").await;
    check("nobody", PASSWORD, "Enter an e-mail address").await;
    check("a@b@c", PASSWORD, "Enter an e-mail address").await;
    server.stop().await;
}

on_both_engines! { async fn sessions_end_here_or_everywhere(db: TestDb) {
    let server = Server::start(db, "").await;
    let (_, desktop) = server.person("ann@example.com", false).await;
    let phone = Browser::new(&server.base);
    phone.sign_in("Ann@Example.com", PASSWORD).await;
    let stolen = desktop.cookie("turnpike_session").unwrap();
    desktop.submit("/account", "/sign-out", &[]).await;
    let thief = Browser::new(&server.base);
    thief.set_cookie("turnpike_session", &stolen);
    assert_eq!(thief.get("/account").await.status, StatusCode::SEE_OTHER, "signing out ends the session on the server");
    assert_eq!(phone.get("/account").await.status, StatusCode::OK);
    desktop.sign_in("ann@example.com", PASSWORD).await;
    desktop.submit("/account", "/sign-out-everywhere", &[]).await;
    assert_eq!(phone.get("/account").await.status, StatusCode::SEE_OTHER);
    server.stop().await;
}}

on_both_engines! { async fn a_new_password_signs_everybody_else_out(db: TestDb) {
    let server = Server::start(db, "").await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let other = Browser::new(&server.base);
    other.sign_in("ann@example.com", PASSWORD).await;
    let change = async |current: &str, new: &str| {
        let fields = [("current", current), ("password", new)];
        browser.submit("/account", "/account/password", &fields).await
    };
    assert_eq!(change("wrong wrong wrong", "another password").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(change(PASSWORD, "short").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(change(PASSWORD, " another password ").await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    assert_eq!(other.get("/account").await.status, StatusCode::SEE_OTHER);
    other.sign_in("ann@example.com", " another password ").await;
    server.stop().await;
}}

on_both_engines! { async fn an_admins_link_sets_a_password_once(db: TestDb) {
    let server = Server::start(db, "").await;
    let (account, old) = server.person("ann@example.com", false).await;
    let link = server.people().password_link(&account.id, now_ms()).await.unwrap();
    let page = format!("/password/{}", link.expose());
    let browser = Browser::new(&server.base);
    let answer = browser.submit(&page, &page, &[("password", "a fresh password")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    assert_eq!(old.get("/account").await.status, StatusCode::SEE_OTHER);
    assert_eq!(Browser::new(&server.base).get(&page).await.status, StatusCode::NOT_FOUND);
    let past = server.people().password_link(&account.id, now_ms() - 86_400_001).await.unwrap();
    let past = format!("/password/{}", past.expose());
    assert_eq!(browser.get(&past).await.status, StatusCode::NOT_FOUND, "a link lives for a day");
    server.stop().await;
}}

on_both_engines! { async fn guessing_is_slowed_down(db: TestDb) {
    let server = Server::start(db, "").await;
    let (_, _browser) = server.person("ann@example.com", false).await;
    let guess = async |email: &str, password: &str| {
        let fields = [("email", email), ("password", password)];
        Browser::new(&server.base).submit("/sign-in", "/sign-in", &fields).await
    };
    for _ in 0..10 {
        let answer = guess("ann@example.com", "wrong wrong wrong").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.text().contains("e-mail address or the password is wrong"));
    }
    let answer = guess("ann@example.com", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "the right password comes too late");
    assert!(answer.text().contains("Too many tries"), "{}", answer.text());
    let unknown = guess("nobody@example.com", PASSWORD).await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED, "other accounts are not affected");
    server.stop().await;
}}
