//! Codes over the API: made for a caller with a key, and exchanged for keys (contract 17.3 to 17.5).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::request::{Asked, AuthRequest, Method, RequestError};
use super::{code_hash, issue, verify};
use crate::auth::{ApiKey, Auth};
use crate::clock::now_ms;
use crate::domain::principal::Principal;
use crate::edge::error::ApiError;
use crate::edge::extract::{Caller, Payload};
use crate::edge::manage::Data;
use crate::edge::manage::dollars::Dollars;
use crate::edge::manage::moment::Moment;
use crate::store::{Grant, NewKey, Store, StoredCode};

/// `POST /auth/keys`.
#[derive(Deserialize)]
pub struct ExchangeBody {
    code: String,
    code_verifier: Option<String>,
    code_challenge_method: Option<String>,
}

/// `POST /auth/keys/code`.
#[derive(Deserialize)]
pub struct CodeBody {
    callback_url: String,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    limit: Option<Dollars>,
    usage_limit_type: Option<String>,
    expires_at: Option<String>,
    key_label: Option<String>,
}

#[derive(Serialize)]
struct Exchanged<'a> {
    key: &'a str,
    user_id: &'a str,
}

#[derive(Serialize)]
struct Issued<'a> {
    id: &'a str,
    app_id: i64,
    created_at: Moment,
}

/// Exchanges a code for a key, once. Called from browsers, by whoever holds the code.
pub async fn exchange(
    State(store): State<Store>,
    State(auth): State<Auth>,
    Payload(body): Payload<ExchangeBody>,
) -> Result<Response, ApiError> {
    let now = now_ms();
    let hash = code_hash(&body.code);
    let code = store
        .code(&hash)
        .await?
        .ok_or_else(|| forbidden("Invalid code"))?;
    check(&code, &body, now)?;
    let grant = code.grant;
    let key = ApiKey::generate();
    let new = new_key(&grant, &key);
    // Of two exchanges at once one comes first, and the other finds the code used.
    if !store.redeem_code(&hash, &grant, &new, now).await? {
        return Err(forbidden("This code was used already"));
    }
    auth.forget(&key.hash).await;
    let exchanged = Exchanged {
        key: key.text.expose(),
        user_id: grant.account.as_str(),
    };
    Ok(unstored(Json(exchanged).into_response()))
}

/// Makes a code without a page, for the account of the calling key. A key that ends makes none that outlives it.
pub async fn create_code(
    State(store): State<Store>,
    Caller(who): Caller,
    Payload(body): Payload<CodeBody>,
) -> Result<Response, ApiError> {
    let now = now_ms();
    let asked = Asked {
        callback_url: Some(body.callback_url.as_str()),
        code_challenge: body.code_challenge.as_deref(),
        code_challenge_method: body.code_challenge_method.as_deref(),
        key_label: body.key_label.as_deref(),
        limit: body.limit.map(|Dollars(limit)| limit),
        usage_limit_type: body.usage_limit_type.as_deref(),
        expires_at: body.expires_at.as_deref(),
    };
    let request = AuthRequest::check(&asked, now)?;
    if request.callback.is_none() {
        return Err(RequestError::Callback.into());
    }
    may_hand_on(&store, &who).await?;
    let mut grant = request.grant(&who.account);
    if let Some(end) = who.expires_at {
        grant.key_expires_at = Some(grant.key_expires_at.map_or(end, |asked| asked.min(end)));
    }
    let code = issue(&store, &grant, now).await?;
    let issued = Issued {
        id: code.expose(),
        app_id: app_id(&grant.app),
        created_at: Moment(now),
    };
    Ok(unstored(Json(Data { data: issued }).into_response()))
}

/// Contract 17.4.
fn check(code: &StoredCode, body: &ExchangeBody, now: i64) -> Result<(), ApiError> {
    let method = body
        .code_challenge_method
        .as_deref()
        .map(Method::parse)
        .transpose()?;
    if code.redeemed {
        return Err(forbidden("This code was used already"));
    }
    if code.expires_at <= now {
        return Err(forbidden("This code has expired"));
    }
    let agreed = code
        .grant
        .method
        .as_deref()
        .map(Method::parse)
        .transpose()?;
    if method.is_some() && method != agreed {
        return Err(ApiError::invalid(
            "code_challenge_method differs from the one the code was made with",
        ));
    }
    match (&code.grant.challenge, agreed) {
        (Some(challenge), Some(agreed)) => {
            let verifier = body.code_verifier.as_deref().unwrap_or_default();
            if verify::answers(agreed, challenge, verifier) {
                Ok(())
            } else {
                Err(forbidden("Invalid code_verifier"))
            }
        }
        _ => Ok(()),
    }
}

fn new_key(grant: &Grant, key: &ApiKey) -> NewKey {
    NewKey {
        hash: key.hash,
        label: key.label.clone(),
        account: grant.account.clone(),
        name: grant.key_name.clone(),
        management: false,
        limit: grant.limit,
        limit_reset: grant.limit_reset,
        include_byok_in_limit: false,
        expires_at: grant.key_expires_at,
        creator: Some(grant.account.clone()),
    }
}

/// Refuses keys whose holder may not hand credit on. The limit of a key binds what is spent with it, and not what others
/// spend that it made: with as many of those as it likes it would have no limit at all. An application's keys end when
/// its person disconnects it, and so must everything it has.
async fn may_hand_on(store: &Store, who: &Principal) -> Result<(), ApiError> {
    if who.limit.is_some() {
        return Err(forbidden("A key with a limit cannot make codes"));
    }
    if store.is_app_key(&who.key).await? {
        return Err(forbidden("An application's key cannot make codes"));
    }
    Ok(())
}

/// The contract's applications have numbers; ours follows from the origin, within what JSON numbers hold exactly.
fn app_id(app: &str) -> i64 {
    let digest = Sha256::digest(app.as_bytes());
    digest[..6]
        .iter()
        .fold(0, |id, byte| (id << 8) | i64::from(*byte))
}

fn forbidden(message: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, message)
}

fn unstored(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        ApiError::invalid(error.to_string())
    }
}
