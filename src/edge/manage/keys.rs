//! The keys of the calling account: listed, made, shown, changed, deleted (contract 16.2).
//!
//! For management keys alone. A key of another account is a key that does not exist.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Deserializer, Serialize};

use super::dollars::Dollars;
use super::key::Spending;
use super::moment::Moment;
use super::{Data, Params};
use crate::auth::{ApiKey, Auth, checked_key_name};
use crate::clock;
use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;
use crate::edge::error::ApiError;
use crate::edge::extract::{Manager, Payload};
use crate::store::{Key, KeyChange, NewKey, Store};

/// Keys on a page of the list.
const PAGE: u32 = 100;
/// The workspace of an account that has made no others.
pub(super) const DEFAULT_WORKSPACE: &str = "00000000-0000-0000-0000-000000000000";

/// What the list can be asked for.
#[derive(Deserialize)]
pub struct ListQuery {
    offset: Option<u32>,
    include_disabled: Option<String>,
    workspace_id: Option<String>,
}

/// A key to be made.
#[derive(Deserialize)]
pub struct CreateBody {
    name: String,
    limit: Option<Dollars>,
    limit_reset: Option<Window>,
    #[serde(default)]
    include_byok_in_limit: bool,
    expires_at: Option<String>,
    workspace_id: Option<String>,
    creator_user_id: Option<String>,
}

/// What to change of a key. A field that is left out stays; a cap that is null goes.
#[derive(Deserialize)]
pub struct ChangeBody {
    name: Option<String>,
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    limit: Option<Option<Dollars>>,
    #[serde(default, deserialize_with = "given")]
    limit_reset: Option<Option<Window>>,
    include_byok_in_limit: Option<bool>,
}

/// The contract's words for [`LimitReset`].
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Window {
    Daily,
    Weekly,
    Monthly,
}

/// The key that the path names. What is no hash names no key.
pub struct Named(KeyHash);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(hash) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| unknown())?;
        KeyHash::from_hex(&hash).map(Named).ok_or_else(unknown)
    }
}

/// `GET /keys`.
pub async fn list(
    State(store): State<Store>,
    Manager(who): Manager,
    Params(query): Params<ListQuery>,
) -> Result<Response, ApiError> {
    let here = query.workspace_id.is_none_or(|id| id == DEFAULT_WORKSPACE);
    let all = query
        .include_disabled
        .is_some_and(|word| word.eq_ignore_ascii_case("true") || word == "1");
    let keys = if here {
        store
            .keys(&who.account, query.offset.unwrap_or(0), PAGE, all)
            .await?
    } else {
        Vec::new()
    };
    let now = clock::now_ms();
    let data: Vec<_> = keys.iter().map(|key| KeyView::of(key, now)).collect();
    Ok(Json(Data { data }).into_response())
}

/// `POST /keys`: the one answer that shows a key's text.
pub async fn create(
    State(store): State<Store>,
    State(auth): State<Auth>,
    Manager(who): Manager,
    Payload(body): Payload<CreateBody>,
) -> Result<Response, ApiError> {
    let now = clock::now_ms();
    let ApiKey { text, hash, label } = ApiKey::generate();
    let new = body.into_key(&who.account, hash, label)?;
    store.create_key(&new, now).await?;
    auth.forget(&hash).await;
    let key = find(&store, &who.account, &hash).await?;
    let created = Created {
        data: KeyView::of(&key, now),
        key: text.expose(),
    };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// `GET /keys/{hash}`.
pub async fn show(
    State(store): State<Store>,
    Manager(who): Manager,
    Named(hash): Named,
) -> Result<Response, ApiError> {
    let key = find(&store, &who.account, &hash).await?;
    Ok(Json(Data {
        data: KeyView::of(&key, clock::now_ms()),
    })
    .into_response())
}

/// `PATCH /keys/{hash}`.
pub async fn change(
    State(store): State<Store>,
    State(auth): State<Auth>,
    Manager(who): Manager,
    Named(hash): Named,
    Payload(body): Payload<ChangeBody>,
) -> Result<Response, ApiError> {
    let now = clock::now_ms();
    let key = store
        .change_key(&who.account, &hash, &body.into_change()?, now)
        .await?
        .ok_or_else(unknown)?;
    auth.forget(&hash).await;
    Ok(Json(Data {
        data: KeyView::of(&key, now),
    })
    .into_response())
}

/// `DELETE /keys/{hash}`.
pub async fn delete(
    State(store): State<Store>,
    State(auth): State<Auth>,
    Manager(who): Manager,
    Named(hash): Named,
) -> Result<Response, ApiError> {
    if !store
        .delete_key(&who.account, &hash, clock::now_ms())
        .await?
    {
        return Err(unknown());
    }
    auth.forget(&hash).await;
    Ok(Json(Deleted { deleted: true }).into_response())
}

impl CreateBody {
    fn into_key(
        self,
        account: &AccountId,
        hash: KeyHash,
        label: String,
    ) -> Result<NewKey, ApiError> {
        if self
            .creator_user_id
            .as_deref()
            .is_some_and(|creator| creator != account.as_str())
        {
            return Err(ApiError::invalid(
                "creator_user_id: not a member of this account",
            ));
        }
        if self.workspace_id.is_some_and(|id| id != DEFAULT_WORKSPACE) {
            return Err(ApiError::invalid("workspace_id: no such workspace"));
        }
        Ok(NewKey {
            hash,
            label,
            account: account.clone(),
            name: checked_name(&self.name)?,
            management: false,
            limit: self.limit.map(checked_limit).transpose()?,
            limit_reset: reset(self.limit_reset),
            include_byok_in_limit: self.include_byok_in_limit,
            expires_at: self.expires_at.as_deref().map(checked_expiry).transpose()?,
            creator: Some(account.clone()),
        })
    }
}

impl ChangeBody {
    fn into_change(self) -> Result<KeyChange, ApiError> {
        Ok(KeyChange {
            name: self.name.as_deref().map(checked_name).transpose()?,
            disabled: self.disabled,
            limit: self
                .limit
                .map(|limit| limit.map(checked_limit).transpose())
                .transpose()?,
            limit_reset: self.limit_reset.map(reset),
            include_byok_in_limit: self.include_byok_in_limit,
        })
    }
}

#[derive(Serialize)]
struct Created<'a> {
    data: KeyView<'a>,
    key: &'a str,
}

#[derive(Serialize)]
struct Deleted {
    deleted: bool,
}

/// A key as management sees it.
#[derive(Serialize)]
struct KeyView<'a> {
    hash: String,
    name: &'a str,
    label: &'a str,
    disabled: bool,
    #[serde(flatten)]
    spending: Spending<'a>,
    created_at: Moment,
    updated_at: Option<Moment>,
    expires_at: Option<Moment>,
    workspace_id: &'static str,
}

impl<'a> KeyView<'a> {
    fn of(key: &'a Key, now: i64) -> Self {
        KeyView {
            hash: key.hash.to_hex(),
            name: &key.name,
            label: &key.label,
            disabled: key.disabled,
            spending: Spending::of(key, now),
            created_at: Moment(key.created_at),
            updated_at: key.updated_at.map(Moment),
            expires_at: key.expires_at.map(Moment),
            workspace_id: DEFAULT_WORKSPACE,
        }
    }
}

async fn find(store: &Store, account: &AccountId, hash: &KeyHash) -> Result<Key, ApiError> {
    store.key(account, hash).await?.ok_or_else(unknown)
}

fn unknown() -> ApiError {
    ApiError::not_found("API key not found")
}

fn reset(window: Option<Window>) -> LimitReset {
    match window {
        None => LimitReset::Never,
        Some(Window::Daily) => LimitReset::Daily,
        Some(Window::Weekly) => LimitReset::Weekly,
        Some(Window::Monthly) => LimitReset::Monthly,
    }
}

fn checked_name(name: &str) -> Result<String, ApiError> {
    checked_key_name(name).map_err(|error| ApiError::invalid(format!("name: {error}")))
}

fn checked_limit(Dollars(limit): Dollars) -> Result<Nanos, ApiError> {
    if limit < Nanos::ZERO {
        Err(ApiError::invalid("limit: must not be negative"))
    } else {
        Ok(limit)
    }
}

fn checked_expiry(text: &str) -> Result<i64, ApiError> {
    let Moment(at) = Moment::parse(text)
        .ok_or_else(|| ApiError::invalid("expires_at: must be an ISO 8601 time in UTC"))?;
    Ok(at)
}

/// Tells a field that is null from one that is left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
