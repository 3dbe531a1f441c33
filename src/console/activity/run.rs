//! How one run looks: what was asked, who was tried, what it used and why it cost that.

use std::collections::BTreeMap;

use axum::response::Html;
use maud::{Markup, html};

use super::why::why;
use crate::console::format::{apiece, count, dollars, duration, moment, per_million};
use crate::console::page::{self, Place, figure, heading};
use crate::console::runs::{model, outcome};
use crate::console::visit::Person;
use crate::domain::generation::{Attempt, Charge, Generation};
use crate::domain::money::{Nanos, Picos};
use crate::domain::usage::{Tokens, UsageSource};
use crate::store::{Key, StoredGeneration};

/// The run's page.
pub(super) fn page(person: &Person, stored: &StoredGeneration, key: Option<&Key>) -> Html<String> {
    let run = &stored.generation;
    let waited = |ms: Option<i64>| ms.map_or_else(|| "–".to_owned(), duration);
    let body = html! {
        p.crumb { a href="/activity" { "Activity" } }
        (heading(model(run), &outcome(run)))
        dl.figures {
            (figure("Cost", &dollars(run.charge.net), if run.charge.insured { "nothing came, so nothing is charged" } else { "" }))
            (figure("First token", &waited(run.latency_ms), ""))
            (figure("First to last", &waited(run.generation_ms), &speed(run)))
        }
        h2 { "Who was tried" }
        (attempts(&run.attempts))
        (why(run))
        div.columns {
            section.card { h2 { "The request" } (facts(run, key)) }
            section.card { h2 { "What it used" } (used(run)) }
            section.card { h2 { "What it costs" } (charged(&run.charge)) }
        }
    };
    page::page(&person.visit, Place::Activity, run.id.as_str(), &body)
}

fn speed(run: &Generation) -> String {
    let tokens = run.usage.map_or(0, |usage| usage.tokens.completion);
    match run.generation_ms {
        Some(ms) if ms > 0 && tokens > 0 => {
            format!(
                "{} tokens a second",
                count(tokens.saturating_mul(1_000) / ms.unsigned_abs())
            )
        }
        _ => String::new(),
    }
}

fn attempts(attempts: &[Attempt]) -> Markup {
    html! {
        @if attempts.is_empty() {
            p.muted { "Nobody: the request did not get that far." }
        } @else {
            div.table { table {
                thead { tr {
                    th scope="col" { "Provider" }
                    th scope="col" { "Endpoint" }
                    th scope="col" { "Outcome" }
                    th.num scope="col" { "Status" }
                    th.num scope="col" { "Took" }
                } }
                tbody { @for attempt in attempts { tr {
                    th scope="row" { (attempt.provider_name) }
                    td data-name="Endpoint" { code { (attempt.endpoint) } }
                    td data-name="Outcome" { @match &attempt.failure {
                        Some(failure) => span.tag.bad { (failure.replace('_', " ")) },
                        None => span.tag.good { "answered" },
                    } }
                    td.num data-name="Status" { @match attempt.status { Some(status) => (status), None => "–" } }
                    td.num data-name="Took" { (duration(attempt.latency_ms)) }
                } } }
            } }
        }
    }
}

fn facts(run: &Generation, key: Option<&Key>) -> Markup {
    let optional = [
        ("App", &run.title),
        ("Page", &run.referer),
        ("Client", &run.user_agent),
        ("Session", &run.session_id),
        ("End user", &run.external_user),
    ];
    html! {
        dl.facts {
            dt { "Id" } dd { code { (run.id) } }
            dt { "Asked" } dd { (moment(run.created_at)) }
            dt { "Asked for" } dd { code { (run.requested_model) } }
            dt { "Key" } dd { @match key {
                Some(key) => a href=(format!("/keys/{}", key.hash)) { (key.name) },
                None => "a deleted key",
            } }
            dt { "Streamed" } dd { @if run.streamed { "yes" } @else { "no" } }
            @if let Some(reason) = &run.finish_reason {
                dt { "Ended" }
                dd { (reason.replace('_', " ")) @if let Some(native) = run.native_finish_reason.as_ref().filter(|native| *native != reason) { " (" (native) ")" } }
            }
            @if let Some(id) = run.served.as_ref().and_then(|served| served.upstream_id.as_ref()) { dt { "Provider’s id" } dd { code { (id) } } }
            @for (name, value) in optional { @if let Some(value) = value { dt { (name) } dd { (value) } } }
        }
        p.hint { "What was said is not kept." }
    }
}

fn used(run: &Generation) -> Markup {
    let Some(usage) = run.usage else {
        return html! { p.muted { "Nothing." } };
    };
    let Tokens {
        prompt,
        completion,
        cached,
        cache_write_5m,
        cache_write_1h,
        reasoning,
        audio_in,
        audio_out,
        image_out,
        images,
        web_searches,
        search_units,
    } = usage.tokens;
    let parts = [
        ("read from the cache", cached),
        (
            "written to the cache",
            cache_write_5m.saturating_add(cache_write_1h),
        ),
        ("of reasoning", reasoning),
        ("of audio taken", audio_in),
        ("of audio given", audio_out),
        ("of images given", image_out),
    ];
    html! {
        dl.facts {
            dt { "Tokens in" } dd { (count(prompt)) }
            dt { "Tokens out" } dd { (count(completion)) }
            @for (name, number) in parts { @if number > 0 { dt { "… " (name) } dd { (count(number)) } } }
            @if images > 0 { dt { "Images taken" } dd { (count(images)) } }
            @if search_units > 0 { dt { "Units of search" } dd { (count(search_units)) } }
            @if web_searches > 0 { dt { "Searches" } dd { (count(web_searches)) } }
        }
        p.hint { @match usage.source {
            UsageSource::Reported => "Counted by the provider.",
            UsageSource::Estimated => "Counted by this gateway, since the provider said nothing.",
            UsageSource::Clamped => "Corrected by this gateway: what the provider said could not be right.",
        } }
    }
}

fn charged(charge: &Charge) -> Markup {
    // Stored by the ledger as an object of decimal strings.
    let prices: BTreeMap<String, serde_json::Value> = charge
        .prices
        .as_deref()
        .and_then(|prices| serde_json::from_str(prices).ok())
        .unwrap_or_default();
    let price = |name: &str| Picos::parse(prices.get(name)?.as_str()?).ok();
    let by_million = [
        ("Input", "prompt"),
        ("Output", "completion"),
        ("Cache read", "cache_read"),
        ("Cache write", "cache_write"),
        ("Cache write, an hour", "cache_write_1h"),
        ("Reasoning", "reasoning"),
        ("Audio in", "audio_in"),
        ("Audio out", "audio_out"),
    ];
    let by_piece = [
        ("A request", "request"),
        ("An image", "image"),
        ("A unit of search", "search_unit"),
        ("A search", "web_search"),
    ];
    let fee = charge.fee.saturating_sub(charge.searches);
    html! {
        dl.facts {
            @for (name, field) in by_million { @if let Some(price) = price(field) {
                dt { (name) } dd { (per_million(price)) @if price != Picos::ZERO { " a million" } }
            } }
            @for (name, field) in by_piece { @if let Some(price) = price(field).filter(|price| *price != Picos::ZERO) {
                dt { (name) } dd { (apiece(price)) }
            } }
            @if charge.discount != Nanos::ZERO || charge.fee != Nanos::ZERO { dt { "List price" } dd { (dollars(charge.gross)) } }
            @if charge.discount != Nanos::ZERO { dt { "Discount" } dd { "−" (dollars(charge.discount)) } }
            @if fee != Nanos::ZERO { dt { "Fee" } dd { "+" (dollars(fee)) } }
            @if charge.searches != Nanos::ZERO { dt { "Web search" } dd { "+" (dollars(charge.searches)) } }
            dt { "Charged" } dd { strong { (dollars(charge.net)) } }
        }
        @if let Some(source) = charge.price_source.as_ref().filter(|source| !source.is_empty()) { p.hint { "Prices from " (source) "." } }
    }
}
