//! Parallel: `POST /v1/search` (<https://docs.parallel.ai/api-reference/search>).

use http::HeaderName;
use serde::Deserialize;
use serde_json::json;

use super::engine::{Adapter, Request, cut_words, lenient, read};
use super::failure::SearchError;
use crate::domain::search::{Location, Mode, Place, Source, Wish};

/// Where its requests carry the key.
pub(super) const KEY: HeaderName = HeaderName::from_static("x-api-key");

/// It takes no longer keywords; what is asked goes beside them.
const QUERY: usize = 200;
/// It filters by no more domains (<https://docs.parallel.ai/search-api/source-policy>).
const DOMAINS: usize = 10;
/// It gives no shorter excerpts.
const SHORTEST: usize = 100;

pub(super) struct Parallel;

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
    #[serde(default, deserialize_with = "lenient")]
    publish_date: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    excerpts: Option<Vec<String>>,
}

impl Adapter for Parallel {
    fn request(&self, query: &str, wish: &Wish) -> Request {
        let mut settings = json!({
            "max_results": wish.max_results,
            "excerpt_settings": { "max_chars_per_result": wish.excerpt.max(SHORTEST) },
        });
        // It takes one of the two; the other is filtered here.
        let (field, places) = match wish.include.as_slice() {
            [] => ("exclude_domains", &wish.exclude),
            _ => ("include_domains", &wish.include),
        };
        if !places.is_empty() {
            let domains = places.iter().take(DOMAINS);
            settings["source_policy"][field] = domains.map(Place::host).collect();
        }
        if let Some(country) = wish.location.as_ref().and_then(Location::country_code) {
            settings["location"] = country.into();
        }
        let body = json!({
            "objective": query,
            "search_queries": [cut_words(query, QUERY, usize::MAX)],
            "mode": kind(wish.mode),
            "advanced_settings": settings,
        });
        Request::post("/v1/search", &body)
    }

    fn sources(&self, body: &[u8]) -> Result<Vec<Source>, SearchError> {
        let answer: Answer = read(body)?;
        let source = |page: Page| Source {
            url: page.url.unwrap_or_default(),
            title: page.title.unwrap_or_default(),
            published: page.publish_date,
            excerpt: page.excerpts.unwrap_or_default().join(" [...] "),
        };
        Ok(answer.results.into_iter().map(source).collect())
    }

    /// Its errors are sentences with a number.
    fn code(&self, _: &[u8]) -> Option<String> {
        None
    }
}

/// It has three modes today; `fast` was its word for the quickest before (contract 8.2).
fn kind(mode: Option<Mode>) -> &'static str {
    match mode {
        Some(Mode::Turbo | Mode::Fast) => "turbo",
        Some(Mode::Advanced) => "advanced",
        _ => "basic",
    }
}
