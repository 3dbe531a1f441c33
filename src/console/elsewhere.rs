//! Signing in with an account elsewhere: off to the issuer and back, and what is connected to an account.
//!
//! Both ways begin with a form of ours, so that no other site can sign anybody in or connect anything. Whoever is signed
//! in connects the account elsewhere to theirs; everybody else signs in with it.

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header::{REFRESH, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use url::Url;

use super::account::{Entry, account_page, sign_in_form, status, welcome};
use super::form::{Asked, Filled};
use super::format::ago;
use super::page::{bare, token, token_of};
use super::refusal::Refusal;
use super::visit::{FLOW, Person, Visit, cookie};
use crate::auth::{Flow, People, PeopleError};
use crate::clock::now_ms;
use crate::domain::identity::{Identity, Proofs};
use crate::oidc::{IssuerError, IssuerSettings, Issuers};
use crate::store::{Connected, Store};

/// What an issuer sends a browser back with.
#[derive(Deserialize)]
pub struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
}

/// Which of the accounts elsewhere is meant.
#[derive(Deserialize)]
pub struct Which {
    issuer: String,
    subject: String,
}

/// Why nobody came back signed in.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// The note is missing, old, or of another sign-in.
    #[error("This sign-in took too long or was begun in another browser. Try again.")]
    Lost,
    /// The person, or the issuer, said no.
    #[error("{0} did not let you in. Try again, or sign in another way.")]
    Denied(String),
    /// The issuer does not answer.
    #[error("{0} does not answer. Try again in a moment, or sign in another way.")]
    Away(String),
    /// The issuer's word is none.
    #[error("{0} did not prove who you are. Try again, or sign in another way.")]
    NoProof(String),
    /// What was asked for before is too much to keep.
    #[error(
        "What you came for has too long an address to be kept meanwhile. Sign in another way, or here first."
    )]
    TooLong,
    /// The issuer is sure, and we may not let the person in.
    #[error("You came from {0}. {1}")]
    People(String, PeopleError),
}

/// `POST /sign-in/{issuer}`: off to the issuer.
pub async fn begin(
    visit: Visit,
    State(people): State<People>,
    State(issuers): State<Issuers>,
    State(store): State<Store>,
    Path(slug): Path<String>,
    Filled(entry): Filled<Entry>,
) -> Result<Response, Refusal> {
    let issuer = issuers.named(&slug).ok_or(Refusal::NotFound)?;
    let account = visit.signed_in.as_ref();
    let account = account.map(|signed_in| signed_in.session.account.id.clone());
    let mut flow = Flow::new(&issuer.slug, account, now_ms());
    (flow.next, flow.invitation) = (entry.next.clone(), entry.invitation);
    let gone = match people.begin_flow(&flow) {
        Ok((note, proofs)) => {
            let url = issuers
                .address(issuer, &proofs, &callback(&visit, issuer))
                .await;
            url.map(|url| away(&visit, issuer, &note, &url))
                .map_err(|error| Trouble::of(issuer, &error))
        }
        Err(_) => Err(Trouble::TooLong),
    };
    match gone {
        Ok(response) => Ok(response),
        Err(trouble) => stay(&visit, &people, &issuers, &store, &entry.next, &trouble).await,
    }
}

/// `GET /sign-in/{issuer}/callback`: back from the issuer.
pub async fn back(
    visit: Visit,
    State(people): State<People>,
    State(issuers): State<Issuers>,
    State(store): State<Store>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    Asked(answer): Asked<Answer>,
) -> Result<Response, Refusal> {
    let issuer = issuers.named(&slug).ok_or(Refusal::NotFound)?;
    let note = cookie(&headers, FLOW).unwrap_or_default();
    let flow = people.answered_flow(note, &answer.state, now_ms());
    let mut next = String::new();
    let done = match flow.filter(|(flow, _)| flow.issuer == issuer.slug) {
        Some((flow, proofs)) => {
            next.clone_from(&flow.next);
            let returned = Returned {
                visit: &visit,
                people: &people,
                issuer,
                flow: &flow,
            };
            returned.finish(&issuers, &answer, &proofs).await
        }
        None => Err(Trouble::Lost),
    };
    let mut response = match done {
        Ok(response) => response,
        Err(trouble) => stay(&visit, &people, &issuers, &store, &next, &trouble).await?,
    };
    response
        .headers_mut()
        .append(SET_COOKIE, visit.forget_flow());
    Ok(response)
}

/// `POST /account/identities/remove`.
pub async fn disconnect(
    person: Person,
    State(people): State<People>,
    State(issuers): State<Issuers>,
    State(store): State<Store>,
    Filled(which): Filled<Which>,
) -> Result<Response, Refusal> {
    let account = &person.session.account.id;
    // A null character names nothing, and Postgres would take it for an error.
    let (issuer, subject) = (
        which.issuer.replace('\0', ""),
        which.subject.replace('\0', ""),
    );
    match people.disconnect(account, &issuer, &subject).await {
        Ok(Some(())) => Ok(Redirect::to("/account").into_response()),
        Ok(None) => Err(Refusal::NotFound),
        Err(error) => {
            let words = error.to_string();
            let shown = account_page(&person, &store, &issuers, None, Some(&words)).await?;
            Ok((status(&error), shown).into_response())
        }
    }
}

/// A browser that came back with an answer to what it was sent for.
struct Returned<'a> {
    visit: &'a Visit,
    people: &'a People,
    issuer: &'a IssuerSettings,
    flow: &'a Flow,
}

impl Returned<'_> {
    async fn finish(
        &self,
        issuers: &Issuers,
        answer: &Answer,
        proofs: &Proofs,
    ) -> Result<Response, Trouble> {
        if !answer.error.is_empty() || answer.code.is_empty() {
            return Err(Trouble::Denied(self.issuer.name.clone()));
        }
        self.people
            .count_try(&self.visit.address, now_ms())
            .await
            .map_err(|error| self.refused(error))?;
        let callback = callback(self.visit, self.issuer);
        let identity = issuers
            .identity(self.issuer, &answer.code, proofs, &callback)
            .await
            .map_err(|error| Trouble::of(self.issuer, &error))?;
        match &self.flow.account {
            Some(_) => self.connect(&identity).await,
            None => self.sign_in(&identity).await,
        }
    }

    /// Connects the identity to the account that the sign-in was begun from, if that is still signed in.
    async fn connect(&self, identity: &Identity) -> Result<Response, Trouble> {
        let session = self.visit.signed_in.as_ref().map(|known| &known.session);
        let session = session
            .filter(|session| Some(&session.account.id) == self.flow.account.as_ref())
            .ok_or(Trouble::Lost)?;
        let connected = self.people.connect(session, identity, now_ms()).await;
        connected.map_err(|error| self.refused(error))?;
        Ok(Redirect::to("/account").into_response())
    }

    async fn sign_in(&self, identity: &Identity) -> Result<Response, Trouble> {
        let invitation = Some(self.flow.invitation.as_str()).filter(|text| !text.is_empty());
        let signed_in = self
            .people
            .sign_in_with(identity, self.issuer.trust, invitation, now_ms())
            .await
            .map_err(|error| self.refused(error))?;
        Ok(welcome(self.visit, &signed_in, &self.flow.next))
    }

    fn refused(&self, error: PeopleError) -> Trouble {
        tracing::info!(issuer = self.issuer.slug, reason = %error, "a sign-in with an account elsewhere was refused");
        Trouble::People(self.issuer.name.clone(), error)
    }
}

impl Trouble {
    fn of(issuer: &IssuerSettings, error: &IssuerError) -> Self {
        tracing::warn!(issuer = issuer.slug, %error, "an issuer could not be used");
        match error {
            IssuerError::Away(_) => Trouble::Away(issuer.name.clone()),
            IssuerError::NoProof(_) => Trouble::NoProof(issuer.name.clone()),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Trouble::Lost | Trouble::TooLong => StatusCode::BAD_REQUEST,
            Trouble::Denied(_) | Trouble::NoProof(_) => StatusCode::FORBIDDEN,
            // Not a 5xx: proxies in front put a page of their own over those, and nothing here is broken.
            Trouble::Away(_) => StatusCode::FAILED_DEPENDENCY,
            Trouble::People(_, error) => status(error),
        }
    }
}

/// The buttons of the issuers, below another way to sign in or up.
pub(super) fn ways(visit: &Visit, issuers: &Issuers, entry: &Entry) -> Markup {
    html! {
        @if !issuers.all().is_empty() {
            div.ways {
                p.or { span { "or" } }
                @for issuer in issuers.all() {
                    form method="post" action=(format!("/sign-in/{}", issuer.slug)) {
                        (token(visit))
                        input type="hidden" name="next" value=(entry.next);
                        input type="hidden" name="invitation" value=(entry.invitation);
                        button.wide type="submit" { "Continue with " (issuer.name) }
                    }
                }
            }
        }
    }
}

/// What is connected to an account, and what can be. Nothing where there is neither.
pub(super) fn connections(
    person: &Person,
    issuers: &Issuers,
    known: &[Connected],
    wrong: Option<&str>,
    now: i64,
) -> Markup {
    html! {
        @if !issuers.all().is_empty() || !known.is_empty() {
            section.card {
                h2 { "Accounts elsewhere" }
                @if let Some(wrong) = wrong { p.error role="alert" { (wrong) } }
                @if known.is_empty() { p.muted { "Connect one to sign in with it from then on." } }
                ul.rows { @for identity in known { li {
                    span { strong { (issuers.name_of(&identity.issuer)) } @if let Some(email) = &identity.email { " " span.muted { (email) } } }
                    span.muted { "used " (ago(identity.used_at, now)) }
                    form method="post" action="/account/identities/remove" {
                        (token_of(person))
                        input type="hidden" name="issuer" value=(identity.issuer);
                        input type="hidden" name="subject" value=(identity.subject);
                        button.small type="submit" aria-label=(format!("Disconnect {}", issuers.name_of(&identity.issuer))) { "Disconnect" }
                    }
                } } }
                div.actions { @for issuer in issuers.all() {
                    form method="post" action=(format!("/sign-in/{}", issuer.slug)) {
                        (token_of(person))
                        button type="submit" { "Connect " (issuer.name) }
                    }
                } }
            }
        }
    }
}

/// Where the issuer sends browsers back to; it must know this address.
fn callback(visit: &Visit, issuer: &IssuerSettings) -> String {
    format!("{}/sign-in/{}/callback", visit.origin, issuer.slug)
}

/// A page that leads on at once. A redirect would not do: browsers hold what a form leads to to our own pages.
fn away(visit: &Visit, issuer: &IssuerSettings, note: &str, url: &Url) -> Response {
    let title = format!("To {}", issuer.name);
    let body = html! {
        section.narrow.card.center {
            h1 { (title) }
            p.muted { "You will be asked there to sign in, and come back here." }
            p { a.button.primary href=(url) { "Continue" } }
        }
    };
    let mut response = Html(bare(&title, &body).into_string()).into_response();
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, visit.keep_flow(note));
    if let Ok(refresh) = HeaderValue::from_str(&format!("0;url={url}")) {
        headers.insert(REFRESH, refresh);
    }
    response
}

/// The page that somebody stays on: the one to sign in, or their own account's.
async fn stay(
    visit: &Visit,
    people: &People,
    issuers: &Issuers,
    store: &Store,
    next: &str,
    trouble: &Trouble,
) -> Result<Response, Refusal> {
    let words = trouble.to_string();
    let shown = match &visit.signed_in {
        Some(signed_in) => {
            let person = Person {
                session: signed_in.session.clone(),
                visit: visit.clone(),
            };
            account_page(&person, store, issuers, None, Some(&words)).await?
        }
        None => {
            let entry = Entry {
                next: next.to_owned(),
                invitation: String::new(),
            };
            sign_in_form(visit, people, issuers, "", &entry, Some(&words))
        }
    };
    Ok((trouble.status(), shown).into_response())
}
