//! "Sign in with your gateway": an application asks, a person consents, the application gets a key of
//! its own, capped and revocable (OAuth with PKCE, contract 17).
//!
//! [`request`] says what may be asked, pure; [`consent`] is the page, [`exchange`] the API.

pub mod consent;
pub mod exchange;
pub mod request;
mod verify;

use sha2::{Digest as _, Sha256};

use crate::domain::ids::random_text;
use crate::domain::secret::Secret;
use crate::store::{Grant, Store, StoreError};

/// How long a code may be exchanged.
const CODE_LIVES: i64 = 10 * 60_000;

/// Issues the code for what was agreed to. Only its hash is kept.
async fn issue(store: &Store, grant: &Grant, now: i64) -> Result<Secret, StoreError> {
    let code = random_text(43);
    store
        .create_code(&code_hash(&code), grant, now, now + CODE_LIVES)
        .await?;
    Ok(Secret::new(&code))
}

fn code_hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}
