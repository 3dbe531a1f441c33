//! Google's service accounts: the assertion that is traded for a token, and the token. Pure: the moment is told, and
//! what is sent is left to the dialer.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::json;

use super::{Fault, fault};
use crate::domain::secret::Secret;

/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// An assertion lives for so many seconds, the longest that is allowed.
const LIFETIME: i64 = 3_600;

/// The key of a service account.
#[derive(Clone)]
pub struct ServiceAccount {
    /// Who it is.
    pub email: String,
    /// Which of its keys, where that is said.
    pub key_id: Option<String>,
    /// Where tokens are given out.
    pub token_uri: String,
    key: Arc<RsaKeyPair>,
}

/// A token for requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What stands behind `Bearer`.
    pub secret: Secret,
    /// How long it is good for, in milliseconds.
    pub lifetime_ms: i64,
}

/// The answer of a token endpoint.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default = "usual_lifetime")]
    expires_in: i64,
}

fn usual_lifetime() -> i64 {
    LIFETIME
}

/// An error of one, as OAuth has it.
#[derive(Deserialize)]
struct Denied {
    error: String,
    error_description: Option<String>,
}

impl ServiceAccount {
    /// The account of this address, whose key is `pem`. Fails with the reason when that is no RSA key.
    pub fn new(
        email: &str,
        key_id: Option<String>,
        pem: &Secret,
        token_uri: &str,
    ) -> Result<Self, &'static str> {
        let key = der(pem.expose()).and_then(|der| RsaKeyPair::from_pkcs8(&der).ok());
        Ok(ServiceAccount {
            email: email.to_owned(),
            key_id,
            token_uri: token_uri.to_owned(),
            key: Arc::new(key.ok_or("its `private_key` is no RSA key in PEM")?),
        })
    }

    /// The form that asks for a token at `now_ms`, Unix milliseconds. Fails with the reason when nothing can be signed.
    pub fn request(&self, now_ms: i64) -> Result<String, &'static str> {
        let assertion = self.assertion(now_ms.div_euclid(1_000))?;
        serde_urlencoded::to_string([("grant_type", GRANT), ("assertion", assertion.as_str())])
            .map_err(|_| "the assertion cannot be written")
    }

    /// A JSON Web Token that says who asks for what, signed.
    fn assertion(&self, now: i64) -> Result<String, &'static str> {
        let encoded = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.key_id {
            header["kid"] = json!(id);
        }
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_uri, "iat": now, "exp": now + LIFETIME,
        });
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| "the key cannot sign")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceAccount([redacted])")
    }
}

/// What the token endpoint answered. A refusal is the provider's, as if it had refused the request itself.
pub fn granted(status: u16, body: &[u8]) -> Result<Token, Fault> {
    if (200..300).contains(&status) {
        let granted: Granted = serde_json::from_slice(body).map_err(|_| Fault {
            status: 502,
            message: "the provider's token endpoint gave no token".to_owned(),
            ..Fault::default()
        })?;
        return Ok(Token {
            secret: Secret::new(&granted.access_token),
            lifetime_ms: granted.expires_in.saturating_mul(1_000),
        });
    }
    let told = match serde_json::from_slice::<Denied>(body) {
        Ok(denied) => Fault {
            message: denied.error_description.unwrap_or(denied.error.clone()),
            code: Some(denied.error),
            ..Fault::default()
        },
        Err(_) => fault::of_status(status, body),
    };
    // An account that is unknown or a key that was withdrawn comes as a 400, but it is no fault of the request's.
    let status = if (400..500).contains(&status) && status != 429 {
        401
    } else {
        status
    };
    Err(Fault { status, ..told })
}

/// The bytes between the lines that begin and end a key.
fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (inside, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let base64: String = inside.chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(base64).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    /// A key that was made for the tests and opens nothing.
    pub(crate) fn private_key() -> String {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        std::fs::read_to_string(format!("{fixtures}/service-account.pem")).unwrap()
    }

    fn account() -> ServiceAccount {
        let key = Secret::new(&private_key());
        ServiceAccount::new(
            "a@b",
            Some("k1".to_owned()),
            &key,
            "https://t.example/token",
        )
        .unwrap()
    }

    #[test]
    fn an_assertion_says_who_asks_and_its_signature_holds() {
        let form = account().request(1_700_000_000_999).unwrap();
        let fields: Vec<(String, String)> = serde_urlencoded::from_str(&form).unwrap();
        assert_eq!(fields[0], ("grant_type".to_owned(), GRANT.to_owned()));
        let (signed, signature) = fields[1].1.rsplit_once('.').unwrap();
        let parts: Vec<Value> = signed
            .split('.')
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(
            parts,
            [
                json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}),
                json!({"iss": "a@b", "scope": SCOPE, "aud": "https://t.example/token", "iat": 1_700_000_000, "exp": 1_700_003_600}),
            ]
        );
        let public = account().key.public().as_ref().to_vec();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
            .verify(
                signed.as_bytes(),
                &URL_SAFE_NO_PAD.decode(signature).unwrap(),
            )
            .unwrap();
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", account()), "ServiceAccount([redacted])");
    }

    #[test]
    fn a_refusal_is_the_providers() {
        let token = granted(
            200,
            br#"{"access_token":"t","expires_in":3599,"token_type":"Bearer"}"#,
        );
        let expect = Token {
            secret: Secret::new("t"),
            lifetime_ms: 3_599_000,
        };
        assert_eq!(token, Ok(expect));
        let check = |status, body: &str, expect: (u16, Option<&str>, &str)| {
            let fault = granted(status, body.as_bytes()).unwrap_err();
            assert_eq!(
                (fault.status, fault.code.as_deref(), &*fault.message),
                expect
            );
        };
        check(
            400,
            r#"{"error":"invalid_grant","error_description":"Invalid grant: account not found"}"#,
            (
                401,
                Some("invalid_grant"),
                "Invalid grant: account not found",
            ),
        );
        check(503, "away", (503, None, "away"));
        check(
            200,
            "{}",
            (502, None, "the provider's token endpoint gave no token"),
        );
    }
}
