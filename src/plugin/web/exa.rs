//! Exa: `POST /search` (<https://exa.ai/docs/reference/search>).

use http::HeaderName;
use serde::Deserialize;
use serde_json::json;

use super::engine::{Adapter, Request, lenient, read, word};
use super::failure::SearchError;
use crate::domain::search::{Location, Mode, Place, Source, Wish};

/// Where its requests carry the key.
pub(super) const KEY: HeaderName = HeaderName::from_static("x-api-key");

pub(super) struct Exa;

#[derive(Deserialize)]
struct Answer {
    results: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "lenient")]
    url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    #[serde(default, rename = "publishedDate", deserialize_with = "lenient")]
    published: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    highlights: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default, deserialize_with = "lenient")]
    tag: Option<String>,
}

impl Adapter for Exa {
    fn request(&self, query: &str, wish: &Wish) -> Request {
        let mut body = json!({
            "query": query,
            "type": kind(wish.mode),
            "numResults": wish.max_results,
            "contents": { "highlights": { "maxCharacters": wish.excerpt } },
        });
        // Wildcards and paths are its own words too.
        for (field, places) in [
            ("includeDomains", &wish.include),
            ("excludeDomains", &wish.exclude),
        ] {
            if !places.is_empty() {
                body[field] = places.iter().map(Place::as_str).collect();
            }
        }
        if let Some(country) = wish.location.as_ref().and_then(Location::country_code) {
            body["userLocation"] = country.into();
        }
        Request::post("/search", &body)
    }

    fn sources(&self, body: &[u8]) -> Result<Vec<Source>, SearchError> {
        let answer: Answer = read(body)?;
        let source = |page: Page| Source {
            url: page.url.unwrap_or_default(),
            title: page.title.unwrap_or_default(),
            published: page.published,
            excerpt: page
                .highlights
                .filter(|highlights| !highlights.is_empty())
                .map(|highlights| highlights.join(" [...] "))
                .or(page.text)
                .unwrap_or_default(),
        };
        Ok(answer.results.into_iter().map(source).collect())
    }

    fn code(&self, body: &[u8]) -> Option<String> {
        word(read::<Fault>(body).ok()?.tag)
    }
}

fn kind(mode: Option<Mode>) -> &'static str {
    match mode {
        Some(Mode::Instant) => "instant",
        Some(Mode::Fast) => "fast",
        Some(Mode::DeepLite) => "deep-lite",
        Some(Mode::Deep) => "deep",
        Some(Mode::DeepReasoning) => "deep-reasoning",
        Some(Mode::Auto | Mode::Turbo | Mode::Basic | Mode::Advanced) | None => "auto",
    }
}
