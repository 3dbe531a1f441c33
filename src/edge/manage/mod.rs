//! The resources around inference: one file each.

pub mod activity;
pub mod credits;
pub(crate) mod dollars;
pub mod explain;
pub mod generation;
pub mod key;
pub mod keys;
pub mod models;
pub(crate) mod moment;
pub mod providers;

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The envelope of what succeeded. Typed, since money that passed through a JSON tree would be a float.
#[derive(Serialize)]
pub struct Data<T> {
    pub(crate) data: T,
}

/// The query string; a wrong one is answered in JSON like any other fault of the client.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(rejection) => Err(ApiError::invalid(rejection.body_text())),
        }
    }
}
