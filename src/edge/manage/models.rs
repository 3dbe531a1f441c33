//! What can be served, as clients see it: the model list with its filters, single models and their endpoints
//! (contract 13.1 to 13.5, 13.7).
//!
//! Every model is serialised once per catalogue, not per request: a list is a splice of what is ready, and the usual
//! list is ready whole, with its ETag.

mod feed;
mod given;
mod prices;
pub(crate) mod query;
#[cfg(test)]
mod tests;
pub(crate) mod view;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::Json;
use axum::extract::{Path, Query as Pairs, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::attempt::health::Healths;
use crate::catalog::Catalog;
use crate::catalog::snapshot::{Lack, Model, Snapshot};
use crate::clock;
use crate::edge::error::ApiError;
use crate::edge::extract::Caller;
use crate::plan::slug;
use given::QueryError;
use query::{Page, Query};
use view::{Measured, ModelEndpoints, ModelView, supported_parameters};

/// The catalogue with its models serialised. Cloning shares it.
#[derive(Clone)]
pub struct Listing {
    catalog: Catalog,
    healths: Healths,
    ready: Arc<ArcSwapOption<Ready>>,
}

/// The models of one snapshot, serialised.
struct Ready {
    snapshot: Arc<Snapshot>,
    models: Vec<Listed>,
    /// The whole usual list.
    plain: Bytes,
    etag: HeaderValue,
}

struct Listed {
    model: Arc<Model>,
    json: Bytes,
}

/// `GET /models`.
pub async fn list(
    State(listing): State<Listing>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (query, ready) = (Query::parse(&pairs(&uri)?)?, listing.ready()?);
    if query.is_plain() {
        return Ok(ready.plain_answer(&headers));
    }
    let chosen = query.select(&ready.models, |listed| &listed.model, clock::now_ms());
    Ok(match query.feed {
        Some(feed) => {
            let models = chosen.iter().map(|listed| &*listed.model).collect();
            let xml = feed::write(feed, models, &origin(&headers));
            ([(CONTENT_TYPE, "application/rss+xml; charset=utf-8")], xml).into_response()
        }
        None => json_answer(page_body(&chosen, query.page, &uri)),
    })
}

/// `GET /models/user`: what the caller may use. Preferences of accounts will narrow it.
pub async fn list_for_user(
    _: Caller,
    listing: State<Listing>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    list(listing, uri, headers).await
}

/// `GET /embeddings/models`.
pub async fn list_embeddings(
    State(listing): State<Listing>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::embeddings(Query::parse(&pairs(&uri)?)?.page);
    let ready = listing.ready()?;
    let chosen = query.select(&ready.models, |listed| &listed.model, clock::now_ms());
    Ok(json_answer(page_body(&chosen, query.page, &uri)))
}

/// `GET /models/count`.
pub async fn count(State(listing): State<Listing>, uri: Uri) -> Result<Response, ApiError> {
    let query = Query::parse(&pairs(&uri)?)?;
    let count = query
        .select(
            &listing.ready()?.models,
            |listed| &listed.model,
            clock::now_ms(),
        )
        .len();
    Ok(Json(json!({ "data": { "count": count } })).into_response())
}

/// `GET /model/{author}/{slug}`: aliases and variants resolve.
pub async fn one(
    State(listing): State<Listing>,
    Path((author, slug)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let snapshot = listing.catalog.snapshot();
    let view = ModelView::of(served(&snapshot, &format!("{author}/{slug}"))?);
    Ok(Json(json!({ "data": view })).into_response())
}

/// `GET /models/{author}/{slug}/endpoints`. Speed is shown to callers with a key alone (contract 13.5).
pub async fn endpoints(
    State(listing): State<Listing>,
    caller: Option<Caller>,
    Path((author, slug)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    listing.endpoints(&format!("{author}/{slug}"), caller.is_some())
}

/// `GET /parameters/{author}/{slug}`, which older clients still ask for.
pub async fn parameters(
    State(listing): State<Listing>,
    Path((author, slug)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let snapshot = listing.catalog.snapshot();
    let model = served(&snapshot, &format!("{author}/{slug}"))?;
    let data = json!({ "model": model.id, "supported_parameters": supported_parameters(model) });
    Ok(Json(json!({ "data": data })).into_response())
}

impl Listing {
    /// Lists what `catalog` holds, now and after every reload, and how the endpoints do.
    pub fn new(catalog: Catalog, healths: Healths) -> Self {
        Listing {
            catalog,
            healths,
            ready: Arc::default(),
        }
    }

    /// Who serves a model, how well, and for those who may know, how fast.
    fn endpoints(&self, slug: &str, with_speed: bool) -> Result<Response, ApiError> {
        let snapshot = self.catalog.snapshot();
        let healths = self.healths.view(clock::now_ms());
        let view = ModelEndpoints::of(served(&snapshot, slug)?, |endpoint| {
            let measured = Measured::of(&healths, endpoint);
            if with_speed {
                measured
            } else {
                measured.without_speed()
            }
        });
        Ok(Json(json!({ "data": view })).into_response())
    }

    /// The catalogue itself.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.snapshot()
    }

    /// Serialises the models when the catalogue has changed. Two that find so at once both do; either result will do.
    fn ready(&self) -> Result<Arc<Ready>, ApiError> {
        let snapshot = self.catalog.snapshot();
        if let Some(ready) = self
            .ready
            .load_full()
            .filter(|ready| Arc::ptr_eq(&ready.snapshot, &snapshot))
        {
            return Ok(ready);
        }
        let ready = Arc::new(Ready::of(snapshot).map_err(|error| {
            tracing::error!(%error, "the model list cannot be serialised");
            ApiError::internal()
        })?);
        self.ready.store(Some(Arc::clone(&ready)));
        Ok(ready)
    }
}

impl Ready {
    fn of(snapshot: Arc<Snapshot>) -> Result<Self, serde_json::Error> {
        let listed = |model: &Arc<Model>| {
            let view = ModelView::of(model)?;
            Some(serde_json::to_vec(&view).map(|json| Listed {
                model: Arc::clone(model),
                json: json.into(),
            }))
        };
        let models = snapshot
            .models
            .iter()
            .filter_map(listed)
            .collect::<Result<Vec<_>, _>>()?;
        let usual =
            Query::parse(&[])
                .unwrap_or_default()
                .select(&models, |listed| &listed.model, 0);
        let plain = list_body(&usual, usual.len(), None);
        let digest = hex::encode(&Sha256::digest(&plain)[..16]);
        let etag = HeaderValue::try_from(format!("\"{digest}\""))
            .unwrap_or(HeaderValue::from_static("\"\""));
        Ok(Ready {
            snapshot,
            models,
            plain,
            etag,
        })
    }

    fn plain_answer(&self, headers: &HeaderMap) -> Response {
        let mut response = if self.is_known_to(headers) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            json_answer(self.plain.clone())
        };
        response.headers_mut().insert(ETAG, self.etag.clone());
        response
    }

    /// Whether the client has this very list. Weak tags compare like strong ones here (RFC 9110, 13.1.2).
    fn is_known_to(&self, headers: &HeaderMap) -> bool {
        let tags = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut tags = tags
            .flat_map(|list| list.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"));
        tags.any(|tag| tag == "*" || tag.as_bytes() == self.etag.as_bytes())
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        ApiError::invalid(error.to_string())
    }
}

/// The model that a slug names, when someone serves it now.
fn served<'a>(snapshot: &'a Snapshot, written: &str) -> Result<&'a Model, ApiError> {
    let parsed = slug::parse(written, |slug| snapshot.model(slug).is_some());
    let model = parsed.and_then(|parsed| snapshot.model(parsed.model));
    let model =
        model.ok_or_else(|| ApiError::not_found(format!("Model {written} does not exist")))?;
    if model.endpoints.is_empty() {
        return Err(ApiError::not_found(format!(
            "No endpoints found for {}{}",
            model.id,
            remedy(model)
        )));
    }
    Ok(model)
}

fn remedy(model: &Model) -> String {
    let variable = |lack: &Lack| match lack {
        Lack::Variable(name) => Some(name.clone()),
        Lack::Wire(_) => None,
    };
    let mut variables: Vec<String> = model
        .disabled
        .iter()
        .filter_map(|endpoint| variable(endpoint.lacks.as_ref()?))
        .collect();
    variables.sort_unstable();
    variables.dedup();
    if variables.is_empty() {
        String::new()
    } else {
        format!(
            ". Set one of these to enable a provider: {}",
            variables.join(", ")
        )
    }
}

fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, ApiError> {
    let Pairs(pairs) =
        Pairs::try_from_uri(uri).map_err(|error| ApiError::invalid(error.body_text()))?;
    Ok(pairs)
}

fn page_body(chosen: &[&Listed], page: Option<Page>, uri: &Uri) -> Bytes {
    let (items, next) = page.map_or((chosen, None), |page| page.cut(chosen));
    list_body(
        items,
        chosen.len(),
        next.map(|next| next_link(uri, next)).as_deref(),
    )
}

fn list_body(items: &[&Listed], total: usize, next: Option<&str>) -> Bytes {
    let mut body =
        Vec::with_capacity(items.iter().map(|item| item.json.len() + 1).sum::<usize>() + 128);
    body.extend_from_slice(b"{\"data\":[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&item.json);
    }
    let rest = json!({ "total_count": total, "links": { "next": next } }).to_string();
    body.extend_from_slice(b"],");
    body.extend_from_slice(rest.trim_start_matches('{').as_bytes());
    body.into()
}

/// The same query on the next page.
fn next_link(uri: &Uri, next: Page) -> String {
    let named = |pair: &str, name: &str| pair.split('=').next() == Some(name);
    let kept = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !named(pair, "offset") && !named(pair, "limit"));
    let place = [
        format!("offset={}", next.offset),
        format!("limit={}", next.limit),
    ];
    let query: Vec<&str> = kept.chain(place.iter().map(String::as_str)).collect();
    format!("{}?{}", uri.path(), query.join("&"))
}

fn json_answer(body: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Where this server was reached, as the request says.
fn origin(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = if text("x-forwarded-proto") == Some("https") {
        "https"
    } else {
        "http"
    };
    let host = text(HOST.as_str())
        .filter(|host| host.parse::<Authority>().is_ok())
        .unwrap_or("localhost");
    format!("{scheme}://{host}")
}
