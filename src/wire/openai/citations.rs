//! Sources that Perplexity and xAI list beside the choices, as annotations (contract 3.6).

use serde_json::json;

use crate::domain::json::Raw;
use crate::wire::shape::{Given, List, shape, word};

shape! {
    /// One of Perplexity's `search_results`.
    SourceShape {
        url = "url": Given<'a>,
        title = "title": Given<'a>,
    }
}

/// The sources as `url_citation`s; `search_results` have titles, `citations` are bare addresses.
pub(super) fn annotations(search_results: Given<'_>, citations: Given<'_>) -> Option<Raw> {
    let found = search_results.map(titled).filter(|found| !found.is_empty());
    let found = found
        .or_else(|| citations.map(bare))
        .filter(|found| !found.is_empty())?;
    Raw::of(&found).ok()
}

fn titled(results: &serde_json::value::RawValue) -> Vec<serde_json::Value> {
    let List(sources) =
        serde_json::from_str::<List<SourceShape<'_>>>(results.get()).unwrap_or_default();
    let cite = |source: &SourceShape<'_>| {
        let url = word(source.url)?;
        Some(match word(source.title) {
            Some(title) => {
                json!({"type": "url_citation", "url_citation": {"url": url, "title": title}})
            }
            None => json!({"type": "url_citation", "url_citation": {"url": url}}),
        })
    };
    sources.iter().filter_map(cite).collect()
}

fn bare(citations: &serde_json::value::RawValue) -> Vec<serde_json::Value> {
    let List(urls) = serde_json::from_str::<List<Given<'_>>>(citations.get()).unwrap_or_default();
    let cite =
        |url| word(url).map(|url| json!({"type": "url_citation", "url_citation": {"url": url}}));
    urls.into_iter().filter_map(cite).collect()
}
