//! `/admin/users`: everybody with an account, and invitations for more.

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;

use super::heading;
use crate::auth::{People, SignUp};
use crate::clock::now_ms;
use crate::console::form::{Asked, Filled, Pressed};
use crate::console::format::{ago, count, dollars};
use crate::console::link::query;
use crate::console::page::{self, Place, page, token_of};
use crate::console::refusal::Refusal;
use crate::console::snippet::copyable;
use crate::console::visit::{Admin, Person};
use crate::store::{Store, User};

/// Users on a page of the list.
const PAGE: u32 = 50;

/// What the list can be asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Sought {
    q: String,
    offset: u32,
}

/// `GET /admin/users`.
pub async fn list(
    Admin(person): Admin,
    State(store): State<Store>,
    State(people): State<People>,
    Asked(sought): Asked<Sought>,
) -> Result<Html<String>, Refusal> {
    let mut users = store
        .users(sought.q.trim(), sought.offset, PAGE + 1)
        .await?;
    let more = users.len() > PAGE as usize;
    users.truncate(PAGE as usize);
    let now = now_ms();
    let body = html! {
        (heading("Users", "/admin/users"))
        form.filters method="get" action="/admin/users" role="search" data-live="#list" {
            div.field.grow {
                label for="q" { "Find somebody" }
                input #q name="q" type="search" value=(sought.q) placeholder="e-mail address";
            }
            button type="submit" { "Find" }
        }
        div #list aria-live="polite" {
            @if users.is_empty() {
                (page::empty("Nobody", &html! { p { a href="/admin/users" { "Show everybody" } } }))
            } @else {
                (table(&users, now))
                (pager(&sought, more))
            }
        }
        (invitation_form(&person, people.sign_up_policy()))
    };
    Ok(page(&person.visit, Place::Admin, "Users", &body))
}

/// `POST /admin/invitations`: a link with which somebody can sign up, shown once.
pub async fn invite(
    Admin(person): Admin,
    State(people): State<People>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Result<Html<String>, Refusal> {
    let secret = people.invitation(now_ms()).await?;
    let address = format!(
        "{}/sign-up?{}",
        person.visit.origin,
        query(&[("invitation", secret.expose())])
    );
    let body = html! {
        (heading("An invitation", "/admin/users"))
        section.card {
            p { "Send this link to whom you want to invite. It works once, within a week, and is shown only now." }
            (copyable("link", &address))
            p { a href="/admin/users" { "Back to the users" } }
        }
    };
    Ok(page(&person.visit, Place::Admin, "An invitation", &body))
}

fn table(users: &[User], now: i64) -> Markup {
    html! {
        div.table { table {
            thead { tr {
                th scope="col" { "Address" }
                th scope="col" { "Since" }
                th.num scope="col" { "Keys" }
                th.num scope="col" { "Spent" }
                th.num scope="col" { "Left" }
            } }
            tbody { @for user in users { tr {
                th scope="row" {
                    a href=(format!("/admin/users/{}", user.account.id)) { (user.account.email) } " "
                    @if user.account.admin { span.tag { "admin" } " " }
                    @if !user.can_sign_in { span.tag.warn { "no password" } }
                }
                td data-name="Since" { (ago(user.account.created_at, now)) }
                td.num data-name="Keys" { (count(user.keys.unsigned_abs())) }
                td.num data-name="Spent" { (dollars(user.charged)) }
                td.num data-name="Left" { (dollars(user.balance)) }
            } } }
        } }
    }
}

fn pager(sought: &Sought, more: bool) -> Markup {
    let at = |offset: u32| {
        format!(
            "/admin/users?{}",
            query(&[("q", &sought.q), ("offset", &offset.to_string())])
        )
    };
    html! {
        nav.pager aria-label="Pages" {
            @if sought.offset > 0 { a href=(at(sought.offset.saturating_sub(PAGE))) rel="prev" { "Newer" } } @else { span {} }
            @if more { a href=(at(sought.offset.saturating_add(PAGE))) rel="next" { "Older" } }
        }
    }
}

fn invitation_form(person: &Person, policy: SignUp) -> Markup {
    html! {
        section.card {
            h2 { "Invite somebody" }
            p.muted {
                @match policy {
                    SignUp::Open => "Everybody may sign up here; an invitation is not needed.",
                    SignUp::Invitation => "People sign up with a link from you.",
                    SignUp::Closed => "Signing up is closed, but a link from you still lets somebody in.",
                }
            }
            form method="post" action="/admin/invitations" { (token_of(person)) button type="submit" { "Make an invitation" } }
        }
    }
}
