//! Firecrawl: `POST /search` (<https://docs.firecrawl.dev/api-reference/endpoint/search>), its own service or a server
//! of the operator's.

use serde::Deserialize;
use serde_json::json;

use super::engine::{Adapter, Request, cut_words, lenient, read, word};
use super::failure::SearchError;
use crate::domain::search::{Location, Place, Source, Wish};

/// It takes no longer queries.
const QUERY: usize = 500;

pub(super) struct Firecrawl;

#[derive(Deserialize)]
struct Answer {
    success: bool,
    data: Option<Data>,
    #[serde(default, deserialize_with = "lenient")]
    code: Option<String>,
}

/// Lists by kind, or as older servers have it one list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    ByKind {
        #[serde(default)]
        web: Vec<Page>,
    },
    List(Vec<Page>),
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "lenient")]
    url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    description: Option<String>,
}

impl Adapter for Firecrawl {
    fn request(&self, query: &str, wish: &Wish) -> Request {
        let mut body = json!({
            "query": cut_words(query, QUERY, usize::MAX),
            "limit": wish.max_results,
        });
        // It takes one of the two; the other is filtered here.
        let (field, places) = match wish.include.as_slice() {
            [] => ("excludeDomains", &wish.exclude),
            _ => ("includeDomains", &wish.include),
        };
        if !places.is_empty() {
            body[field] = places.iter().map(Place::host).collect();
        }
        if let Some(country) = wish.location.as_ref().and_then(Location::country_code) {
            body["country"] = country.into();
        }
        Request::post("/search", &body)
    }

    fn sources(&self, body: &[u8]) -> Result<Vec<Source>, SearchError> {
        let answer: Answer = read(body)?;
        let pages = match answer.data {
            Some(Data::ByKind { web } | Data::List(web)) if answer.success => web,
            _ => {
                return Err(SearchError::Refused {
                    status: 200,
                    code: word(answer.code),
                });
            }
        };
        let source = |page: Page| Source {
            url: page.url.unwrap_or_default(),
            title: page.title.unwrap_or_default(),
            published: None,
            excerpt: page.description.unwrap_or_default(),
        };
        Ok(pages.into_iter().map(source).collect())
    }

    fn code(&self, body: &[u8]) -> Option<String> {
        word(read::<Answer>(body).ok()?.code)
    }
}
