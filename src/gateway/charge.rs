//! What a run that has its answer is charged, and the proof of it: its record and its receipt.

use super::record::Run;
use crate::domain::generation::{self, Charge, Generation};
use crate::domain::money::Nanos;
use crate::domain::usage::{Tokens, Usage};
use crate::ledger::price::{self, Leg};
use crate::rank::Candidate;
use crate::stream::client::Receipt;
use crate::stream::meter::Meter;

/// The steps before the last, by who made them.
struct Earlier<'a> {
    /// By others than the one that made the last.
    legs: Vec<Leg<'a>>,
    by_the_last: &'a [Tokens],
}

impl Run {
    /// The record and the receipt of a run that is charged.
    pub(super) fn finished(&self, meter: &Meter, usage: Usage) -> (Generation, Receipt) {
        let earlier = self.earlier(meter.steps());
        let charge = self.charge(&earlier, &usage, meter);
        let legs = self.legs(&earlier.legs, &charge);
        let (steps, usage) = together(meter.steps(), usage);
        let facts = meter.facts();
        let search = self.search.as_ref();
        let receipt = Receipt {
            usage,
            searches: search.map_or(0, |search| search.searches),
            tool_calls: search
                .map(|search| search.requested)
                .filter(|calls| *calls > 0),
            report: self.report(Some(&charge)),
            charge: charge.clone(),
            system_fingerprint: facts.system_fingerprint.clone(),
            service_tier: facts.service_tier.clone(),
        };
        let finish = meter.finish();
        let generation = Generation {
            served: self.served(meter),
            finish_reason: finish.map(|finish| finish.reason.as_str().into()),
            native_finish_reason: finish
                .map(|finish| finish.native.clone())
                .filter(|native| !native.is_empty()),
            usage: Some(usage),
            steps,
            legs,
            charge,
            ..self.blank()
        };
        (generation, receipt)
    }

    /// What the run costs: each step by the list of the endpoint that made it, and what was searched for it.
    fn charge(&self, earlier: &Earlier<'_>, usage: &Usage, meter: &Meter) -> Charge {
        let Some(candidate) = self.answered() else {
            return Charge::default();
        };
        let success = self.success(meter);
        let charge = price::charge_with_steps(
            &earlier.legs,
            &candidate.endpoint.pricing,
            earlier.by_the_last,
            Some(usage),
            success,
            self.created_at,
            &self.planned.terms,
        );
        let searches = self
            .search
            .as_ref()
            .map_or(Nanos::ZERO, |search| search.price);
        let (_, used) = together(meter.steps(), *usage);
        Charge {
            catalog_version: Some(self.planned.catalog_version.clone()),
            ..price::with_searches(charge, &used.tokens, success, searches)
        }
    }

    /// The steps that are over, by who made them.
    fn earlier<'a>(&'a self, steps: &'a [Tokens]) -> Earlier<'a> {
        let mut by_the_last = steps;
        let mut leg = |(candidate, made): &'a (Candidate, usize)| {
            let (steps, rest) = by_the_last.split_at(by_the_last.len().min(*made));
            by_the_last = rest;
            Leg {
                pricing: &candidate.endpoint.pricing,
                steps,
            }
        };
        let legs = self.before.iter().map(&mut leg).collect();
        Earlier { legs, by_the_last }
    }

    /// The same for the record, with what their providers are owed: nothing where nothing is charged.
    fn legs(&self, legs: &[Leg<'_>], charge: &Charge) -> Vec<generation::Leg> {
        let shares = price::shares(legs, self.created_at);
        let made = self.before.iter().zip(shares);
        let leg = |((candidate, steps), share): (&(Candidate, usize), Nanos)| generation::Leg {
            model: candidate.model.id.clone(),
            provider: candidate.endpoint.provider.slug.clone(),
            endpoint: candidate.endpoint.tag.clone(),
            steps: *steps,
            gross: share.min(charge.gross),
        };
        made.map(leg).collect()
    }
}

/// What every step used, and their sum; one step is its own sum.
fn together(before: &[Tokens], last: Usage) -> (Vec<Tokens>, Usage) {
    if before.is_empty() {
        return (Vec::new(), last);
    }
    let tokens = before.iter().fold(last.tokens, |sum, step| sum.plus(step));
    let steps = [before, &[last.tokens]].concat();
    (steps, Usage { tokens, ..last })
}
