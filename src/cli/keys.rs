//! `keys`: made, listed, switched off and on, deleted. The text of a key is printed when it is made and never again.

use serde::Serialize;

use super::Failure;
use super::arguments::{NewKey, Which, Whose};
use super::output::{Output, table, time};
use super::setup::account;
use crate::auth::ApiKey;
use crate::clock::now_ms;
use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::money::Nanos;
use crate::store::{self, Key, KeyChange, Store};

/// Keys read at a time while looking for one or listing all.
const PAGE: u32 = 1_000;

#[derive(Serialize)]
struct ShownKey {
    /// The text, of a key that was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    hash: String,
    name: String,
    label: String,
    account: String,
    management: bool,
    disabled: bool,
    limit: Option<Nanos>,
    limit_reset: Option<&'static str>,
    usage: Nanos,
    created_at: String,
    expires_at: Option<String>,
}

pub(super) async fn create(wanted: NewKey, store: &Store, out: &Output) -> Result<(), Failure> {
    let account = account(store, wanted.whose.account.as_deref()).await?;
    let fresh = ApiKey::generate();
    let key = store::NewKey {
        hash: fresh.hash,
        label: fresh.label,
        account: account.id.clone(),
        name: wanted.name,
        management: wanted.management,
        limit: wanted.limit,
        limit_reset: wanted
            .limit_reset
            .unwrap_or(crate::domain::principal::LimitReset::Never),
        include_byok_in_limit: false,
        expires_at: wanted.expires_at,
        creator: None,
    };
    store
        .create_key(&key, now_ms())
        .await
        .map_err(Failure::other)?;
    let stored = the(store, &account.id, &key.hash).await?;
    let shown = ShownKey {
        key: Some(fresh.text.expose().to_owned()),
        ..ShownKey::from(stored)
    };
    out.print(&shown, |shown| {
        let text = shown.key.as_deref().unwrap_or_default();
        format!("{text}\n\nThis is the only time the key is shown. Its hash, by which other commands know it: {}", shown.hash)
    })
}

pub(super) async fn list(whose: &Whose, store: &Store, out: &Output) -> Result<(), Failure> {
    let account = account(store, whose.account.as_deref()).await?;
    let mut keys = Vec::new();
    loop {
        let page = page(store, &account.id, keys.len()).await?;
        if page.is_empty() {
            break;
        }
        keys.extend(page.into_iter().map(ShownKey::from));
    }
    out.print(&keys, |keys| {
        table(
            ["NAME", "KEY", "HASH", "USED", "LIMIT", "STATE"],
            keys.iter().map(row),
        )
    })
}

/// Switches a key off, or on.
pub(super) async fn switch(
    which: &Which,
    disabled: bool,
    store: &Store,
    out: &Output,
) -> Result<(), Failure> {
    let account = account(store, which.whose.account.as_deref()).await?;
    let hash = find(&which.hash, store, &account.id).await?;
    let change = KeyChange {
        disabled: Some(disabled),
        ..KeyChange::default()
    };
    let changed = store
        .change_key(&account.id, &hash, &change, now_ms())
        .await
        .map_err(Failure::other)?;
    let key = changed.ok_or_else(|| no_such_key(&which.hash))?;
    out.print(&ShownKey::from(key), |key| {
        format!(
            "{} ({}) is {}",
            key.name,
            key.label,
            if disabled { "off" } else { "on" }
        )
    })
}

pub(super) async fn delete(which: &Which, store: &Store, out: &Output) -> Result<(), Failure> {
    let account = account(store, which.whose.account.as_deref()).await?;
    let hash = find(&which.hash, store, &account.id).await?;
    if !store
        .delete_key(&account.id, &hash, now_ms())
        .await
        .map_err(Failure::other)?
    {
        return Err(no_such_key(&which.hash));
    }
    out.print(
        &serde_json::json!({ "hash": hash.to_hex(), "deleted": true }),
        |_| format!("deleted {hash}"),
    )
}

/// The one key of the account whose hash begins so.
async fn find(beginning: &str, store: &Store, account: &AccountId) -> Result<KeyHash, Failure> {
    if let Some(hash) = KeyHash::from_hex(beginning) {
        return Ok(hash);
    }
    let (mut found, mut seen) = (None, 0);
    loop {
        let page = page(store, account, seen).await?;
        if page.is_empty() {
            return found.ok_or_else(|| no_such_key(beginning));
        }
        seen += page.len();
        for key in page
            .iter()
            .filter(|key| key.hash.to_hex().starts_with(beginning))
        {
            if found.replace(key.hash).is_some() {
                return Err(Failure::Other(format!(
                    "more than one key's hash begins with {beginning}: give more of it"
                )));
            }
        }
    }
}

async fn page(store: &Store, account: &AccountId, offset: usize) -> Result<Vec<Key>, Failure> {
    let offset = u32::try_from(offset).map_err(Failure::other)?;
    store
        .keys(account, offset, PAGE, true)
        .await
        .map_err(Failure::other)
}

async fn the(store: &Store, account: &AccountId, hash: &KeyHash) -> Result<Key, Failure> {
    let key = store.key(account, hash).await.map_err(Failure::other)?;
    key.ok_or_else(|| no_such_key(&hash.to_hex()))
}

fn no_such_key(hash: &str) -> Failure {
    Failure::Other(format!(
        "the account has no key {hash}: `turnpike keys list` shows those it has"
    ))
}

fn row(key: &ShownKey) -> [String; 6] {
    let limit = key.limit.map_or_else(
        || "none".to_owned(),
        |limit| format!("${limit} {}", key.limit_reset.unwrap_or("in all")),
    );
    let state = match (key.disabled, key.management) {
        (true, _) => "off",
        (false, true) => "management",
        (false, false) => "on",
    };
    [
        key.name.clone(),
        key.label.clone(),
        key.hash[..12].to_owned(),
        format!("${}", key.usage),
        limit,
        state.to_owned(),
    ]
}

impl From<Key> for ShownKey {
    fn from(key: Key) -> Self {
        ShownKey {
            key: None,
            hash: key.hash.to_hex(),
            usage: key.usage(now_ms()).total,
            name: key.name,
            label: key.label,
            account: key.account.to_string(),
            management: key.management,
            disabled: key.disabled,
            limit: key.limit,
            limit_reset: key.limit_reset.as_str(),
            created_at: time(key.created_at),
            expires_at: key.expires_at.map(time),
        }
    }
}
