//! What every engine's adapter does, and what is done to the results of all.
//!
//! Adapters are pure: a query and a wish become a request, bytes become sources. They own no socket, key or price.

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::SearchError;
use super::{brave, exa, firecrawl, parallel, perplexity, searxng, tavily};
use crate::domain::search::{Engine, Place, Source, Wish};
use crate::wire::Encoded;

pub(super) const TITLE_BYTES: usize = 200;
/// Longer addresses are not quoted, and their pages not either.
pub(super) const URL_BYTES: usize = 500;
const DATE_BYTES: usize = 40;
/// Engines' own words for what is wrong are this short.
const CODE_BYTES: usize = 64;

/// One engine's protocol.
pub(super) trait Adapter: Sync {
    /// The request for a query.
    fn request(&self, query: &str, wish: &Wish) -> Request;

    /// The pages in a 2xx body.
    fn sources(&self, body: &[u8]) -> Result<Vec<Source>, SearchError>;

    /// The engine's own word for an error, in a body that came with an error status.
    fn code(&self, body: &[u8]) -> Option<String>;
}

/// A request to an engine. Authentication is added by the sender.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) encoded: Encoded,
}

impl Request {
    /// A POST of JSON.
    pub(super) fn post(path: &str, body: &Value) -> Self {
        Request {
            method: Method::POST,
            encoded: Encoded::json(path, body.to_string()),
        }
    }

    /// A GET with a query.
    pub(super) fn get(path: &str, pairs: &[(&str, String)]) -> Self {
        // Pairs of texts can always be written.
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        Request {
            method: Method::GET,
            encoded: Encoded {
                path: format!("{path}?{query}"),
                headers: http::HeaderMap::new(),
                body: bytes::Bytes::new(),
            },
        }
    }
}

/// The code that speaks to an engine.
pub(super) fn adapter(engine: Engine) -> &'static dyn Adapter {
    match engine {
        Engine::Exa => &exa::Exa,
        Engine::Tavily => &tavily::Tavily,
        Engine::Brave => &brave::Brave,
        Engine::Firecrawl => &firecrawl::Firecrawl,
        Engine::Parallel => &parallel::Parallel,
        Engine::Searxng => &searxng::Searxng,
        Engine::Perplexity => &perplexity::Perplexity,
    }
}

/// Reads an engine's answer.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, SearchError> {
    // The parser's own words may quote what it read, which is no log's business.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        SearchError::Malformed(format!("line {line}, column {column}"))
    })
}

/// A word of an engine's, as far as it is one: logs show it.
pub(super) fn word(text: Option<String>) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    text.filter(|text| text.len() <= CODE_BYTES && text.bytes().all(plain) && !text.is_empty())
}

/// Reads a value that may be of another type, or null, as absent.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).ok())
}

/// `site:` operators for engines that filter by nothing else. What they let through is filtered here once more.
pub(super) fn with_sites(query: &str, wish: &Wish, most: usize) -> String {
    let sites = |places: &[Place], before: &str| {
        let sites = places.iter().take(most);
        let sites = sites.map(|place| format!("{before}site:{}", place.site()));
        sites.collect::<Vec<_>>()
    };
    let (included, excluded) = (
        sites(&wish.include, "").join(" OR "),
        sites(&wish.exclude, "-").join(" "),
    );
    let parts = [query, &included, &excluded];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// At most so many characters and words, whole words.
pub(super) fn cut_words(query: &str, characters: usize, words: usize) -> String {
    let mut kept = String::new();
    let mut left = characters;
    for word in query.split_whitespace().take(words) {
        let length = word.chars().count() + usize::from(!kept.is_empty());
        if length > left {
            break;
        }
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(word);
        left -= length;
    }
    if kept.is_empty() {
        // One word that is too long.
        kept.extend(query.trim().chars().take(characters));
    }
    kept
}

/// What is put before the model of what an engine found: pages of the web, each once, from the places that are wanted,
/// of bounded length.
pub(super) fn fitting(sources: Vec<Source>, wish: &Wish) -> Vec<Source> {
    let mut kept: Vec<Source> = Vec::new();
    for source in sources {
        if kept.len() == wish.max_results {
            break;
        }
        let held = |places: &[Place]| places.iter().any(|place| place.holds(&source.url));
        let wanted = (wish.include.is_empty() || held(&wish.include)) && !held(&wish.exclude);
        let known = kept.iter().any(|known| known.url == source.url);
        if wanted && !known && is_address(&source.url) {
            kept.push(Source {
                title: line(&source.title, TITLE_BYTES),
                published: source
                    .published
                    .map(|date| day(&date))
                    .filter(|date| !date.is_empty()),
                excerpt: clean(&source.excerpt, wish.excerpt),
                url: source.url,
            });
        }
    }
    kept
}

/// An address that can be quoted and cited: of the web, on one line, without what would end a markdown link early.
fn is_address(url: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !is_hidden(c) && !"<>\"`".contains(c);
    url.len() <= URL_BYTES
        && (url.starts_with("https://") || url.starts_with("http://"))
        && url.chars().all(plain)
}

/// Of a time the day is enough.
fn day(date: &str) -> String {
    let is_day = |day: &str| {
        day.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    };
    match date.get(..10) {
        Some(day) if is_day(day) => day.to_owned(),
        _ => line(date, DATE_BYTES),
    }
}

/// Text on one line, without what cannot be seen, cut to so many bytes.
pub(super) fn line(text: &str, most: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    clean(&words.join(" "), most)
}

/// Text without what cannot be seen, cut to so many bytes.
fn clean(text: &str, most: usize) -> String {
    let seen = text.chars().filter(|c| *c == '\n' || !is_hidden(*c));
    let mut cleaned = String::with_capacity(text.len().min(most));
    for character in seen {
        if cleaned.len() + character.len_utf8() > most {
            break;
        }
        cleaned.push(character);
    }
    cleaned.trim().to_owned()
}

/// Characters that a reader does not see and a model does: controls, marks of direction, and the tags that spell
/// instructions between the lines.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}
