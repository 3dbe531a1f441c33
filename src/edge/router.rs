//! Every route in one table.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use http::{Method, StatusCode, Uri};

use super::error::ApiError;
use super::layers;
use super::manage::{credits, generation, key, keys, models, providers};
use super::skins::{chat, completions};
use crate::app::App;

/// The server's routes, with their layers.
pub fn router(app: App) -> Router {
    let api = api();
    Router::new()
        .nest("/api/v1", api.clone())
        // OpenAI SDKs that only know a host append `/v1`.
        .nest("/v1", api)
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(layers::catch_panics())
        .layer(layers::cors())
        // Bodies are bounded where they are read, so that the refusal is JSON.
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

fn api() -> Router<App> {
    Router::new()
        .route("/chat/completions", post(chat::chat))
        .route("/completions", post(completions::completions))
        .route("/models", get(models::list))
        .route("/models/count", get(models::count))
        .route("/models/user", get(models::list_for_user))
        .route("/models/{author}/{slug}/endpoints", get(models::endpoints))
        .route("/model/{author}/{slug}", get(models::one))
        .route("/parameters/{author}/{slug}", get(models::parameters))
        .route("/embeddings/models", get(models::list_embeddings))
        .route("/endpoints/zdr", get(providers::zdr))
        .route("/providers", get(providers::list))
        .route("/key", get(key::show))
        // What clients of the first years ask for.
        .route("/auth/key", get(key::show))
        .route("/keys", get(keys::list).post(keys::create))
        .route(
            "/keys/{hash}",
            get(keys::show).patch(keys::change).delete(keys::delete),
        )
        .route("/credits", get(credits::show))
        .route("/generation", get(generation::show))
}

/// The process is alive.
async fn healthz() -> impl IntoResponse {
    axum::Json(serde_json::json!({ "status": "ok" }))
}

/// The process can take requests: its database answers, and it is not shutting down.
async fn readyz(
    axum::extract::State(app): axum::extract::State<App>,
) -> Result<impl IntoResponse, ApiError> {
    app.ready()
        .await
        .map_err(|reason| ApiError::busy(reason.to_string()))?;
    Ok(axum::Json(serde_json::json!({ "status": "ready" })))
}

async fn unknown_route(method: Method, uri: Uri) -> ApiError {
    ApiError::not_found(format!("No route {method} {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} is not allowed on {}", uri.path()),
    )
}
