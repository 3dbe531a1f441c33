//! `/credits`: what is left, and a statement of how it came to that, month by month.

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;

use super::form::Asked;
use super::format::{count, day, dollars};
use super::link::query;
use super::month::Month;
use super::page::{self, Place, figure, page};
use super::refusal::Refusal;
use super::visit::Person;
use crate::clock::now_ms;
use crate::domain::calendar::{Windows, iso_day};
use crate::domain::ids::AccountId;
use crate::domain::money::Nanos;
use crate::store::{GrantLine, Statement, Store, StoreError};

const DAY: i64 = 86_400_000;
/// Below this, a week of no spending at all is no comfort.
const LOW: Nanos = Nanos(1_000_000_000);

/// Which month.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    month: String,
}

/// `GET /credits`.
pub async fn show(
    person: Person,
    State(store): State<Store>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Html<String>, Refusal> {
    let (account, now) = (&person.session.account, now_ms());
    let this_month = Month::at(now);
    let month = Month::parse(&wanted.month)
        .unwrap_or(this_month)
        .min(this_month);
    let (from, until) = (month.start(), month.next().start());
    let credits = store.credits(&account.id).await?;
    let statement = store.statement(&account.id, from, until).await?;
    let spent_in_week = spent_in_week(&store, &account.id, now).await?;
    let more = html! {
        @if account.admin { a.button.primary href="/admin/users" { "Grant credit" } }
    };
    let body = html! {
        (page::heading("Credits", &more))
        (notice(credits.balance(), spent_in_week, account.admin))
        dl.figures {
            (figure("Left", &dollars(credits.balance()), ""))
            (figure("Granted in all", &dollars(credits.granted), ""))
            (figure("Spent in all", &dollars(credits.used), ""))
            (figure("Last 7 days", &dollars(spent_in_week), ""))
        }
        (months(month, this_month))
        (table(month, &statement))
    };
    Ok(page(&person.visit, Place::Credits, "Credits", &body))
}

/// What the last seven days cost, today included.
pub(super) async fn spent_in_week(
    store: &Store,
    account: &AccountId,
    now: i64,
) -> Result<Nanos, StoreError> {
    let tomorrow = Windows::at(now).day + DAY;
    let week = store
        .activity(account, None, tomorrow - 7 * DAY, tomorrow)
        .await?;
    Ok(week.iter().map(|used| used.net).sum())
}

/// What to do about credit that is low or gone; nothing while there is enough.
pub(super) fn notice(balance: Nanos, spent_in_week: Nanos, admin: bool) -> Markup {
    let how = html! {
        @if admin { "Grant some under " a href="/admin/users" { "Admin" } "." } @else { "Ask an admin of this gateway for more." }
    };
    html! {
        @if balance <= Nanos::ZERO {
            div.notice.bad role="status" { p { strong { "There is no credit left." } " Requests are refused until there is. " (how) } }
        } @else if balance < spent_in_week || balance < LOW {
            div.notice.warn role="status" { p {
                strong { "Credit is low." }
                @if let Some(days) = days_left(balance, spent_in_week) {
                    " At the pace of the last week it lasts for " (days) ". "
                } @else { " " }
                (how)
            } }
        }
    }
}

/// How long credit lasts when it is spent as in the last week.
fn days_left(balance: Nanos, spent_in_week: Nanos) -> Option<String> {
    if spent_in_week <= Nanos::ZERO {
        return None;
    }
    let days = i128::from(balance.0) * 7 / i128::from(spent_in_week.0);
    Some(match days {
        ..1 => "less than a day".to_owned(),
        1 => "about a day".to_owned(),
        days if days > 60 => return None,
        days => format!("about {days} days"),
    })
}

/// The way to other months.
fn months(month: Month, this_month: Month) -> Markup {
    let link = |month: Month| format!("/credits?{}", query(&[("month", &month.word())]));
    html! {
        nav.pager aria-label="Months" {
            a href=(link(month.previous())) rel="prev" { (month.previous().title()) }
            @if month < this_month { a href=(link(month.next())) rel="next" { (month.next().title()) } }
        }
    }
}

fn table(month: Month, statement: &Statement) -> Markup {
    html! {
        @if statement.grants.is_empty() && statement.charges.is_empty() {
            (page::empty(&format!("Nothing happened in {}", month.title()), &html! {
                p.muted { "Grants and what each model was charged appear here." }
            }))
        } @else {
            div.table { table {
                caption { (month.title()) }
                thead { tr { th scope="col" { "What" } th scope="col" { "Details" } th.num scope="col" { "Amount" } } }
                tbody {
                    tr { th scope="row" { "Carried over" } td {} td.num data-name="Amount" { (dollars(statement.opening)) } }
                    @for grant in &statement.grants { tr {
                        th scope="row" { (named(grant)) }
                        td.muted data-name="Details" { span { time datetime=(iso_day(grant.created_at)) { (day(grant.created_at)) } ", " (grant.reference) } }
                        td.num data-name="Amount" { (signed(grant.amount)) }
                    } }
                    @for charge in &statement.charges { tr {
                        th scope="row" { (charge.model) }
                        td.muted data-name="Details" { span {
                            @if charge.requests == 1 { "1 request" } @else { (count(charge.requests.unsigned_abs())) " requests" }
                            @if charge.discount > Nanos::ZERO { ", " (dollars(charge.discount)) " off the price" }
                        } }
                        td.num data-name="Amount" { (signed(-charge.net)) }
                    } }
                }
                tfoot { tr { th scope="row" { "Left" } td {} td.num data-name="Amount" { (dollars(statement.closing())) } } }
            } }
        }
    }
}

fn named(grant: &GrantLine) -> String {
    match (grant.kind.as_str(), grant.amount < Nanos::ZERO) {
        ("grant", false) => "Granted".to_owned(),
        ("grant", true) => "Taken back".to_owned(),
        ("purchase", false) => "Bought".to_owned(),
        ("purchase", true) | ("refund", _) => "Refunded".to_owned(),
        (kind, _) => kind.replace(['_', '-'], " "),
    }
}

fn signed(amount: Nanos) -> String {
    if amount > Nanos::ZERO {
        format!("+{}", dollars(amount))
    } else {
        dollars(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_lasts_as_long_as_the_last_week_says() {
        let check = |balance: i64, spent: i64, expect: Option<&str>| {
            let days = days_left(Nanos(balance), Nanos(spent));
            assert_eq!(days.as_deref(), expect, "{balance} {spent}");
        };
        check(10, 70, Some("about a day"));
        check(9, 70, Some("less than a day"));
        check(30, 70, Some("about 3 days"));
        check(30, 0, None);
        check(10_000, 1, None);
    }
}
