//! `/models`: what can be called, found by words and filters, and each model's own page.
//!
//! The list answers to the same query as the API's: a filter of a page is one or more of its parameters.

mod list;
mod one;

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use serde::{Deserialize, Serialize};

use super::form::Asked;
use super::refusal::Refusal;
use super::visit::Visit;
use crate::attempt::health::Healths;
use crate::catalog::Catalog;
use crate::catalog::snapshot::Model;
use crate::clock::now_ms;
use crate::edge::manage::models::query::Query;
use crate::plan::slug;

/// Models on a page of the list.
const PAGE: usize = 50;

/// What the list can be asked for.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Wanted {
    q: String,
    author: String,
    takes: String,
    gives: String,
    context: String,
    price: String,
    tools: String,
    reasoning: String,
    sort: String,
    page: usize,
}

/// `GET /models`.
pub async fn list(
    visit: Visit,
    State(catalog): State<Catalog>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Html<String>, Refusal> {
    let snapshot = catalog.snapshot();
    let served: Vec<&Model> = snapshot
        .models
        .iter()
        .map(AsRef::as_ref)
        .filter(|model: &&Model| !model.endpoints.is_empty())
        .collect();
    let query = Query::parse(&wanted.parameters())
        .map_err(|error| Refusal::BadForm(format!("{error}.")))?;
    let chosen = query.select(&served, |model| model, now_ms());
    Ok(list::page(&visit, &wanted, &served, &chosen))
}

/// `GET /models/{author}/{slug}`: aliases lead to the model they stand for.
pub async fn one(
    visit: Visit,
    State(catalog): State<Catalog>,
    State(healths): State<Healths>,
    Path((author, slug)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let snapshot = catalog.snapshot();
    let written = format!("{author}/{slug}");
    let parsed = slug::parse(&written, |slug| snapshot.model(slug).is_some());
    let model = parsed.and_then(|parsed| snapshot.model(parsed.model));
    let model = model.ok_or(Refusal::NotFound)?;
    if model.id.as_str() != written {
        return Ok(Redirect::to(&format!("/models/{}", model.id)).into_response());
    }
    let healths = healths.view(now_ms());
    Ok(one::page(&visit, model, &healths).into_response())
}

impl Wanted {
    /// The parameters of the API's list that say the same (contract 13.1).
    fn parameters(&self) -> Vec<(String, String)> {
        let understands = [(&self.tools, "tools"), (&self.reasoning, "reasoning")]
            .into_iter()
            .filter(|(ticked, _)| !ticked.is_empty())
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
            .join(",");
        let gives = if self.gives.is_empty() {
            "all"
        } else {
            &self.gives
        };
        [
            ("q", self.q.as_str()),
            ("model_authors", &self.author),
            ("input_modalities", &self.takes),
            ("output_modalities", gives),
            ("context", &self.context),
            ("max_price", &self.price),
            ("supported_parameters", &understands),
            ("sort", &self.sort),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    /// The same filters on another page of the list.
    fn at(&self, page: usize) -> String {
        let wanted = Wanted {
            page,
            ..self.clone()
        };
        let query = serde_urlencoded::to_string(&wanted).unwrap_or_default();
        let given: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.ends_with('='))
            .collect();
        format!("/models?{}", given.join("&"))
    }
}
