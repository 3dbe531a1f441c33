//! How the playground looks.

use axum::response::Html;
use maud::{Markup, html};

use super::ask::{Ask, Said};
use crate::catalog::snapshot::{Model, ModelKind, Snapshot};
use crate::console::format::{count, dollars};
use crate::console::page::{self, Place, select, token_of};
use crate::console::visit::Person;

const VARIANTS: [(&str, &str); 5] = [
    ("", "as usual"),
    ("nitro", "fastest (:nitro)"),
    ("floor", "cheapest (:floor)"),
    ("exacto", "best with tools (:exacto)"),
    ("online", "after a web search (:online)"),
];

/// The form, and what was said to it.
pub(super) fn page(person: &Person, snapshot: &Snapshot, ask: &Ask, said: &[Said]) -> Html<String> {
    let models: Vec<&Model> = snapshot
        .models
        .iter()
        .map(AsRef::as_ref)
        .filter(|model: &&Model| model.kind == ModelKind::Chat && !model.endpoints.is_empty())
        .collect();
    let first = models.first().map_or("", |model| model.id.as_str());
    let model = if ask.model.is_empty() {
        first
    } else {
        &ask.model
    };
    let body = html! {
        (page::heading("Playground", &html! {}))
        @if models.is_empty() {
            (page::empty("No model can be called yet", &html! { p.muted { "Whoever runs this gateway sets the key variable of a provider first." } }))
        } @else {
            form.card #playground method="post" action="/playground" {
                (token_of(person))
                div.fields {
                    (model_input("model", "Model", model, true))
                    (choice("variant", "Routing", &ask.variant))
                    (model_input("other", "Compare with", &ask.other, false))
                    (choice("other_variant", "Routing", &ask.other_variant))
                }
                datalist #models { @for model in &models { option value=(model.id) { (model.name) } } }
                div.field {
                    label for="prompt" { "Your message" }
                    textarea #prompt name="prompt" required rows="4" { (ask.prompt) }
                }
                details.snippet open[!ask.system.is_empty()] {
                    summary { "Instructions and limits" }
                    div.field {
                        label for="system" { "Instructions" }
                        textarea #system name="system" rows="2" { (ask.system) }
                    }
                    div.fields {
                        div.field { label for="max_tokens" { "Longest answer, in tokens" } input #max_tokens name="max_tokens" inputmode="numeric" value=(ask.max_tokens) placeholder="the model’s own"; }
                        div.field { label for="temperature" { "Temperature, 0 to 2" } input #temperature name="temperature" inputmode="decimal" value=(ask.temperature) placeholder="the model’s own"; }
                    }
                }
                div.actions {
                    button.primary type="submit" { "Send" }
                    button #stop type="button" hidden { "Stop" }
                    span.hint { "Your credit pays for it, through the key “Playground”." }
                }
            }
            div.bench #answers aria-live="polite" aria-busy="false" {
                @for said in said { (card(said)) }
            }
            template #answer { (card(&Said::default())) }
        }
    };
    page::page(&person.visit, Place::Playground, "Playground", &body)
}

fn model_input(name: &str, label: &str, value: &str, required: bool) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) value=(value) list="models" autocomplete="off" spellcheck="false" required[required]
                placeholder=[(!required).then_some("nothing")];
        }
    }
}

fn choice(name: &str, label: &str, chosen: &str) -> Markup {
    html! { div.field { label for=(name) { (label) } (select(name, &VARIANTS, chosen)) } }
}

/// An answer. Script fills the same card, part by part.
fn card(said: &Said) -> Markup {
    let run = format!("/activity/{}", said.generation);
    html! {
        section.card {
            h2 data-part="model" { (said.slug) }
            p.error data-part="failure" role="alert" hidden[said.failure.is_none()] { (said.failure.as_deref().unwrap_or_default()) }
            div.thought data-part="reasoning" { (said.reasoning) }
            div.answer data-part="text" { (said.text) }
            p.hint data-part="why" { (said.why) }
            ul.sources data-part="sources" { @for page in &said.sources { li { a href=(page.url) rel="noopener noreferrer nofollow" { (page.name()) } } } }
            dl.receipt {
                div { dt { "Provider" } dd data-part="provider" { (said.provider) } }
                div { dt { "Tokens" } dd data-part="tokens" { @if let Some((prompt, completion)) = said.tokens { (count(prompt)) " → " (count(completion)) } } }
                div { dt { "Cost" } dd data-part="cost" { @if let Some(cost) = said.cost { (dollars(cost)) } } }
                div { dt { "First token" } dd data-part="first" {} }
                div { dt { "In all" } dd data-part="whole" {} }
                div { dd { a data-part="run" href=[(!said.generation.is_empty()).then_some(run)] { "Details" } } }
            }
        }
    }
}
