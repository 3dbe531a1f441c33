//! `/admin/providers`: who could serve, who does, and what the others lack.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::heading;
use crate::catalog::Catalog;
use crate::catalog::snapshot::{Lack, Provider, Snapshot};
use crate::console::page::{Place, page};
use crate::console::visit::Admin;
use crate::domain::ids::ProviderSlug;

/// What a provider serves, and what keeps the rest from being used.
#[derive(Default)]
struct Served {
    enabled: usize,
    disabled: usize,
    lacks: Vec<Lack>,
}

/// `GET /admin/providers`.
pub async fn providers(Admin(person): Admin, State(catalog): State<Catalog>) -> Html<String> {
    let snapshot = catalog.snapshot();
    let served = served(&snapshot);
    let mut providers: Vec<(&Provider, &Served)> = served
        .iter()
        .filter_map(|(slug, served)| Some((snapshot.providers.get(*slug)?.as_ref(), served)))
        .collect();
    // Those that serve first, then by name.
    providers.sort_by_key(|(provider, served)| (served.enabled == 0, provider.name.to_lowercase()));
    let body = html! {
        (heading("Providers", "/admin/providers"))
        div.table { table {
            thead { tr {
                th scope="col" { "Provider" }
                th scope="col" { "State" }
                th.num scope="col" { "Endpoints" }
                th scope="col" { "Address" }
            } }
            tbody { @for (provider, served) in providers { (row(provider, served)) } }
        } }
    };
    page(&person.visit, Place::Admin, "Providers", &body)
}

fn served(snapshot: &Snapshot) -> HashMap<&ProviderSlug, Served> {
    let mut served: HashMap<&ProviderSlug, Served> = HashMap::new();
    for model in &snapshot.models {
        for endpoint in &model.endpoints {
            served.entry(&endpoint.provider.slug).or_default().enabled += 1;
        }
        for endpoint in &model.disabled {
            let of_provider = served.entry(&endpoint.provider.slug).or_default();
            of_provider.disabled += 1;
            if let Some(lack) = &endpoint.lacks
                && !of_provider.lacks.contains(lack)
            {
                of_provider.lacks.push(lack.clone());
            }
        }
    }
    served
}

fn row(provider: &Provider, served: &Served) -> Markup {
    html! {
        tr {
            th scope="row" { (provider.name) p.hint { code { (provider.slug) } } }
            td data-name="State" { div {
                @if served.enabled > 0 { span.tag.good { "serves" } } @else { span.tag { "off" } }
                @for lack in &served.lacks { p.hint { (lack) } }
            } }
            td.num data-name="Endpoints" { (served.enabled) " of " (served.enabled + served.disabled) }
            td data-name="Address" { code { (provider.base_url) } }
        }
    }
}
