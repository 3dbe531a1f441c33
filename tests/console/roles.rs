//! Who may use which route: one table of every route there is. A route that is not in it fails the test, so
//! that nobody adds one without saying who may use it.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use turnpike::console::assets::STYLE;
use turnpike::domain::identity::Identity;
use turnpike::domain::ids::{AccountId, KeyHash};
use turnpike::domain::principal::LimitReset;
use turnpike::edge::router;
use turnpike::store::Grant;

use crate::support::browser::{Browser, form_token};
use crate::support::client::{Answer, Http};
use crate::support::issuer::Issuer;
use crate::support::server::{PASSWORD, Server};

/// What programs use, below `/api/v1` and `/v1`: the statuses for nobody, a key, a management key, and a management
/// key of another account that asks for this account's things.
const API: &[(&str, &str, [u16; 4])] = &[
    ("POST", "/chat/completions", [401, 200, 403, 403]),
    ("POST", "/completions", [401, 200, 403, 403]),
    // The key may; its body, which is empty here, is refused.
    ("POST", "/embeddings", [401, 400, 403, 403]),
    ("POST", "/rerank", [401, 400, 403, 403]),
    ("POST", "/responses", [401, 200, 403, 403]),
    ("POST", "/messages", [401, 200, 403, 403]),
    ("POST", "/messages/count_tokens", [401, 200, 403, 403]),
    ("GET", "/models", [200; 4]),
    ("GET", "/models/count", [200; 4]),
    ("GET", "/models/user", [401, 200, 200, 200]),
    ("GET", "/models/{author}/{slug}/endpoints", [200; 4]),
    ("GET", "/model/{author}/{slug}", [200; 4]),
    ("GET", "/parameters/{author}/{slug}", [200; 4]),
    ("GET", "/embeddings/models", [200; 4]),
    ("GET", "/endpoints/zdr", [200; 4]),
    ("GET", "/providers", [200; 4]),
    ("GET", "/key", [401, 200, 200, 200]),
    ("GET", "/auth/key", [401, 200, 200, 200]),
    // Whoever holds the code may exchange it; this one does not exist.
    ("POST", "/auth/keys", [403; 4]),
    ("POST", "/auth/keys/code", [401, 200, 200, 200]),
    ("GET", "/keys", [401, 403, 200, 200]),
    ("POST", "/keys", [401, 403, 201, 201]),
    ("GET", "/keys/{hash}", [401, 403, 200, 404]),
    ("PATCH", "/keys/{hash}", [401, 403, 200, 404]),
    ("DELETE", "/keys/{hash}", [401, 403, 200, 404]),
    ("GET", "/credits", [401, 403, 200, 200]),
    ("GET", "/generation", [401, 200, 200, 404]),
    ("GET", "/generation/explain", [401, 200, 200, 404]),
    ("GET", "/activity", [401, 403, 200, 200]),
];

/// Sent to the sign-in page.
const IN: u16 = 1;

/// What people use: the statuses for a visitor, the person whose things are asked for, another person, and an admin.
const PAGES: &[(&str, &str, [u16; 4])] = &[
    ("GET", "/", [200; 4]),
    ("GET", "/docs/errors", [200; 4]),
    ("GET", "/assets/{file}", [200; 4]),
    ("GET", "/healthz", [200; 4]),
    ("GET", "/readyz", [200; 4]),
    // Not there without a token in the configuration.
    ("GET", "/metrics", [404; 4]),
    ("GET", "/sign-in", [200, 303, 303, 303]),
    ("POST", "/sign-in", [401; 4]),
    ("POST", "/sign-in/{issuer}", [200; 4]),
    // Nobody was sent there.
    ("GET", "/sign-in/{issuer}/callback", [400; 4]),
    ("GET", "/sign-up", [403, 303, 303, 303]),
    ("POST", "/sign-up", [403; 4]),
    ("GET", "/password/{link}", [404; 4]),
    ("POST", "/password/{link}", [404; 4]),
    ("GET", "/auth", [IN, 200, 200, 200]),
    ("POST", "/auth", [IN, 303, 303, 303]),
    ("GET", "/models", [200; 4]),
    ("GET", "/models/{author}/{slug}", [200; 4]),
    ("GET", "/playground", [IN, 200, 200, 200]),
    ("POST", "/playground", [IN, 200, 200, 200]),
    ("POST", "/playground/chat", [IN, 200, 200, 200]),
    ("GET", "/keys", [IN, 200, 200, 200]),
    ("GET", "/keys/new", [IN, 200, 200, 200]),
    ("POST", "/keys/new", [IN, 200, 200, 200]),
    ("GET", "/keys/{hash}", [IN, 200, 404, 404]),
    ("POST", "/keys/{hash}", [IN, 303, 404, 404]),
    ("POST", "/keys/{hash}/disable", [IN, 303, 404, 404]),
    ("POST", "/keys/{hash}/enable", [IN, 303, 404, 404]),
    ("POST", "/keys/{hash}/delete", [IN, 303, 404, 404]),
    ("GET", "/credits", [IN, 200, 200, 200]),
    ("GET", "/activity", [IN, 200, 200, 200]),
    ("GET", "/activity.csv", [IN, 200, 200, 200]),
    ("GET", "/activity/{id}", [IN, 200, 404, 404]),
    ("GET", "/logs", [IN, 303, 303, 303]),
    ("GET", "/apps", [IN, 200, 200, 200]),
    ("POST", "/apps/revoke", [IN, 303, 404, 404]),
    ("GET", "/account", [IN, 200, 200, 200]),
    ("POST", "/account/password", [IN, 401, 401, 401]),
    ("POST", "/account/identities/remove", [IN, 303, 404, 404]),
    ("GET", "/admin", [IN, 403, 403, 200]),
    ("POST", "/admin/catalog/reload", [IN, 403, 403, 200]),
    ("POST", "/admin/ledger/verify", [IN, 403, 403, 200]),
    ("GET", "/admin/providers", [IN, 403, 403, 200]),
    ("GET", "/admin/users", [IN, 403, 403, 200]),
    ("POST", "/admin/invitations", [IN, 403, 403, 200]),
    ("GET", "/admin/users/{id}", [IN, 403, 403, 200]),
    ("POST", "/admin/users/{id}/grant", [IN, 403, 403, 303]),
    ("POST", "/admin/users/{id}/role", [IN, 403, 403, 303]),
    ("POST", "/admin/users/{id}/password", [IN, 403, 403, 200]),
    // They end sessions, so they come last.
    ("POST", "/admin/users/{id}/sign-out", [IN, 403, 403, 303]),
    ("POST", "/sign-out", [IN; 4]),
    ("POST", "/sign-out-everywhere", [IN; 4]),
];

#[test]
fn every_route_is_in_the_table() {
    let known = |rows: &[(&str, &str, [u16; 4])], base: &str| -> Vec<(String, String)> {
        rows.iter()
            .map(|(method, path, _)| ((*method).to_owned(), format!("{base}{path}")))
            .collect()
    };
    let table: BTreeSet<_> = [known(API, "/api/v1"), known(API, "/v1"), known(PAGES, "")]
        .concat()
        .into_iter()
        .collect();
    let routes: BTreeSet<_> = router::list()
        .into_iter()
        .map(|(method, path)| (method.to_string(), path))
        .collect();
    let missing: Vec<_> = routes.difference(&table).collect();
    assert!(missing.is_empty(), "say who may use {missing:?}");
    let gone: Vec<_> = table.difference(&routes).collect();
    assert!(gone.is_empty(), "no such route: {gone:?}");
}

#[test]
fn nobody_reaches_what_is_another_accounts() {
    for (method, path, statuses) in API.iter().chain(PAGES) {
        let names_something = path.contains("{hash}") || path.contains("{id}");
        if names_something && !path.starts_with("/admin") {
            let others = if API.iter().any(|row| row == &(*method, *path, *statuses)) {
                &statuses[3..]
            } else {
                &statuses[2..]
            };
            assert!(
                others.iter().all(|status| *status == 404),
                "{method} {path}"
            );
        }
    }
}

/// Somebody's account with what its routes name.
struct Owner<'a> {
    server: &'a Server,
    account: AccountId,
    key: String,
    run: String,
}

#[tokio::test]
async fn the_api_is_for_keys() {
    let server = Server::alone("").await;
    let owner = Owner::of(&server, server.account.clone()).await;
    let (person, session) = server.person("ann@example.com", true).await;
    let manager = server.create_key(|key| key.management = true).await;
    let strangers = server
        .create_key(|key| (key.management, key.account) = (true, person.id.clone()))
        .await;
    let nobody = Http::new(&server.base);
    let callers = [
        nobody.clone(),
        nobody.with_key(&owner.key),
        nobody.with_key(&manager),
        nobody.with_key(&strangers),
    ];
    for base in ["/api/v1", "/v1"] {
        for (method, path, expect) in API {
            for (caller, status) in callers.iter().zip(expect) {
                let answer = owner.call(caller, method, base, path).await;
                assert_eq!(
                    answer.status.as_u16(),
                    *status,
                    "{method} {base}{path}: {}",
                    answer.text()
                );
            }
            let body = body_of(path);
            let address = owner.address(base, path).await;
            let with_cookie = session.send(
                Method::from_bytes(method.as_bytes()).unwrap(),
                &address,
                body,
                &[],
            );
            assert_eq!(
                with_cookie.await.status.as_u16(),
                expect[0],
                "{method} {path}: a session is no key"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn pages_are_for_people() {
    let issuer = Issuer::start().await;
    let server = Server::alone(&issuer.config("")).await;
    let (account, ann) = server.person("ann@example.com", false).await;
    let owner = Owner::of(&server, account.id.clone()).await;
    let (_, eve) = server.person("eve@example.com", false).await;
    let (_, admin) = server.person("root@example.com", true).await;
    let visitor = Browser::new(&server.base);
    let key = Http::new(&server.base).with_key(&owner.key);
    for (method, path, expect) in PAGES {
        for (browser, status) in [&visitor, &ann, &eve, &admin].into_iter().zip(expect) {
            let answer = owner.visit(browser, method, path).await;
            let sent_in =
                answer.status == StatusCode::SEE_OTHER && answer.location().starts_with("/sign-in");
            let found = if sent_in { IN } else { answer.status.as_u16() };
            assert_eq!(found, *status, "{method} {path}: {}", answer.text());
            if path.ends_with("/sign-out") || path.ends_with("everywhere") {
                for (browser, email) in [
                    (&ann, "ann@example.com"),
                    (&eve, "eve@example.com"),
                    (&admin, "root@example.com"),
                ] {
                    if browser.get("/account").await.status != StatusCode::OK {
                        browser.sign_in(email, PASSWORD).await;
                    }
                }
            }
        }
        if *method == "GET" && expect[0] == IN {
            let answer = key.get(&owner.address("", path).await).await;
            assert_eq!(
                answer.status,
                StatusCode::SEE_OTHER,
                "{path}: a key opens no page"
            );
        }
    }
    server.stop().await;
}

impl<'a> Owner<'a> {
    async fn of(server: &'a Server, account: AccountId) -> Owner<'a> {
        let key = server.create_key(|key| key.account = account.clone()).await;
        let http = Http::new(&server.base).with_key(&key);
        let body = body_of("/chat/completions");
        let answer = http
            .send(Method::POST, "/api/v1/chat/completions", body, &[])
            .await;
        let run = answer.json()["id"].as_str().unwrap().to_owned();
        Owner {
            server,
            account,
            key,
            run,
        }
    }

    /// The route's address, naming something of the owner's. A key is fresh each time, since some routes delete it.
    async fn address(&self, base: &str, path: &str) -> String {
        let mut address = format!("{base}{path}");
        if path.contains("{hash}") {
            let key = self
                .server
                .create_key(|key| key.account = self.account.clone())
                .await;
            address = address.replace("{hash}", &KeyHash::of(&key).to_hex());
        }
        let id = if path.starts_with("/admin") {
            self.account.as_str()
        } else {
            &self.run
        };
        let file = STYLE.address().trim_start_matches("/assets/");
        let address = address
            .replace("{id}", id)
            .replace("{author}/{slug}", "turnpike/echo")
            .replace("{file}", file)
            .replace("{issuer}", "fake")
            .replace("{link}", "x");
        match path {
            "/generation" | "/generation/explain" => format!("{address}?id={}", self.run),
            "/auth" => format!("{address}?callback_url=https%3A%2F%2Fapp.example"),
            _ => address,
        }
    }

    async fn call(&self, caller: &Http, method: &str, base: &str, path: &str) -> Answer {
        let address = self.address(base, path).await;
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        caller.send(method, &address, body_of(path), &[]).await
    }

    async fn visit(&self, browser: &Browser, method: &str, path: &str) -> Answer {
        if method == "GET" {
            return browser.get(&self.address("", path).await).await;
        }
        match path {
            "/apps/revoke" => self.connect_app().await,
            "/account/identities/remove" => self.connect_identity().await,
            _ => {}
        }
        let own = browser.get("/account").await;
        let page = if own.status == StatusCode::OK {
            own
        } else {
            browser.get("/sign-in").await
        };
        let token = form_token(&page.text());
        if path == "/playground/chat" {
            let headers = [("x-form-token", token.as_str())];
            let body = body_of("/chat/completions");
            return browser.send(Method::POST, path, body, &headers).await;
        }
        let address = if path == "/auth" {
            path.to_owned()
        } else {
            self.address("", path).await
        };
        browser.post(&address, &token, &FORM).await
    }

    /// The owner signs in with an account elsewhere, too.
    async fn connect_identity(&self) {
        let identity = Identity {
            issuer: "https://issuer.example".to_owned(),
            subject: "owner".to_owned(),
            email: None,
        };
        let store = &self.server.store;
        let connected = store.connect_identity(&self.account, &identity, 1).await;
        assert_eq!(connected.unwrap(), self.account);
    }

    /// An application gets a key of the owner's.
    async fn connect_app(&self) {
        let grant = Grant {
            account: self.account.clone(),
            app: "https://app.example".to_owned(),
            app_name: "App".to_owned(),
            challenge: None,
            method: None,
            key_name: "App".to_owned(),
            limit: None,
            limit_reset: LimitReset::Never,
            key_expires_at: None,
        };
        let fresh = turnpike::auth::ApiKey::generate();
        let hash = *fresh.hash.as_bytes();
        let store = &self.server.store;
        store.create_code(&hash, &grant, 1, 10).await.unwrap();
        let key = turnpike::store::NewKey {
            hash: fresh.hash,
            label: fresh.label,
            account: self.account.clone(),
            name: "App".to_owned(),
            management: false,
            limit: None,
            limit_reset: LimitReset::Never,
            include_byok_in_limit: false,
            expires_at: None,
            creator: None,
        };
        assert!(store.redeem_code(&hash, &grant, &key, 2).await.unwrap());
    }
}

/// The fields of every form; each takes its own.
const FORM: [(&str, &str); 16] = [
    ("email", "nobody@example.com"),
    ("password", "wrong wrong wrong"),
    ("current", "wrong wrong wrong"),
    ("name", "key"),
    ("limit", ""),
    ("limit_reset", ""),
    ("model", "turnpike/echo"),
    ("prompt", "hello"),
    ("app", "https://app.example"),
    ("amount", "1"),
    ("once", "abcdefghijkl"),
    ("role", "user"),
    ("request", "callback_url=https%3A%2F%2Fapp.example"),
    ("decision", "deny"),
    ("issuer", "https://issuer.example"),
    ("subject", "owner"),
];

fn body_of(path: &str) -> Bytes {
    let body = match path {
        "/chat/completions" => {
            json!({"model": "turnpike/echo", "messages": [{"role": "user", "content": "hello"}]})
        }
        "/completions" => json!({"model": "turnpike/echo", "prompt": "hello"}),
        "/responses" => json!({"model": "turnpike/echo", "input": "hello"}),
        "/messages" | "/messages/count_tokens" => {
            json!({"model": "turnpike/echo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]})
        }
        "/auth/keys" => json!({"code": "x"}),
        "/auth/keys/code" => json!({"callback_url": "https://app.example"}),
        "/keys" | "/keys/{hash}" => json!({"name": "key"}),
        _ => return Bytes::new(),
    };
    body.to_string().into()
}
