//! `/admin/users/{id}`: one person: credit, role, password, sessions.

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use http::StatusCode;
use maud::html;
use serde::Deserialize;

use crate::auth::People;
use crate::clock::now_ms;
use crate::console::form::{Asked, Filled, Pressed};
use crate::console::format::{dollars, moment};
use crate::console::page::{Place, field, figure, heading, page, token_of};
use crate::console::refusal::Refusal;
use crate::console::snippet::copyable;
use crate::console::visit::{Admin, Person};
use crate::domain::ids::{AccountId, random_text};
use crate::domain::money::Nanos;
use crate::store::{Account, Store};

const LONGEST_NOTE: usize = 100;

/// What was done, as the address says it.
#[derive(Deserialize)]
pub struct After {
    #[serde(default)]
    done: String,
}

/// Credit to give or to take back.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct GrantForm {
    amount: String,
    note: String,
    /// Made with the form, so that sending it twice grants once.
    once: String,
}

/// The role somebody is to have.
#[derive(Deserialize)]
pub struct Role {
    role: String,
}

/// `GET /admin/users/{id}`.
pub async fn show(
    Admin(person): Admin,
    State(store): State<Store>,
    Path(id): Path<String>,
    Asked(after): Asked<After>,
) -> Result<Html<String>, Refusal> {
    let account = find(&store, &id).await?;
    let done = match after.done.as_str() {
        "granted" => Some("The credit was granted."),
        "again" => Some("This grant was made already; nothing was granted twice."),
        "role" => Some("The role was changed."),
        "last" => Some("The last admin has to stay one."),
        "out" => Some("Every session was ended."),
        _ => None,
    };
    view(&person, &store, &account, &GrantForm::default(), None, done).await
}

/// `POST /admin/users/{id}/grant`.
pub async fn grant(
    Admin(person): Admin,
    State(store): State<Store>,
    Path(id): Path<String>,
    Filled(form): Filled<GrantForm>,
) -> Result<Response, Refusal> {
    let account = find(&store, &id).await?;
    let (amount, reference) = match form.check() {
        Ok(checked) => checked,
        Err(wrong) => {
            let shown = view(&person, &store, &account, &form, Some(&wrong), None).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response());
        }
    };
    let fresh = store
        .grant(&account.id, amount, &reference, now_ms())
        .await?;
    tracing::info!(by = %person.session.account.id, account = %account.id, %amount, fresh, "credit was granted from the console");
    Ok(back(&account.id, if fresh { "granted" } else { "again" }).into_response())
}

/// `POST /admin/users/{id}/role`.
pub async fn access(
    Admin(person): Admin,
    State(store): State<Store>,
    Path(id): Path<String>,
    Filled(Role { role }): Filled<Role>,
) -> Result<Redirect, Refusal> {
    let account = find(&store, &id).await?;
    let done = store.set_admin(&account.id, role == "admin").await?;
    tracing::info!(by = %person.session.account.id, account = %account.id, role, done, "a role was changed from the console");
    Ok(back(&account.id, if done { "role" } else { "last" }))
}

/// `POST /admin/users/{id}/password`: a link with which the person sets a password, shown once.
pub async fn password_link(
    Admin(person): Admin,
    State(store): State<Store>,
    State(people): State<People>,
    Path(id): Path<String>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Result<Html<String>, Refusal> {
    let account = find(&store, &id).await?;
    let secret = people.password_link(&account.id, now_ms()).await?;
    let address = format!("{}/password/{}", person.visit.origin, secret.expose());
    let body = html! {
        (heading("A link to set a password", &html! {}))
        section.card {
            p { "Send this link to " strong { (account.email) } ". It works once, within a day, and is shown only now." }
            (copyable("link", &address))
            p { a href=(format!("/admin/users/{}", account.id)) { "Back to the user" } }
        }
    };
    Ok(page(
        &person.visit,
        Place::Admin,
        "A link to set a password",
        &body,
    ))
}

/// `POST /admin/users/{id}/sign-out`.
pub async fn sign_out(
    Admin(_): Admin,
    State(store): State<Store>,
    State(people): State<People>,
    Path(id): Path<String>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Result<Redirect, Refusal> {
    let account = find(&store, &id).await?;
    people.sign_out_everywhere(&account.id).await?;
    Ok(back(&account.id, "out"))
}

impl GrantForm {
    /// The amount, and the reference under which it is granted. Fails with what to tell the person.
    fn check(&self) -> Result<(Nanos, String), String> {
        let text = self.amount.trim().replace(['$', ','], "").replace('−', "-");
        let amount = Nanos::parse(&text)
            .ok()
            .filter(|amount| *amount != Nanos::ZERO)
            .ok_or("Enter an amount of dollars, such as 25, or -25 to take it back.")?;
        let note = self.note.trim();
        if note.chars().count() > LONGEST_NOTE || note.contains('\0') {
            return Err(format!("The note has at most {LONGEST_NOTE} characters."));
        }
        let plain = |character: char| character.is_ascii_alphanumeric();
        if self.once.len() != 12 || !self.once.chars().all(plain) {
            return Err("Reload the page and try again.".to_owned());
        }
        let reference = match note {
            "" => format!("console {}", self.once),
            note => format!("{note} ({})", self.once),
        };
        Ok((amount, reference))
    }
}

async fn view(
    person: &Person,
    store: &Store,
    account: &Account,
    form: &GrantForm,
    wrong: Option<&str>,
    done: Option<&str>,
) -> Result<Html<String>, Refusal> {
    let has_password = store.password_hash(&account.id).await?.is_some();
    let identities = store.identities(&account.id).await?;
    let credits = store.credits(&account.id).await?;
    let address = format!("/admin/users/{}", account.id);
    let (role, words) = if account.admin {
        ("user", "Make them a user")
    } else {
        ("admin", "Make them an admin")
    };
    let once = if form.once.is_empty() {
        random_text(12)
    } else {
        form.once.clone()
    };
    let body = html! {
        p.crumb { a href="/admin/users" { "Users" } }
        (heading(&account.email, &html! { @if account.admin { span.tag { "admin" } } }))
        @if let Some(done) = done { div.notice role="status" { p { (done) } } }
        dl.figures {
            (figure("Left", &dollars(credits.balance()), ""))
            (figure("Granted in all", &dollars(credits.granted), ""))
            (figure("Spent in all", &dollars(credits.used), ""))
        }
        div.columns {
            form.card method="post" action=(format!("{address}/grant")) {
                h2 { "Grant credit" }
                (token_of(person))
                input type="hidden" name="once" value=(once);
                (field("amount", "Amount in dollars", "A negative amount takes credit back.", wrong, &html! {
                    input #amount name="amount" value=(form.amount) inputmode="text" autocomplete="off" required aria-describedby="amount-hint";
                }))
                (field("note", "Note", "It stands on the person’s statement.", None, &html! {
                    input #note name="note" value=(form.note) maxlength=(LONGEST_NOTE) autocomplete="off" aria-describedby="note-hint";
                }))
                button.primary type="submit" { "Grant" }
            }
            section.card {
                h2 { "Account" }
                dl.facts {
                    dt { "Role" } dd { @if account.admin { "Admin" } @else { "User" } }
                    dt { "User id" } dd { code { (account.id) } }
                    dt { "Member since" } dd { (moment(account.created_at)) }
                    dt { "Signs in with" }
                    dd {
                        @if has_password { "a password" } @else if identities.is_empty() { "nothing yet" }
                        @for (index, identity) in identities.iter().enumerate() {
                            @if index > 0 || has_password { ", " }
                            (identity.issuer)
                            @if let Some(email) = &identity.email { " (" (email) ")" }
                        }
                    }
                }
                div.actions {
                    form method="post" action=(format!("{address}/role")) {
                        (token_of(person))
                        input type="hidden" name="role" value=(role);
                        button.small type="submit" { (words) }
                    }
                    form method="post" action=(format!("{address}/password")) { (token_of(person)) button.small type="submit" { "Link to set a password" } }
                    form method="post" action=(format!("{address}/sign-out")) { (token_of(person)) button.small type="submit" { "End their sessions" } }
                }
            }
        }
    };
    Ok(page(&person.visit, Place::Admin, &account.email, &body))
}

fn back(id: &AccountId, done: &str) -> Redirect {
    Redirect::to(&format!("/admin/users/{id}?done={done}"))
}

async fn find(store: &Store, id: &str) -> Result<Account, Refusal> {
    // A null character names nobody, and Postgres would take it for an error.
    let id = AccountId::from(id.replace('\0', ""));
    store.account(&id).await?.ok_or(Refusal::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_understood_or_refused() {
        let check = |amount: &str, note: &str, expect: Option<(i64, &str)>| {
            let form = GrantForm {
                amount: amount.to_owned(),
                note: note.to_owned(),
                once: "abcdefghijkl".to_owned(),
            };
            let checked = form.check().ok();
            let shown = checked
                .as_ref()
                .map(|(amount, reference)| (amount.0, reference.as_str()));
            assert_eq!(shown, expect, "{amount} {note}");
        };
        check(
            "$1,000",
            "",
            Some((1_000_000_000_000, "console abcdefghijkl")),
        );
        check(
            "-2.5",
            "A slip",
            Some((-2_500_000_000, "A slip (abcdefghijkl)")),
        );
        check("0", "", None);
        check("much", "", None);
        check("1", &"x".repeat(101), None);
        check("1", "a\0b", None);
    }
}
