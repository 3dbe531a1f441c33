//! `/keys`: the keys of an account: found, made, changed, switched off, deleted.
//!
//! A key of another account is a key that does not exist.

mod fields;
mod view;

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use http::StatusCode;
use serde::Deserialize;

use super::form::{Asked, Filled, Pressed};
use super::refusal::Refusal;
use super::visit::Person;
use crate::auth::{ApiKey, Auth};
use crate::clock::now_ms;
use crate::domain::ids::{AccountId, KeyHash};
use crate::store::{Key, KeyChange, NewKey, Store};
pub use fields::Fields;
use fields::Wrong;

/// Keys on a page of the list.
const PAGE: u32 = 50;

/// What the list can be asked for.
#[derive(Deserialize)]
pub struct Sought {
    #[serde(default)]
    q: String,
    #[serde(default)]
    offset: u32,
}

/// What a key's page was come to from.
#[derive(Deserialize)]
pub struct After {
    #[serde(default)]
    saved: String,
}

/// `GET /keys`.
pub async fn list(
    person: Person,
    State(store): State<Store>,
    Asked(sought): Asked<Sought>,
) -> Result<Html<String>, Refusal> {
    let account = &person.session.account.id;
    let mut keys = store
        .find_keys(account, sought.q.trim(), sought.offset, PAGE + 1)
        .await?;
    let more = keys.len() > PAGE as usize;
    keys.truncate(PAGE as usize);
    Ok(view::list(&person, &keys, &sought, more, now_ms()))
}

/// `GET /keys/new`.
pub async fn new(person: Person) -> Html<String> {
    view::new(&person, &Fields::default(), &Wrong::default())
}

/// `POST /keys/new`: the one page that shows a key's text.
pub async fn create(
    person: Person,
    State(store): State<Store>,
    State(auth): State<Auth>,
    Filled(fields): Filled<Fields>,
) -> Result<Response, Refusal> {
    let now = now_ms();
    let checked = match fields.check(now) {
        Ok(checked) => checked,
        Err(wrong) => return Ok(unprocessable(view::new(&person, &fields, &wrong))),
    };
    let account = &person.session.account.id;
    let ApiKey { text, hash, label } = ApiKey::generate();
    let key = NewKey {
        hash,
        label,
        account: account.clone(),
        name: checked.name,
        management: checked.management,
        limit: checked.limit,
        limit_reset: checked.limit_reset,
        include_byok_in_limit: false,
        expires_at: checked.expires_at,
        creator: Some(account.clone()),
    };
    store.create_key(&key, now).await?;
    auth.forget(&hash).await;
    Ok(view::created(&person, &key, &text).into_response())
}

/// `GET /keys/{hash}`.
pub async fn show(
    person: Person,
    State(store): State<Store>,
    Path(hash): Path<String>,
    Asked(after): Asked<After>,
) -> Result<Html<String>, Refusal> {
    let key = find(&store, &person.session.account.id, &hash).await?;
    let saved = !after.saved.is_empty();
    let fields = Fields::of(&key);
    Ok(view::one(
        &person,
        &key,
        &fields,
        &Wrong::default(),
        saved,
        now_ms(),
    ))
}

/// `POST /keys/{hash}`.
pub async fn change(
    person: Person,
    State(store): State<Store>,
    State(auth): State<Auth>,
    Path(hash): Path<String>,
    Filled(fields): Filled<Fields>,
) -> Result<Response, Refusal> {
    let account = &person.session.account.id;
    let key = find(&store, account, &hash).await?;
    let now = now_ms();
    match fields.check(now) {
        Ok(checked) => {
            apply(
                &store,
                &auth,
                account,
                &key.hash,
                &checked.into_change(),
                now,
            )
            .await?;
            Ok(Redirect::to(&format!("/keys/{hash}?saved=1")).into_response())
        }
        Err(wrong) => {
            let page = view::one(&person, &key, &fields, &wrong, false, now);
            Ok(unprocessable(page))
        }
    }
}

/// `POST /keys/{hash}/disable`: switches it off.
pub async fn disable(
    person: Person,
    State(store): State<Store>,
    State(auth): State<Auth>,
    Path(hash): Path<String>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Result<Redirect, Refusal> {
    switch(&person, &store, &auth, &hash, true).await
}

/// `POST /keys/{hash}/enable`: switches it on again.
pub async fn enable(
    person: Person,
    State(store): State<Store>,
    State(auth): State<Auth>,
    Path(hash): Path<String>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Result<Redirect, Refusal> {
    switch(&person, &store, &auth, &hash, false).await
}

/// `POST /keys/{hash}/delete`.
pub async fn delete(
    person: Person,
    State(store): State<Store>,
    State(auth): State<Auth>,
    Path(hash): Path<String>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Result<Redirect, Refusal> {
    let hash = KeyHash::from_hex(&hash).ok_or(Refusal::NotFound)?;
    remove(&store, &auth, &person.session.account.id, &hash).await?;
    Ok(Redirect::to("/keys"))
}

/// Deletes an account's key, here and in the cache of callers.
pub(super) async fn remove(
    store: &Store,
    auth: &Auth,
    account: &AccountId,
    hash: &KeyHash,
) -> Result<(), Refusal> {
    if !store.delete_key(account, hash, now_ms()).await? {
        return Err(Refusal::NotFound);
    }
    auth.forget(hash).await;
    Ok(())
}

async fn switch(
    person: &Person,
    store: &Store,
    auth: &Auth,
    hash: &str,
    off: bool,
) -> Result<Redirect, Refusal> {
    let named = KeyHash::from_hex(hash).ok_or(Refusal::NotFound)?;
    let change = KeyChange {
        disabled: Some(off),
        ..KeyChange::default()
    };
    let account = &person.session.account.id;
    apply(store, auth, account, &named, &change, now_ms()).await?;
    Ok(Redirect::to(&format!("/keys/{hash}?saved=1")))
}

async fn apply(
    store: &Store,
    auth: &Auth,
    account: &AccountId,
    hash: &KeyHash,
    change: &KeyChange,
    now: i64,
) -> Result<(), Refusal> {
    let changed = store.change_key(account, hash, change, now).await?;
    changed.ok_or(Refusal::NotFound)?;
    auth.forget(hash).await;
    Ok(())
}

async fn find(store: &Store, account: &AccountId, hash: &str) -> Result<Key, Refusal> {
    let hash = KeyHash::from_hex(hash).ok_or(Refusal::NotFound)?;
    let key = store.key(account, &hash).await?;
    key.ok_or(Refusal::NotFound)
}

fn unprocessable(page: Html<String>) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
}
