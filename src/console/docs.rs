//! `/docs/errors`: every word that names an error, explained. Error bodies point here.

use axum::response::Html;
use maud::{Markup, html};

use super::page::{self, Place, page};
use super::visit::Visit;
use crate::edge::error::{Availability, ErrorType};

/// One word and its explanation.
struct Entry {
    word: &'static str,
    meaning: &'static str,
    remedy: &'static str,
}

/// `GET /docs/errors`.
pub async fn errors(visit: Visit) -> Html<String> {
    let availability = Availability::ALL.iter().map(|code| Entry {
        word: code.as_str(),
        meaning: code.meaning(),
        remedy: code.remedy(),
    });
    let types = ErrorType::ALL.iter().map(|code| Entry {
        word: code.as_str(),
        meaning: code.meaning(),
        remedy: code.remedy(),
    });
    let body = html! {
        (page::heading("Errors", &html! {}))
        p.muted {
            "An error is JSON: " code { "error.code" } " is the HTTP status, " code { "error.message" } " is for people, and the words below are for programs. "
            "Requests that failed are not charged."
        }
        (section("availability", "Why no provider could serve", &html! {
            "These stand in " code { "error.availability.code" } ", with " code { "retryable" } " beside them."
        }, availability))
        (section("types", "Classes of errors", &html! {
            "These stand in " code { "error.metadata.error_type" } "."
        }, types))
    };
    page(&visit, Place::Nowhere, "Errors", &body)
}

fn section(
    id: &str,
    title: &str,
    where_found: &Markup,
    entries: impl Iterator<Item = Entry>,
) -> Markup {
    html! {
        section.card aria-labelledby=(id) {
            h2 id=(id) { (title) }
            p.muted { (where_found) }
            dl.words {
                @for entry in entries {
                    dt id=(entry.word) { a href=(format!("#{}", entry.word)) { code { (entry.word) } } }
                    dd { (entry.meaning) " " span.muted { (entry.remedy) } }
                }
            }
        }
    }
}
