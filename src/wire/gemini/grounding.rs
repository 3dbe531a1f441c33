//! What an answer rests on: pages that the provider's search found, and pages that the text repeats.

use serde_json::json;

use crate::domain::json::{JsonText, Raw, unescape};
use crate::wire::shape::{Given, List, count, shape, word};

/// More places in the text than this are not told.
const MOST_PLACES: usize = 128;
/// Nor are more pages.
const MOST_PAGES: usize = 512;

shape! {
    /// Sources that a search brought, and the passages of the answer that rest on them.
    GroundingShape {
        chunks = "groundingChunks": List<ChunkShape<'a>>,
        supports = "groundingSupports": List<SupportShape<'a>>,
        queries = "webSearchQueries": List<Given<'a>>,
    }
    /// A source: a page, a place, or, left out here, one of the caller's own documents.
    ChunkShape {
        web = "web": PageShape<'a>,
        maps = "maps": PageShape<'a>,
    }
    /// A passage, and the sources that it rests on by their position.
    SupportShape {
        segment = "segment": SegmentShape<'a>,
        chunks = "groundingChunkIndices": List<Given<'a>>,
    }
    /// Where a passage stands, in bytes of its part, and what it says.
    SegmentShape {
        start = "startIndex": Given<'a>,
        end = "endIndex": Given<'a>,
        text = "text": Given<'a>,
    }
    /// Sources of passages that the text repeats.
    CitationsShape {
        citations = "citations": List<RepeatedShape<'a>>,
    }
    /// A page, and where in the text it is repeated, in bytes.
    RepeatedShape {
        uri = "uri": Given<'a>,
        title = "title": Given<'a>,
        start = "startIndex": Given<'a>,
        end = "endIndex": Given<'a>,
    }
    /// A page.
    PageShape {
        uri = "uri": Given<'a>,
        title = "title": Given<'a>,
    }
}

/// The sources of one candidate so far.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The candidate's text, escaped as it came: places are told in bytes of it, and wanted in characters.
    said: Vec<u8>,
    pages: Vec<Page>,
    places: Vec<Place>,
    /// So many of the places were told already.
    told: usize,
}

#[derive(Debug)]
struct Page {
    url: String,
    title: Option<String>,
    /// Whether it was told, with a place or without.
    told: bool,
}

/// A passage that rests on a page.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// Its position among the pages.
    page: usize,
    start: usize,
    end: usize,
    text: Option<String>,
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

impl Sources {
    /// Takes note of a piece of the text.
    pub(super) fn said(&mut self, piece: &JsonText) {
        self.said.extend_from_slice(piece.escaped());
    }

    /// Takes note of sources and passages. What is told again is known.
    pub(super) fn learn(&mut self, grounding: &GroundingShape<'_>, citations: &CitationsShape<'_>) {
        let chunks: Vec<Option<usize>> = grounding
            .chunks
            .0
            .iter()
            .map(|chunk| {
                let page = [&chunk.web, &chunk.maps]
                    .into_iter()
                    .find(|page| page.uri.is_some())?;
                self.page(page.uri, page.title)
            })
            .collect();
        for support in &grounding.supports.0 {
            let SegmentShape { start, end, text } = support.segment;
            for chunk in &support.chunks.0 {
                let chunk = count(*chunk).and_then(|chunk| usize::try_from(chunk).ok());
                let page = chunk.and_then(|chunk| *chunks.get(chunk)?);
                self.place(page, start, end, text);
            }
        }
        for repeated in &citations.citations.0 {
            let page = self.page(repeated.uri, repeated.title);
            self.place(page, repeated.start, repeated.end, None);
        }
    }

    /// The annotations (contract 3.6) that were not told yet, once the text is complete: one for each passage and page
    /// that it rests on, in the order of the text, then one for each page that no passage rests on.
    pub(super) fn annotations(&mut self) -> Vec<Raw> {
        if self.pages.iter().all(|page| page.told) && self.told == self.places.len() {
            return Vec::new();
        }
        let text = unescape(&self.said);
        let new = self.places.iter().skip(self.told);
        let found = new.filter_map(|place| Some((place.page, place.characters(&text)?)));
        let mut found: Vec<(usize, (usize, usize))> = found.collect();
        self.told = self.places.len();
        found.sort_by_key(|(_, (start, _))| *start);
        let mut annotations = Vec::new();
        for (page, place) in found {
            if let Some(page) = self.pages.get_mut(page) {
                page.told = true;
                annotations.extend(page.annotation(Some(place)));
            }
        }
        for page in self.pages.iter_mut().filter(|page| !page.told) {
            page.told = true;
            annotations.extend(page.annotation(None));
        }
        annotations
    }

    /// The position of a page among the pages; each address is there once.
    fn page(&mut self, uri: Given<'_>, title: Given<'_>) -> Option<usize> {
        let url = word(uri)?;
        if let Some(known) = self.pages.iter().position(|known| known.url == url) {
            return Some(known);
        }
        (self.pages.len() < MOST_PAGES).then(|| {
            self.pages.push(Page {
                url: url.into_owned(),
                title: word(title).map(Into::into),
                told: false,
            });
            self.pages.len() - 1
        })
    }

    /// A passage from `start` to `end`, in bytes; a beginning that is left out is that of the text.
    fn place(&mut self, page: Option<usize>, start: Given<'_>, end: Given<'_>, text: Given<'_>) {
        let index = |given| usize::try_from(count(given)?).ok();
        let (Some(page), Some(end)) = (page, index(end)) else {
            return;
        };
        let place = Place {
            page,
            start: index(start).unwrap_or(0),
            end,
            text: word(text).map(Into::into),
        };
        if self.places.len() < MOST_PLACES && !self.places.contains(&place) {
            self.places.push(place);
        }
    }
}

impl Page {
    fn annotation(&self, place: Option<(usize, usize)>) -> Option<Raw> {
        let mut cited = json!({"url": self.url});
        if let Some(title) = &self.title {
            cited["title"] = json!(title);
        }
        if let Some((start, end)) = place {
            cited["start_index"] = start.into();
            cited["end_index"] = end.into();
        }
        Raw::of(&json!({"type": "url_citation", "url_citation": cited})).ok()
    }
}

impl Place {
    /// From which character of the text to which the passage goes; `None` where the text has no such passage.
    ///
    /// A place counts from the beginning of its part, and a stream does not say where parts begin: where other words
    /// stand there, the passage is looked for from there on.
    fn characters(&self, text: &str) -> Option<(usize, usize)> {
        let says = |passage: &str| self.text.as_deref().is_none_or(|said| said == passage);
        let (start, end) = match text.get(self.start..self.end) {
            Some(passage) if says(passage) => (self.start, self.end),
            _ => {
                let said = self.text.as_deref()?;
                let from = text.floor_char_boundary(self.start);
                let start = from + text.get(from..)?.find(said)?;
                (start, start + said.len())
            }
        };
        let characters =
            |passage: Option<&str>| passage.map_or(0, |passage| passage.chars().count());
        let first = characters(text.get(..start));
        Some((first, first + characters(text.get(start..end))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The addresses that a text of these pieces cites, each with its passage.
    #[track_caller]
    fn check(pieces: &[&str], grounding: &[Value], citations: &Value, expect: &[(&str, &str)]) {
        let mut sources = Sources::default();
        for piece in pieces {
            sources.said(&JsonText::of(piece));
        }
        let citations = citations.to_string();
        for grounding in grounding {
            let grounding = grounding.to_string();
            sources.learn(
                &serde_json::from_str(&grounding).unwrap(),
                &serde_json::from_str(&citations).unwrap(),
            );
        }
        let text: Vec<char> = pieces.concat().chars().collect();
        let index = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let told = sources.annotations().into_iter().map(|raw| {
            let cited = raw.parse::<Value>().unwrap()["url_citation"].clone();
            let url = cited["url"].as_str().unwrap().to_owned();
            let passage = match &cited["start_index"] {
                Value::Null => String::new(),
                start => text[index(start)..index(&cited["end_index"])]
                    .iter()
                    .collect(),
            };
            (url, passage)
        });
        let told: Vec<(String, String)> = told.collect();
        let told: Vec<(&str, &str)> = told.iter().map(|(url, text)| (&**url, &**text)).collect();
        assert_eq!(told, expect);
        assert!(sources.annotations().is_empty(), "they are told once");
    }

    fn found(supports: Value) -> Value {
        json!({"groundingChunks": [{"web": {"uri": "a", "title": "A"}}, {"retrievedContext": {"uri": "mine"}}, {"maps": {"uri": "b"}}],
            "groundingSupports": supports})
    }

    #[test]
    fn bytes_become_characters() {
        let supports = json!([
            {"segment": {"startIndex": 9, "endIndex": 13, "text": "Reds"}, "groundingChunkIndices": [0, 1, 2, 9]},
            {"segment": {"endIndex": 6, "text": "Ü🦀"}, "groundingChunkIndices": [2]},
        ]);
        check(
            &["Ü🦀", "\n: Reds won"],
            &[found(supports)],
            &json!({}),
            &[("b", "Ü🦀"), ("a", "Reds"), ("b", "Reds")],
        );
    }

    #[test]
    fn a_passage_of_a_later_part_is_looked_for() {
        let supports = json!([{"segment": {"partIndex": 1, "startIndex": 1, "endIndex": 5, "text": "Reds"}, "groundingChunkIndices": [0]}]);
        check(
            &["Let me see. ", "\"Reds\" won"],
            &[found(supports)],
            &json!({}),
            &[("a", "Reds"), ("b", "")],
        );
    }

    #[test]
    fn what_is_told_twice_counts_once_and_what_cannot_be_is_without_a_place() {
        let support = |end: u64, text: &str| json!([{"segment": {"endIndex": end, "text": text}, "groundingChunkIndices": [0]}]);
        check(
            &["Reds won"],
            &[found(support(4, "Reds")), found(support(4, "Reds"))],
            &json!({"citations": [{"uri": "c", "startIndex": 5, "endIndex": 8}, {"uri": "d", "endIndex": 99}]}),
            &[("a", "Reds"), ("c", "won"), ("b", ""), ("d", "")],
        );
        check(
            &["Reds won"],
            &[found(support(4, "Blues"))],
            &json!({}),
            &[("a", ""), ("b", "")],
        );
    }
}
