//! Why a run went where it went: every endpoint that was considered, in its place or with what refused it.

use maud::{Markup, html};

use crate::console::format::{apiece, count, duration};
use crate::domain::generation::Generation;
use crate::domain::money::Picos;
use crate::domain::route::{Considered, Standpoint, Verdict};

/// Rows that are shown at once; a model with more endpoints has the rest counted.
const SHOWN: usize = 30;

/// The explanation; nothing for a run whose route was not kept.
pub(super) fn why(run: &Generation) -> Markup {
    let Some(route) = &run.route else {
        return html! {};
    };
    let by = route.considered.iter().find_map(|one| match &one.verdict {
        Verdict::Ranked(standpoint) => Some(order(&standpoint.by)),
        Verdict::Refused { .. } => None,
    });
    let more = route.considered.len().saturating_sub(SHOWN);
    html! {
        h2 { "Why there" }
        @if let Some(by) = by { p.muted { "Those that fit the request were tried " (by) "." } }
        @else { p.muted { "No endpoint fits the request." } }
        @if !route.considered.is_empty() {
            div.table { table {
                thead { tr {
                    th.num scope="col" { "Place" }
                    th scope="col" { "Endpoint" }
                    th.num scope="col" { "Expected cost" }
                    th scope="col" { "Health" }
                    th.num scope="col" { "First token" }
                    th.num scope="col" { "Speed" }
                    th scope="col" { "Why" }
                } }
                tbody { @for (place, one) in (1..).zip(route.considered.iter().take(SHOWN)) { (row(place, one)) } }
            } }
            @if more > 0 { p.hint { "and " (more) " more" } }
        }
    }
}

fn row(place: usize, one: &Considered) -> Markup {
    let name = html! {
        th scope="row" { (one.provider) p.hint { code { (one.model) } " " code { (one.endpoint) } } }
    };
    match &one.verdict {
        Verdict::Ranked(standpoint) => {
            let Standpoint {
                health,
                expected_picos,
                throughput,
                latency_ms,
                ..
            } = standpoint;
            html! { tr {
                td.num data-name="Place" { (place) }
                (name)
                td.num data-name="Expected cost" { (apiece(Picos(*expected_picos))) }
                td data-name="Health" { (health) }
                td.num data-name="First token" { @match latency_ms { Some(ms) => (duration(ms.round() as i64)), None => "–" } }
                td.num data-name="Speed" { @match throughput { Some(tokens) => { (count(tokens.round() as u64)) "/s" }, None => "–" } }
                td data-name="Why" { (remarks(standpoint)) }
            } }
        }
        Verdict::Refused { by, reason } => html! { tr {
            td.num data-name="Place" { "–" }
            (name)
            td.num data-name="Expected cost" { "–" }
            td data-name="Health" { "–" }
            td.num data-name="First token" { "–" }
            td.num data-name="Speed" { "–" }
            td data-name="Why" { div { span.tag.warn { "refused" } " " (reason) @if let Some(by) = by { " " code { (by) } } } }
        } },
    }
}

/// What else decided a place than the order itself.
fn remarks(standpoint: &Standpoint) -> Markup {
    html! { div {
        (order(&standpoint.by))
        @if standpoint.sticky { p.hint { "it has the conversation in its cache" } }
        @if standpoint.misses_preference { p.hint { "it misses a preferred speed" } }
        @if let Some(quality) = &standpoint.tool_quality { p.hint { "tool calls: " (quality) } }
    } }
}

fn order(by: &str) -> &str {
    match by {
        "balance" => "by chance, cheaper ones more often",
        "order" => "in the order asked for",
        "price" => "cheapest first",
        "throughput" => "fastest first",
        "latency" => "quickest to begin first",
        "exacto" => "best with tools first",
        other => other,
    }
}
