//! `/admin/providers`: who could serve, who does, and what the others lack.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::heading;
use crate::attempt::health::{Healths, Outcomes, Trouble, View};
use crate::catalog::Catalog;
use crate::catalog::snapshot::{Endpoint, Lack, Provider, Snapshot};
use crate::clock::now_ms;
use crate::console::format::count;
use crate::console::health::{Doing, standing, trouble, uptime};
use crate::console::page::{Place, empty, page};
use crate::console::visit::Admin;
use crate::domain::ids::ProviderSlug;
use crate::rank::health::Standing;

/// What a provider serves and how, and what keeps the rest from being used.
#[derive(Default)]
struct Served<'a> {
    enabled: usize,
    disabled: usize,
    lacks: Vec<Lack>,
    day: Outcomes,
    /// The endpoints that cannot be relied on now, the worst first.
    ailing: Vec<(Standing, &'a Endpoint)>,
    /// What last went wrong, and where.
    trouble: Option<(Trouble, &'a Endpoint)>,
}

/// Endpoints in trouble that are named; the rest are counted.
const NAMED: usize = 5;

/// `GET /admin/providers`.
pub async fn providers(
    Admin(person): Admin,
    State(catalog): State<Catalog>,
    State(healths): State<Healths>,
) -> Html<String> {
    let (snapshot, now) = (catalog.snapshot(), now_ms());
    let served = served(&snapshot, &healths.view(now));
    let mut providers: Vec<(&Provider, &Served<'_>)> = served
        .iter()
        .filter_map(|(slug, served)| Some((snapshot.providers.get(*slug)?.as_ref(), served)))
        .collect();
    providers.sort_by_key(|(provider, _)| provider.name.to_lowercase());
    let (serving, others): (Vec<_>, Vec<_>) = providers
        .into_iter()
        .partition(|(_, served)| served.enabled > 0);
    let body = html! {
        (heading("Providers", "/admin/providers"))
        @if serving.is_empty() {
            (empty("Nobody serves yet", &html! { p.muted { "Set the key variable of one of the providers below, and start the gateway again." } }))
        } @else {
            (table(&serving, now))
        }
        @if !others.is_empty() {
            details.snippet open[serving.is_empty()] {
                summary { (others.len()) " more that could serve" }
                (table(&others, now))
            }
        }
        p.hint { "Uptime and requests that were turned away (429) are of a day, on every process; the last error is what this process saw." }
    };
    page(&person.visit, Place::Admin, "Providers", &body)
}

fn table(providers: &[(&Provider, &Served<'_>)], now: i64) -> Markup {
    html! {
        div.table { table {
            thead { tr {
                th scope="col" { "Provider" }
                th scope="col" { "State" }
                th.num scope="col" { "Endpoints" }
                th.num scope="col" { "Uptime" }
                th.num scope="col" { "Turned away" }
                th scope="col" { "Last error" }
            } }
            tbody { @for (provider, served) in providers { (row(provider, served, now)) } }
        } }
    }
}

fn served<'a>(snapshot: &'a Snapshot, healths: &View) -> HashMap<&'a ProviderSlug, Served<'a>> {
    let mut served: HashMap<&ProviderSlug, Served<'_>> = HashMap::new();
    for model in &snapshot.models {
        for endpoint in &model.endpoints {
            let of_provider = served.entry(&endpoint.provider.slug).or_default();
            of_provider.enabled += 1;
            of_provider.add(endpoint, healths);
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
    for of_provider in served.values_mut() {
        of_provider
            .ailing
            .sort_by(|(one, _), (other, _)| other.cmp(one));
    }
    served
}

impl<'a> Served<'a> {
    fn add(&mut self, endpoint: &'a Endpoint, healths: &View) {
        let doing = Doing::of(healths, endpoint);
        self.day += doing.day();
        if doing.standing != Standing::Well {
            self.ailing.push((doing.standing, endpoint));
        }
        let latest = self.trouble.map_or(i64::MIN, |(trouble, _)| trouble.at);
        if let Some(trouble) = healths
            .trouble(endpoint)
            .filter(|trouble| trouble.at > latest)
        {
            self.trouble = Some((trouble, endpoint));
        }
    }
}

fn row(provider: &Provider, served: &Served<'_>, now: i64) -> Markup {
    let model = |endpoint: &Endpoint| format!("/models/{}", endpoint.model);
    html! {
        tr {
            th scope="row" { (provider.name) p.hint { code { (provider.slug) } } p.hint { code { (provider.base_url) } } }
            td data-name="State" { div {
                @if served.enabled > 0 { span.tag.good { "serves" } } @else { span.tag { "off" } }
                @for lack in &served.lacks { p.hint { (lack) } }
                @for (how, endpoint) in served.ailing.iter().take(NAMED) {
                    p.hint { (standing(*how)) " " a href=(model(endpoint)) { (endpoint.model) } }
                }
                @if served.ailing.len() > NAMED { p.hint { "and " (served.ailing.len() - NAMED) " more" } }
            } }
            td.num data-name="Endpoints" { (served.enabled) " of " (served.enabled + served.disabled) }
            td.num data-name="Uptime" { (uptime(served.day)) }
            td.num data-name="Turned away" { @if served.day.limited > 0 { (count(u64::from(served.day.limited))) } @else { span.muted { "–" } } }
            td data-name="Last error" { div {
                (trouble(served.trouble.map(|(trouble, _)| trouble), now))
                @if let Some((_, endpoint)) = served.trouble { p.hint { a href=(model(endpoint)) { (endpoint.model) } } }
            } }
        }
    }
}
