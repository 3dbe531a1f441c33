//! How activity looks: a chart, a table of its parts, the latest runs.

use axum::response::Html;
use maud::{Markup, html};

use super::sums::{Sums, Use};
use super::{PAGE, Wanted};
use crate::console::chart;
use crate::console::format::{count, dollars, short};
use crate::console::link::query;
use crate::console::page::{self, Place, figure, select};
use crate::console::runs;
use crate::console::visit::Person;
use crate::domain::money::Nanos;
use crate::store::StoredGeneration;

const DAYS: [(&str, &str); 3] = [
    ("7", "the last 7 days"),
    ("30", "the last 30 days"),
    ("90", "the last 90 days"),
];
const BY: [(&str, &str); 4] = [
    ("model", "by model"),
    ("provider", "by provider"),
    ("key", "by key"),
    ("app", "by app"),
];
const SHOW: [(&str, &str); 3] = [
    ("cost", "Spend"),
    ("tokens", "Tokens"),
    ("requests", "Requests"),
];

/// The page. `runs` may hold one more than a page, to tell that there are more.
pub(super) fn page(
    person: &Person,
    wanted: &Wanted,
    key: Option<&str>,
    sums: &Sums,
    mut runs: Vec<StoredGeneration>,
    now: i64,
) -> Html<String> {
    let more = runs.len() > PAGE as usize;
    runs.truncate(PAGE as usize);
    let csv = format!("/activity.csv?{}", address(wanted));
    let body = html! {
        (page::heading("Activity", &html! { @if !sums.parts.is_empty() { a.button href=(csv) download { "Download as CSV" } } }))
        @if let Some(name) = key { p { "Of the key “" (name) "”. " a href="/activity" { "Show all keys" } } }
        (filters(wanted))
        @if sums.parts.is_empty() && runs.is_empty() {
            (page::empty("Nothing was used yet", &html! {
                p.muted { "Requests appear here as soon as they are answered." }
                p { a.button.primary href="/playground" { "Try a model" } }
            }))
        } @else {
            dl.figures {
                (figure("Spent", &dollars(sums.whole.cost), ""))
                (figure("Requests", &count(sums.whole.requests.unsigned_abs()), ""))
                (figure("Tokens in", &short(sums.whole.prompt.unsigned_abs()), ""))
                (figure("Tokens out", &short(sums.whole.completion.unsigned_abs()), ""))
            }
            (drawn(wanted, sums))
            (table(wanted, sums))
            h2 { "Requests" }
            (runs::table(&runs, now))
            (pager(wanted, &runs, more))
        }
    };
    page::page(&person.visit, Place::Activity, "Activity", &body)
}

fn filters(wanted: &Wanted) -> Markup {
    html! {
        form.filters method="get" action="/activity" data-at-once {
            @if !wanted.key.is_empty() { input type="hidden" name="key" value=(wanted.key); }
            div.field { label for="show" { "Show" } (select("show", &SHOW, wanted.shows())) }
            div.field { label for="by" { "Divided" } (select("by", &BY, wanted.by())) }
            div.field { label for="days" { "For" } (select("days", &DAYS, &wanted.days().to_string())) }
            button type="submit" { "Show" }
        }
    }
}

fn drawn(wanted: &Wanted, sums: &Sums) -> Markup {
    let words = |words: &[(&'static str, &'static str)], chosen: &str| {
        let found = words.iter().find(|(value, _)| *value == chosen);
        found.map_or("", |(_, words)| words)
    };
    let title = format!(
        "{} {}, by the day, in {}",
        words(&SHOW, wanted.shows()),
        words(&BY, wanted.by()),
        words(&DAYS, &wanted.days().to_string())
    );
    let counted = |number: i64| short(number.unsigned_abs());
    html! {
        section.card {
            h2 { (title) }
            @match wanted.shows() {
                "tokens" => (chart::bars(&title, &sums.days, &sums.series(Use::tokens), counted)),
                "requests" => (chart::bars(&title, &sums.days, &sums.series(|used| used.requests), counted)),
                _ => (chart::bars(&title, &sums.days, &sums.series(|used| used.cost.0), |nanos| dollars(Nanos(nanos)))),
            }
        }
    }
}

fn table(wanted: &Wanted, sums: &Sums) -> Markup {
    let name = match wanted.by() {
        "provider" => "Provider",
        "key" => "Key",
        "app" => "App",
        _ => "Model",
    };
    let counted = |number: i64| count(number.unsigned_abs());
    html! {
        div.table { table {
            thead { tr {
                th scope="col" { (name) }
                th.num scope="col" { "Requests" }
                th.num scope="col" { "Tokens in" }
                th.num scope="col" { "Tokens out" }
                th.num scope="col" { "Cost" }
            } }
            tbody { @for (part, used) in &sums.parts { tr {
                th scope="row" { (part) }
                td.num data-name="Requests" { (counted(used.requests)) }
                td.num data-name="Tokens in" { (counted(used.prompt)) }
                td.num data-name="Tokens out" { (counted(used.completion)) }
                td.num data-name="Cost" { (dollars(used.cost)) }
            } } }
        } }
    }
}

fn pager(wanted: &Wanted, runs: &[StoredGeneration], more: bool) -> Markup {
    let older = runs.last().map(|run| {
        let run = &run.generation;
        let before = format!("{}.{}", run.created_at, run.id);
        format!(
            "/activity?{}&{}",
            address(wanted),
            query(&[("before", &before)])
        )
    });
    html! {
        nav.pager aria-label="Pages" {
            @if wanted.before.is_empty() { span {} } @else { a href=(format!("/activity?{}", address(wanted))) { "Newest" } }
            @if let Some(older) = older.filter(|_| more) { a href=(older) rel="next" { "Older" } }
        }
    }
}

/// What was asked for, but for the place in the list of runs.
fn address(wanted: &Wanted) -> String {
    query(&[
        ("show", wanted.shows()),
        ("by", wanted.by()),
        ("days", &wanted.days().to_string()),
        ("key", &wanted.key),
    ])
}
