//! Each search engine as its documentation shows it: what it is asked, what is read of its answers and its errors.

use std::time::Duration;

use serde_json::{Value, json};
use turnpike::domain::search::{Engine, Location, Mode, Place, Source, Wish};
use turnpike::domain::secret::Secret;
use turnpike::plugin::web::{EngineSettings, OnFailure, Price, SearchError, Settings, WebSearch};
use turnpike::transport::Transport;

use crate::support::upstream::{Seen, Step, Upstream, json_body};

fn fixture(engine: Engine) -> Value {
    let text = match engine {
        Engine::Exa => include_str!("../fixtures/search/exa.json"),
        Engine::Tavily => include_str!("../fixtures/search/tavily.json"),
        Engine::Brave => include_str!("../fixtures/search/brave.json"),
        Engine::Firecrawl => include_str!("../fixtures/search/firecrawl.json"),
        Engine::Parallel => include_str!("../fixtures/search/parallel.json"),
        Engine::Searxng => include_str!("../fixtures/search/searxng.json"),
        Engine::Perplexity => include_str!("../fixtures/search/perplexity.json"),
    };
    serde_json::from_str(text).unwrap()
}

fn settings(engine: Engine, upstream: &Upstream) -> EngineSettings {
    EngineSettings {
        engine,
        base_url: format!("http://{}/v9", upstream.address),
        key: (engine != Engine::Searxng).then(|| Secret::new("the-key")),
        price: Price::default(),
    }
}

fn searcher() -> WebSearch {
    let settings = Settings {
        preferred: None,
        timeout: Duration::from_secs(5),
        on_failure: OnFailure::Answer,
        engines: Vec::new(),
    };
    WebSearch::new(Transport::new(&[]).unwrap(), settings)
}

/// Searches where the engine answers this; what was found, and what it was asked.
async fn search(
    engine: Engine,
    status: u16,
    body: Value,
    wish: &Wish,
    query: &str,
) -> (Result<Vec<Source>, SearchError>, Seen) {
    let upstream = Upstream::start(move |_| json_body(status, &body)).await;
    let found = searcher()
        .search(&settings(engine, &upstream), wish, query)
        .await;
    let seen = upstream.seen().remove(0);
    (found, seen)
}

fn full_wish() -> Wish {
    let places = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| Place::parse(text).unwrap())
            .collect()
    };
    Wish {
        max_results: 3,
        include: places(&["*.sport.example", "news.example/blog"]),
        exclude: places(&["bad.example"]),
        mode: Some(Mode::Deep),
        location: Some(Location {
            country: Some("no".to_owned()),
            city: Some("Oslo".to_owned()),
            ..Location::default()
        }),
        ..Wish::default()
    }
}

#[tokio::test]
async fn documented_answers_are_read() {
    for engine in Engine::ALL {
        let answer = fixture(engine)["answer"].clone();
        let (found, seen) = search(engine, 200, answer, &Wish::default(), "who won").await;
        let found = found.unwrap();
        let urls: Vec<&str> = found.iter().map(|source| source.url.as_str()).collect();
        assert_eq!(
            urls,
            ["https://sport.example/a", "https://sport.example/b"],
            "{engine}"
        );
        assert_eq!(found[0].title, "Match report");
        assert_eq!(
            found[0].excerpt, "The reds won 2:1. [...] Full time was late.",
            "{engine}"
        );
        assert_eq!(found[1].excerpt, "The blues lost.");
        let date = match engine {
            Engine::Tavily => Some("Sun, 29 Nov 2026 21:36:32 GMT"),
            Engine::Firecrawl => None,
            _ => Some("2026-11-29"),
        };
        assert_eq!(found[0].published.as_deref(), date, "{engine}");
        let (header, value) = match engine {
            Engine::Exa | Engine::Parallel => ("x-api-key", Some("the-key")),
            Engine::Brave => ("x-subscription-token", Some("the-key")),
            Engine::Searxng => ("authorization", None),
            Engine::Tavily | Engine::Firecrawl | Engine::Perplexity => {
                ("authorization", Some("Bearer the-key"))
            }
        };
        assert_eq!(seen.header(header), value, "{engine}");
    }
}

#[tokio::test]
async fn documented_errors_are_failures_and_their_words_are_kept() {
    for engine in Engine::ALL {
        for error in fixture(engine)["errors"].as_array().unwrap() {
            let status = u16::try_from(error["status"].as_u64().unwrap()).unwrap();
            let (found, _) =
                search(engine, status, error["body"].clone(), &Wish::default(), "q").await;
            let code = error["code"].as_str().map(str::to_owned);
            assert_eq!(
                found,
                Err(SearchError::Refused { status, code }),
                "{engine}"
            );
        }
        for body in [
            json!("<html>"),
            json!({"results": 1, "web": 2, "success": 3}),
        ] {
            let (found, _) = search(engine, 200, body, &Wish::default(), "q").await;
            assert!(
                matches!(found, Err(SearchError::Malformed(_))),
                "{engine}: {found:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_wish_is_said_in_each_engines_words() {
    let asked = |engine: Engine| async move {
        let answer = fixture(engine)["answer"].clone();
        search(engine, 200, answer, &full_wish(), "who won").await.1
    };
    let exa = asked(Engine::Exa).await;
    assert_eq!(exa.path, "/v9/search");
    assert_eq!(
        exa.body,
        json!({
            "query": "who won", "type": "deep", "numResults": 3, "userLocation": "NO",
            "contents": {"highlights": {"maxCharacters": 2000}},
            "includeDomains": ["*.sport.example", "news.example/blog"], "excludeDomains": ["bad.example"]
        })
    );
    let tavily = asked(Engine::Tavily).await;
    assert_eq!(
        tavily.body,
        json!({
            "query": "who won", "search_depth": "basic", "max_results": 3,
            "include_domains": ["sport.example", "news.example"], "exclude_domains": ["bad.example"]
        })
    );
    let firecrawl = asked(Engine::Firecrawl).await;
    assert_eq!(
        firecrawl.body,
        json!({"query": "who won", "limit": 3, "country": "NO", "includeDomains": ["sport.example", "news.example"]})
    );
    let parallel = asked(Engine::Parallel).await;
    assert_eq!(parallel.path, "/v9/v1/search");
    assert_eq!(
        parallel.body,
        json!({
            "objective": "who won", "search_queries": ["who won"], "mode": "basic",
            "advanced_settings": {
                "max_results": 3, "location": "NO", "excerpt_settings": {"max_chars_per_result": 2000},
                "source_policy": {"include_domains": ["sport.example", "news.example"]}
            }
        })
    );
    let perplexity = asked(Engine::Perplexity).await;
    assert_eq!(perplexity.path, "/v9/search");
    assert_eq!(
        perplexity.body,
        json!({
            "query": "who won", "max_results": 3, "max_tokens_per_page": 500, "country": "NO",
            "search_domain_filter": ["sport.example", "news.example"]
        })
    );
    let brave = asked(Engine::Brave).await;
    assert_eq!(
        brave.path,
        "/v9/web/search?q=who+won+site%3Asport.example+OR+site%3Anews.example%2Fblog+-site%3Abad.example&count=3&result_filter=web&text_decorations=false&country=NO"
    );
    let searxng = asked(Engine::Searxng).await;
    assert_eq!(
        searxng.path,
        "/v9/search?q=who+won+site%3Asport.example+OR+site%3Anews.example%2Fblog+-site%3Abad.example&format=json&pageno=1"
    );
    for get in [brave, searxng] {
        assert!(get.head.starts_with("GET "), "{}", get.head);
        assert_eq!(get.body, Value::Null);
    }
}

#[tokio::test]
async fn what_an_engine_has_no_word_for_is_not_said_to_it() {
    let asked = |engine: Engine, wish: Wish| async move {
        let answer = fixture(engine)["answer"].clone();
        search(engine, 200, answer, &wish, "who won").await.1
    };
    let in_iceland = Wish {
        location: Some(Location {
            country: Some("IS".to_owned()),
            ..Location::default()
        }),
        ..Wish::default()
    };
    // It answers another country than its own few with an error.
    let brave = asked(Engine::Brave, in_iceland).await;
    assert!(!brave.path.contains("country"), "{}", brave.path);
    let excluding = Wish {
        include: Vec::new(),
        max_results: 25,
        ..full_wish()
    };
    let perplexity = asked(Engine::Perplexity, excluding.clone()).await;
    assert_eq!(
        perplexity.body["search_domain_filter"],
        json!(["-bad.example"])
    );
    assert_eq!(perplexity.body["max_results"], 20);
    let parallel = asked(Engine::Parallel, excluding.clone()).await;
    let settings = &parallel.body["advanced_settings"];
    assert_eq!(
        settings["source_policy"],
        json!({"exclude_domains": ["bad.example"]})
    );
    for (mode, kind) in [
        (Mode::Turbo, "turbo"),
        (Mode::Fast, "turbo"),
        (Mode::Advanced, "advanced"),
        (Mode::DeepReasoning, "basic"),
    ] {
        let wish = Wish {
            mode: Some(mode),
            ..excluding.clone()
        };
        let parallel = asked(Engine::Parallel, wish).await;
        assert_eq!(parallel.body["mode"], kind);
    }
}

#[tokio::test]
async fn what_is_found_is_of_the_web_from_where_it_is_wanted_each_once_and_bounded() {
    let page = |url: &str| json!({"url": url, "title": "T\u{202e}\n itle", "text": format!("a\u{200b}b\u{0}{}", "é".repeat(5_000))});
    let mut pages: Vec<Value> = [
        "https://a.sport.example/1",
        "https://a.sport.example/1",
        "https://evil.example/sport.example",
        "javascript:alert(1)",
        "https://a.sport.example/bad>quote",
        "https://news.example/other",
        "https://news.example/blog/2",
        "https://bad.example/3",
        "https://sport.example/4",
        "https://sport.example/5",
    ]
    .map(page)
    .to_vec();
    pages.insert(0, json!({"title": "no address"}));
    pages.insert(
        0,
        page(&format!("https://sport.example/{}", "x".repeat(500))),
    );
    let (found, _) = search(
        Engine::Exa,
        200,
        json!({"results": pages}),
        &full_wish(),
        "q",
    )
    .await;
    let found = found.unwrap();
    let urls: Vec<&str> = found.iter().map(|source| source.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "https://a.sport.example/1",
            "https://news.example/blog/2",
            "https://sport.example/4"
        ]
    );
    for source in &found {
        assert_eq!(source.title, "T itle");
        assert!(source.excerpt.starts_with("abéé") && source.excerpt.len() <= 2_000);
    }
}

#[tokio::test]
async fn a_question_cannot_command_searxng() {
    let answer = fixture(Engine::Searxng)["answer"].clone();
    let question = "!!g !bing ?wp :de <9 who !! !won? :-) a!b";
    let (_, seen) = search(Engine::Searxng, 200, answer, &Wish::default(), question).await;
    assert!(
        seen.path
            .starts_with("/v9/search?q=g+bing+wp+de+9+who+won%3F+-%29+a%21b&format="),
        "{}",
        seen.path
    );
}

#[tokio::test]
async fn searxng_whose_engines_are_all_silent_has_failed() {
    let silent =
        json!({"query": "q", "results": [], "unresponsive_engines": [["google", "timeout"]]});
    let (found, _) = search(Engine::Searxng, 200, silent, &Wish::default(), "q").await;
    assert_eq!(found, Err(SearchError::Unresponsive));
    let nothing = json!({"query": "q", "results": [], "unresponsive_engines": []});
    let (found, _) = search(Engine::Searxng, 200, nothing, &Wish::default(), "q").await;
    assert_eq!(found, Ok(Vec::new()));
}

#[tokio::test]
async fn a_long_answer_is_not_read_and_a_redirect_not_followed() {
    let elsewhere = Upstream::answering("never").await;
    let location = format!("location: http://{}/secret\r\n", elsewhere.address);
    let redirecting = Upstream::start(move |_| {
        let head = format!(
            "HTTP/1.1 302 Found\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n"
        );
        vec![Step::Write(head.into_bytes())]
    })
    .await;
    let found = searcher()
        .search(&settings(Engine::Exa, &redirecting), &Wish::default(), "q")
        .await;
    assert_eq!(
        found,
        Err(SearchError::Refused {
            status: 302,
            code: None
        })
    );
    assert_eq!(elsewhere.calls(), 0);
    let endless = json!({"results": [{"url": "https://a.example", "text": "x".repeat(5 << 20)}]});
    let (found, _) = search(Engine::Exa, 200, endless, &Wish::default(), "q").await;
    assert!(matches!(found, Err(SearchError::Transport(_))), "{found:?}");
}
