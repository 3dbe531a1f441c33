//! `/admin`: running the gateway: its people and their credit, its providers, its catalogue, its ledger, its settings.
//!
//! For admins alone: each handler asks for one.

mod providers;
mod settings;
mod user;
mod users;

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

pub use providers::providers;
pub use settings::Settings;
pub use user::{access, grant, password_link, show as user, sign_out};
pub use users::{invite, list as users};

use super::form::{Filled, Pressed};
use super::format::{count, dollars};
use super::page::{self, Place, figure, page, token_of};
use super::refusal::Refusal;
use super::visit::{Admin, Person};
use crate::catalog::{Catalog, Summary};
use crate::domain::money::Nanos;
use crate::store::{Store, Verification};

const PLACES: [(&str, &str); 3] = [
    ("/admin", "Gateway"),
    ("/admin/users", "Users"),
    ("/admin/providers", "Providers"),
];

/// What a button of the page did.
enum Done {
    Nothing,
    Reloaded(Result<Summary, String>),
    Verified(Verification),
}

/// `GET /admin`.
pub async fn show(
    Admin(person): Admin,
    State(catalog): State<Catalog>,
    State(settings): State<Settings>,
) -> Html<String> {
    overview(&person, &catalog, &settings, &Done::Nothing)
}

/// `POST /admin/catalog/reload`: reads the catalogue again, or leaves it as it is and says why.
pub async fn reload(
    Admin(person): Admin,
    State(catalog): State<Catalog>,
    State(settings): State<Settings>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Html<String> {
    let done = catalog.reload().map_err(|error| error.to_string());
    tracing::info!(account = %person.session.account.id, reloaded = done.is_ok(), "the catalogue was reloaded from the console");
    overview(&person, &catalog, &settings, &Done::Reloaded(done))
}

/// `POST /admin/ledger/verify`: proves the ledger, as `turnpike ledger verify` does.
pub async fn verify(
    Admin(person): Admin,
    State(catalog): State<Catalog>,
    State(store): State<Store>,
    State(settings): State<Settings>,
    Filled(Pressed {}): Filled<Pressed>,
) -> Result<Html<String>, Refusal> {
    let verification = store.verify().await?;
    Ok(overview(
        &person,
        &catalog,
        &settings,
        &Done::Verified(verification),
    ))
}

fn overview(person: &Person, catalog: &Catalog, settings: &Settings, done: &Done) -> Html<String> {
    let Summary {
        providers,
        models,
        endpoints,
    } = Summary::of(&catalog.snapshot());
    let body = html! {
        (heading("Gateway", "/admin"))
        @match done {
            Done::Nothing => {},
            Done::Reloaded(Ok(summary)) => div.notice role="status" { p { "The catalogue was read again: " (summary) "." } },
            Done::Reloaded(Err(problems)) => div.notice.bad role="alert" { p { "The catalogue stays as it was." } pre { (problems) } },
            Done::Verified(verification) => (verified(verification)),
        }
        dl.figures {
            (figure("Providers", &count(providers as u64), "that can be used now"))
            (figure("Models", &count(models as u64), ""))
            (figure("Endpoints", &count(endpoints as u64), ""))
        }
        div.columns {
            section.card {
                h2 { "Catalogue" }
                p { "Reads the catalogue’s files and the files of keys again. Variables are read at the start alone." }
                form method="post" action="/admin/catalog/reload" { (token_of(person)) button type="submit" { "Read it again" } }
            }
            section.card {
                h2 { "Ledger" }
                p { "Adds up every entry, balance and charge, and compares. It reads all of them, which takes a while on a large ledger." }
                form method="post" action="/admin/ledger/verify" { (token_of(person)) button type="submit" { "Verify the ledger" } }
            }
        }
        (settings.table())
    };
    page(&person.visit, Place::Admin, "Gateway", &body)
}

fn verified(verification: &Verification) -> Markup {
    let counted = |number: i64| count(number.unsigned_abs());
    html! {
        @if verification.holds() {
            div.notice role="status" { p {
                strong { "The ledger holds: " } (counted(verification.entries)) " entries and " (counted(verification.generations)) " runs add up."
                @if verification.parked > 0 { " " (counted(verification.parked)) " settlements wait for a person." }
            } }
        } @else {
            div.notice.bad role="alert" {
                p { strong { "The ledger does not hold." } " Look before anything else is done." }
                ul { @for difference in verification.differences.iter().take(20) { li {
                    (difference.invariant) ": " code { (difference.subject) } " has " (dollars(Nanos(difference.stored))) " and should have " (dollars(Nanos(difference.expected)))
                } } }
            }
        }
    }
}

/// The title of an admin page, with the way to the others.
fn heading(title: &str, here: &str) -> Markup {
    page::heading(
        title,
        &html! {
            nav.tabs aria-label="Admin" { @for (address, name) in PLACES {
                a href=(address) aria-current=[(address == here).then_some("page")] { (name) }
            } }
        },
    )
}
