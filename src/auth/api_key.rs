//! The text of a key: how it is made, checked and masked. Only its hash is ever kept.

use std::fmt::Write as _;

use rand::Rng as _;

use crate::domain::ids::KeyHash;
use crate::domain::secret::Secret;

const PREFIX: &str = "sk-or-v1-";
const DIGITS: usize = 64;
const LONGEST_NAME: usize = 200;

/// A key that was just made. Its text is shown once and then forgotten.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `sk-or-v1-` and 64 hexadecimal digits.
    pub text: Secret,
    /// The SHA-256 of the text: its public name.
    pub hash: KeyHash,
    /// The text with its middle left out.
    pub label: String,
}

/// Why people cannot call a key so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyNameError {
    /// There is nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// It is too long.
    #[error("must have at most {LONGEST_NAME} characters")]
    TooLong,
    /// Postgres has no room for it, and nobody means it.
    #[error("must not contain a null character")]
    Null,
}

/// A name in the form in which it is stored.
pub fn checked_key_name(name: &str) -> Result<String, KeyNameError> {
    match name.trim() {
        "" => Err(KeyNameError::Empty),
        name if name.chars().count() > LONGEST_NAME => Err(KeyNameError::TooLong),
        name if name.contains('\0') => Err(KeyNameError::Null),
        name => Ok(name.to_owned()),
    }
}

impl ApiKey {
    /// A fresh key of 256 random bits.
    pub fn generate() -> Self {
        let mut bits = [0_u8; DIGITS / 2];
        rand::rng().fill_bytes(&mut bits);
        let text = format!("{PREFIX}{}", hex::encode(bits));
        ApiKey {
            hash: KeyHash::of(&text),
            label: mask(&text),
            text: Secret::new(&text),
        }
    }

    /// Whether a text could be a key at all; saves the database a question about noise.
    pub fn is_well_formed(text: &str) -> bool {
        text.strip_prefix(PREFIX).is_some_and(|digits| {
            digits.len() == DIGITS
                && digits
                    .bytes()
                    .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        })
    }
}

/// The prefix, three digits, and the last three (contract 1.3).
fn mask(text: &str) -> String {
    let (head, tail) = (PREFIX.len() + 3, text.len() - 3);
    let mut label = text[..head].to_owned();
    let _ = write!(label, "...{}", &text[tail..]);
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_has_the_contracts_form() {
        let (one, other) = (ApiKey::generate(), ApiKey::generate());
        let text = one.text.expose();
        assert!(ApiKey::is_well_formed(text), "{text}");
        assert_ne!(text, other.text.expose());
        assert_eq!(one.hash, KeyHash::of(text));
        assert_eq!(one.label, format!("{}...{}", &text[..12], &text[70..]));
    }

    #[test]
    fn noise_is_not_a_key() {
        let zeros = "0".repeat(64);
        let check =
            |text: &str, expect: bool| assert_eq!(ApiKey::is_well_formed(text), expect, "{text}");
        check(&format!("sk-or-v1-{zeros}"), true);
        check(&format!("sk-or-v1-{}", &zeros[1..]), false);
        check(&format!("sk-or-v1-{zeros}0"), false);
        check(&format!("sk-or-v1-{}F", &zeros[1..]), false);
        check(&format!("sk-or-v2-{zeros}"), false);
        check("", false);
    }
}
