//! Addresses of our own pages in error bodies: absolute when the operator said how clients reach us.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_LENGTH;
use serde_json::Value;

use super::ApiError;
use crate::config::Config;

/// How clients reach our pages. Without a configured origin, addresses stay relative to the one called.
#[derive(Clone, Debug, Default)]
pub struct Links(Option<Arc<str>>);

impl Links {
    /// The address of a page.
    pub fn to(&self, page: &str) -> String {
        format!("{}{page}", self.0.as_deref().unwrap_or_default())
    }
}

impl From<&Config> for Links {
    fn from(config: &Config) -> Self {
        Links(config.public_url.as_ref().map(|url| url.as_str().into()))
    }
}

/// An error as it was written, so that it can be written again with addresses.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) error: ApiError,
    pub(super) shape: fn(&ApiError) -> Value,
}

/// The response with the addresses in its error made whole. Whoever makes an error need not know them.
pub fn absolute(links: &Links, mut response: Response) -> Response {
    match response.extensions_mut().remove::<Written>() {
        Some(Written { error, shape }) if links.0.is_some() => {
            response.headers_mut().remove(CONTENT_LENGTH);
            *response.body_mut() = Body::from(shape(&error.linked(links)).to_string());
            response
        }
        _ => response,
    }
}
