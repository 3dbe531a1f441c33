//! The first start of an installation: a data directory, an admin, some credit and a key.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::Failure;
use crate::auth::ApiKey;
use crate::clock::now_ms;
use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;
use crate::store::{NewKey, Store, StoreError};

/// The admin that every installation begins with.
const EMAIL: &str = "admin@localhost";

/// What the admin begins with: enough to try models that cost something. The operator grants it to themself.
const CREDIT: Nanos = Nanos(10_000_000_000);

/// What the operator is told, once.
pub(super) struct Admin {
    pub(super) email: &'static str,
    pub(super) credit: Nanos,
    pub(super) key: ApiKey,
}

/// Makes the data directory, which nobody else may enter.
pub(super) fn make(directory: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(|error| {
        let directory = directory.display();
        Failure::Other(format!(
            "cannot make the data directory {directory}: {error}"
        ))
    })
}

/// Makes the admin of an installation that has none. `None` when there is one: its keys are not ours to show.
pub(super) async fn admin(store: &Store) -> Result<Option<Admin>, StoreError> {
    if store.first_admin().await?.is_some() {
        return Ok(None);
    }
    let now = now_ms();
    let account = match store.create_account(EMAIL, true, now).await {
        Ok(account) => account,
        // Another replica starts for the first time too, and was faster.
        Err(StoreError::Taken(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    store
        .grant(
            &account.id,
            CREDIT,
            &format!("first-start:{}", account.id),
            now,
        )
        .await?;
    let key = ApiKey::generate();
    let stored = NewKey {
        hash: key.hash,
        label: key.label.clone(),
        account: account.id,
        name: "first key".to_owned(),
        management: false,
        limit: None,
        limit_reset: LimitReset::Never,
        include_byok_in_limit: false,
        expires_at: None,
        creator: None,
    };
    store.create_key(&stored, now).await?;
    Ok(Some(Admin {
        email: EMAIL,
        credit: CREDIT,
        key,
    }))
}
