//! Every route in one table.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use futures_util::TryFutureExt as _;
use futures_util::future::Either;
use http::header::ACCEPT;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::error::{self, ApiError};
use super::layers;
use super::listen::{RequestBody, Serve};
use super::manage::{activity, credits, explain, generation, key, keys, models, providers};
use super::metrics;
use super::routes::{Route, Routes};
use super::skins::{chat, completions, embeddings, messages, rerank, responses};
use crate::app::App;
use crate::console::refusal::Refusal;
use crate::console::{self, assets, visit};
use crate::oauth::{consent, exchange};

/// The server's routes, with what every request passes around them.
pub fn router(app: App) -> impl Serve {
    let visits = from_fn_with_state((app.people.clone(), app.site.clone()), visit::layer);
    let links = app.links.clone();
    let ready = |routes: Routes<App>| {
        let (router, _) = routes.finish();
        router
            .fallback(unknown_route)
            .method_not_allowed_fallback(wrong_method)
            .with_state(app.clone())
    };
    // Layers stand around routers: one inside would be one of every route, and a box and a copy for every request.
    let api = layers::cors().layer(ready(api()));
    let rest = ready(rest(|pages| pages.layer(visits)));
    service_fn(move |request: Request<RequestBody>| {
        let links = links.clone();
        let answer = if is_api(request.uri().path()) {
            Either::Left(api.clone().oneshot(request))
        } else {
            Either::Right(rest.clone().oneshot(request))
        };
        layers::catch_panic(answer).map_ok(move |response| error::absolute(&links, response))
    })
}

/// Every route there is, for the test that says who may use which.
pub fn list() -> Vec<Route> {
    api().merge(rest(|pages| pages)).finish().1
}

/// Where the API is. OpenAI SDKs that only know a host append `/v1`.
const API: [&str; 2] = ["/api/v1", "/v1"];

fn is_api(path: &str) -> bool {
    let below = |prefix| path.strip_prefix(prefix);
    API.into_iter()
        .filter_map(below)
        .any(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn rest(visits: impl FnOnce(Router<App>) -> Router<App>) -> Routes<App> {
    pages()
        .around(visits)
        .get("/assets/{file}", assets::serve)
        .get("/healthz", healthz)
        .get("/readyz", readyz)
        .get("/metrics", metrics::show)
}

/// What programs use, from any origin.
fn api() -> Routes<App> {
    API.map(api_below)
        .into_iter()
        .fold(Routes::default(), Routes::merge)
}

fn api_below(prefix: &'static str) -> Routes<App> {
    Routes::below(prefix)
        .post("/chat/completions", chat::chat)
        .post("/completions", completions::completions)
        .post("/embeddings", embeddings::embeddings)
        .post("/rerank", rerank::rerank)
        .post("/responses", responses::responses)
        .post("/messages", messages::messages)
        .post("/messages/count_tokens", messages::count_tokens)
        .get("/models", models::list)
        .get("/models/count", models::count)
        .get("/models/user", models::list_for_user)
        .get("/models/{author}/{slug}/endpoints", models::endpoints)
        .get("/model/{author}/{slug}", models::one)
        .get("/parameters/{author}/{slug}", models::parameters)
        .get("/embeddings/models", models::list_embeddings)
        .get("/endpoints/zdr", providers::zdr)
        .get("/providers", providers::list)
        .get("/key", key::show)
        // What clients of the first years ask for.
        .get("/auth/key", key::show)
        .post("/auth/keys", exchange::exchange)
        .post("/auth/keys/code", exchange::create_code)
        .get("/keys", keys::list)
        .post("/keys", keys::create)
        .get("/keys/{hash}", keys::show)
        .patch("/keys/{hash}", keys::change)
        .delete("/keys/{hash}", keys::delete)
        .get("/credits", credits::show)
        .get("/activity", activity::show)
        .get("/generation", generation::show)
        .get("/generation/explain", explain::show)
}

/// What people use, in a browser.
fn pages() -> Routes<App> {
    console::pages()
        .get("/auth", consent::ask)
        .post("/auth", consent::decide)
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

/// Programs are told in JSON, and people, whose browser asks for a page, in a page.
async fn unknown_route(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let accepted = headers
        .get(ACCEPT)
        .and_then(|accepted| accepted.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.contains("text/html")) {
        return Refusal::NotFound.into_response();
    }
    ApiError::not_found(format!("No route {method} {}", uri.path())).into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} is not allowed on {}", uri.path()),
    )
}
