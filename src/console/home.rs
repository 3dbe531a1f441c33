//! `/`: for visitors what this is and how to begin; for people who are signed in, where they stand.

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::credits::{notice, spent_in_week};
use super::format::{dollars, per_million, short};
use super::page::{self, Place, page};
use super::refusal::Refusal;
use super::runs;
use super::snippet::Snippet;
use super::visit::Visit;
use crate::auth::{People, SignUp};
use crate::catalog::snapshot::{Model, ModelKind, Snapshot};
use crate::catalog::{Catalog, Summary};
use crate::clock::now_ms;
use crate::domain::money::Nanos;
use crate::store::{Account, Key, RunFilter, Store};

/// Runs and models that the page shows.
const SHOWN: u32 = 5;
/// Keys that are added up; few accounts have more.
const KEYS: u32 = 1_000;

/// `GET /`.
pub async fn show(
    visit: Visit,
    State(catalog): State<Catalog>,
    State(people): State<People>,
    State(store): State<Store>,
) -> Result<Html<String>, Refusal> {
    let snapshot = catalog.snapshot();
    let body = match &visit.signed_in {
        Some(signed_in) => overview(&visit, &store, &signed_in.session.account).await?,
        None => welcome(&visit, &snapshot, people.sign_up_policy()),
    };
    let title = if visit.signed_in.is_some() {
        "Overview"
    } else {
        "One API for every model"
    };
    Ok(page(&visit, Place::Nowhere, title, &body))
}

fn welcome(visit: &Visit, snapshot: &Snapshot, sign_up: SignUp) -> Markup {
    let Summary {
        providers, models, ..
    } = Summary::of(snapshot);
    let newest = newest(snapshot);
    html! {
        section.hero {
            h1 { "One API for every model" }
            p.lead {
                "This gateway speaks OpenAI’s protocol in front of " strong { (models) } " models of " strong { (providers) }
                " providers, fails over between them, and bills each key to the cent."
            }
            div.actions {
                @if sign_up == SignUp::Open {
                    a.button.primary href="/sign-up" { "Make an account" }
                    a.button href="/sign-in" { "Sign in" }
                } @else {
                    a.button.primary href="/sign-in" { "Sign in" }
                }
                a.button href="/models" { "Browse models" }
            }
        }
        div.columns {
            section.card {
                h2 { "How to start" }
                ol.steps {
                    li { a href="/sign-in?next=%2Fkeys" { "Sign in" } " and create a key. "
                        @if sign_up != SignUp::Open { span.muted { "Accounts are by invitation: ask an admin." } } }
                    li { "Point any OpenAI SDK at " code { (visit.origin) "/api/v1" } "." }
                    li { "Choose a model: " a href="/models" { "see what there is" } "." }
                }
                (Snippet { origin: &visit.origin, model: newest.first().map_or("author/slug", |model| model.id.as_str()) }.all())
            }
            section.card {
                h2 { "Newest models" }
                @if newest.is_empty() {
                    p.muted { "No provider is configured yet. Whoever runs this gateway sets a provider’s key variable, and its models appear here." }
                } @else {
                    ul.rows {
                        @for model in &newest { li {
                            a href=(format!("/models/{}", model.id)) { (model.name) }
                            span.muted { (price(model)) }
                        } }
                    }
                    p { a href="/models" { "All " (models) " models" } }
                }
            }
        }
    }
}

async fn overview(visit: &Visit, store: &Store, whose: &Account) -> Result<Markup, Refusal> {
    let (account, now) = (&whose.id, now_ms());
    let week = spent_in_week(store, account, now).await?;
    let credits = store.credits(account).await?;
    let keys = store.keys(account, 0, KEYS, true).await?;
    let runs = store
        .generations(account, &RunFilter::default(), SHOWN)
        .await?;
    let spent =
        |window: fn(&Key, i64) -> Nanos| dollars(keys.iter().map(|key| window(key, now)).sum());
    Ok(html! {
        (page::heading("Overview", &html! { a.button.primary href="/keys/new" { "Create a key" } }))
        dl.figures {
            (page::figure("Credit left", &dollars(credits.balance()), ""))
            (page::figure("Spent today", &spent(|key, now| key.usage(now).daily), "since midnight UTC"))
            (page::figure("Spent this month", &spent(|key, now| key.usage(now).monthly), ""))
            (page::figure("Keys", &short(keys.len() as u64), ""))
        }
        (notice(credits.balance(), week, whose.admin))
        @if runs.is_empty() {
            section.card {
                h2 { "Make your first request" }
                @if keys.is_empty() {
                    p { a href="/keys/new" { "Create a key" } ", then run this with the key in " code { "TURNPIKE_KEY" } ":" }
                } @else {
                    p { "Run this with your key in " code { "TURNPIKE_KEY" } ", or try a model in the " a href="/playground" { "playground" } ":" }
                }
                (Snippet { origin: &visit.origin, model: "turnpike/echo" }.all())
            }
        } @else {
            h2 { "Latest requests" }
            (runs::table(&runs, now))
            p { a href="/activity" { "All activity" } }
        }
    })
}

fn newest(snapshot: &Snapshot) -> Vec<&Model> {
    let mut models: Vec<&Model> = snapshot
        .models
        .iter()
        .map(AsRef::as_ref)
        .filter(|model: &&Model| model.kind == ModelKind::Chat && !model.endpoints.is_empty())
        .collect();
    models.sort_by_key(|model| std::cmp::Reverse(model.created));
    models.truncate(SHOWN as usize);
    models
}

fn price(model: &Model) -> String {
    match model.endpoints.first() {
        Some(endpoint) => format!(
            "{} in, {} out",
            per_million(endpoint.pricing.base.prompt),
            per_million(endpoint.pricing.base.completion)
        ),
        None => String::new(),
    }
}
