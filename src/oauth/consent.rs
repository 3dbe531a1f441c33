//! `/auth`: the page on which a person lets an application have a key (contract 17.1, 17.2).
//!
//! What the application asks for travels through the page as the query string it came in, and is
//! checked again when the form comes back: nothing is trusted because it was on the page.

use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;

use super::issue;
use super::request::{App, Asked, AuthRequest};
use crate::clock::now_ms;
use crate::console::form::{Filled, amount};
use crate::console::format::{dollars, moment};
use crate::console::page::{bare, field, select, token_of};
use crate::console::refusal::Refusal;
use crate::console::visit::{POLICY, Person};
use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;
use crate::store::{Credits, Store};

/// The query of the page.
#[derive(Deserialize)]
struct Parameters {
    callback_url: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    key_label: Option<String>,
    limit: Option<String>,
    usage_limit_type: Option<String>,
    expires_at: Option<String>,
}

/// What the person decided.
#[derive(Deserialize)]
pub struct Decision {
    /// The query string that the page was asked for with.
    request: String,
    decision: String,
    #[serde(default)]
    limit: String,
    #[serde(default)]
    limit_reset: String,
}

/// `GET /auth`.
pub async fn ask(
    person: Person,
    State(store): State<Store>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    match read(&query, now_ms()) {
        Ok(request) => {
            let credits = store.credits(&person.session.account.id).await?;
            Ok(consent(
                &person,
                &request,
                &query,
                &credits,
                &Choice::of(&request),
                None,
            ))
        }
        Err(reason) => Ok(refused(&reason)),
    }
}

/// `POST /auth`.
pub async fn decide(
    person: Person,
    State(store): State<Store>,
    Filled(decision): Filled<Decision>,
) -> Result<Response, Refusal> {
    let now = now_ms();
    let mut request = match read(&decision.request, now) {
        Ok(request) => request,
        Err(reason) => return Ok(refused(&reason)),
    };
    if decision.decision != "approve" {
        return Ok(match request.answer("error", "access_denied") {
            Some(callback) => Redirect::to(callback.as_str()).into_response(),
            None => told(
                "You said no",
                &html! { p.muted { "The app gets no key. You can close this window." } },
            ),
        });
    }
    let choice = Choice {
        limit: decision.limit,
        reset: decision.limit_reset,
    };
    if let Err(wrong) = choice.apply(&mut request) {
        let credits = store.credits(&person.session.account.id).await?;
        return Ok(consent(
            &person,
            &request,
            &decision.request,
            &credits,
            &choice,
            Some(&wrong),
        ));
    }
    let code = issue(&store, &request.grant(&person.session.account.id), now).await?;
    Ok(match request.answer("code", code.expose()) {
        Some(callback) => Redirect::to(callback.as_str()).into_response(),
        None => told(
            "Your code",
            &html! {
                p.muted { "Copy this code into the app that asked for it. It works once, for ten minutes." }
                p { code.secret #code { (code.expose()) } }
                p { button.primary data-copy="#code" type="button" { "Copy the code" } }
            },
        ),
    })
}

/// What the person makes of the cap that was asked for.
struct Choice {
    limit: String,
    reset: String,
}

impl Choice {
    fn of(request: &AuthRequest) -> Self {
        Choice {
            limit: request
                .limit
                .map(|limit| limit.to_string())
                .unwrap_or_default(),
            reset: request.limit_reset.as_str().unwrap_or_default().to_owned(),
        }
    }

    /// Lowers the cap. The person may not raise it above what the app asked for: that would be a slip.
    fn apply(&self, request: &mut AuthRequest) -> Result<(), String> {
        let chosen = amount(&self.limit)?;
        if chosen == Some(Nanos::ZERO) {
            return Err("Enter more than nothing, or press Cancel to refuse.".to_owned());
        }
        match (request.limit, chosen) {
            (Some(asked), Some(chosen)) if chosen > asked => {
                return Err(format!(
                    "The app asked for {}: choose that or less.",
                    dollars(asked)
                ));
            }
            // The window belongs to the cap that was asked for, unless there was none.
            (None, Some(_)) => {
                let reset = Some(self.reset.as_str()).filter(|word| !word.is_empty());
                request.limit_reset = LimitReset::parse(reset).ok_or("Choose a window.")?;
            }
            _ => {}
        }
        request.limit = chosen.or(request.limit);
        Ok(())
    }
}

fn read(query: &str, now: i64) -> Result<AuthRequest, String> {
    let parameters: Parameters =
        serde_urlencoded::from_str(query).map_err(|error| error.to_string())?;
    let limit = match parameters.limit.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => Some(Nanos::parse(text).map_err(|error| format!("limit: {error}"))?),
        None => None,
    };
    let asked = Asked {
        callback_url: parameters.callback_url.as_deref(),
        code_challenge: parameters.code_challenge.as_deref(),
        code_challenge_method: parameters.code_challenge_method.as_deref(),
        key_label: parameters.key_label.as_deref(),
        limit,
        usage_limit_type: parameters.usage_limit_type.as_deref(),
        expires_at: parameters.expires_at.as_deref(),
    };
    AuthRequest::check(&asked, now).map_err(|error| error.to_string())
}

fn consent(
    person: &Person,
    request: &AuthRequest,
    query: &str,
    credits: &Credits,
    choice: &Choice,
    wrong: Option<&str>,
) -> Response {
    let name = &request.app.name;
    let body = html! {
        section.narrow.card.consent {
            h1 { strong { (name) } " wants to use your credit" }
            (who(&request.app))
            ul.promises {
                li { "It can call models on this gateway, and you pay: you have " strong { (dollars(credits.balance())) } " now." }
                li { (spending(request)) }
                li { (ending(request)) }
                li { "It cannot see your other keys, your activity or your password." }
                li { "You can take the key away at any time under " a href="/apps" { "Apps" } "." }
            }
            form method="post" action="/auth" {
                (token_of(person))
                input type="hidden" name="request" value=(query);
                (field("limit", "The most it may spend, in dollars", &limit_hint(request), wrong, &html! {
                    input #limit name="limit" inputmode="decimal" autocomplete="off" placeholder="no limit" value=(choice.limit) aria-describedby="limit-hint";
                }))
                @if request.limit.is_none() {
                    (field("limit_reset", "The limit starts anew", "", None, &select("limit_reset", &RESETS, &choice.reset)))
                }
                div.decision {
                    button name="decision" value="deny" type="submit" { "Cancel" }
                    button.primary name="decision" value="approve" type="submit" { "Allow" }
                }
            }
            p.hint { "Signed in as " (person.session.account.email) ". The key will be called “" (request.key_name) "”." }
        }
    };
    let status = if wrong.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let title = format!("Allow {name}?");
    let mut response = (status, Html(bare(&title, &body).into_string())).into_response();
    // Browsers hold the answer to a form to the same rule as the form: the way back must be allowed.
    if let Some(callback) = &request.callback {
        let origin = callback.origin().ascii_serialization();
        let policy = POLICY.replace(
            "form-action 'self'",
            &format!("form-action 'self' {origin}"),
        );
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            response
                .headers_mut()
                .insert(CONTENT_SECURITY_POLICY, policy);
        }
    }
    response
}

/// When a cap can start anew.
const RESETS: [(&str, &str); 4] = [
    ("", "never"),
    ("daily", "every day"),
    ("weekly", "every Monday"),
    ("monthly", "every month"),
];

fn who(app: &App) -> Markup {
    html! {
        @if app.id == "headless" {
            p.muted { "An app without a website of its own asks. You will get a code to copy into it." }
        } @else if app.local {
            p.muted { "This is a program on your own computer, at " code { (app.id) } "." }
        } @else {
            p.muted { "You will be sent back to " code { (app.id) } ". Allow this only if you came from there." }
        }
    }
}

fn spending(request: &AuthRequest) -> Markup {
    html! {
        @match request.limit {
            Some(limit) => {
                "It can spend at most " strong { (dollars(limit)) }
                @match request.limit_reset {
                    LimitReset::Never => " in all.",
                    LimitReset::Daily => " a day.",
                    LimitReset::Weekly => " a week.",
                    LimitReset::Monthly => " a month.",
                }
            }
            None => { "It asks for " strong { "no limit" } ": set one below if you want one." }
        }
    }
}

fn ending(request: &AuthRequest) -> Markup {
    html! {
        @match request.expires_at {
            Some(at) => { "Its key works until " strong { (moment(at)) } "." }
            None => { "Its key works until you take it away." }
        }
    }
}

fn limit_hint(request: &AuthRequest) -> String {
    match request.limit {
        Some(limit) => format!("The app asked for {}. You can lower it.", dollars(limit)),
        None => "Leave it empty for no limit.".to_owned(),
    }
}

/// The application's request is wrong. Nobody is sent anywhere.
fn refused(reason: &str) -> Response {
    let body = html! {
        section.narrow.card.center {
            h1 { "This app’s request cannot be used" }
            p.muted { "The address that brought you here is wrong, so nothing was shared with anybody. Tell the app’s author:" }
            p { code { (reason) } }
            p { a.button href="/" { "Go to the start page" } }
        }
    };
    (
        StatusCode::BAD_REQUEST,
        Html(bare("Wrong request", &body).into_string()),
    )
        .into_response()
}

fn told(title: &str, rest: &Markup) -> Response {
    let body = html! { section.narrow.card.center { h1 { (title) } (rest) } };
    Html(bare(title, &body).into_string()).into_response()
}
