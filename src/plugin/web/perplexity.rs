//! Perplexity's raw results: `POST /search` (<https://docs.perplexity.ai/api-reference/search-post>).

use serde::Deserialize;
use serde_json::json;

use super::engine::{Adapter, Request, lenient, read, word};
use super::failure::SearchError;
use crate::domain::search::{Location, Place, Source, Wish};

/// It gives no more results.
const RESULTS: usize = 20;
/// It filters by no more domains.
const DOMAINS: usize = 20;
/// It measures excerpts in tokens, which have about so many bytes.
const BYTES_A_TOKEN: usize = 4;

pub(super) struct Perplexity;

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
    snippet: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    date: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    last_updated: Option<String>,
}

#[derive(Deserialize)]
struct Fault {
    error: FaultType,
}

#[derive(Deserialize)]
struct FaultType {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
}

impl Adapter for Perplexity {
    fn request(&self, query: &str, wish: &Wish) -> Request {
        let mut body = json!({
            "query": query,
            "max_results": wish.max_results.min(RESULTS),
            "max_tokens_per_page": wish.excerpt.div_ceil(BYTES_A_TOKEN),
        });
        // A list of those that are wanted, or of those that are not, each with a minus before it.
        let (places, before) = match wish.include.as_slice() {
            [] => (&wish.exclude, "-"),
            _ => (&wish.include, ""),
        };
        if !places.is_empty() {
            let domains = places.iter().take(DOMAINS);
            let domains = domains.map(|place| format!("{before}{}", Place::host(place)));
            body["search_domain_filter"] = domains.collect();
        }
        if let Some(country) = wish.location.as_ref().and_then(Location::country_code) {
            body["country"] = country.into();
        }
        Request::post("/search", &body)
    }

    fn sources(&self, body: &[u8]) -> Result<Vec<Source>, SearchError> {
        let answer: Answer = read(body)?;
        let source = |page: Page| Source {
            url: page.url.unwrap_or_default(),
            title: page.title.unwrap_or_default(),
            published: page.date.or(page.last_updated),
            excerpt: page.snippet.unwrap_or_default(),
        };
        Ok(answer.results.into_iter().map(source).collect())
    }

    fn code(&self, body: &[u8]) -> Option<String> {
        word(read::<Fault>(body).ok()?.error.kind)
    }
}
