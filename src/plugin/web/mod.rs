//! The web search of `:online` and the `web` plugin (contract 8.2): who searches, what for, and how what is found
//! comes before the model.
//!
//! A search is made once, before the first attempt that wants it. Where it is made is the operator's to say: no field of
//! a request reaches an address, and what a page says reaches the model as a quotation alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::catalog::snapshot::Auth;
use crate::domain::money::Nanos;
use crate::domain::search::{Engine, Mode, Searched, Source, Wish};
use crate::domain::secret::Secret;
use crate::transport::{Service, Transport, TransportError};

mod brave;
mod engine;
mod errand;
mod exa;
mod failure;
mod firecrawl;
pub mod native;
mod parallel;
mod perplexity;
pub mod query;
pub mod quote;
mod searxng;
mod tavily;
pub mod tool;

pub use errand::{Errand, Errands};
pub use failure::{NoSearch, SearchError};

/// A longer answer of an engine is not read.
const MOST_BYTES: usize = 4 << 20;
/// An engine is connected to within this.
const CONNECT: Duration = Duration::from_secs(5);
/// Results that the price of a search covers (contract 8.2).
const COVERED: usize = 10;

/// How the web may be searched, as the operator says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The engine for those who name none.
    pub preferred: Option<Engine>,
    /// How long a search may take.
    pub timeout: Duration,
    /// What follows when one fails.
    pub on_failure: OnFailure,
    /// The engines that can be asked.
    pub engines: Vec<EngineSettings>,
}

/// What follows when a search fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The model answers without results.
    Answer,
    /// The request fails.
    Fail,
}

/// An engine that can be asked.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Which.
    pub engine: Engine,
    /// Where.
    pub base_url: String,
    /// The operator's key; `None` for an engine without.
    pub key: Option<Secret>,
    /// What a search is charged.
    pub price: Price,
}

/// What a search is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// One as usual, with up to ten results.
    pub search: Nanos,
    /// One in the modes `turbo` and `fast`; as usual when `None`.
    pub quick: Option<Nanos>,
    /// One in the modes `deep-lite` and `deep`; as usual when `None`.
    pub deep: Option<Nanos>,
    /// One in the mode `deep-reasoning`; as usual when `None`.
    pub reasoning: Option<Nanos>,
    /// Each result beyond ten.
    pub result: Nanos,
}

impl Price {
    /// What a search in this mode costs that brings so many results.
    pub fn of(&self, mode: Option<Mode>, results: usize) -> Nanos {
        let search = match mode {
            Some(Mode::Turbo | Mode::Fast) => self.quick,
            Some(Mode::Deep | Mode::DeepLite) => self.deep,
            Some(Mode::DeepReasoning) => self.reasoning,
            _ => None,
        };
        let beyond = i64::try_from(results.saturating_sub(COVERED)).unwrap_or(i64::MAX);
        let beyond = Nanos(self.result.0.saturating_mul(beyond));
        search.unwrap_or(self.search).saturating_add(beyond)
    }
}

/// Searches the web. Cloning shares everything.
#[derive(Clone)]
pub struct WebSearch {
    transport: Transport,
    settings: Arc<Settings>,
}

/// What an engine was asked and what came of it.
#[derive(Debug)]
pub struct Found {
    /// The pages; none when nothing was found, or the search failed.
    pub sources: Vec<Source>,
    /// For the records.
    pub searched: Searched,
}

impl WebSearch {
    /// Searches over a dialer.
    pub fn new(transport: Transport, settings: Settings) -> Self {
        WebSearch {
            transport,
            settings: Arc::new(settings),
        }
    }

    /// Asks an engine, once.
    pub async fn search(
        &self,
        engine: &EngineSettings,
        wish: &Wish,
        query: &str,
    ) -> Result<Vec<Source>, SearchError> {
        let adapter = engine::adapter(engine.engine);
        let request = adapter.request(query, wish);
        let service = service(engine);
        let exchange = async {
            let answer = self
                .transport
                .ask(&service, request.method, request.encoded);
            let answer = answer.await?;
            let status = answer.status.as_u16();
            let body = answer.body.collect_at_most(MOST_BYTES).await?;
            Ok::<_, TransportError>((status, body))
        };
        let (status, body) = timeout(self.settings.timeout, exchange)
            .await
            .map_err(|_| SearchError::Timeout)??;
        if !(200..300).contains(&status) {
            let code = adapter.code(&body);
            return Err(SearchError::Refused { status, code });
        }
        Ok(engine::fitting(adapter.sources(&body)?, wish))
    }

    /// Whether a request fails with its search.
    pub fn fails_with_its_search(&self) -> bool {
        self.settings.on_failure == OnFailure::Fail
    }

    fn configured(&self, engine: Engine) -> Result<&EngineSettings, NoSearch> {
        let mut engines = self.settings.engines.iter();
        let found = engines.find(|known| known.engine == engine);
        found.ok_or(NoSearch::Unconfigured(engine))
    }

    /// The engine for those who name none.
    fn usual(&self) -> Option<&EngineSettings> {
        let preferred = self.settings.preferred;
        let order = preferred.into_iter().chain(Engine::ALL);
        order
            .into_iter()
            .find_map(|engine| self.configured(engine).ok())
    }
}

/// An engine as the dialer knows it.
fn service(engine: &EngineSettings) -> Service {
    let auth = match (&engine.key, engine.engine) {
        (None, _) => Auth::None,
        (Some(key), Engine::Exa) => Auth::Header(exa::KEY, key.clone()),
        (Some(key), Engine::Brave) => Auth::Header(brave::KEY, key.clone()),
        (Some(key), Engine::Parallel) => Auth::Header(parallel::KEY, key.clone()),
        (Some(key), _) => Auth::Bearer(key.clone()),
    };
    Service {
        // No provider's slug has a colon, so that the pools stay apart.
        name: format!("search:{}", engine.engine).into(),
        base_url: engine.base_url.clone(),
        auth,
        connect: CONNECT,
    }
}

impl Found {
    /// Pages that were found.
    pub fn well(engine: &EngineSettings, wish: &Wish, sources: Vec<Source>) -> Self {
        let searched = Searched {
            engine: engine.engine.as_str().to_owned(),
            by_the_model: false,
            requested: 0,
            searches: 1,
            results: sources.len() as u64,
            price: engine.price.of(wish.mode, sources.len()),
            failure: None,
        };
        Found { sources, searched }
    }

    /// No pages, and no charge.
    pub fn nothing(engine: &EngineSettings, reason: &str) -> Self {
        let searched = Searched {
            engine: engine.engine.as_str().to_owned(),
            failure: Some(reason.to_owned()),
            ..Searched::default()
        };
        Found {
            sources: Vec::new(),
            searched,
        }
    }
}
