//! SearXNG: `GET /search?format=json` of a server of the operator's (<https://docs.searxng.org/dev/search_api.html>).
//! JSON must stand among `search.formats` of its settings; it answers 403 otherwise.

use serde::Deserialize;
use serde_json::Value;

use super::engine::{Adapter, Request, lenient, read, with_sites};
use super::failure::SearchError;
use crate::domain::search::{Source, Wish};

/// More operators than this are more than most of its engines take.
const SITES: usize = 5;

pub(super) struct Searxng;

#[derive(Deserialize)]
struct Answer {
    results: Vec<Page>,
    /// Engines that did not answer it, each with the reason.
    #[serde(default)]
    unresponsive_engines: Vec<Value>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "lenient")]
    url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    content: Option<String>,
    #[serde(default, rename = "publishedDate", deserialize_with = "lenient")]
    published: Option<String>,
}

impl Adapter for Searxng {
    fn request(&self, query: &str, wish: &Wish) -> Request {
        let pairs = [
            ("q", with_sites(&without_commands(query), wish, SITES)),
            ("format", "json".to_owned()),
            ("pageno", "1".to_owned()),
        ];
        Request::get("/search", &pairs)
    }

    fn sources(&self, body: &[u8]) -> Result<Vec<Source>, SearchError> {
        let answer: Answer = read(body)?;
        if answer.results.is_empty() && !answer.unresponsive_engines.is_empty() {
            return Err(SearchError::Unresponsive);
        }
        let source = |page: Page| Source {
            url: page.url.unwrap_or_default(),
            title: page.title.unwrap_or_default(),
            published: page.published,
            excerpt: page.content.unwrap_or_default(),
        };
        Ok(answer.results.into_iter().map(source).collect())
    }

    /// Its errors are pages for people.
    fn code(&self, _: &[u8]) -> Option<String> {
        None
    }
}

/// Words that command rather than ask lose their mark: `!bing` chooses an engine, `!!` leads elsewhere, `:de` sets the
/// language, `<9` the time (<https://docs.searxng.org/user/search-syntax.html>). Which engines are asked is the
/// operator's to say.
fn without_commands(query: &str) -> String {
    let words = query
        .split_whitespace()
        .map(|word| word.trim_start_matches(['!', '?', ':', '<']));
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
