//! An issuer of identities on loopback (OpenID Connect) that says what a test tells it to, and holds the gateway to the
//! protocol: the secret, the address to come back to, the verifier of the code.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use turnpike::clock::now_ms;
use turnpike::domain::ids::random_text;
use url::Url;

use super::browser::{Browser, form_token};
use super::client::Answer;
use super::upstream::{Script, Seen, Step, Upstream, json_body, json_with};

const CLIENT: &str = "turnpike";
const SECRET: &str = "issuer-hunter2";

/// An issuer under a test's command.
pub(crate) struct Issuer {
    upstream: Upstream,
    shared: Arc<Shared>,
    secret: tempfile::NamedTempFile,
}

struct Shared {
    key: RsaKeyPair,
    /// The name of the key; another one is a key that the gateway has not seen.
    key_id: Mutex<String>,
    /// What each code is good for.
    codes: Mutex<HashMap<String, Code>>,
    /// Whether the token leaves the address to the user info.
    thin: Mutex<bool>,
}

#[derive(Clone)]
struct Code {
    claims: Value,
    challenge: String,
    callback: String,
}

impl Issuer {
    pub(crate) async fn start() -> Issuer {
        let shared = Arc::new(Shared {
            key: key(),
            key_id: Mutex::new("first".to_owned()),
            codes: Mutex::default(),
            thin: Mutex::new(false),
        });
        let upstream = {
            let shared = Arc::clone(&shared);
            Upstream::start(move |seen| shared.answer(seen)).await
        };
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), SECRET).unwrap();
        Issuer {
            upstream,
            shared,
            secret,
        }
    }

    /// The issuer's address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.upstream.address)
    }

    /// The configuration of a gateway that knows this issuer as `fake`.
    pub(crate) fn config(&self, rest: &str) -> String {
        self.config_as(&self.url(), rest)
    }

    /// The same, for a gateway that reaches it under another address.
    pub(crate) fn config_as(&self, url: &str, rest: &str) -> String {
        let file = self.secret.path().display();
        config_at(
            url,
            &format!("client_secret = {{ file = \"{file}\" }}\n{rest}"),
        )
    }

    /// From now on another key signs, which only those know who ask again.
    pub(crate) fn change_key(&self) {
        *self.shared.key_id.lock() = random_text(8);
    }

    /// Keeps the address out of the token.
    pub(crate) fn keep_tokens_thin(&self) {
        *self.shared.thin.lock() = true;
    }

    /// The paths that were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        let seen = self.upstream.seen();
        seen.into_iter().map(|seen| seen.path).collect()
    }

    /// Somebody signs in at the issuer, which `change`s what it says of them; answers the address that their browser
    /// is sent back to, without the origin.
    pub(crate) fn approve(&self, sent: &Sent, change: impl FnOnce(&mut Value)) -> String {
        let back = self.shared.approve(&self.url(), sent, change);
        format!("{}?{}", back.path(), back.query().unwrap())
    }

    /// The whole way of somebody of whom the issuer says what `change` makes of it.
    pub(crate) async fn sign_in(
        &self,
        browser: &Browser,
        page: &str,
        change: impl FnOnce(&mut Value),
    ) -> Answer {
        let sent = Sent::from(browser, page, &[]).await;
        browser.get(&self.approve(&sent, change)).await
    }
}

/// `[[people.issuers]]` for an issuer at `url`, known as `fake`.
pub(crate) fn config_at(url: &str, rest: &str) -> String {
    format!(
        "[[people.issuers]]\nslug = \"fake\"\nname = \"Fake\"\nissuer = \"{url}\"\nclient_id = \"{CLIENT}\"\n{rest}\n"
    )
}

/// Where a browser was sent to sign in.
pub(crate) struct Sent(pub(crate) Url);

impl Sent {
    /// Presses the issuer's button on a page.
    pub(crate) async fn from(browser: &Browser, page: &str, fields: &[(&str, &str)]) -> Sent {
        let shown = browser.get(page).await.text();
        assert!(shown.contains("action=\"/sign-in/fake\""), "{shown}");
        let answer = browser
            .post("/sign-in/fake", &form_token(&shown), fields)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let refresh = answer.headers["refresh"].to_str().unwrap();
        Sent(refresh.strip_prefix("0;url=").unwrap().parse().unwrap())
    }

    pub(crate) fn parameter(&self, name: &str) -> String {
        let mut pairs = self.0.query_pairs();
        let found = pairs.find(|(key, _)| key == name);
        found
            .unwrap_or_else(|| panic!("no {name}: {}", self.0))
            .1
            .into_owned()
    }

    /// The way back with an answer, without the origin.
    pub(crate) fn back(&self, answer: &[(&str, &str)]) -> String {
        let url = self.back_url(answer);
        format!("{}?{}", url.path(), url.query().unwrap())
    }

    fn back_url(&self, answer: &[(&str, &str)]) -> Url {
        let mut url: Url = self.parameter("redirect_uri").parse().unwrap();
        url.query_pairs_mut().extend_pairs(answer);
        url
    }
}

impl Shared {
    fn answer(&self, seen: &Seen) -> Script {
        let host = seen.header("host").unwrap();
        match seen.path.split('?').next().unwrap() {
            "/.well-known/openid-configuration" => json_body(
                200,
                &json!({
                    "issuer": format!("http://{host}"),
                    "authorization_endpoint": format!("http://{host}/authorize"),
                    "token_endpoint": format!("http://{host}/token"),
                    "userinfo_endpoint": format!("http://{host}/userinfo"),
                    "jwks_uri": format!("http://{host}/keys"),
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256", "HS256"],
                }),
            ),
            "/keys" => json_body(200, &self.keys()),
            // Whoever comes here in a browser has signed in before.
            "/authorize" => {
                let sent = Sent(format!("http://{host}{}", seen.path).parse().unwrap());
                let back = self.approve(&format!("http://{host}"), &sent, |_| {});
                json_with(302, &format!("location: {back}\r\n"), &json!({}))
            }
            "/token" => self.token(seen),
            "/userinfo" => self.user_info(seen),
            _ => json_body(404, &json!({})),
        }
    }

    /// Where somebody is sent back to of whom the issuer at `url` says what `change` makes of it.
    fn approve(&self, url: &str, sent: &Sent, change: impl FnOnce(&mut Value)) -> Url {
        let now = now_ms() / 1_000;
        let mut claims = json!({
            "iss": url, "aud": CLIENT, "sub": "ann-at-issuer", "iat": now, "exp": now + 300,
            "nonce": sent.parameter("nonce"), "email": "ann@example.com", "email_verified": true,
        });
        change(&mut claims);
        let code = random_text(20);
        let known = Code {
            claims,
            challenge: sent.parameter("code_challenge"),
            callback: sent.parameter("redirect_uri"),
        };
        self.codes.lock().insert(code.clone(), known);
        sent.back_url(&[("code", &code), ("state", &sent.parameter("state"))])
    }

    fn keys(&self) -> Value {
        let parts = PublicKeyComponents::<Vec<u8>>::from(self.key.public());
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": *self.key_id.lock(),
            "n": encoded(&parts.n), "e": encoded(&parts.e),
        }]})
    }

    fn token(&self, seen: &Seen) -> Script {
        let form: HashMap<String, String> =
            serde_urlencoded::from_str(seen.body.as_str().unwrap()).unwrap();
        let basic = STANDARD.encode(format!("{CLIENT}:{SECRET}"));
        let is_us = seen.header("authorization") == Some(&format!("Basic {basic}"));
        let known = self.codes.lock().remove(&form["code"]);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
        let good = |code: &Code| {
            is_us && code.challenge == challenge && code.callback == form["redirect_uri"]
        };
        let Some(code) = known.filter(good) else {
            return json_body(400, &json!({"error": "invalid_grant"}));
        };
        let access_token = random_text(20);
        let mut claims = code.claims.clone();
        self.codes.lock().insert(access_token.clone(), code);
        if *self.thin.lock() {
            claims.as_object_mut().unwrap().remove("email");
        }
        json_body(
            200,
            &json!({
                "access_token": access_token, "token_type": "Bearer", "expires_in": 300,
                "id_token": self.signed(&claims),
            }),
        )
    }

    fn user_info(&self, seen: &Seen) -> Script {
        let token = seen.header("authorization").unwrap();
        let code = self.codes.lock()[token.strip_prefix("Bearer ").unwrap()].clone();
        json_body(200, &code.claims)
    }

    fn signed(&self, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = match claims["alg"].as_str() {
            Some(algorithm) => json!({"alg": algorithm}),
            None => json!({"alg": "RS256", "kid": *self.key_id.lock()}),
        };
        let text = format!("{}.{}", encoded(&header), encoded(claims));
        let signature = match claims["alg"].as_str() {
            Some("none") => Vec::new(),
            // With the secret that both sides know, as a thief of it would.
            Some(_) => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
                ring::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
            }
            None => {
                let mut signature = vec![0; self.key.public().modulus_len()];
                let random = SystemRandom::new();
                self.key
                    .sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A key that was made for the tests and opens nothing.
fn key() -> RsaKeyPair {
    let pem = include_str!("../fixtures/service-account.pem");
    let base64: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap()
}

/// An issuer that never answers.
pub(crate) async fn silent() -> Upstream {
    Upstream::start(|_| vec![Step::Silence]).await
}
