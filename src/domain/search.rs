//! A web search (contract 8.2): who makes it, what is wanted of it, what it finds and what became of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::call::Spoken;
use super::money::Nanos;
use super::stop::Stop;

/// A search engine that the gateway can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Exa's search of the web by meaning.
    Exa,
    /// Tavily's search for agents.
    Tavily,
    /// Brave's index of the web.
    Brave,
    /// Firecrawl's search.
    Firecrawl,
    /// Parallel's search for agents.
    Parallel,
    /// SearXNG, which the operator runs and which asks others.
    Searxng,
    /// Perplexity's ranked results.
    Perplexity,
}

impl Engine {
    /// Every one there is; where several are configured and none is preferred, the first counts. Perplexity's key may be
    /// there for its models alone.
    pub const ALL: [Engine; 7] = [
        Engine::Exa,
        Engine::Tavily,
        Engine::Brave,
        Engine::Firecrawl,
        Engine::Parallel,
        Engine::Searxng,
        Engine::Perplexity,
    ];

    /// The engine's name in requests, records and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Engine::Exa => "exa",
            Engine::Tavily => "tavily",
            Engine::Brave => "brave",
            Engine::Firecrawl => "firecrawl",
            Engine::Parallel => "parallel",
            Engine::Searxng => "searxng",
            Engine::Perplexity => "perplexity",
        }
    }

    /// What an operator sets for it to be there: a variable, or a key of the configuration.
    pub fn needs(self) -> &'static str {
        match self {
            Engine::Exa => "EXA_API_KEY",
            Engine::Tavily => "TAVILY_API_KEY",
            Engine::Brave => "BRAVE_API_KEY",
            Engine::Firecrawl => "FIRECRAWL_API_KEY",
            Engine::Parallel => "PARALLEL_API_KEY",
            Engine::Searxng => "searxng.base_url",
            Engine::Perplexity => "PERPLEXITY_API_KEY",
        }
    }

    /// The engine of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Engine::ALL
            .into_iter()
            .find(|engine| engine.as_str() == name)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who is to search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Searcher {
    /// The provider where it can, else the configured engine.
    #[default]
    Any,
    /// The provider of the model, and nobody else.
    Native,
    /// This engine.
    Engine(Engine),
}

/// How thoroughly to search: Exa's words, then Parallel's. Engines that do not know a word search as they always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// At once.
    Instant,
    /// Quickly.
    Fast,
    /// As the engine thinks best.
    Auto,
    /// With some thought.
    DeepLite,
    /// With several searches in one.
    Deep,
    /// With reasoning over them.
    DeepReasoning,
    /// More thoroughly.
    Advanced,
    /// As usual.
    Basic,
    /// Most quickly.
    Turbo,
}

/// Where the person who asks is, roughly. For searches that are better for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Location {
    /// The city.
    pub city: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The country, best as an ISO 3166 code of two letters.
    pub country: Option<String>,
    /// The time zone, such as `Europe/Oslo`.
    pub timezone: Option<String>,
}

impl Location {
    /// The country's code, where the country is given by one.
    pub fn country_code(&self) -> Option<String> {
        let code = self.country.as_deref()?.trim();
        let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_code.then(|| code.to_ascii_uppercase())
    }
}

/// What a caller wants of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Who is to search.
    pub searcher: Searcher,
    /// At most so many results.
    pub max_results: usize,
    /// What stands above the results instead of the usual heading.
    pub heading: Option<String>,
    /// Results are from these places alone; from anywhere when there are none.
    pub include: Vec<Place>,
    /// Results are not from these.
    pub exclude: Vec<Place>,
    /// How thoroughly to search.
    pub mode: Option<Mode>,
    /// At most so many searches, where the model decides how many there are.
    pub max_uses: Option<u64>,
    /// Where the person is who asks.
    pub location: Option<Location>,
    /// Of each result so many bytes are quoted.
    pub excerpt: usize,
}

impl Wish {
    /// What is quoted of a result, unless it is said how much.
    pub const EXCERPT: usize = 2_000;
    /// Results of a search that says nothing of how many it wants (contract 8.2).
    pub const RESULTS: usize = 5;
    /// More results than this are not had.
    pub const MOST_RESULTS: usize = 25;
}

impl Default for Wish {
    fn default() -> Self {
        Wish {
            searcher: Searcher::Any,
            max_results: Wish::RESULTS,
            heading: None,
            include: Vec::new(),
            exclude: Vec::new(),
            mode: None,
            max_uses: None,
            location: None,
            excerpt: Wish::EXCERPT,
        }
    }
}

/// The server tool with which a model searches by itself (contract 8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchTool {
    /// What is wanted of each search.
    pub wish: Wish,
    /// Whether other tools are on offer beside it.
    pub among_others: bool,
    /// At most so many searches.
    pub max_uses: u64,
    /// At most so many results of all of them together.
    pub max_total_results: usize,
    /// The form of providers in whose own words it was asked for; `None` where they are the contract's.
    pub written_in: Option<Spoken>,
    /// What ends the steps before that, any of them.
    pub stops: Vec<Stop>,
}

impl SearchTool {
    /// Whether a tool of this type is the server tool, or stands for it: OpenAI's own search tools do.
    pub fn is_kind(kind: &str) -> bool {
        matches!(
            kind,
            "openrouter:web_search"
                | "web_search"
                | "web_search_preview"
                | "web_search_preview_2025_03_11"
                | "web_search_2025_08_26"
        )
    }
}

/// A part of the web: a domain, a wildcard such as `*.substack.com`, or a path such as `openai.com/blog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    written: String,
    host: String,
    path: String,
}

impl Place {
    const LONGEST: usize = 253;

    /// Reads a place. `None` for what is none: these words go into engines' queries, so they are held to what
    /// domains and paths are made of.
    pub fn parse(text: &str) -> Option<Self> {
        let written = text.trim().to_ascii_lowercase();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%*/".contains(&byte);
        if written.len() > Self::LONGEST || !written.bytes().all(plain) {
            return None;
        }
        let (host, path) = written.split_once('/').unwrap_or((&written, ""));
        let bare = host.strip_prefix("*.").unwrap_or(host);
        let labels = bare
            .split('.')
            .all(|label| !label.is_empty() && !label.contains(['*', '%', '~', '_']));
        let named = bare.contains('.') && labels && !path.contains('*');
        let (host, path) = (bare.to_owned(), path.trim_end_matches('/').to_owned());
        named.then_some(Place {
            written,
            host,
            path,
        })
    }

    /// The place as the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The domain alone, without wildcard and path.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Domain and path, without wildcard: what follows `site:` in a query.
    pub fn site(&self) -> String {
        match self.path.as_str() {
            "" => self.host.clone(),
            path => format!("{}/{path}", self.host),
        }
    }

    /// Whether an address lies there. A domain has its subdomains.
    pub fn holds(&self, url: &str) -> bool {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (authority, tail) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        let host = host.to_ascii_lowercase();
        let below = |host: &str| {
            host.strip_suffix(&self.host)
                .is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
        };
        let tail = tail.strip_prefix('/').unwrap_or(tail).to_ascii_lowercase();
        let inside = |tail: &str| {
            tail.strip_prefix(&self.path).is_some_and(|more| {
                self.path.is_empty() || more.is_empty() || more.starts_with(['/', '?', '#'])
            })
        };
        below(&host) && inside(&tail)
    }
}

/// A page that a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its address, `http` or `https`.
    pub url: String,
    /// Its title, on one line.
    pub title: String,
    /// When it was published, as far as the engine knows.
    pub published: Option<String>,
    /// What it says that is to the point; excerpts are joined by `[...]`.
    pub excerpt: String,
}

/// What became of a run's search.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searched {
    /// Who searched: an engine's name.
    pub engine: String,
    /// Whether the model asked for it, by the server tool, rather than the request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_the_model: bool,
    /// How often it asked, whatever came of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requested: u64,
    /// Searches that were made, and are charged.
    pub searches: u64,
    /// Results that were put before the model.
    pub results: u64,
    /// What the searches cost where the run is paid for.
    #[serde(with = "super::generation::nanos_integer")]
    pub price: Nanos,
    /// Why there are no results, in one word; `None` when the search went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_domains_and_paths_and_nothing_else() {
        for good in [
            "example.com",
            "*.substack.com",
            "openai.com/blog",
            "A.b-c.example/x%20y/",
        ] {
            assert!(Place::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "a b.com",
            "example.com OR x",
            "http://a.com",
            "a.com:80",
            "*",
            "*.*.com",
            "a..com",
            "a.com/*",
            "a.com?x=1",
            "user@a.com",
            "\"a.com\"",
            "a_b.com",
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
        assert_eq!(Place::parse(&format!("{}.com", "a".repeat(260))), None);
    }

    #[test]
    fn a_place_holds_what_lies_below_it() {
        let check = |place: &str, url: &str, expect: bool| {
            assert_eq!(
                Place::parse(place).unwrap().holds(url),
                expect,
                "{place} {url}"
            );
        };
        check("example.com", "https://example.com", true);
        check("example.com", "https://www.Example.com/a?b", true);
        check("example.com", "https://notexample.com/", false);
        check("example.com", "https://example.com.evil.net/", false);
        check("example.com", "https://evil.net/example.com", false);
        check("example.com", "https://example.com@evil.net/", false);
        check("example.com", "https://evil.net@example.com:443/", true);
        check("*.substack.com", "https://me.substack.com/p", true);
        check("openai.com/blog", "https://openai.com/blog/x", true);
        check("openai.com/blog", "https://openai.com/blog?x", true);
        check("openai.com/blog", "https://openai.com/blogs", false);
        check("openai.com/blog/", "https://openai.com/Blog", true);
    }

    #[test]
    fn a_country_is_a_code_or_none() {
        let code = |country: &str| {
            let country = Some(country.to_owned());
            Location {
                country,
                ..Location::default()
            }
            .country_code()
        };
        assert_eq!(code("us"), Some("US".to_owned()));
        assert_eq!(code("USA"), None);
        assert_eq!(code("Ü1"), None);
    }
}
