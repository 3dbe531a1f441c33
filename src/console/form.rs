//! A form that was sent: read, and known to come from one of our own pages.

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Query, Request};
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use super::visit::Visit;
use crate::auth::People;
use crate::domain::money::Nanos;

/// The largest form.
const LARGEST: usize = 64 << 10;

/// The fields of a form that carried the token of the visit.
pub struct Filled<T>(pub T);

/// A form with nothing but a button.
#[derive(Deserialize)]
pub struct Pressed {}

/// The query string of a page.
pub struct Asked<T>(pub T);

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    form_token: String,
}

impl<S, T> FromRequest<S> for Filled<T>
where
    People: FromRef<S>,
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, state).await?;
        let bytes = read(body).await?;
        let token: Token = decode(&bytes)?;
        if !visit.made(&People::from_ref(state), &token.form_token) {
            return Err(Refusal::Forged);
        }
        decode(&bytes).map(Filled)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Asked(asked)),
            Err(rejection) => Err(Refusal::BadForm(format!("{}.", rejection.body_text()))),
        }
    }
}

/// An amount of dollars as people write it, not below nothing; `None` when the field is empty. Fails
/// with what to tell the person.
pub fn amount(text: &str) -> Result<Option<Nanos>, String> {
    let digits = text.trim().trim_start_matches('$').replace(',', "");
    if digits.is_empty() {
        return Ok(None);
    }
    match Nanos::parse(&digits) {
        Ok(amount) if amount >= Nanos::ZERO => Ok(Some(amount)),
        _ => Err("Enter an amount of dollars, such as 5 or 2.50.".to_owned()),
    }
}

async fn read(body: Body) -> Result<bytes::Bytes, Refusal> {
    let whole = Limited::new(body, LARGEST).collect().await;
    Ok(whole
        .map_err(|_| Refusal::BadForm("It is too large.".to_owned()))?
        .to_bytes())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_urlencoded::from_bytes(bytes).map_err(|error| Refusal::BadForm(format!("{error}.")))
}
