//! What an answer rests on: pages that the provider's search found, and pages that the text repeats.

use serde_json::json;

use crate::domain::json::Raw;
use crate::wire::shape::{Given, List, shape, word};

shape! {
    /// Sources that a search brought.
    GroundingShape {
        chunks = "groundingChunks": List<ChunkShape<'a>>,
        queries = "webSearchQueries": List<Given<'a>>,
    }
    /// A source: a page, a place, or, left out here, one of the caller's own documents.
    ChunkShape {
        web = "web": PageShape<'a>,
        maps = "maps": PageShape<'a>,
    }
    /// Sources of passages that the text repeats.
    CitationsShape {
        citations = "citations": List<PageShape<'a>>,
    }
    /// A page.
    PageShape {
        uri = "uri": Given<'a>,
        title = "title": Given<'a>,
    }
}

impl GroundingShape<'_> {
    /// How many searches were made; an empty one is none.
    pub(super) fn searches(&self) -> u64 {
        let queries = self
            .queries
            .0
            .iter()
            .filter(|query| word(**query).is_some());
        u64::try_from(queries.count()).unwrap_or(u64::MAX)
    }
}

/// The sources as annotations (contract 3.6), each address once: those not yet in `known`, which learns them. Where in
/// the text a source counts is left out, as it is told in bytes of a part.
pub(super) fn cited(
    known: &mut Vec<String>,
    grounding: &GroundingShape<'_>,
    citations: &CitationsShape<'_>,
) -> Vec<Raw> {
    let found = grounding
        .chunks
        .0
        .iter()
        .flat_map(|chunk| [&chunk.web, &chunk.maps]);
    let pages = found.chain(&citations.citations.0);
    pages
        .filter_map(|page| {
            let url = word(page.uri)?;
            if known.iter().any(|known| *known == url) {
                return None;
            }
            known.push(url.clone().into_owned());
            let mut cited = json!({"url": url});
            if let Some(title) = word(page.title) {
                cited["title"] = json!(title);
            }
            Raw::of(&json!({"type": "url_citation", "url_citation": cited})).ok()
        })
        .collect()
}
