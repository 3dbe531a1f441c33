//! Tavily: `POST /search` (<https://docs.tavily.com/documentation/api-reference/endpoint/search>).

use serde::Deserialize;
use serde_json::json;

use super::engine::{Adapter, Request, cut_words, lenient, read};
use super::failure::SearchError;
use crate::domain::search::{Place, Source, Wish};

/// It takes no longer queries.
const QUERY: usize = 400;
/// It gives no more results.
const RESULTS: usize = 20;

pub(super) struct Tavily;

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
    content: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    published_date: Option<String>,
}

impl Adapter for Tavily {
    fn request(&self, query: &str, wish: &Wish) -> Request {
        let mut body = json!({
            "query": cut_words(query, QUERY, usize::MAX),
            "max_results": wish.max_results.min(RESULTS),
            "search_depth": "basic",
        });
        for (field, places) in [
            ("include_domains", &wish.include),
            ("exclude_domains", &wish.exclude),
        ] {
            if !places.is_empty() {
                body[field] = places.iter().map(Place::host).collect();
            }
        }
        Request::post("/search", &body)
    }

    fn sources(&self, body: &[u8]) -> Result<Vec<Source>, SearchError> {
        let answer: Answer = read(body)?;
        let source = |page: Page| Source {
            url: page.url.unwrap_or_default(),
            title: page.title.unwrap_or_default(),
            published: page.published_date,
            excerpt: page.content.unwrap_or_default(),
        };
        Ok(answer.results.into_iter().map(source).collect())
    }

    /// Its errors are sentences.
    fn code(&self, _: &[u8]) -> Option<String> {
        None
    }
}
