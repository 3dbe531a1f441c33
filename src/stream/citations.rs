//! Where an answer cites the pages that were searched for it (contract 3.6): found once the answer is complete, since a
//! link may come in pieces.

use serde_json::{Value, json};

use crate::domain::event::{Choice, Event, Reply};
use crate::domain::json::{JsonText, Raw, unescape};
use crate::domain::search::Source;

/// More places than this are not listed.
const MOST: usize = 128;
/// The label of a link is looked for so far back.
const LABEL: usize = 300;

/// An answer that may cite, so far.
#[derive(Debug)]
pub struct Citations {
    sources: Vec<Source>,
    said: Vec<Said>,
}

/// What one choice says, escaped as it came.
#[derive(Debug)]
struct Said {
    choice: u32,
    text: Vec<u8>,
}

impl Citations {
    /// Listens for citations of these pages; `None` when there are none to cite.
    pub fn of(sources: Vec<Source>) -> Option<Self> {
        (!sources.is_empty()).then(|| Citations {
            sources,
            said: Vec::new(),
        })
    }

    /// Listens for citations of pages that are yet to be found.
    pub fn awaiting() -> Self {
        Citations {
            sources: Vec::new(),
            said: Vec::new(),
        }
    }

    /// The pages that may be cited.
    pub fn found(&mut self, sources: Vec<Source>) {
        self.sources.extend(sources);
    }

    /// Takes note of one step of a stream.
    pub fn event(&mut self, event: &Event) {
        if let Event::Choice(choice) = event {
            self.choice(choice.index, choice.message.content.as_ref());
        }
    }

    /// Adds the annotations to a whole answer, behind those that it has.
    pub fn annotate(mut self, reply: &mut Reply) {
        for choice in &mut reply.choices {
            self.choice(choice.index, choice.message.content.as_ref());
            let annotations = self.annotations(choice.index);
            let known = choice.message.annotations.take();
            let known = known.as_ref().and_then(Raw::elements).unwrap_or_default();
            let all = known.iter().chain(&annotations);
            choice.message.annotations = Some(Raw::array(all.map(Raw::as_str)));
        }
    }

    /// The annotations of a stream, as pieces of its choices: its last ones before the finish reasons.
    pub fn finish(self) -> Vec<Choice> {
        if self.sources.is_empty() {
            return Vec::new();
        }
        let annotated = |said: &Said| {
            let mut choice = Choice {
                index: said.choice,
                ..Choice::default()
            };
            let annotations = self.annotations(said.choice);
            choice.message.annotations = Some(Raw::array(annotations.iter().map(Raw::as_str)));
            choice
        };
        self.said.iter().map(annotated).collect()
    }

    fn choice(&mut self, choice: u32, content: Option<&JsonText>) {
        let Some(content) = content else { return };
        match self.said.iter_mut().find(|said| said.choice == choice) {
            Some(said) => said.text.extend_from_slice(content.escaped()),
            None => self.said.push(Said {
                choice,
                text: content.escaped().to_vec(),
            }),
        }
    }

    /// One for each place where the answer cites a page, in the answer's order, then one for each page that it does not.
    fn annotations(&self, choice: u32) -> Vec<Raw> {
        let said = self.said.iter().find(|said| said.choice == choice);
        let text = said.map_or_else(String::new, |said| unescape(&said.text));
        let mut cited: Vec<(Place, &Source)> = Vec::new();
        for source in &self.sources {
            let left = MOST.saturating_sub(cited.len());
            let places = places(&text, &source.url).take(left);
            cited.extend(places.map(|place| (place, source)));
        }
        cited.sort_by_key(|(place, _)| place.start);
        let uncited = self
            .sources
            .iter()
            .filter(|source| !cited.iter().any(|(_, known)| known.url == source.url));
        let mut characters = Characters::of(&text);
        let in_text: Vec<Value> = cited
            .iter()
            .map(|(place, source)| {
                let mut citation = citation(source);
                let start = characters.until(place.start);
                // Counted without moving on: the next place may begin before this one ends.
                let length = text
                    .get(place.start..place.end)
                    .map_or(0, |link| link.chars().count());
                citation["url_citation"]["start_index"] = start.into();
                citation["url_citation"]["end_index"] = (start + length).into();
                citation
            })
            .collect();
        let all = in_text.into_iter().chain(uncited.map(citation));
        all.filter_map(|annotation| Raw::of(&annotation).ok())
            .collect()
    }
}

fn citation(source: &Source) -> Value {
    let mut citation = json!({ "url": source.url });
    for (name, value) in [("title", &source.title), ("content", &source.excerpt)] {
        if !value.is_empty() {
            citation[name] = value.as_str().into();
        }
    }
    json!({ "type": "url_citation", "url_citation": citation })
}

/// From where to where in the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: usize,
    end: usize,
}

/// Where the text has the address: the whole link where it stands in one, itself where it stands alone.
fn places<'a>(text: &'a str, url: &'a str) -> impl Iterator<Item = Place> + 'a {
    text.match_indices(url).filter_map(move |(at, _)| {
        let end = at + url.len();
        let (before, after) = (text.get(..at)?, text.get(end..)?);
        // A longer address is another page.
        if !ends_here(after) {
            return None;
        }
        let slash = usize::from(after.starts_with('/'));
        let linked = before.strip_suffix("](").and_then(label);
        let closes = after
            .get(slash..)
            .is_some_and(|after| after.starts_with(')'));
        Some(match linked {
            Some(start) if closes => Place {
                start,
                end: end + slash + 1,
            },
            _ => Place { start: at, end },
        })
    })
}

/// Where the label that ends here begins, its bracket included.
fn label(before: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, character) in before.char_indices().rev().take(LABEL) {
        match character {
            '\n' => return None,
            ']' => depth += 1,
            '[' if depth == 0 => return Some(at),
            '[' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether an address may end before `after`: at its end, at what no address has, or at a mark that ends a sentence.
fn ends_here(after: &str) -> bool {
    let after = after.strip_prefix('/').unwrap_or(after);
    let mut rest = after.chars();
    match rest.next() {
        None => true,
        Some(c) if c.is_whitespace() || ")]}>\"'`*|".contains(c) => true,
        Some('.' | ',' | ';' | ':' | '!' | '?') => rest
            .next()
            .is_none_or(|next| next.is_whitespace() || ")]\"'*_".contains(next)),
        Some(_) => false,
    }
}

/// Counts the characters before one byte after the other.
struct Characters<'a> {
    text: &'a str,
    at: usize,
    counted: usize,
}

impl<'a> Characters<'a> {
    fn of(text: &'a str) -> Self {
        Characters {
            text,
            at: 0,
            counted: 0,
        }
    }

    /// The characters before a byte that is no earlier than the last one asked for.
    fn until(&mut self, byte: usize) -> usize {
        let passed = self.text.get(self.at..byte);
        self.counted += passed.map_or(0, |passed| passed.chars().count());
        self.at = byte;
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(url: &str) -> Source {
        Source {
            url: url.to_owned(),
            title: "T".to_owned(),
            excerpt: "e".to_owned(),
            published: None,
        }
    }

    /// The address and the cited text of each annotation, as their indices tell.
    fn cited(pieces: &[&str], urls: &[&str]) -> Vec<(String, String)> {
        let sources = urls.iter().map(|url| source(url)).collect();
        let mut citations = Citations::of(sources).unwrap();
        for piece in pieces {
            citations.choice(0, Some(&JsonText::of(piece)));
        }
        let text: Vec<char> = pieces.concat().chars().collect();
        let index = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let told = |raw: Raw| {
            let citation = raw.parse::<Value>().unwrap()["url_citation"].clone();
            let url = citation["url"].as_str().unwrap().to_owned();
            let cited = match &citation["start_index"] {
                Value::Null => String::new(),
                start => text[index(start)..index(&citation["end_index"])]
                    .iter()
                    .collect(),
            };
            (url, cited)
        };
        citations.annotations(0).into_iter().map(told).collect()
    }

    #[track_caller]
    fn check(pieces: &[&str], urls: &[&str], expect: &[(&str, &str)]) {
        let owned = |(url, cited): &(&str, &str)| ((*url).to_owned(), (*cited).to_owned());
        assert_eq!(
            cited(pieces, urls),
            expect.iter().map(owned).collect::<Vec<_>>()
        );
    }

    const A: &str = "https://a.example/x";

    #[test]
    fn links_are_cited_from_bracket_to_parenthesis() {
        check(
            &["Reds won [a.example](https://a.exa", "mple/x)."],
            &[A],
            &[(A, "[a.example](https://a.example/x)")],
        );
        check(
            &["Ünïcode 🦀 [ä [b]](https://a.example/x/) z"],
            &[A],
            &[(A, "[ä [b]](https://a.example/x/)")],
        );
        check(
            &["See https://a.example/x. Or <https://a.example/x>"],
            &[A],
            &[(A, A), (A, A)],
        );
        check(&["[broken(https://a.example/x"], &[A], &[(A, A)]);
        check(&["a\n](https://a.example/x)"], &[A], &[(A, A)]);
    }

    #[test]
    fn a_longer_address_is_another_page() {
        let longer = "https://a.example/x/y";
        check(
            &["[y](https://a.example/x/y)"],
            &[A, longer],
            &[(longer, "[y](https://a.example/x/y)"), (A, "")],
        );
        check(
            &["https://a.example/xy https://a.example/x?q https://a.example/x.html"],
            &[A],
            &[(A, "")],
        );
    }

    #[test]
    fn pages_that_are_not_cited_come_last_and_without_a_place() {
        let b = "https://b.example";
        check(&["Nothing."], &[A, b], &[(A, ""), (b, "")]);
        check(
            &["[b](https://b.example) and [a](https://a.example/x)"],
            &[A, b],
            &[
                (b, "[b](https://b.example)"),
                (A, "[a](https://a.example/x)"),
            ],
        );
        assert!(Citations::of(Vec::new()).is_none());
    }

    #[test]
    fn only_so_many_places_are_listed() {
        let text = "https://a.example/x ".repeat(500);
        assert_eq!(cited(&[&text], &[A]).len(), MOST);
    }
}
