//! How a model's own page looks: what it is, who serves it at which price, and how to call it.

use std::sync::Arc;

use axum::response::Html;
use maud::{Markup, html};

use crate::attempt::health::View;
use crate::catalog::snapshot::{Endpoint, Model, ModelKind, Prices};
use crate::console::format::{apiece, count, day, per_million, short};
use crate::console::health::{Doing, standing};
use crate::console::link::query;
use crate::console::page::{self, Place, empty};
use crate::console::snippet::{Snippet, copyable};
use crate::console::visit::Visit;
use crate::domain::money::Picos;
use crate::edge::manage::models::view::supported_parameters;

/// The model's page.
pub(super) fn page(visit: &Visit, model: &Model, healths: &View) -> Html<String> {
    let id = model.id.as_str();
    let can_chat = model.kind == ModelKind::Chat && !model.endpoints.is_empty();
    let playground = html! {
        @if can_chat { a.button.primary href=(format!("/playground?{}", query(&[("model", id)]))) { "Try it" } }
    };
    let body = html! {
        p.crumb { a href="/models" { "Models" } }
        (page::heading(&model.name, &playground))
        (copyable("model-id", id))
        @if let Some(description) = &model.description { p { (description) } }
        @if model.endpoints.is_empty() {
            (unavailable(model))
        } @else {
            h2 { "Who serves it" }
            (endpoints(visit, &model.endpoints, healths))
        }
        div.columns {
            section.card { h2 { "The model" } (facts(model)) }
            @if can_chat {
                section.card {
                    h2 { "Call it" }
                    p.muted { "With a " a href="/keys" { "key" } " in the variable " code { "TURNPIKE_KEY" } "." }
                    (Snippet { origin: &visit.origin, model: id }.all())
                }
            }
        }
    };
    page::page(visit, Place::Models, &model.name, &body)
}

fn unavailable(model: &Model) -> Markup {
    empty(
        "This gateway cannot call it yet",
        &html! {
            p.muted { "Whoever runs the gateway can change that:" }
            ul.rows { @for endpoint in &model.disabled {
                li { span { (endpoint.provider.name) } @if let Some(lack) = &endpoint.lacks { span.muted { (lack) } } }
            } }
        },
    )
}

/// Speed is shown to who may call the model alone, as the API does (contract 13.5).
fn endpoints(visit: &Visit, endpoints: &[Arc<Endpoint>], healths: &View) -> Markup {
    let with_speed = visit.signed_in.is_some();
    html! {
        div.table { table {
            thead { tr {
                th scope="col" { "Provider" }
                th.num scope="col" { "Input / M" }
                th.num scope="col" { "Output / M" }
                th.num scope="col" { "Cached / M" }
                th.num scope="col" { "Context" }
                th.num scope="col" { "Uptime" }
                @if with_speed {
                    th.num scope="col" { "First token" }
                    th.num scope="col" { "Speed" }
                }
                th.num scope="col" { "Tool calls" }
            } }
            tbody { @for endpoint in endpoints { (row(endpoint, &Doing::of(healths, endpoint), with_speed)) } }
        } }
        p.hint { "Measured from this gateway’s own traffic: requests that succeeded within a day, tool calls within two hours that can be run." }
    }
}

fn row(endpoint: &Endpoint, doing: &Doing, with_speed: bool) -> Markup {
    let prices = &endpoint.pricing.base;
    let optional = |price: Option<Picos>| price.map_or_else(|| "–".to_owned(), per_million);
    let length = |tokens: Option<u64>| tokens.map_or_else(|| "–".to_owned(), short);
    html! {
        tr {
            th scope="row" {
                (endpoint.provider.name) " "
                @if let Some(quantization) = &endpoint.quantization { span.tag { (quantization) } " " }
                @if endpoint.deprecated { span.tag.warn { "leaving" } " " }
                (standing(doing.standing))
                p.hint { code { (endpoint.tag) } }
                p.hint { "Prompts: " (policy(endpoint)) }
            }
            td.num data-name="Input / M" { (per_million(prices.prompt)) }
            td.num data-name="Output / M" { span { (per_million(prices.completion)) (further(endpoint)) } }
            td.num data-name="Cached / M" { (optional(prices.cache_read)) }
            td.num data-name="Context" { div {
                (length(endpoint.context_length))
                @if let Some(longest) = endpoint.max_output_tokens { p.hint { (short(longest)) " out" } }
            } }
            td.num data-name="Uptime" { (doing.uptime()) }
            @if with_speed {
                td.num data-name="First token" { (doing.first_token()) }
                td.num data-name="Speed" { (doing.speed()) }
            }
            td.num data-name="Tool calls" { (doing.tools()) }
        }
    }
}

/// What else costs something, or when the price is another.
fn further(endpoint: &Endpoint) -> Markup {
    let Prices {
        request,
        image,
        search_unit,
        web_search,
        ..
    } = &endpoint.pricing.base;
    let extras = [
        ("a request", request),
        ("an image", image),
        ("a unit of search", search_unit),
        ("a search", web_search),
    ];
    html! {
        @for (what, price) in extras {
            @if let Some(price) = price.filter(|price| *price != Picos::ZERO) { p.hint { (apiece(price)) " " (what) } }
        }
        @for tier in &endpoint.pricing.tiers {
            p.hint {
                "above " (short(tier.above)) ": " (per_million(tier.prices.prompt)) " / " (per_million(tier.prices.completion))
            }
        }
        @if endpoint.pricing.schedule.is_some() { p.hint { "differs by the hour" } }
    }
}

/// What becomes of prompts.
fn policy(endpoint: &Endpoint) -> &'static str {
    match (
        endpoint.data_policy.training,
        endpoint.data_policy.retains_prompts,
    ) {
        (Some(true), _) => "may be trained on",
        (_, Some(false)) => "not kept",
        (Some(false), Some(true)) => "kept, not trained on",
        (Some(false), None) => "not trained on",
        (None, Some(true)) => "kept",
        (None, None) => "not stated",
    }
}

fn facts(model: &Model) -> Markup {
    let parameters = supported_parameters(model);
    html! {
        dl.facts {
            dt { "By" } dd { a href=(format!("/models?{}", query(&[("author", &model.author)]))) { (model.author) } }
            dt { "Takes" } dd { (model.input_modalities.join(", ")) }
            dt { "Gives" } dd { (model.output_modalities.join(", ")) }
            @if let Some(length) = model.context_length { dt { "Context" } dd { (count(length)) " tokens" } }
            @if let Some(length) = model.max_output_tokens { dt { "Longest answer" } dd { (count(length)) " tokens" } }
            @if let Some(created) = model.created { dt { "Released" } dd { (day(created.saturating_mul(1_000))) } }
            @if let Some(cutoff) = &model.knowledge_cutoff { dt { "Knows until" } dd { (cutoff) } }
            @if let Some(reasoning) = &model.reasoning {
                dt { "Reasoning" }
                dd {
                    @if reasoning.mandatory { "always" } @else { "on demand" }
                    @if !reasoning.efforts.is_empty() { ", efforts: " (reasoning.efforts.join(", ")) }
                }
            }
            @if !parameters.is_empty() {
                dt { "Parameters" }
                dd { @for name in parameters { span.tag { (name) } " " } }
            }
        }
    }
}
