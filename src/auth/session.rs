//! The cookie of a browser that is signed in, and what is derived from the secret that signs it.
//!
//! A cookie is a signed token (JWT, HS256) that names a session and counts its renewals. It grants
//! nothing by itself: the session must also be in the database, where it can be ended. Pure but for
//! randomness: knows no HTTP, no database and no clock.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::hmac;
use serde::{Deserialize, Serialize};
use signature::{Signer, Verifier};

/// What a cookie says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// The session.
    pub(super) sid: String,
    /// The account that is signed in.
    pub(super) sub: String,
    /// How often the cookie was renewed.
    pub(super) num: i64,
    /// When it ends, Unix seconds.
    pub(super) exp: i64,
}

/// Signs cookies, and derives the tokens that forms carry.
#[derive(Clone)]
pub(super) struct Signing {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    derived: hmac::Key,
}

impl Signing {
    /// Signs with a secret that every replica shares.
    pub(super) fn new(secret: &[u8]) -> Self {
        static PROVIDED: Once = Once::new();
        PROVIDED.call_once(|| {
            // Somebody who installed another provider first has one that can do at least this.
            let _ = HMAC_ONLY.install_default();
        });
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp"]);
        // The caller compares the time with its own clock.
        validation.validate_exp = false;
        Signing {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
            derived: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// The signed form of claims; empty when they cannot be signed, which reads as signed out.
    pub(super) fn sign(&self, claims: &Claims) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .unwrap_or_default()
    }

    /// What a token says, if this secret signed it and its time has not passed.
    pub(super) fn read(&self, token: &str, now: i64) -> Option<Claims> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .ok()?
            .claims;
        (claims.exp > now / 1_000).then_some(claims)
    }

    /// A token for one purpose and subject that nobody without the secret can make.
    pub(super) fn derive(&self, purpose: &str, subject: &str) -> [u8; 32] {
        let text = format!("{purpose}\0{subject}");
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&self.derived, text.as_bytes()).as_ref());
        bytes
    }

    /// Whether `given` is the token of [`Signing::derive`] in hexadecimal digits, in constant time.
    pub(super) fn is_derived(&self, purpose: &str, subject: &str, given: &str) -> bool {
        let text = format!("{purpose}\0{subject}");
        hex::decode(given)
            .is_ok_and(|given| hmac::verify(&self.derived, text.as_bytes(), &given).is_ok())
    }
}

/// Of everything a token library may be asked for, cookies need one algorithm; this is it, from the
/// cryptography that TLS brings along anyway.
static HMAC_ONLY: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256::new(key.as_bytes()))),
        _ => Err(JwtError::from(ErrorKind::InvalidAlgorithm)),
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256::new(key.try_get_as_bytes()?))),
        _ => Err(JwtError::from(ErrorKind::InvalidAlgorithm)),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(hmac::Key);

impl Hs256 {
    fn new(secret: &[u8]) -> Self {
        Hs256(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn claims() -> Claims {
        Claims {
            sid: "session".to_owned(),
            sub: "user_1".to_owned(),
            num: 3,
            exp: 1_000,
        }
    }

    #[test]
    fn a_token_reads_back_until_it_ends() {
        let signing = Signing::new(b"secret");
        let token = signing.sign(&claims());
        assert_eq!(signing.read(&token, 999_999), Some(claims()));
        assert_eq!(signing.read(&token, 1_000_000), None);
    }

    #[test]
    fn a_token_that_was_touched_or_signed_otherwise_says_nothing() {
        let signing = Signing::new(b"secret");
        let token = signing.sign(&claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (_, body) = signed.split_once('.').unwrap();
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
        let stronger = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS512"}"#);
        for forged in [
            String::new(),
            format!("{unsigned}.{body}."),
            format!("{unsigned}.{body}.{signature}"),
            format!("{stronger}.{body}.{signature}"),
            format!("{signed}.{}", &signature[1..]),
            format!("{signed}."),
            Signing::new(b"other").sign(&claims()),
        ] {
            assert_eq!(signing.read(&forged, 0), None, "{forged}");
        }
    }

    #[test]
    fn derived_tokens_differ_by_purpose_and_subject() {
        let signing = Signing::new(b"secret");
        let token = hex::encode(signing.derive("form", "a"));
        assert!(signing.is_derived("form", "a", &token));
        assert!(!signing.is_derived("form", "b", &token));
        assert!(!signing.is_derived("link", "a", &token));
        assert!(!signing.is_derived("form", "a", "zz"));
        assert!(!signing.is_derived("form", "a", ""));
    }
}
