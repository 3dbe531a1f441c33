//! `/playground`: a person tries a model, or two beside each other, on the credit of the account.
//!
//! The same call as over the API, with a key of the account's own. With script the answer streams;
//! without, it comes as a page. Whatever a model says is text: it never becomes part of the page's HTML.

mod ask;
mod key;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde::Deserialize;

use super::form::{Asked, Filled};
use super::refusal::Refusal;
use super::visit::Person;
use crate::app::App;
use crate::catalog::Catalog;
use crate::clock::now_ms;
use crate::domain::call::Origin;
use crate::domain::principal::Principal;
use crate::edge::error::ApiError;
use crate::edge::extract::WholeBody;
use crate::edge::skins::chat;
use crate::store::Store;
pub use ask::Ask;
use ask::Said;
use key::NoKey;

/// The header in which script sends the token of its page.
const TOKEN: &str = "x-form-token";

/// Which model to begin with.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    model: String,
    other: String,
}

/// `GET /playground`.
pub async fn show(
    person: Person,
    State(catalog): State<Catalog>,
    Asked(wanted): Asked<Wanted>,
) -> Html<String> {
    let ask = Ask {
        model: wanted.model,
        other: wanted.other,
        ..Ask::default()
    };
    view::page(&person, &catalog.snapshot(), &ask, &[])
}

/// `POST /playground`: the whole answer as a page, for browsers without script.
pub async fn answer(
    person: Person,
    State(app): State<App>,
    Filled(ask): Filled<Ask>,
) -> Result<Html<String>, Refusal> {
    let mut said = Vec::new();
    for slug in ask.slugs() {
        said.push(whole(&app, &person, &ask, slug).await);
    }
    Ok(view::page(&person, &app.catalog.snapshot(), &ask, &said))
}

/// `POST /playground/chat`: what the API's chat completions answer, for the page's script.
pub async fn chat(
    person: Person,
    State(app): State<App>,
    headers: HeaderMap,
    origin: Origin,
    WholeBody(body): WholeBody,
) -> Result<Response, ApiError> {
    let token = headers.get(TOKEN).and_then(|token| token.to_str().ok());
    if !person.visit.made(&app.people, token.unwrap_or_default()) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "This page is out of date. Reload it and try again.",
        ));
    }
    let who = who(&app.store, &person).await?;
    let style = app.stream_style.clone();
    chat::answer(&app.gateway, who, origin, body, style).await
}

/// One model's whole answer.
async fn whole(app: &App, person: &Person, ask: &Ask, slug: String) -> Said {
    let body = Bytes::from(ask.body(&slug).to_string());
    let style = app.stream_style.clone();
    let answered = async {
        let who = who(&app.store, person).await?;
        let told_why = Origin {
            wants_metadata: true,
            ..Origin::default()
        };
        chat::answer(&app.gateway, who, told_why, body, style).await
    };
    let body = match answered.await {
        Ok(response) => match response.into_body().collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(_) => Bytes::new(),
        },
        Err(error) => error.envelope().to_string().into(),
    };
    Said::read(&slug, &body)
}

async fn who(store: &Store, person: &Person) -> Result<Arc<Principal>, ApiError> {
    let account = &person.session.account.id;
    match key::principal(store, account, now_ms()).await {
        Ok(principal) => Ok(Arc::new(principal)),
        Err(NoKey::Store(error)) => Err(error.into()),
        Err(refused) => Err(ApiError::new(StatusCode::FORBIDDEN, refused.to_string())),
    }
}
