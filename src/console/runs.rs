//! A list of runs, as several pages show it.

use maud::{Markup, html};

use super::format::{ago, count, dollars, duration};
use crate::domain::generation::Generation;
use crate::store::StoredGeneration;

/// The runs, each leading to its page.
pub(super) fn table(runs: &[StoredGeneration], now: i64) -> Markup {
    html! {
        div.table {
            table {
                thead { tr {
                    th scope="col" { "When" }
                    th scope="col" { "Model" }
                    th scope="col" { "Provider" }
                    th.num scope="col" { "Tokens" }
                    th.num scope="col" { "Time" }
                    th.num scope="col" { "Cost" }
                } }
                tbody {
                    @for run in runs.iter().map(|run| &run.generation) {
                        tr {
                            th scope="row" { a href=(address(run)) { (ago(run.created_at, now)) } }
                            td data-name="Model" { span { (model(run)) " " (outcome(run)) } }
                            td data-name="Provider" { (run.served.as_ref().map_or("none answered", |served| &*served.provider_name)) }
                            td.num data-name="Tokens" { (tokens(run)) }
                            td.num data-name="Time" { (taken(run)) }
                            td.num data-name="Cost" { (dollars(run.charge.net)) }
                        }
                    }
                }
            }
        }
    }
}

/// Where a run's own page is.
pub(super) fn address(run: &Generation) -> String {
    format!("/activity/{}", run.id)
}

/// The model that answered, or else the one that was asked for.
pub(super) fn model(run: &Generation) -> &str {
    run.served
        .as_ref()
        .map_or(&run.requested_model, |served| served.model.as_str())
}

/// What is to be said of a run that did not simply succeed.
pub(super) fn outcome(run: &Generation) -> Markup {
    html! {
        @if run.served.is_none() {
            span.tag.bad { "failed" }
        } @else if run.cancelled {
            span.tag.warn { "stopped by the caller" }
        } @else if run.finish_reason.as_deref() == Some("error") {
            span.tag.bad { "broke off" }
        }
    }
}

fn tokens(run: &Generation) -> String {
    match &run.usage {
        Some(usage) => format!(
            "{} → {}",
            count(usage.tokens.prompt),
            count(usage.tokens.completion)
        ),
        None => "–".to_owned(),
    }
}

fn taken(run: &Generation) -> String {
    match (run.latency_ms, run.generation_ms) {
        (None, None) => "–".to_owned(),
        (first, rest) => duration(
            first
                .unwrap_or_default()
                .saturating_add(rest.unwrap_or_default()),
        ),
    }
}
