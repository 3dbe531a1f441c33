//! Which endpoints may serve a plan, best first, and why. Pure: no clock, no network, no randomness
//! beyond the seed passed in.
//! Knows plans, prices and health; knows nothing of HTTP, SQL or any wire format.

use std::sync::Arc;

use crate::catalog::snapshot::{Endpoint, Model};
use crate::plan::{Entry, Plan};

mod error;
mod exacto;
pub mod filter;
pub mod health;
pub mod price;
pub mod report;
pub mod score;
pub mod sticky;
#[cfg(test)]
mod tests;

pub use error::{Filtered, RankError};
use filter::Refusal;
use health::HealthView;
use score::Score;

/// An endpoint to try, with the model it serves.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The model.
    pub model: Arc<Model>,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Whether the web is searched before it is asked.
    pub online: bool,
}

/// What a ranking depends on besides the plan.
pub struct Situation<'a> {
    /// How the endpoints are.
    pub health: &'a dyn HealthView,
    /// For each entry of the plan, the [`Endpoint::key`] of the one that served its conversation last.
    pub stuck: &'a [Option<u64>],
    /// What chance is made of.
    pub seed: u64,
    /// Unix milliseconds, for prices that follow the hour.
    pub at_ms: i64,
}

/// The endpoints to try, best first, and what became of the others.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// At least one.
    pub candidates: Vec<Candidate>,
    /// One for every endpoint of the plan's models: the tried ones in their order, then the refused.
    pub verdicts: Vec<Verdict>,
}

/// What was decided about one endpoint.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The model it would serve.
    pub model: Arc<Model>,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its score, or why it may not serve.
    pub decision: Result<Score, Refusal>,
}

/// Ranks the endpoints of a plan's models.
pub fn rank(plan: &Plan, situation: &Situation<'_>) -> Result<Ranked, RankError> {
    let mut fitting: Vec<Contender<'_>> = Vec::new();
    let mut verdicts: Vec<Verdict> = Vec::new();
    for (position, entry) in plan.entries.iter().enumerate() {
        let refused = |endpoint: &Arc<Endpoint>, refusal| Verdict {
            model: Arc::clone(&entry.model),
            endpoint: Arc::clone(endpoint),
            decision: Err(refusal),
        };
        for (endpoint, refusal) in filter::filter(plan, entry) {
            match refusal {
                Some(refusal) => verdicts.push(refused(endpoint, refusal)),
                None => fitting.push(Contender {
                    entry,
                    position,
                    endpoint,
                }),
            }
        }
        let disabled = entry.model.disabled.iter();
        verdicts.extend(disabled.map(|endpoint| refused(endpoint, Refusal::NotConfigured)));
    }
    if fitting.is_empty() {
        return Err(RankError::of(plan, verdicts));
    }
    let (tried, spared) = score::order(plan, situation, fitting);
    let candidates = tried.iter().map(|(contender, _)| contender.candidate());
    let ranked = tried
        .iter()
        .map(|(contender, score)| contender.verdict(Ok(*score)));
    let spared = spared
        .iter()
        .map(|contender| contender.verdict(Err(Refusal::NoFallbacks)));
    Ok(Ranked {
        candidates: candidates.collect(),
        verdicts: ranked.chain(spared).chain(verdicts).collect(),
    })
}

/// An endpoint that passed the filters.
#[derive(Clone, Copy)]
struct Contender<'a> {
    entry: &'a Entry,
    position: usize,
    endpoint: &'a Arc<Endpoint>,
}

impl Contender<'_> {
    fn candidate(&self) -> Candidate {
        Candidate {
            model: Arc::clone(&self.entry.model),
            endpoint: Arc::clone(self.endpoint),
            online: self.entry.online,
        }
    }

    fn verdict(&self, decision: Result<Score, Refusal>) -> Verdict {
        Verdict {
            model: Arc::clone(&self.entry.model),
            endpoint: Arc::clone(self.endpoint),
            decision,
        }
    }
}
