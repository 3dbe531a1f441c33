//! Signing in, up and out; passwords and sessions.

use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use maud::{Markup, html};
use serde::Deserialize;

use super::elsewhere::{connections, ways};
use super::form::{Filled, Pressed};
use super::format::{ago, moment};
use super::link::{local, query};
use super::page::{self, Place, bare, field, page, token, token_of};
use super::refusal::Refusal;
use super::visit::{Person, Visit};
use crate::auth::{PasswordError, People, PeopleError, SHORTEST, SignUp, SignedIn};
use crate::clock::now_ms;
use crate::domain::secret::Secret;
use crate::oidc::Issuers;
use crate::store::{LinkKind, Store};

/// Where to go afterwards, and with which invitation.
#[derive(Default, Deserialize)]
pub struct Entry {
    #[serde(default)]
    pub(super) next: String,
    #[serde(default)]
    pub(super) invitation: String,
}

/// What somebody signs in or up with.
#[derive(Deserialize)]
pub struct Credentials {
    email: String,
    password: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    invitation: String,
}

impl From<Credentials> for Entry {
    fn from(form: Credentials) -> Self {
        Entry {
            next: form.next,
            invitation: form.invitation,
        }
    }
}

/// A new password, and the current one where somebody is signed in.
#[derive(Deserialize)]
pub struct NewPassword {
    #[serde(default)]
    current: String,
    password: String,
}

/// `GET /sign-in`.
pub async fn sign_in_page(
    visit: Visit,
    State(people): State<People>,
    State(issuers): State<Issuers>,
    Query(entry): Query<Entry>,
) -> Response {
    if visit.signed_in.is_some() {
        return Redirect::to(local(&entry.next)).into_response();
    }
    sign_in_form(&visit, &people, &issuers, "", &entry, None).into_response()
}

/// `POST /sign-in`.
pub async fn sign_in(
    visit: Visit,
    State(people): State<People>,
    State(issuers): State<Issuers>,
    Filled(form): Filled<Credentials>,
) -> Response {
    let tried = people
        .sign_in(
            &form.email,
            &password(&form.password),
            &visit.address,
            now_ms(),
        )
        .await;
    match tried {
        Ok(signed_in) => welcome(&visit, &signed_in, &form.next),
        Err(error) => {
            let (words, email) = (error.to_string(), form.email.clone());
            let entry = Entry::from(form);
            let shown = sign_in_form(&visit, &people, &issuers, &email, &entry, Some(&words));
            (status(&error), shown).into_response()
        }
    }
}

/// `GET /sign-up`.
pub async fn sign_up_page(
    visit: Visit,
    State(people): State<People>,
    State(issuers): State<Issuers>,
    Query(entry): Query<Entry>,
) -> Result<Response, Refusal> {
    if visit.signed_in.is_some() {
        return Ok(Redirect::to(local(&entry.next)).into_response());
    }
    let invited = !entry.invitation.is_empty()
        && people
            .link_works(&entry.invitation, LinkKind::Invitation, now_ms())
            .await?;
    if !invited && people.sign_up_policy() != SignUp::Open {
        let (title, what) = if entry.invitation.is_empty() {
            (
                "Signing up is closed",
                "Ask an admin of this gateway for an invitation.",
            )
        } else {
            (
                "This invitation does not work any more",
                "It was used already or has expired. Ask an admin for a new one.",
            )
        };
        let body = notice(
            title,
            &html! { p.muted { (what) } p { a href="/sign-in" { "Sign in instead" } } },
        );
        return Ok((
            StatusCode::FORBIDDEN,
            Html(bare(title, &body).into_string()),
        )
            .into_response());
    }
    Ok(sign_up_form(&visit, &issuers, "", &entry, None).into_response())
}

/// `POST /sign-up`.
pub async fn sign_up(
    visit: Visit,
    State(people): State<People>,
    State(issuers): State<Issuers>,
    Filled(form): Filled<Credentials>,
) -> Response {
    let invitation = Some(form.invitation.as_str()).filter(|text| !text.is_empty());
    let tried = people
        .sign_up(
            &form.email,
            &password(&form.password),
            invitation,
            &visit.address,
            now_ms(),
        )
        .await;
    match tried {
        Ok(signed_in) => welcome(&visit, &signed_in, &form.next),
        Err(error) => {
            let email = form.email.clone();
            let entry = Entry::from(form);
            let shown = sign_up_form(&visit, &issuers, &email, &entry, Some(&error));
            (status(&error), shown).into_response()
        }
    }
}

/// `POST /sign-out`.
pub async fn sign_out(
    person: Person,
    State(people): State<People>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Result<Response, Refusal> {
    people.sign_out(&person.session).await?;
    Ok(farewell(&person))
}

/// `POST /sign-out-everywhere`.
pub async fn sign_out_everywhere(
    person: Person,
    State(people): State<People>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Result<Response, Refusal> {
    people
        .sign_out_everywhere(&person.session.account.id)
        .await?;
    Ok(farewell(&person))
}

/// `GET /password/{link}`: what an admin's link leads to.
pub async fn password_page(
    visit: Visit,
    State(people): State<People>,
    Path(link): Path<String>,
) -> Result<Response, Refusal> {
    if people
        .link_works(&link, LinkKind::Password, now_ms())
        .await?
    {
        return Ok(password_form(&visit, &link, None).into_response());
    }
    Ok(dead_link())
}

/// `POST /password/{link}`.
pub async fn set_password(
    visit: Visit,
    State(people): State<People>,
    Path(link): Path<String>,
    Filled(form): Filled<NewPassword>,
) -> Response {
    match people
        .use_password_link(&link, &password(&form.password), now_ms())
        .await
    {
        Ok(signed_in) => welcome(&visit, &signed_in, "/"),
        Err(PeopleError::DeadLink) => dead_link(),
        Err(error) => (status(&error), password_form(&visit, &link, Some(&error))).into_response(),
    }
}

/// `GET /account`.
pub async fn account(
    person: Person,
    State(store): State<Store>,
    State(issuers): State<Issuers>,
) -> Result<Html<String>, Refusal> {
    account_page(&person, &store, &issuers, None, None).await
}

/// `POST /account/password`.
pub async fn change_password(
    person: Person,
    State(people): State<People>,
    State(store): State<Store>,
    State(issuers): State<Issuers>,
    Filled(form): Filled<NewPassword>,
) -> Result<Response, Refusal> {
    let (current, new) = (password(&form.current), password(&form.password));
    match people
        .change_password(&person.session, &current, &new, now_ms())
        .await
    {
        Ok(signed_in) => Ok(welcome(&person.visit, &signed_in, "/account?changed=1")),
        Err(error) => {
            let shown = account_page(&person, &store, &issuers, Some(&error), None).await?;
            Ok((status(&error), shown).into_response())
        }
    }
}

/// Signed in: the cookie, and on to where the person wanted to go.
pub(super) fn welcome(visit: &Visit, signed_in: &SignedIn, next: &str) -> Response {
    (
        [(SET_COOKIE, visit.signs_in(signed_in))],
        Redirect::to(local(next)),
    )
        .into_response()
}

fn farewell(person: &Person) -> Response {
    (
        [(SET_COOKIE, person.visit.signs_out())],
        Redirect::to("/sign-in"),
    )
        .into_response()
}

fn dead_link() -> Response {
    let title = "This link does not work any more";
    let body = notice(
        title,
        &html! {
            p.muted { "It was used already or has expired. Ask an admin for a new one." }
            p { a href="/sign-in" { "Sign in" } }
        },
    );
    (
        StatusCode::NOT_FOUND,
        Html(bare(title, &body).into_string()),
    )
        .into_response()
}

fn notice(title: &str, rest: &Markup) -> Markup {
    html! { section.narrow.card.center { h1 { (title) } (rest) } }
}

/// The page to sign in on, with what went wrong.
pub(super) fn sign_in_form(
    visit: &Visit,
    people: &People,
    issuers: &Issuers,
    email: &str,
    entry: &Entry,
    wrong: Option<&str>,
) -> Html<String> {
    let body = html! {
        section.narrow.card {
            h1 { "Sign in" }
            form.sign method="post" action="/sign-in" {
                (token(visit))
                input type="hidden" name="next" value=(entry.next);
                @if let Some(wrong) = wrong { p.error role="alert" { (wrong) } }
                (field("email", "E-mail address", "", None, &email_input(email, "username")))
                (field("password", "Password", "", None, &password_input("password", "current-password")))
                button.primary.wide type="submit" { "Sign in" }
            }
            (ways(visit, issuers, entry))
            @if people.sign_up_policy() == SignUp::Open {
                p.center { "New here? " a href=(format!("/sign-up?{}", query(&[("next", &entry.next)]))) { "Make an account" } }
            } @else {
                p.hint.center { "Forgot your password, or have none yet? An admin can send you a link." }
            }
        }
    };
    Html(bare("Sign in", &body).into_string())
}

fn sign_up_form(
    visit: &Visit,
    issuers: &Issuers,
    email: &str,
    entry: &Entry,
    error: Option<&PeopleError>,
) -> Html<String> {
    let wrong = Wrong::of(error);
    let body = html! {
        section.narrow.card {
            h1 { "Make an account" }
            form.sign method="post" action="/sign-up" {
                (token(visit))
                input type="hidden" name="next" value=(entry.next);
                input type="hidden" name="invitation" value=(entry.invitation);
                @if let Some(words) = &wrong.form { p.error role="alert" { (words) } }
                (field("email", "E-mail address", "", wrong.email.as_deref(), &email_input(email, "username")))
                (field("password", "Password", &length_hint(), wrong.password.as_deref(), &password_input("password", "new-password")))
                button.primary.wide type="submit" { "Make an account" }
            }
            (ways(visit, issuers, entry))
            p.center { "Have one? " a href=(format!("/sign-in?{}", query(&[("next", &entry.next)]))) { "Sign in" } }
        }
    };
    Html(bare("Make an account", &body).into_string())
}

fn password_form(visit: &Visit, link: &str, error: Option<&PeopleError>) -> Html<String> {
    let wrong = Wrong::of(error);
    let body = html! {
        section.narrow.card {
            h1 { "Choose a password" }
            form method="post" action=(format!("/password/{link}")) {
                (token(visit))
                @if let Some(words) = &wrong.form { p.error role="alert" { (words) } }
                (field("password", "New password", &length_hint(), wrong.password.as_deref(), &password_input("password", "new-password")))
                button.primary.wide type="submit" { "Save and sign in" }
            }
        }
    };
    Html(bare("Choose a password", &body).into_string())
}

/// The account's page, with what went wrong with its password or with what is connected to it.
pub(super) async fn account_page(
    person: &Person,
    store: &Store,
    issuers: &Issuers,
    error: Option<&PeopleError>,
    disconnected: Option<&str>,
) -> Result<Html<String>, Refusal> {
    let account = &person.session.account;
    let now = now_ms();
    let sessions = store.sessions(&account.id, now).await?;
    let identities = store.identities(&account.id).await?;
    let has_password = store.password_hash(&account.id).await?.is_some();
    let wrong = Wrong::of(error);
    let current_wrong = match error {
        Some(PeopleError::Wrong) => Some("This is not your current password."),
        _ => None,
    };
    let form_wrong = wrong.form.filter(|_| current_wrong.is_none());
    let body = html! {
        (page::heading("Account", &html! {}))
        div.columns {
            section.card {
                h2 { "You" }
                dl.facts {
                    dt { "E-mail address" } dd { (account.email) }
                    dt { "Role" } dd { @if account.admin { "Admin" } @else { "User" } }
                    dt { "User id" } dd { code { (account.id) } }
                    dt { "Member since" } dd { (moment(account.created_at)) }
                }
            }
            (connections(person, issuers, &identities, disconnected, now))
            section.card {
                h2 { "Password" }
                @if !has_password { p.muted { "This account has none. An admin can send you a link to set one." } }
                @else { form method="post" action="/account/password" {
                    (token_of(person))
                    @if let Some(words) = &form_wrong { p.error role="alert" { (words) } }
                    (field("current", "Current password", "", current_wrong, &password_input("current", "current-password")))
                    (field("password", "New password", &length_hint(), wrong.password.as_deref(), &password_input("password", "new-password")))
                    button.primary type="submit" { "Change the password" }
                    p.hint { "Every other browser is signed out." }
                } }
            }
            section.card {
                h2 { "Where you are signed in" }
                ul.rows {
                    @for session in &sessions {
                        li {
                            span { @if session.id == person.session.id { strong { "This browser" } } @else { "Another browser" } }
                            span.muted { "signed in " (ago(session.created_at, now)) ", ends " (ago(session.expires_at, now)) }
                        }
                    }
                }
                form method="post" action="/sign-out-everywhere" {
                    (token_of(person))
                    button type="submit" { "Sign out everywhere" }
                }
            }
        }
    };
    Ok(page(&person.visit, Place::Nowhere, "Account", &body))
}

/// Which field an error stands beside.
#[derive(Default)]
struct Wrong {
    form: Option<String>,
    email: Option<String>,
    password: Option<String>,
}

impl Wrong {
    fn of(error: Option<&PeopleError>) -> Self {
        let Some(error) = error else {
            return Wrong::default();
        };
        let words = Some(error.to_string());
        match error {
            PeopleError::BadAddress | PeopleError::AddressTaken => Wrong {
                email: words,
                ..Wrong::default()
            },
            PeopleError::Password(PasswordError::TooShort | PasswordError::TooLong) => Wrong {
                password: words,
                ..Wrong::default()
            },
            _ => Wrong {
                form: words,
                ..Wrong::default()
            },
        }
    }
}

/// The status of a refusal.
pub(super) fn status(error: &PeopleError) -> StatusCode {
    match error {
        PeopleError::Wrong => StatusCode::UNAUTHORIZED,
        PeopleError::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        PeopleError::BadAddress | PeopleError::AddressTaken | PeopleError::Password(_) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        PeopleError::Closed | PeopleError::DeadLink | PeopleError::Unverified => {
            StatusCode::FORBIDDEN
        }
        PeopleError::ConnectFirst | PeopleError::IdentityTaken | PeopleError::LastEntrance => {
            StatusCode::CONFLICT
        }
        PeopleError::Store(error) => {
            tracing::error!(%error, "an account cannot be used");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// White space around a password is part of it, unlike around a key.
fn password(text: &str) -> Secret {
    Secret::verbatim(text)
}

fn length_hint() -> String {
    format!(
        "At least {SHORTEST} characters; a few unrelated words are easy to remember and hard to guess."
    )
}

fn email_input(value: &str, autocomplete: &str) -> Markup {
    html! { input id="email" name="email" type="email" value=(value) autocomplete=(autocomplete) required autofocus aria-describedby="email-hint"; }
}

fn password_input(name: &str, autocomplete: &str) -> Markup {
    html! { input id=(name) name=(name) type="password" autocomplete=(autocomplete) required aria-describedby=(format!("{name}-hint")); }
}
