//! Brave: `GET /web/search` (<https://api-dashboard.search.brave.com/documentation/services/web-search>).

use http::HeaderName;
use serde::Deserialize;

use super::engine::{Adapter, Request, cut_words, lenient, read, with_sites, word};
use super::failure::SearchError;
use crate::domain::search::{Location, Source, Wish};

/// Where its requests carry the key.
pub(super) const KEY: HeaderName = HeaderName::from_static("x-subscription-token");

/// It takes no longer queries, operators included.
const QUERY: usize = 400;
const WORDS: usize = 50;
/// It gives no more results.
const RESULTS: usize = 20;
/// Of the query's words so many may be operators.
const SITES: usize = 5;
/// What an operator may take of the query: a domain is rarely longer.
const SITE: usize = 32;

/// The countries that it knows; another is an error.
/// <https://api-dashboard.search.brave.com/app/documentation/web-search/codes>
const COUNTRIES: [&str; 37] = [
    "AR", "AU", "AT", "BE", "BR", "CA", "CL", "DK", "FI", "FR", "DE", "GR", "HK", "IN", "ID", "IT",
    "JP", "KR", "MY", "MX", "NL", "NZ", "NO", "CN", "PL", "PT", "PH", "RU", "SA", "ZA", "ES", "SE",
    "CH", "TW", "TR", "GB", "US",
];

pub(super) struct Brave;

#[derive(Deserialize)]
struct Answer {
    /// Absent where nothing was found.
    #[serde(default)]
    web: Pages,
}

#[derive(Default, Deserialize)]
struct Pages {
    #[serde(default)]
    results: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "lenient")]
    url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    description: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    extra_snippets: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    page_age: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    age: Option<String>,
}

#[derive(Deserialize)]
struct Fault {
    error: FaultCode,
}

#[derive(Deserialize)]
struct FaultCode {
    #[serde(default, deserialize_with = "lenient")]
    code: Option<String>,
}

impl Adapter for Brave {
    fn request(&self, query: &str, wish: &Wish) -> Request {
        let sites = wish.include.len().min(SITES) + wish.exclude.len().min(SITES);
        // Between two included sites stands an `OR`.
        let query = cut_words(query, QUERY - sites * SITE, WORDS - 2 * sites);
        let mut pairs = vec![
            ("q", with_sites(&query, wish, SITES)),
            ("count", wish.max_results.min(RESULTS).to_string()),
            ("result_filter", "web".to_owned()),
            // No markup for what was matched.
            ("text_decorations", "false".to_owned()),
        ];
        let country = wish.location.as_ref().and_then(Location::country_code);
        if let Some(country) = country.filter(|code| COUNTRIES.contains(&code.as_str())) {
            pairs.push(("country", country));
        }
        Request::get("/web/search", &pairs)
    }

    fn sources(&self, body: &[u8]) -> Result<Vec<Source>, SearchError> {
        let answer: Answer = read(body)?;
        let source = |page: Page| {
            let excerpts = page
                .description
                .into_iter()
                .chain(page.extra_snippets.into_iter().flatten());
            Source {
                url: page.url.unwrap_or_default(),
                title: page.title.unwrap_or_default(),
                published: page.page_age.or(page.age),
                excerpt: excerpts.collect::<Vec<_>>().join(" [...] "),
            }
        };
        Ok(answer.web.results.into_iter().map(source).collect())
    }

    fn code(&self, body: &[u8]) -> Option<String> {
        word(read::<Fault>(body).ok()?.error.code)
    }
}
