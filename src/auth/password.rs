//! Passwords: hashed with argon2id, a few at a time, and never seen again.
//!
//! Knows no account and no database. A hash takes some ten milliseconds and 19 MB on purpose, so it
//! runs on a thread of its own and only so many run at once.

use std::sync::{Arc, OnceLock};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use crate::domain::secret::Secret;

/// Hashes computed at once; further ones wait.
const AT_ONCE: usize = 2;
/// The shortest password that is taken.
pub const SHORTEST: usize = 10;
/// The longest: hashing more is work that only an attacker asks for.
pub const LONGEST: usize = 512;

/// Hashes and checks passwords. Cloning it shares the limit.
#[derive(Clone)]
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    /// The hash of a password that nobody has: checked for accounts that do not exist, so that the
    /// time an answer takes says nothing of which accounts do.
    decoy: Arc<OnceLock<String>>,
}

/// Why a password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too easy to guess.
    #[error("Use at least {SHORTEST} characters.")]
    TooShort,
    /// Too much work to hash.
    #[error("Use at most {LONGEST} characters.")]
    TooLong,
    /// The hash could not be computed; an operator should look.
    #[error("The password could not be processed.")]
    Failed,
}

impl Default for Passwords {
    fn default() -> Self {
        Passwords {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            decoy: Arc::default(),
        }
    }
}

impl Passwords {
    /// Hashes a new password, with a fresh salt. Fails when it is too short or too long.
    pub(super) async fn hash(&self, password: &Secret) -> Result<String, PasswordError> {
        match password.expose().chars().count() {
            ..SHORTEST => return Err(PasswordError::TooShort),
            length if length > LONGEST => return Err(PasswordError::TooLong),
            _ => {}
        }
        let password = password.clone();
        self.in_turn(move || hash(password.expose())).await?
    }

    /// Whether `password` is the one that `hash` was made from. Without a hash it is not, and finding
    /// that out takes as long.
    pub(super) async fn matches(&self, password: &Secret, hash: Option<String>) -> bool {
        let (password, decoy) = (password.clone(), Arc::clone(&self.decoy));
        let check = move || {
            let text = password.expose();
            if text.chars().count() > LONGEST {
                return false;
            }
            match &hash {
                Some(hash) => verify(text, hash),
                None => {
                    let decoy = decoy.get_or_init(|| self::hash("nobody").unwrap_or_default());
                    verify(text, decoy);
                    false
                }
            }
        };
        self.in_turn(check).await.unwrap_or(false)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|_| PasswordError::Failed)?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| PasswordError::Failed)
    }
}

fn hash(password: &str) -> Result<String, PasswordError> {
    match Argon2::default().hash_password(password.as_bytes()) {
        Ok(hash) => Ok(hash.to_string()),
        Err(error) => {
            tracing::error!(%error, "a password cannot be hashed");
            Err(PasswordError::Failed)
        }
    }
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_alone() {
        let passwords = Passwords::default();
        let hash = passwords.hash(&Secret::new("correct horse")).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_ne!(
            hash,
            passwords.hash(&Secret::new("correct horse")).await.unwrap()
        );
        let check = |password: &'static str, hash: Option<&String>| {
            let (passwords, hash) = (passwords.clone(), hash.cloned());
            async move { passwords.matches(&Secret::new(password), hash).await }
        };
        assert!(check("correct horse", Some(&hash)).await);
        assert!(!check("wrong horse", Some(&hash)).await);
        assert!(!check("correct horse", Some(&"nonsense".to_owned())).await);
        assert!(!check("nobody", None).await);
    }

    #[tokio::test]
    async fn passwords_have_a_reasonable_length() {
        let hash = async |length: usize| {
            Passwords::default()
                .hash(&Secret::new(&"x".repeat(length)))
                .await
        };
        assert_eq!(hash(9).await, Err(PasswordError::TooShort));
        assert_eq!(hash(513).await, Err(PasswordError::TooLong));
        assert!(hash(512).await.is_ok());
    }
}
