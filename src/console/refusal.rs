//! Why a page is not shown, said in a page.

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use maud::html;

use super::{page, visit};
use crate::store::StoreError;

/// Why a page is not shown, or a form not taken.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such thing, or it belongs to somebody else: which one is not said.
    NotFound,
    /// For admins alone.
    AdminsOnly,
    /// A form without the token of its page, or from another site.
    Forged,
    /// A form that a browser did not make.
    BadForm(String),
    /// The database does not answer.
    Away(StoreError),
    /// A fault of ours.
    Broken,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::Away(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, title, what) = match &self {
            Refusal::NotFound => (
                StatusCode::NOT_FOUND,
                "Nothing here",
                "This page does not exist, or it belongs to another account.",
            ),
            Refusal::AdminsOnly => (
                StatusCode::FORBIDDEN,
                "For admins",
                "Your account may not see this page. Ask an admin of this gateway.",
            ),
            Refusal::Forged => (
                StatusCode::FORBIDDEN,
                "This form is out of date",
                "Go back, reload the page and try again.",
            ),
            Refusal::BadForm(reason) => (
                StatusCode::BAD_REQUEST,
                "That form cannot be read",
                reason.as_str(),
            ),
            Refusal::Away(error) => {
                tracing::error!(%error, "a page cannot be shown");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The database does not answer",
                    "Try again in a moment.",
                )
            }
            Refusal::Broken => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "That should not have happened",
                "Try again, and tell an admin if it happens again.",
            ),
        };
        let body = html! {
            section.narrow.card.center {
                h1 { (title) }
                p.muted { (what) }
                p { a.button href="/" { "Go to the start page" } }
            }
        };
        let page = Html(page::bare(title, &body).into_string());
        let mut response = (status, page).into_response();
        visit::protect(response.headers_mut());
        response
    }
}
