//! What handlers take from a request: the caller, a body, the origin of a call.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, FromRequestParts, OptionalFromRequestParts, Request};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::load::Load;
use crate::auth::Auth;
use crate::domain::call::Origin;
use crate::domain::principal::Principal;

/// Bodies up to here come in one read of a connection's buffer, in bytes.
const SHORT_BODY: usize = 8 << 10;

/// Any authenticated key.
pub struct Caller(pub Arc<Principal>);

/// A key that may call models, while there is time for it. Management keys may not (contract 1.2).
pub struct InferenceCaller(pub Arc<Principal>);

/// The same, whose key may also come in `x-api-key`, as Anthropic's clients send it (contract 1.2).
pub struct AnthropicCaller(pub Arc<Principal>);

/// [`Origin`] as Anthropic's clients tell it.
pub struct AnthropicOrigin(pub Origin);

/// A management key (contract 1.2). Others are answered 403.
pub struct Manager(pub Arc<Principal>);

/// The largest body the server takes, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

/// The whole body, within the limit.
pub struct WholeBody(pub Bytes);

/// A body that is JSON of a certain shape; errors name the path that is wrong.
pub struct Payload<T>(pub T);

impl<S> FromRequestParts<S> for Caller
where
    Auth: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let key = bearer(&parts.headers)?;
        Ok(Caller(Auth::from_ref(state).principal(key).await?))
    }
}

/// Nobody where no key is sent; a key that is sent must be good.
impl<S> OptionalFromRequestParts<S> for Caller
where
    Auth: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, ApiError> {
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(Some(caller))
    }
}

impl Caller {
    /// Management keys manage, and call no models.
    fn for_inference(self) -> Result<Arc<Principal>, ApiError> {
        if self.0.management {
            let error = ApiError::new(StatusCode::FORBIDDEN, "Management keys cannot call models");
            return Err(error.for_user(&self.0.account));
        }
        Ok(self.0)
    }
}

impl<S> FromRequestParts<S> for InferenceCaller
where
    Auth: FromRef<S>,
    Load: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Load::from_ref(state).admit()?;
        let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        caller.for_inference().map(InferenceCaller)
    }
}

impl<S> FromRequestParts<S> for AnthropicCaller
where
    Auth: FromRef<S>,
    Load: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Load::from_ref(state).admit()?;
        let caller = match parts.headers.get("x-api-key") {
            Some(key) if !parts.headers.contains_key(AUTHORIZATION) => {
                let key = key.to_str().map_err(|_| AuthMalformed)?;
                Caller(Auth::from_ref(state).principal(key.trim()).await?)
            }
            _ => <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?,
        };
        caller.for_inference().map(AnthropicCaller)
    }
}

impl<S> FromRequestParts<S> for Manager
where
    Auth: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await? {
            Caller(who) if who.management => Ok(Manager(who)),
            Caller(who) => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "Only management keys can perform this operation",
            )
            .for_user(&who.account)),
        }
    }
}

impl<S> FromRequest<S> for WholeBody
where
    BodyLimit: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let BodyLimit(limit) = BodyLimit::from_ref(state);
        collect(request.into_body(), limit).await.map(WholeBody)
    }
}

impl<S, T> FromRequest<S> for Payload<T>
where
    BodyLimit: FromRef<S>,
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let WholeBody(body) = WholeBody::from_request(request, state).await?;
        let json = &mut serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(json).map_err(|error| {
            let path = error.path().to_string();
            let place = if path == "." {
                String::new()
            } else {
                format!("{path}: ")
            };
            ApiError::invalid(format!("{place}{}", error.inner()))
        })?;
        Ok(Payload(value))
    }
}

/// What Anthropic's own clients call their header of features to try.
const ANTHROPICS_BETA: &str = "anthropic-beta";

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(origin(&parts.headers))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AnthropicOrigin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let beta = parts.headers.get(ANTHROPICS_BETA);
        let beta = beta.and_then(|beta| Some(beta.to_str().ok()?.to_owned()));
        let origin = origin(&parts.headers);
        Ok(AnthropicOrigin(Origin {
            anthropic_beta: origin.anthropic_beta.or(beta),
            ..origin
        }))
    }
}

/// What the headers say of the application (contract 1.4). They are gone through once: there are fewer of them than names to
/// look for. Of one that is repeated the first counts.
fn origin(headers: &HeaderMap) -> Origin {
    let (mut origin, mut other_title) = (Origin::default(), None);
    for (name, value) in headers {
        let Ok(text) = value.to_str() else { continue };
        let (said, longest) = match name.as_str() {
            "http-referer" => (&mut origin.referer, 512),
            "x-openrouter-title" => (&mut origin.title, 512),
            "x-title" => (&mut other_title, 512),
            "user-agent" => (&mut origin.user_agent, 512),
            "x-session-id" => (&mut origin.session_id, 256),
            "x-anthropic-beta" => (&mut origin.anthropic_beta, 512),
            "x-openrouter-metadata" | "x-openrouter-experimental-metadata" => {
                origin.wants_metadata |= text.eq_ignore_ascii_case("enabled");
                continue;
            }
            _ => continue,
        };
        said.get_or_insert_with(|| clip(text, longest));
    }
    origin.title = origin.title.or(other_title);
    origin
}

fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let missing = || ApiError::new(StatusCode::UNAUTHORIZED, "Missing Authentication header");
    let value = headers
        .get(AUTHORIZATION)
        .ok_or_else(missing)?
        .to_str()
        .map_err(|_| AuthMalformed)?;
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") && !key.trim().is_empty() => {
            Ok(key.trim())
        }
        _ => Err(AuthMalformed.into()),
    }
}

struct AuthMalformed;

impl From<AuthMalformed> for ApiError {
    fn from(_: AuthMalformed) -> Self {
        crate::auth::AuthError::Malformed.into()
    }
}

async fn collect(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, limit).collect().await {
        // A copy of what is short: the connection's buffer, of which it is a part, is free for what comes next.
        Ok(collected) => match collected.to_bytes() {
            short if short.len() <= SHORT_BODY => Ok(Bytes::copy_from_slice(&short)),
            long => Ok(long),
        },
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The body is larger than {limit} bytes"),
        )),
        Err(_) => Err(ApiError::invalid("The body could not be read")),
    }
}

/// Up to so many characters of a text.
fn clip(text: &str, longest: usize) -> String {
    let end = text.char_indices().nth(longest).map(|(end, _)| end);
    text[..end.unwrap_or(text.len())].to_owned()
}
