//! Who serves: `GET /providers` and `GET /endpoints/zdr` (contract 13.6).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::models::Listing;
use super::models::view::{EndpointView, Measured};
use crate::catalog::snapshot::Provider;

#[derive(Serialize)]
struct ProviderView<'a> {
    name: &'a str,
    slug: &'a str,
    privacy_policy_url: Option<&'a str>,
    terms_of_service_url: Option<&'a str>,
    status_page_url: Option<&'a str>,
    headquarters: Option<&'a str>,
    datacenters: Option<()>,
}

/// `GET /providers`: those with an endpoint that can be used now, by slug.
pub async fn list(State(listing): State<Listing>) -> Response {
    let snapshot = listing.snapshot();
    let endpoints = snapshot.models.iter().flat_map(|model| &model.endpoints);
    let serving: BTreeMap<&str, &Provider> = endpoints
        .map(|endpoint| (endpoint.provider.slug.as_str(), &*endpoint.provider))
        .collect();
    let views: Vec<ProviderView<'_>> = serving.into_values().map(ProviderView::of).collect();
    Json(json!({ "data": views })).into_response()
}

/// `GET /endpoints/zdr`: those that keep nothing of a prompt.
pub async fn zdr(State(listing): State<Listing>) -> Response {
    let snapshot = listing.snapshot();
    let keeps_nothing = snapshot.models.iter().flat_map(|model| {
        model
            .endpoints
            .iter()
            .map(move |endpoint| (model, endpoint))
    });
    let views: Vec<EndpointView<'_>> = keeps_nothing
        .filter(|(_, endpoint)| endpoint.data_policy.retains_prompts == Some(false))
        .map(|(model, endpoint)| EndpointView::of(model, endpoint, Measured::default()))
        .collect();
    Json(json!({ "data": views })).into_response()
}

impl<'a> ProviderView<'a> {
    fn of(provider: &'a Provider) -> Self {
        ProviderView {
            name: &provider.name,
            slug: provider.slug.as_str(),
            privacy_policy_url: provider.privacy_policy.as_deref(),
            terms_of_service_url: provider.terms_of_service.as_deref(),
            status_page_url: provider.status_page.as_deref(),
            headquarters: provider.headquarters.as_deref(),
            datacenters: None,
        }
    }
}
