//! Which engines may search the web, where, and what a search is charged.

use std::fs;
use std::time::Duration;

use super::raw::RawConfig;
use super::setting::BaseUrl;
use crate::domain::money::Nanos;
use crate::domain::search::Engine;
use crate::domain::secret::Secret;
use crate::plugin::web::{EngineSettings, OnFailure, Price, Settings};

/// The keys of an engine that wants one of the operator's.
struct Keys {
    engine: Engine,
    api_key: &'static str,
    api_key_file: &'static str,
    base_url: &'static str,
    usual_base_url: &'static str,
    price: &'static str,
    usual_price: Nanos,
    result_price: &'static str,
    usual_result_price: Nanos,
}

/// Prices are those that the engines list for one search, in nano-dollars; Exa's, Parallel's and Perplexity's are the
/// contract's (8.2).
const KEYED: [Keys; 6] = [
    Keys {
        engine: Engine::Exa,
        api_key: "exa.api_key",
        api_key_file: "exa.api_key_file",
        base_url: "exa.base_url",
        usual_base_url: "https://api.exa.ai",
        price: "exa.price",
        usual_price: Nanos(7_000_000),
        result_price: "exa.result_price",
        usual_result_price: Nanos(1_000_000),
    },
    Keys {
        engine: Engine::Tavily,
        api_key: "tavily.api_key",
        api_key_file: "tavily.api_key_file",
        base_url: "tavily.base_url",
        usual_base_url: "https://api.tavily.com",
        price: "tavily.price",
        usual_price: Nanos(8_000_000),
        result_price: "tavily.result_price",
        usual_result_price: Nanos::ZERO,
    },
    Keys {
        engine: Engine::Brave,
        api_key: "brave.api_key",
        api_key_file: "brave.api_key_file",
        base_url: "brave.base_url",
        usual_base_url: "https://api.search.brave.com/res/v1",
        price: "brave.price",
        usual_price: Nanos(5_000_000),
        result_price: "brave.result_price",
        usual_result_price: Nanos::ZERO,
    },
    Keys {
        engine: Engine::Firecrawl,
        api_key: "firecrawl.api_key",
        api_key_file: "firecrawl.api_key_file",
        base_url: "firecrawl.base_url",
        usual_base_url: "https://api.firecrawl.dev/v2",
        price: "firecrawl.price",
        usual_price: Nanos(10_000_000),
        result_price: "firecrawl.result_price",
        usual_result_price: Nanos(1_000_000),
    },
    Keys {
        engine: Engine::Parallel,
        api_key: "parallel.api_key",
        api_key_file: "parallel.api_key_file",
        base_url: "parallel.base_url",
        usual_base_url: "https://api.parallel.ai",
        price: "parallel.price",
        usual_price: Nanos(5_000_000),
        result_price: "parallel.result_price",
        usual_result_price: Nanos(1_000_000),
    },
    Keys {
        engine: Engine::Perplexity,
        api_key: "perplexity.api_key",
        api_key_file: "perplexity.api_key_file",
        base_url: "perplexity.base_url",
        usual_base_url: "https://api.perplexity.ai",
        price: "perplexity.price",
        usual_price: Nanos(5_000_000),
        result_price: "perplexity.result_price",
        usual_result_price: Nanos(1_000_000),
    },
];

/// Reads `[web]` and the engines' sections.
pub(super) fn convert(raw: &mut RawConfig<'_>) -> Settings {
    let mut engines: Vec<EngineSettings> =
        KEYED.iter().filter_map(|keys| keyed(raw, keys)).collect();
    engines.extend(searxng(raw));
    let settings = Settings {
        preferred: raw.value("web.engine", None),
        timeout: raw.value("web.timeout", Duration::from_secs(10)),
        on_failure: raw.value("web.on_failure", OnFailure::Answer),
        engines,
    };
    if let Some(preferred) = settings.preferred {
        let is_there = settings
            .engines
            .iter()
            .any(|known| known.engine == preferred);
        let reason = format!("{preferred} cannot be asked without {}", preferred.needs());
        raw.require(is_there, "web.engine", &reason);
    }
    settings
}

/// An engine that is there once it has a key.
fn keyed(raw: &mut RawConfig<'_>, keys: &Keys) -> Option<EngineSettings> {
    // Known to the engines' own tools by these names.
    let key: Option<Secret> = raw.value_or_variable(keys.api_key, keys.engine.needs(), None);
    let file: Option<String> = raw.value(keys.api_key_file, None);
    let base_url = raw
        .value(keys.base_url, BaseUrl(keys.usual_base_url.to_owned()))
        .0;
    let mut price = Price {
        search: raw.value(keys.price, keys.usual_price),
        result: raw.value(keys.result_price, keys.usual_result_price),
        ..Price::default()
    };
    if keys.engine == Engine::Exa {
        price.deep = Some(raw.value("exa.price_deep", Nanos(12_000_000)));
        price.reasoning = Some(raw.value("exa.price_deep_reasoning", Nanos(15_000_000)));
    }
    if keys.engine == Engine::Parallel {
        price.quick = Some(raw.value("parallel.price_turbo", Nanos(1_000_000)));
    }
    let key = key.or_else(|| from_file(raw, keys.api_key_file, &file?));
    let key = key.filter(|key| !key.expose().is_empty())?;
    let fits = http::HeaderValue::from_str(key.expose()).is_ok();
    raw.require(
        fits,
        keys.api_key,
        "has characters that no header can carry",
    );
    Some(EngineSettings {
        engine: keys.engine,
        base_url,
        key: Some(key),
        price,
    })
}

fn from_file(raw: &mut RawConfig<'_>, name: &str, file: &str) -> Option<Secret> {
    match fs::read_to_string(file) {
        Ok(text) => Some(Secret::new(&text)),
        Err(error) => {
            raw.require(false, name, &format!("{file}: {error}"));
            None
        }
    }
}

/// SearXNG is there once it has an address.
fn searxng(raw: &mut RawConfig<'_>) -> Option<EngineSettings> {
    let base_url: Option<BaseUrl> = raw.value("searxng.base_url", None);
    let price = Price {
        search: raw.value("searxng.price", Nanos::ZERO),
        ..Price::default()
    };
    Some(EngineSettings {
        engine: Engine::Searxng,
        base_url: base_url?.0,
        key: None,
        price,
    })
}
