//! What an answer cites, as annotations (contract 3.6). A source without an address, as the caller's own documents and
//! the results of tools mostly are, has no form there.

use serde_json::json;

use crate::domain::json::Raw;
use crate::wire::shape::{Given, List, count, shape, word};

shape! {
    /// A place in the answer and where it comes from.
    CitationShape {
        kind = "type": Given<'a>,
        start = "start": Given<'a>,
        end = "end": Given<'a>,
        sources = "sources": List<SourceShape<'a>>,
    }
    /// A document of the request, or what a tool gave back.
    SourceShape {
        id = "id": Given<'a>,
        document = "document": PageShape<'a>,
        tool_output = "tool_output": PageShape<'a>,
    }
    /// What a source says of itself.
    PageShape {
        url = "url": Given<'a>,
        title = "title": Given<'a>,
    }
}

/// The sources with an address, as `url_citation`s.
pub(super) fn annotations(citations: &[CitationShape<'_>]) -> Option<Raw> {
    let cited: Vec<Raw> = citations.iter().flat_map(cited).collect();
    (!cited.is_empty()).then(|| Raw::array(cited.iter().map(Raw::as_str)))
}

fn cited<'a>(citation: &'a CitationShape<'_>) -> impl Iterator<Item = Raw> + 'a {
    // Thoughts are no text of the answer.
    let in_text = word(citation.kind).as_deref() != Some("THINKING_CONTENT");
    let sources = citation.sources.0.iter().filter(move |_| in_text);
    sources.filter_map(move |source| {
        let pages = [&source.document, &source.tool_output];
        let is_address = |id: &str| id.starts_with("https://") || id.starts_with("http://");
        let url = pages.iter().find_map(|page| word(page.url));
        let url = url.or_else(|| word(source.id).filter(|id| is_address(id)))?;
        let mut cited = json!({"url": url});
        if let Some(title) = pages.iter().find_map(|page| word(page.title)) {
            cited["title"] = json!(title);
        }
        for (name, place) in [("start_index", citation.start), ("end_index", citation.end)] {
            if let Some(place) = count(place) {
                cited[name] = json!(place);
            }
        }
        Raw::of(&json!({"type": "url_citation", "url_citation": cited})).ok()
    })
}
