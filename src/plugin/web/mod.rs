//! The web search of `:online` and the `web` plugin (contract 8.2): who searches, what for, and how what is found
//! comes before the model.
//!
//! A search is made once, before the first attempt. Where it is made is the operator's to say: no field of a request
//! reaches an address, and what a page says reaches the model as a quotation alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::catalog::snapshot::Auth;
use crate::domain::call::Spoken;
use crate::domain::money::Nanos;
use crate::domain::search::{Engine, Mode, SearchTool, Searched, Searcher, Source, Wish};
use crate::domain::secret::Secret;
use crate::plan::Plan;
use crate::rank::Candidate;
use crate::transport::{Service, Transport, TransportError};
use crate::wire::{WireName, wire};

mod brave;
mod engine;
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

/// How the web is searched for a run: decided before anything is spent.
#[derive(Clone, Debug)]
pub enum Errand {
    /// The provider searches, as often as its model likes.
    Provider(Wish),
    /// The same, where the caller asked for it in the words of providers: those that speak its form get them as they are.
    AsWritten(Wish),
    /// The gateway asks an engine, once.
    Engine(EngineSettings, Wish),
    /// The gateway asks an engine whenever the model wants it.
    Tool(EngineSettings, SearchTool),
}

impl Errand {
    /// The most that the gateway's own search can cost.
    pub fn most(&self) -> Nanos {
        match self {
            Errand::Provider(_) | Errand::AsWritten(_) => Nanos::ZERO,
            Errand::Engine(engine, wish) => engine.price.of(wish.mode, wish.max_results),
            Errand::Tool(engine, tool) => {
                let price = engine.price.of(tool.wish.mode, tool.wish.max_results);
                let uses = i64::try_from(tool.max_uses).unwrap_or(i64::MAX);
                Nanos(price.0.saturating_mul(uses))
            }
        }
    }

    /// The searches that a provider may make and charge.
    pub fn provider_searches(&self) -> u64 {
        match self {
            Errand::Provider(wish) | Errand::AsWritten(wish) => {
                wish.max_uses.unwrap_or(native::SEARCHES)
            }
            Errand::Engine(..) | Errand::Tool(..) => 0,
        }
    }

    /// The most bytes that results add to the prompt.
    pub fn prompt_bytes(&self) -> u64 {
        match self {
            // What a provider finds it counts itself, and nobody knows beforehand.
            Errand::Provider(_) | Errand::AsWritten(_) => 0,
            Errand::Engine(_, wish) => quote::longest(wish),
            Errand::Tool(_, tool) => quote::longest(&tool.wish),
        }
    }

    /// The engine to ask whenever the model wants it, and its terms.
    pub fn tool(&self) -> Option<(EngineSettings, SearchTool)> {
        match self {
            Errand::Tool(engine, tool) => Some((engine.clone(), tool.clone())),
            Errand::Provider(_) | Errand::AsWritten(_) | Errand::Engine(..) => None,
        }
    }

    /// How often the model may go on after a search.
    pub fn further_steps(&self) -> u64 {
        match self {
            Errand::Tool(_, tool) => tool.max_uses,
            Errand::Provider(_) | Errand::AsWritten(_) | Errand::Engine(..) => 0,
        }
    }
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

    /// Who searches for a call that wants it, before it or as its model likes. Candidates that cannot do their part are
    /// taken out.
    pub fn errand(
        &self,
        plan: &Plan,
        candidates: &mut Vec<Candidate>,
    ) -> Result<Option<Errand>, NoSearch> {
        let functions = match &plan.search_tool {
            Some(tool) => tool.among_others,
            None => plan.needs.tools(),
        };
        match (&plan.search, &plan.search_tool) {
            // Who asks for both is searched for once, and surely.
            (Some(wish), _) => self.assigned(wish, functions, None, candidates).map(Some),
            (None, Some(tool)) => {
                // Whose provider searches has a tool of its own in its place; where none does, an engine takes over.
                let native = candidates
                    .iter()
                    .any(|candidate| candidate.endpoint.searches());
                let wish = Wish {
                    searcher: match tool.wish.searcher {
                        Searcher::Native if !native => Searcher::Any,
                        searcher => searcher,
                    },
                    ..tool.wish.clone()
                };
                let errand = self.assigned(&wish, functions, tool.written_in, candidates)?;
                Ok(Some(match errand {
                    Errand::Engine(engine, _) => Errand::Tool(engine, tool.clone()),
                    Errand::Provider(wish) if tool.written_in.is_some() => Errand::AsWritten(wish),
                    other => other,
                }))
            }
            (None, None) => Ok(None),
        }
    }

    fn assigned(
        &self,
        wish: &Wish,
        functions: bool,
        written_in: Option<Spoken>,
        candidates: &mut Vec<Candidate>,
    ) -> Result<Errand, NoSearch> {
        let fits = |candidate: &Candidate| fits(candidate, wish, functions);
        let engine = match wish.searcher {
            Searcher::Engine(engine) => Some(self.configured(engine)?),
            Searcher::Native => None,
            // The search is one for all attempts, so the provider's own serves where all of them have it.
            Searcher::Any if candidates.iter().all(fits) => None,
            Searcher::Any => self.usual(),
        };
        if let Some(engine) = engine {
            return Ok(Errand::Engine(engine.clone(), wish.clone()));
        }
        if wish.searcher == Searcher::Native {
            // What its search cannot do the wire says.
            candidates.retain(|candidate| candidate.endpoint.searches());
        } else {
            // Of one that speaks the caller's form nothing need be known: it is told what the caller wrote.
            candidates.retain(|candidate| fits(candidate) || speaks(candidate, written_in));
        }
        match (candidates.is_empty(), wish.searcher) {
            (false, _) => Ok(Errand::Provider(wish.clone())),
            (true, Searcher::Native) => Err(NoSearch::NotNative),
            (true, _) => Err(NoSearch::NotConfigured),
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

/// Whether an endpoint is told the request as it was written.
fn speaks(candidate: &Candidate, form: Option<Spoken>) -> bool {
    let spoken = wire(candidate.endpoint.target.wire).and_then(|wire| wire.speaks());
    form.is_some() && spoken == form
}

/// Whether an endpoint's provider can make such a search. Google's takes no list of domains (contract 8.2), and most of its
/// models do not search beside functions.
fn fits(candidate: &Candidate, wish: &Wish, functions: bool) -> bool {
    let endpoint = &candidate.endpoint;
    let googles = matches!(endpoint.target.wire, WireName::Gemini | WireName::Vertex);
    let limited = !(wish.include.is_empty() && wish.exclude.is_empty());
    endpoint.searches() && !(googles && (limited || functions))
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
