//! `catalog`: every model, who serves it, and what is missing for those who do not.

use serde::Serialize;

use super::Failure;
use super::output::{Output, table};
use super::setup::Setup;
use crate::catalog::Summary;
use crate::catalog::snapshot::{Endpoint, Model};

#[derive(Serialize)]
struct ShownModel<'a> {
    id: &'a str,
    name: &'a str,
    endpoints: Vec<ShownEndpoint<'a>>,
}

#[derive(Serialize)]
struct ShownEndpoint<'a> {
    provider: &'a str,
    tag: &'a str,
    /// What keeps it from being used.
    lacks: Option<&'a str>,
}

pub(super) fn list(setup: &Setup, out: &Output) -> Result<(), Failure> {
    let snapshot = setup.catalog.snapshot();
    let models: Vec<ShownModel<'_>> = snapshot.models.iter().map(|model| ShownModel::from(&**model)).collect();
    out.print(&models, |models| table(["MODEL", "SERVED BY", "COULD BE SERVED BY"], models.iter().map(row)))
}

/// Reaching it means that the catalogue was read and found right.
pub(super) fn check(setup: &Setup, out: &Output) -> Result<(), Failure> {
    let summary @ Summary { providers, models, endpoints } = Summary::of(&setup.catalog.snapshot());
    let value = serde_json::json!({ "providers": providers, "models": models, "endpoints": endpoints });
    out.print(&value, |_| format!("The catalogue is right; enabled: {summary}."))
}

fn row(model: &ShownModel<'_>) -> [String; 3] {
    let mut serving: Vec<String> = Vec::new();
    let mut lacking: Vec<String> = Vec::new();
    for endpoint in &model.endpoints {
        let (list, text) = match endpoint.lacks {
            None => (&mut serving, endpoint.provider.to_owned()),
            Some(lacks) => (&mut lacking, format!("{} ({lacks})", endpoint.provider)),
        };
        if !list.contains(&text) {
            list.push(text);
        }
    }
    [model.id.to_owned(), serving.join(", "), lacking.join(", ")]
}

impl<'a> From<&'a Model> for ShownModel<'a> {
    fn from(model: &'a Model) -> Self {
        let endpoints = model.endpoints.iter().chain(&model.disabled).map(|endpoint| ShownEndpoint::from(&**endpoint));
        ShownModel { id: model.id.as_str(), name: &model.name, endpoints: endpoints.collect() }
    }
}

impl<'a> From<&'a Endpoint> for ShownEndpoint<'a> {
    fn from(endpoint: &'a Endpoint) -> Self {
        let lacks = endpoint.provider.lacks.as_deref();
        ShownEndpoint { provider: endpoint.provider.slug.as_str(), tag: endpoint.tag.as_str(), lacks }
    }
}
