//! Every route in one table.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::Cors;

use super::error::{self, ApiError};
use super::layers;
use super::listen::{RequestBody, Serve};
use super::manage::{activity, credits, explain, generation, key, keys, models, providers};
use super::metrics;
use super::routes::{Direct, Route, Routes};
use super::skins::{chat, completions, embeddings, messages, rerank, responses};
use crate::app::App;
use crate::console::refusal::Refusal;
use crate::console::{self, assets, visit};
use crate::oauth::{consent, exchange};

/// The server's routes, with what every request passes around them.
pub fn router(app: App) -> impl Serve {
    let routers = Arc::new(Routers::new(app));
    move |request, peer| Arc::clone(&routers).answer(request, peer)
}

/// Where requests go.
struct Routers {
    app: App,
    /// Those of the API that nearly every request takes, beside the router that has them all.
    direct: Direct<App>,
    api: Router,
    /// What browsers ask before they send another site's request to the API.
    preflights: Cors<Router>,
    rest: Router,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    Api,
    Preflight,
    Rest,
}

impl Routers {
    fn new(app: App) -> Self {
        let visits = from_fn_with_state((app.people.clone(), app.site.clone()), visit::layer);
        let ready = |routes: Routes<App>| {
            let (router, direct) = routes.finish();
            let router = router
                .fallback(unknown_route)
                .method_not_allowed_fallback(wrong_method)
                .with_state(app.clone());
            (router, direct)
        };
        let (api, direct) = ready(api());
        let (rest, _) = ready(rest(|pages| pages.layer(visits)));
        Routers {
            preflights: layers::preflights().layer(api.clone()),
            direct,
            api,
            rest,
            app,
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<RequestBody>,
        peer: Option<SocketAddr>,
    ) -> Response {
        let destination = Destination::of(request.method(), request.uri().path());
        let answer = layers::catch_panic(self.answer_at(destination, request, peer)).await;
        let answer = match destination {
            Destination::Api => layers::for_any_origin(answer),
            Destination::Preflight | Destination::Rest => answer,
        };
        error::absolute(&self.app.links, answer)
    }

    async fn answer_at(
        &self,
        destination: Destination,
        mut request: Request<RequestBody>,
        peer: Option<SocketAddr>,
    ) -> Response {
        let Ok(answer) = match destination {
            Destination::Api => match self.direct.at(request.method(), request.uri().path()) {
                Some(call) => Ok(call(request.map(Body::new), self.app.clone()).await),
                None => self.api.clone().oneshot(request).await,
            },
            Destination::Preflight => self.preflights.clone().oneshot(request).await,
            Destination::Rest => {
                // Whom tries to sign in are counted for.
                if let Some(peer) = peer {
                    request.extensions_mut().insert(ConnectInfo(peer));
                }
                self.rest.clone().oneshot(request).await
            }
        };
        answer
    }
}

impl Destination {
    fn of(method: &Method, path: &str) -> Self {
        let below = |prefix| path.strip_prefix(prefix);
        let is_api = API
            .into_iter()
            .find_map(below)
            .is_some_and(|route| route.is_empty() || route.starts_with('/'));
        match *method {
            _ if !is_api => Destination::Rest,
            Method::OPTIONS => Destination::Preflight,
            _ => Destination::Api,
        }
    }
}

/// Every route there is, for the test that says who may use which.
pub fn list() -> Vec<Route> {
    api().merge(rest(|pages| pages)).list()
}

/// Where the API is. OpenAI SDKs that only know a host append `/v1`.
const API: [&str; 2] = ["/api/v1", "/v1"];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_where_their_routes_are() {
        for (method, path, destination) in [
            (Method::POST, "/api/v1/chat/completions", Destination::Api),
            (Method::POST, "/v1/completions", Destination::Api),
            (Method::GET, "/api/v1", Destination::Api),
            (
                Method::OPTIONS,
                "/v1/chat/completions",
                Destination::Preflight,
            ),
            (Method::OPTIONS, "/api/v1/nowhere", Destination::Preflight),
            (Method::POST, "/chat/completions", Destination::Rest),
            (Method::GET, "/v1beta/models", Destination::Rest),
            (Method::OPTIONS, "/keys", Destination::Rest),
        ] {
            assert_eq!(
                Destination::of(&method, path),
                destination,
                "{method} {path}"
            );
        }
    }
}
