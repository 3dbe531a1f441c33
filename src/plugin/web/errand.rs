//! Who searches the web for a run: decided before anything is spent. Pure.

use super::{EngineSettings, NoSearch, WebSearch, native, quote};
use crate::domain::call::Spoken;
use crate::domain::money::Nanos;
use crate::domain::search::{SearchTool, Searcher, Wish};
use crate::plan::Plan;
use crate::rank::Candidate;
use crate::wire::{WireName, wire};

/// What is done about the web for the models of a run.
#[derive(Clone, Debug, Default)]
pub struct Errands {
    /// For those before which it is searched.
    online: Option<Box<Errand>>,
    /// For the others.
    others: Option<Box<Errand>>,
}

/// How the web is searched for a model.
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
    pub fn tool(&self) -> Option<Box<(EngineSettings, SearchTool)>> {
        match self {
            Errand::Tool(engine, tool) => Some(Box::new((engine.clone(), tool.clone()))),
            Errand::Provider(_) | Errand::AsWritten(_) | Errand::Engine(..) => None,
        }
    }

    fn is_tool(&self) -> bool {
        matches!(self, Errand::Tool(..))
    }

    /// How often the model may go on after a search.
    pub fn further_steps(&self) -> u64 {
        match self {
            Errand::Tool(_, tool) => tool.max_uses,
            Errand::Provider(_) | Errand::AsWritten(_) | Errand::Engine(..) => 0,
        }
    }
}

impl Errands {
    /// What is done for a candidate.
    pub fn of(&self, candidate: &Candidate) -> Option<&Errand> {
        if candidate.online {
            self.online.as_deref()
        } else {
            self.others.as_deref()
        }
    }

    /// Those of the candidates whose model has the tool.
    pub fn with_tool(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        candidates.retain(|candidate| self.of(candidate).is_some_and(Errand::is_tool));
        candidates
    }

    /// The most that the gateway's own searches can cost where a candidate answers: what is done for it, and for one that
    /// failed before it.
    pub fn most(&self, candidate: &Candidate) -> Nanos {
        let own = self.of(candidate).map_or(Nanos::ZERO, Errand::most);
        let before = self.online.as_deref().filter(|_| !candidate.online);
        own.saturating_add(before.map_or(Nanos::ZERO, Errand::most))
    }
}

impl WebSearch {
    /// Who searches for a call that wants it, before its models or as they like. Candidates that cannot do their part are
    /// taken out.
    pub fn errands(
        &self,
        plan: &Plan,
        candidates: &mut Vec<Candidate>,
    ) -> Result<Errands, NoSearch> {
        let functions = match &plan.search_tool {
            Some(tool) => tool.among_others,
            None => plan.needs.tools(),
        };
        // Who asks for both is searched for once, and surely.
        let online = plan.search.as_ref().map(|wish| {
            let concerned = |candidate: &Candidate| candidate.online;
            self.assigned(wish, functions, None, candidates, concerned)
        });
        let online = online.transpose()?.flatten();
        let others = plan.search_tool.as_ref().map(|tool| {
            let concerned = |candidate: &Candidate| !candidate.online;
            let wish = answerable(tool, candidates);
            let errand = self.assigned(&wish, functions, tool.written_in, candidates, concerned)?;
            Ok(errand.map(|errand| match errand {
                Errand::Engine(engine, _) => Errand::Tool(engine, tool.clone()),
                Errand::Provider(wish) if tool.written_in.is_some() => Errand::AsWritten(wish),
                other => other,
            }))
        });
        let others = others.transpose()?.flatten();
        Ok(Errands {
            online: online.map(Box::new),
            others: others.map(Box::new),
        })
    }

    /// Who makes a search for the candidates that are `concerned`; `None` where none is.
    fn assigned(
        &self,
        wish: &Wish,
        functions: bool,
        written_in: Option<Spoken>,
        candidates: &mut Vec<Candidate>,
        concerned: impl Fn(&Candidate) -> bool,
    ) -> Result<Option<Errand>, NoSearch> {
        let fits = |candidate: &Candidate| fits(candidate, wish, functions);
        let mut those = candidates.iter().filter(|one| concerned(one)).peekable();
        if those.peek().is_none() {
            return Ok(None);
        }
        let engine = match wish.searcher {
            Searcher::Engine(engine) => Some(self.configured(engine)?),
            Searcher::Native => None,
            // The search is one for all attempts, so the provider's own serves where all of them have it.
            Searcher::Any if those.all(fits) => None,
            Searcher::Any => self.usual(),
        };
        if let Some(engine) = engine {
            return Ok(Some(Errand::Engine(engine.clone(), wish.clone())));
        }
        candidates.retain(|candidate| {
            !concerned(candidate)
                || match wish.searcher {
                    // What its search cannot do the wire says.
                    Searcher::Native => candidate.endpoint.searches(),
                    // Of one that speaks the caller's form nothing need be known: it is told what the caller wrote.
                    Searcher::Any | Searcher::Engine(_) => {
                        fits(candidate) || speaks(candidate, written_in)
                    }
                }
        });
        match (candidates.iter().any(concerned), wish.searcher) {
            (true, _) => Ok(Some(Errand::Provider(wish.clone()))),
            (false, Searcher::Native) => Err(NoSearch::NotNative),
            (false, _) => Err(NoSearch::NotConfigured),
        }
    }
}

/// What the tool asks for. Whose provider searches has a tool of its own in its place; where none does, an engine takes
/// over (contract 8.3).
fn answerable(tool: &SearchTool, candidates: &[Candidate]) -> Wish {
    let native = candidates
        .iter()
        .any(|candidate| candidate.endpoint.searches());
    Wish {
        searcher: match tool.wish.searcher {
            Searcher::Native if !native => Searcher::Any,
            searcher => searcher,
        },
        ..tool.wish.clone()
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
