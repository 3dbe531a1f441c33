//! What every request passes: panics become masked 500s, browsers may call from anywhere.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, VARY};
use http::{HeaderValue, Method};
use tower_http::cors::{AllowHeaders, Any as AnyOrigin, CorsLayer};

use super::error::ApiError;

/// What a script may see of an answer beside what every script may.
const EXPOSED: &str =
    "x-generation-id,retry-after,x-ratelimit-limit,x-ratelimit-remaining,x-ratelimit-reset";
/// What the answer to a preflight depends on, said of every answer so that no cache takes one for the other.
const VARIES: &str = "origin, access-control-request-method, access-control-request-headers";

/// Answers a panic with a masked 500. The panic itself is logged by the panic hook.
pub fn catch_panic(answer: impl Future<Output = Response>) -> impl Future<Output = Response> {
    // What has panicked is not used again: the request is over.
    let answered = AssertUnwindSafe(answer).catch_unwind();
    answered.map(|answered| answered.unwrap_or_else(|_| ApiError::internal().into_response()))
}

/// An answer that scripts of any site may read. Browser use is first-class (contract 1.6): any origin, no credentials,
/// errors too.
pub fn for_any_origin(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = HeaderValue::from_static(EXPOSED);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    headers.append(VARY, HeaderValue::from_static(VARIES));
    answer
}

/// Answers what browsers ask before such a script's request: any header may come along.
pub fn preflights() -> CorsLayer {
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
        .max_age(Duration::from_secs(86_400))
}
