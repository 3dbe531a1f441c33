//! `/apps`: the applications that have keys of their own, with what they may spend, and the way to take that back.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::{Html, Redirect};
use maud::{Markup, html};
use serde::Deserialize;

use super::form::Filled;
use super::format::{ago, dollars};
use super::keys;
use super::page::{self, Place, page, token_of};
use super::refusal::Refusal;
use super::visit::Person;
use crate::auth::Auth;
use crate::clock::now_ms;
use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::money::Nanos;
use crate::store::{AppKey, Key, Store};

/// Which application is to lose its keys.
#[derive(Deserialize)]
pub struct Revoked {
    app: String,
}

/// An application with its keys.
struct App {
    id: String,
    name: String,
    keys: Vec<(AppKey, Key)>,
}

/// `GET /apps`.
pub async fn list(person: Person, State(store): State<Store>) -> Result<Html<String>, Refusal> {
    let apps = connected(&store, &person.session.account.id).await?;
    let now = now_ms();
    let body = html! {
        (page::heading("Apps", &html! {}))
        @if apps.is_empty() {
            (page::empty("No app is connected", &html! {
                p.muted { "Apps that let you sign in with this gateway get a key of their own here, with the limit you chose. You can take it away at any time." }
            }))
        } @else {
            p.muted { "These apps call models on your credit." }
            @for app in &apps { (card(&person, app, now)) }
        }
    };
    Ok(page(&person.visit, Place::Apps, "Apps", &body))
}

/// `POST /apps/revoke`.
pub async fn revoke(
    person: Person,
    State(store): State<Store>,
    State(auth): State<Auth>,
    Filled(revoked): Filled<Revoked>,
) -> Result<Redirect, Refusal> {
    let account = &person.session.account.id;
    let app_keys = store.app_keys(account).await?;
    let of_app: Vec<KeyHash> = app_keys
        .iter()
        .filter(|app_key| app_key.app == revoked.app)
        .map(|app_key| app_key.key)
        .collect();
    if of_app.is_empty() {
        return Err(Refusal::NotFound);
    }
    for key in &of_app {
        keys::remove(&store, &auth, account, key).await?;
    }
    Ok(Redirect::to("/apps"))
}

/// The account's applications, in the order in which they last got a key.
async fn connected(store: &Store, account: &AccountId) -> Result<Vec<App>, Refusal> {
    let keys = store.keys_of_apps(account).await?;
    let mut keys: HashMap<KeyHash, Key> = keys.into_iter().map(|key| (key.hash, key)).collect();
    let mut apps: Vec<App> = Vec::new();
    for app_key in store.app_keys(account).await? {
        let Some(key) = keys.remove(&app_key.key) else {
            continue;
        };
        match apps.iter_mut().find(|app| app.id == app_key.app) {
            Some(app) => app.keys.push((app_key, key)),
            None => apps.push(App {
                id: app_key.app.clone(),
                name: app_key.app_name.clone(),
                keys: vec![(app_key, key)],
            }),
        }
    }
    Ok(apps)
}

fn card(person: &Person, app: &App, now: i64) -> Markup {
    let spent: Nanos = app.keys.iter().map(|(_, key)| key.usage(now).total).sum();
    html! {
        section.card {
            div.heading {
                div { h2 { (app.name) } code.muted { (app.id) } }
                form method="post" action="/apps/revoke" {
                    (token_of(person))
                    input type="hidden" name="app" value=(app.id);
                    button.danger type="submit" { "Disconnect" }
                }
            }
            p.muted { "Spent " (dollars(spent)) " in all." }
            ul.rows { @for (app_key, key) in &app.keys { li {
                a href=(format!("/keys/{}", key.hash)) { (key.name) }
                span.muted {
                    "since " (ago(app_key.created_at, now)) ", "
                    @match key.limit {
                        Some(limit) => { (dollars(key.usage(now).within(key.limit_reset))) " of " (dollars(limit)) @if let Some(window) = key.limit_reset.as_str() { " " (window) } }
                        None => "no limit",
                    }
                    @if key.disabled { ", switched off" }
                }
            } } }
        }
    }
}
