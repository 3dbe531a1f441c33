//! The most a call can cost, over every candidate that may be tried.

use crate::catalog::snapshot::Endpoint;
use crate::domain::money::Nanos;
use crate::domain::terms::Terms;
use crate::ledger::price::{self, Demand};
use crate::plan::Plan;
use crate::plan::estimate::tokens_of_text;
use crate::plugin::web::{Errand, Errands};
use crate::rank::Candidate;

/// The cap on output tokens of an endpoint that states none.
const UNSTATED_OUTPUT_CAP: u64 = 16_384;

/// What a model is expected to say, at the most, in a step that asks for a search.
const SAID_IN_A_STEP: u64 = 2_000;

/// The most a call can cost, and what that is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// The dearest candidate's price for the whole prompt and the longest answer.
    pub most: Nanos,
    /// The part of `most` that is owed before the first output token.
    pub before_output: Nanos,
    /// Prompt tokens that `most` pays for.
    pub prompt_tokens: u64,
    /// Output tokens that `most` pays for.
    pub output_tokens: u64,
}

impl Ceiling {
    /// The dearest of the candidates, with what is searched for it.
    pub fn of(
        plan: &Plan,
        errands: &Errands,
        candidates: &[Candidate],
        at_ms: i64,
        terms: &Terms,
    ) -> Self {
        candidates
            .iter()
            .map(|candidate| Ceiling::at(plan, errands, candidate, at_ms, terms))
            .max_by_key(|ceiling| ceiling.most)
            .unwrap_or(Ceiling {
                most: Nanos::ZERO,
                before_output: Nanos::ZERO,
                prompt_tokens: 0,
                output_tokens: 0,
            })
    }

    fn at(
        plan: &Plan,
        errands: &Errands,
        candidate: &Candidate,
        at_ms: i64,
        terms: &Terms,
    ) -> Self {
        let (endpoint, errand) = (&candidate.endpoint, errands.of(candidate));
        let output_tokens = longest_answer(endpoint, plan.max_tokens, plan.choices);
        let results = errand.map_or(0, |errand| tokens_of_text(errand.prompt_bytes()));
        let further = errand.map_or(0, Errand::further_steps);
        // Every further step repeats the prompt with what was said and found before it.
        let said = output_tokens.min(SAID_IN_A_STEP);
        let grown = (results + said).saturating_mul(further * (further + 1) / 2);
        let searched = if further == 0 { results } else { grown };
        let prompt_tokens = plan
            .prompt_tokens
            .saturating_mul(further + 1)
            .saturating_add(searched);
        let demand = Demand {
            prompt_tokens,
            output_tokens: 0,
            images: plan.needs.images,
            searches: errand.map_or(0, Errand::provider_searches),
            search_units: plan.search_units,
        };
        let search = errands.most(candidate);
        let whole = Demand {
            output_tokens: output_tokens.saturating_add(said.saturating_mul(further)),
            ..demand
        };
        Ceiling {
            most: price::most(&endpoint.pricing, &whole, at_ms, terms).saturating_add(search),
            before_output: price::most(&endpoint.pricing, &demand, at_ms, terms)
                .saturating_add(search),
            prompt_tokens,
            output_tokens,
        }
    }

    /// How many prompt tokens `available` would pay for, where nothing is generated.
    pub fn affordable_prompt(&self, available: Nanos) -> u64 {
        let (most, left) = (i128::from(self.most.0), i128::from(available.0.max(0)));
        if most <= 0 {
            return self.prompt_tokens;
        }
        let tokens = left * i128::from(self.prompt_tokens) / most;
        u64::try_from(tokens).map_or(0, |tokens| tokens.min(self.prompt_tokens))
    }

    /// How many output tokens `available` would pay for: the second number of contract 5.5's
    /// affordability message.
    pub fn affordable_tokens(&self, available: Nanos) -> u64 {
        let (for_output, left) = (
            self.most.0 - self.before_output.0,
            available.0 - self.before_output.0,
        );
        if for_output <= 0 || left <= 0 {
            return 0;
        }
        let tokens = i128::from(left) * i128::from(self.output_tokens) / i128::from(for_output);
        u64::try_from(tokens)
            .unwrap_or(u64::MAX)
            .min(self.output_tokens)
    }
}

/// The most output tokens that an endpoint generates, over all choices.
pub(super) fn longest_answer(endpoint: &Endpoint, max_tokens: Option<u64>, choices: u64) -> u64 {
    let cap = endpoint
        .max_output_tokens
        .or(endpoint.context_length)
        .unwrap_or(UNSTATED_OUTPUT_CAP);
    max_tokens
        .map_or(cap, |wanted| wanted.min(cap))
        .saturating_mul(choices)
}
