//! Whether a verifier answers a challenge (RFC 7636). Pure, and in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::request::Method;

/// Whether `verifier` is what `challenge` was made from.
pub(super) fn answers(method: Method, challenge: &str, verifier: &str) -> bool {
    match method {
        Method::Plain => same(challenge, verifier),
        Method::S256 => {
            let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
            same(&url_safe(challenge), &hash)
        }
    }
}

/// Some libraries write the other alphabet, and leave the padding on.
fn url_safe(text: &str) -> String {
    text.trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_")
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn a_verifier_answers_its_challenge_alone() {
        assert!(answers(Method::S256, CHALLENGE, VERIFIER));
        assert!(answers(Method::S256, &format!("{CHALLENGE}="), VERIFIER));
        assert!(!answers(Method::S256, CHALLENGE, CHALLENGE));
        assert!(!answers(Method::S256, CHALLENGE, ""));
        assert!(answers(Method::Plain, VERIFIER, VERIFIER));
        assert!(!answers(Method::Plain, CHALLENGE, VERIFIER));
    }
}
