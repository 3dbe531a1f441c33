//! `GET /metrics`: the counts of this process, for whoever has the operator's token.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use tokio::runtime::Handle;

use super::error::ApiError;
use crate::domain::ids::KeyHash;
use crate::domain::secret::Secret;
use crate::telemetry::metrics::Metrics;

/// The page.
#[derive(Clone)]
pub struct MetricsPage {
    /// What it shows.
    pub metrics: Metrics,
    /// What must be sent to see it; without one there is no page.
    pub token: Option<Secret>,
    /// Where the process's tasks run.
    pub runtimes: Arc<[Handle]>,
}

/// The counts as text.
pub(super) async fn show(
    State(page): State<MetricsPage>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let Some(token) = &page.token else {
        return Err(ApiError::not_found("No route GET /metrics"));
    };
    let sent = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .unwrap_or_default();
    // Hashes are compared, so the time it takes says nothing of the token.
    if KeyHash::of(sent) != KeyHash::of(token.expose()) {
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "The bearer token is not that of the metrics",
        ));
    }
    let alive = |runtime: &Handle| runtime.metrics().num_alive_tasks();
    let tasks = page.runtimes.iter().map(alive).sum();
    let text = page.metrics.text(tasks).map_err(|_| ApiError::internal())?;
    Ok(([(CONTENT_TYPE, Metrics::MEDIA_TYPE)], text))
}
