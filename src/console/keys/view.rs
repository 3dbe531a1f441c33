//! How keys look.

use axum::response::Html;
use maud::{Markup, html};

use super::fields::{Fields, Wrong};
use super::{PAGE, Sought};
use crate::console::format::{ago, dollars, moment};
use crate::console::link::query;
use crate::console::page::{self, Place, bar, field, figure, page, select, token_of};
use crate::console::snippet::{Snippet, copyable};
use crate::console::visit::Person;
use crate::domain::calendar::iso_day;
use crate::domain::principal::LimitReset;
use crate::domain::secret::Secret;
use crate::store::{Key, NewKey};

/// When a cap can start anew.
const RESETS: [(&str, &str); 4] = [
    ("", "never"),
    ("daily", "every day"),
    ("weekly", "every Monday"),
    ("monthly", "every month"),
];

/// The keys that were looked for.
pub(super) fn list(
    person: &Person,
    keys: &[Key],
    sought: &Sought,
    more: bool,
    now: i64,
) -> Html<String> {
    let create = html! { a.button.primary href="/keys/new" { "Create a key" } };
    let unfiltered = sought.q.trim().is_empty() && sought.offset == 0;
    let body = html! {
        (page::heading("Keys", &create))
        @if keys.is_empty() && unfiltered {
            (page::empty("No keys yet", &html! {
                p.muted { "A program needs a key to call models. Each can have a limit of its own." }
                (create)
            }))
        } @else {
            form.filters method="get" action="/keys" role="search" data-live="#list" {
                div.field.grow {
                    label for="q" { "Find a key" }
                    input #q name="q" type="search" value=(sought.q) placeholder="name or sk-or-v1-…";
                }
                button type="submit" { "Find" }
            }
            div #list aria-live="polite" {
                @if keys.is_empty() {
                    (page::empty("No such key", &html! { p { a href="/keys" { "Show all keys" } } }))
                } @else {
                    (table(keys, now))
                    (pager(sought, more))
                }
            }
        }
    };
    page(&person.visit, Place::Keys, "Keys", &body)
}

fn table(keys: &[Key], now: i64) -> Markup {
    html! {
        div.table { table {
            thead { tr {
                th scope="col" { "Name" }
                th scope="col" { "Key" }
                th scope="col" { "Spent" }
                th scope="col" { "Created" }
                th scope="col" { "State" }
            } }
            tbody { @for key in keys { tr {
                th scope="row" { a href=(address(key)) { (key.name) } }
                td.nowrap data-name="Key" { code { (key.label) } }
                td data-name="Spent" { div { (spending(key, now)) } }
                td data-name="Created" { (ago(key.created_at, now)) }
                td data-name="State" { (state(key, now)) }
            } } }
        } }
    }
}

fn pager(sought: &Sought, more: bool) -> Markup {
    let at = |offset: u32| {
        format!(
            "/keys?{}",
            query(&[("q", &sought.q), ("offset", &offset.to_string())])
        )
    };
    html! {
        nav.pager aria-label="Pages" {
            @if sought.offset > 0 { a href=(at(sought.offset.saturating_sub(PAGE))) rel="prev" { "Newer keys" } } @else { span {} }
            @if more { a href=(at(sought.offset.saturating_add(PAGE))) rel="next" { "Older keys" } }
        }
    }
}

/// The form of a new key.
pub(super) fn new(person: &Person, fields: &Fields, wrong: &Wrong) -> Html<String> {
    let body = html! {
        p.crumb { a href="/keys" { "Keys" } }
        (page::heading("Create a key", &html! {}))
        form.card method="post" action="/keys/new" {
            (token_of(person))
            (common_fields(fields, wrong))
            div.fields {
                (field("expires", "Last day", "In UTC. Leave it empty for a key that does not expire.", wrong.expires.as_deref(), &html! {
                    input #expires name="expires" type="date" value=(fields.expires) aria-describedby="expires-hint";
                }))
                (field("purpose", "What it is for", "Management keys make and change other keys over the API, and call no models.", None, &select("purpose", &[("", "calling models"), ("manage", "managing keys")], &fields.purpose)))
            }
            button.primary type="submit" { "Create the key" }
        }
    };
    page(&person.visit, Place::Keys, "Create a key", &body)
}

fn common_fields(fields: &Fields, wrong: &Wrong) -> Markup {
    html! {
        (field("name", "Name", "For you to tell it from others, such as the program that uses it.", wrong.name.as_deref(), &html! {
            input #name name="name" value=(fields.name) maxlength="200" required autocomplete="off" aria-describedby="name-hint";
        }))
        div.fields {
            (field("limit", "Limit in dollars", "Leave it empty for no limit but your credit.", wrong.limit.as_deref(), &html! {
                input #limit name="limit" value=(fields.limit) inputmode="decimal" autocomplete="off" placeholder="no limit" aria-describedby="limit-hint";
            }))
            (field("limit_reset", "The limit starts anew", "At midnight UTC.", wrong.limit_reset.as_deref(), &select("limit_reset", &RESETS, &fields.limit_reset)))
        }
    }
}

/// A key that was just made, with its text.
pub(super) fn created(person: &Person, key: &NewKey, text: &Secret) -> Html<String> {
    let body = html! {
        (page::heading("Your new key", &html! {}))
        section.card {
            p { strong { "Copy it now." } " It is shown this once; only a fingerprint of it is kept." }
            (copyable("key", text.expose()))
            p.hint { "Its name is “" (key.name) "”. Whoever has it spends your credit: keep it out of code and of browsers." }
            p { a.button.primary href="/keys" { "I have copied it" } }
        }
        @if !key.management {
            section.card {
                h2 { "Try it" }
                p.muted { "With the key in the variable " code { "TURNPIKE_KEY" } ":" }
                (Snippet { origin: &person.visit.origin, model: "turnpike/echo" }.all())
            }
        }
    };
    page(&person.visit, Place::Keys, "Your new key", &body)
}

/// A key's own page.
pub(super) fn one(
    person: &Person,
    key: &Key,
    fields: &Fields,
    wrong: &Wrong,
    saved: bool,
    now: i64,
) -> Html<String> {
    let usage = key.usage(now);
    let address = address(key);
    let activity = format!("/activity?{}", query(&[("key", &key.hash.to_hex())]));
    let body = html! {
        p.crumb { a href="/keys" { "Keys" } }
        (page::heading(&key.name, &html! { (state(key, now)) a.button href=(activity) { "Its activity" } }))
        @if saved { div.notice role="status" { p { "Saved." } } }
        dl.figures {
            (figure("Today", &dollars(usage.daily), ""))
            (figure("This week", &dollars(usage.weekly), "since Monday"))
            (figure("This month", &dollars(usage.monthly), ""))
            (figure("In all", &dollars(usage.total), ""))
        }
        div.columns {
            form.card method="post" action=(address) {
                h2 { "Settings" }
                (token_of(person))
                (common_fields(fields, wrong))
                @if key.limit.is_some() { div.field { (spending(key, now)) } }
                button.primary type="submit" { "Save" }
            }
            section.card {
                h2 { "The key" }
                dl.facts {
                    dt { "Key" } dd { code { (key.label) } }
                    dt { "For" } dd { @if key.management { "managing keys" } @else { "calling models" } }
                    dt { "Created" } dd { (moment(key.created_at)) }
                    dt { "Expires" } dd { @match key.expires_at { Some(at) => (moment(at)), None => "never" } }
                    dt { "Fingerprint" } dd { code { (key.hash) } }
                }
            }
            section.card {
                @if key.disabled {
                    h2 { "Switched off" }
                    p { "Requests with this key are refused." }
                    form method="post" action=(format!("{address}/enable")) { (token_of(person)) button type="submit" { "Switch it on" } }
                } @else {
                    h2 { "Switch it off" }
                    p { "Requests with this key are refused until it is switched on again." }
                    form method="post" action=(format!("{address}/disable")) { (token_of(person)) button type="submit" { "Switch it off" } }
                }
                details.snippet {
                    summary { "Delete it" }
                    p { "The key stops working at once and for good. What it spent stays in your activity." }
                    form method="post" action=(format!("{address}/delete")) { (token_of(person)) button.danger type="submit" { "Delete this key" } }
                }
            }
        }
    };
    page(&person.visit, Place::Keys, &key.name, &body)
}

fn address(key: &Key) -> String {
    format!("/keys/{}", key.hash)
}

/// What a key has spent, against its limit where it has one.
fn spending(key: &Key, now: i64) -> Markup {
    let spent = key.usage(now).within(key.limit_reset);
    let window = match key.limit_reset {
        LimitReset::Never => "",
        LimitReset::Daily => " today",
        LimitReset::Weekly => " this week",
        LimitReset::Monthly => " this month",
    };
    html! {
        @match key.limit {
            Some(limit) => {
                @let words = format!("{} of {}{window}", dollars(spent), dollars(limit));
                span.nowrap { (words) }
                (bar(spent.0, limit.0, &words))
            }
            None => (dollars(key.usage(now).total)),
        }
    }
}

fn state(key: &Key, now: i64) -> Markup {
    html! {
        @if key.disabled {
            span.tag.warn { "switched off" }
        } @else if key.expires_at.is_some_and(|at| at <= now) {
            span.tag.bad { "expired" }
        } @else if key.remaining(now).is_some_and(|left| left.0 == 0) {
            span.tag.bad { "limit reached" }
        } @else if let Some(at) = key.expires_at {
            span.tag.good { "until " (iso_day(at - 1)) }
        } @else {
            span.tag.good { "works" }
        }
        @if key.management { " " span.tag { "management" } }
    }
}
