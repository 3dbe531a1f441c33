//! How the model list looks.

use axum::response::Html;
use maud::{Markup, html};

use super::{PAGE, Wanted};
use crate::catalog::snapshot::Model;
use crate::console::format::{count, per_million, short};
use crate::console::page::{self, Place, select};
use crate::console::visit::Visit;

const TAKES: [(&str, &str); 5] = [
    ("", "anything"),
    ("image", "images"),
    ("file", "files"),
    ("audio", "audio"),
    ("video", "video"),
];
const GIVES: [(&str, &str); 6] = [
    ("", "anything"),
    ("text", "text"),
    ("image", "images"),
    ("audio", "audio"),
    ("embeddings", "embeddings"),
    ("rerank", "orders of documents"),
];
const CONTEXTS: [(&str, &str); 5] = [
    ("", "any"),
    ("32000", "32K or more"),
    ("128000", "128K or more"),
    ("200000", "200K or more"),
    ("1000000", "1M or more"),
];
const PRICES: [(&str, &str); 6] = [
    ("", "any"),
    ("0", "free"),
    ("0.2", "up to $0.20"),
    ("1", "up to $1"),
    ("5", "up to $5"),
    ("20", "up to $20"),
];
const SORTS: [(&str, &str); 5] = [
    ("", "id"),
    ("newest", "newest first"),
    ("pricing-low-to-high", "cheapest first"),
    ("pricing-high-to-low", "dearest first"),
    ("context-high-to-low", "longest context first"),
];

/// The list with its filters.
pub(super) fn page(
    visit: &Visit,
    wanted: &Wanted,
    served: &[&Model],
    chosen: &[&&Model],
) -> Html<String> {
    let body = html! {
        (page::heading("Models", &html! {}))
        @if served.is_empty() {
            (page::empty("No model can be called yet", &html! {
                p.muted { "Whoever runs this gateway sets the key variable of a provider, such as " code { "OPENAI_API_KEY" } ", and starts it again." }
            }))
        } @else {
            (filters(wanted, served))
            (results(wanted, chosen))
        }
    };
    page::page(visit, Place::Models, "Models", &body)
}

fn filters(wanted: &Wanted, served: &[&Model]) -> Markup {
    let mut authors: Vec<&str> = served.iter().map(|model| model.author.as_str()).collect();
    authors.sort_unstable();
    authors.dedup();
    let authors: Vec<(&str, &str)> = std::iter::once(("", "anybody"))
        .chain(authors.into_iter().map(|author| (author, author)))
        .collect();
    html! {
        form.filters method="get" action="/models" role="search" data-live="#list" {
            div.field.grow {
                label for="q" { "Search" }
                input #q name="q" type="search" value=(wanted.q) placeholder="name, id or words of the description";
            }
            (filter("author", "By", &select("author", &authors, &wanted.author)))
            (filter("takes", "Takes", &select("takes", &TAKES, &wanted.takes)))
            (filter("gives", "Gives", &select("gives", &GIVES, &wanted.gives)))
            (filter("context", "Context", &select("context", &CONTEXTS, &wanted.context)))
            (filter("price", "Input price a million", &select("price", &PRICES, &wanted.price)))
            (filter("sort", "Order", &select("sort", &SORTS, &wanted.sort)))
            (tick("tools", "Tools", &wanted.tools))
            (tick("reasoning", "Reasoning", &wanted.reasoning))
            button type="submit" { "Show" }
        }
    }
}

fn filter(name: &str, label: &str, input: &Markup) -> Markup {
    html! { div.field { label for=(name) { (label) } (input) } }
}

fn tick(name: &str, label: &str, value: &str) -> Markup {
    html! { label.check { input type="checkbox" name=(name) value="1" checked[!value.is_empty()]; (label) } }
}

fn results(wanted: &Wanted, chosen: &[&&Model]) -> Markup {
    let start = wanted.page.saturating_mul(PAGE).min(chosen.len());
    let end = start.saturating_add(PAGE).min(chosen.len());
    html! {
        div #list {
            p.muted role="status" {
                @match chosen.len() {
                    0 => "No model fits.",
                    1 => "1 model",
                    many => { (count(many as u64)) " models" }
                }
            }
            @if chosen.is_empty() {
                (page::empty("Nothing fits all of that", &html! { p { a href="/models" { "Clear the filters" } } }))
            }
            ul.models { @for model in &chosen[start..end] { (entry(model)) } }
            nav.pager aria-label="Pages" {
                @if start > 0 { a href=(wanted.at(wanted.page.saturating_sub(1))) rel="prev" { "Previous" } } @else { span {} }
                @if end < chosen.len() { a href=(wanted.at(wanted.page.saturating_add(1))) rel="next" { "Next" } }
            }
        }
    }
}

fn entry(model: &Model) -> Markup {
    let cheapest = model.endpoints.iter().min_by_key(|endpoint| {
        let prices = &endpoint.pricing.base;
        prices.prompt.0.saturating_add(prices.completion.0)
    });
    let understands = |name: &str| {
        model.endpoints.iter().any(|endpoint| {
            endpoint
                .supported_parameters
                .iter()
                .any(|known| known == name)
        })
    };
    html! {
        li.model {
            h2 { a href=(format!("/models/{}", model.id)) { (model.name) } }
            code.id { (model.id) }
            @if let Some(description) = &model.description { p.muted.clamp { (description) } }
            div.line {
                @if let Some(endpoint) = cheapest {
                    span { (per_million(endpoint.pricing.base.prompt)) " in" }
                    span { (per_million(endpoint.pricing.base.completion)) " out" }
                }
                @if let Some(length) = model.context_length { span { (short(length)) " context" } }
                span { (model.input_modalities.join(", ")) " → " (model.output_modalities.join(", ")) }
                @if understands("tools") { span.tag { "tools" } }
                @if model.reasoning.is_some() { span.tag { "reasoning" } }
                span { (providers(model.endpoints.len())) }
            }
        }
    }
}

fn providers(number: usize) -> String {
    match number {
        1 => "1 provider".to_owned(),
        many => format!("{many} providers"),
    }
}
