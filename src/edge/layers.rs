//! What every request passes: panics become masked 500s, browsers may call from anywhere.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::{HeaderName, Method};
use tower_http::cors::{AllowHeaders, Any as AnyOrigin, CorsLayer};

use super::error::ApiError;

/// Answers a panic with a masked 500. The panic itself is logged by the panic hook.
pub async fn catch_panic(
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Result<Response, Infallible> {
    // What has panicked is not used again: the request is over.
    let answered = AssertUnwindSafe(answer).catch_unwind().await;
    answered.unwrap_or_else(|_| Ok(ApiError::internal().into_response()))
}

/// Browser use is first-class (contract 1.6): any origin, no credentials, any header, errors too.
pub fn cors() -> CorsLayer {
    let exposed = [
        "x-generation-id",
        "retry-after",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ];
    CorsLayer::new()
        .allow_origin(AnyOrigin)
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PATCH,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
        ])
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(Duration::from_secs(86_400))
}
