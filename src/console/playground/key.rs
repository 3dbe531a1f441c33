//! The key through which an account's playground spends: made when first needed, listed with the
//! account's other keys, so that it can be capped, switched off and looked up like them.

use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::principal::{LimitReset, Principal};
use crate::store::{NewKey, Store, StoreError};

/// How often somebody may delete the key and get another.
const MOST: u32 = 1_000;

/// Why the playground cannot spend.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoKey {
    /// Its owner switched it off.
    #[error("The key “Playground” is switched off. Switch it on under Keys.")]
    SwitchedOff,
    /// Its owner deleted it again and again.
    #[error("The playground has used up its keys.")]
    UsedUp,
    /// The database could not be asked.
    #[error("The database does not answer. Try again in a moment.")]
    Store(#[from] StoreError),
}

/// Whom the playground of an account calls for.
pub(super) async fn principal(
    store: &Store,
    account: &AccountId,
    now: i64,
) -> Result<Principal, NoKey> {
    for turn in 0..MOST {
        let hash = hash(account, turn);
        let mut known = store.known_key(&hash).await?;
        if known.is_none() {
            match store.create_key(&new_key(account, hash), now).await {
                // Taken by a request that was quicker, or by a key that was deleted.
                Ok(()) | Err(StoreError::Taken(_)) => known = store.known_key(&hash).await?,
                Err(error) => return Err(error.into()),
            }
        }
        match known {
            Some(known) if known.disabled => return Err(NoKey::SwitchedOff),
            Some(known) => return Ok(known.principal),
            None => {}
        }
    }
    Err(NoKey::UsedUp)
}

/// The hash of a text that is no key: nobody can call with it from outside.
fn hash(account: &AccountId, turn: u32) -> KeyHash {
    KeyHash::of(&format!("playground {turn} of {account}"))
}

fn new_key(account: &AccountId, hash: KeyHash) -> NewKey {
    NewKey {
        hash,
        label: "playground".to_owned(),
        account: account.clone(),
        name: "Playground".to_owned(),
        management: false,
        limit: None,
        limit_reset: LimitReset::Never,
        include_byok_in_limit: false,
        expires_at: None,
        creator: Some(account.clone()),
    }
}
