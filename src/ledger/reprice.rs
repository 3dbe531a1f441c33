//! What charges should have been by the prices of another catalogue. Pure: compares, and changes nothing.

use crate::catalog::snapshot::{Endpoint, Snapshot};
use crate::domain::event::FinishReason;
use crate::domain::generation::Generation;
use crate::domain::ids::{EndpointTag, ModelId};
use crate::domain::money::Nanos;
use crate::domain::usage::Usage;

use super::price;

/// What a run should have been charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repriced {
    /// Nothing is charged for it at any price: nobody answered, or the run failed.
    Free,
    /// The catalogue has no such endpoint any more.
    Gone,
    /// This much.
    At(Nanos),
}

/// What a run costs by `catalog`, with the usage and the terms that it was charged by.
pub fn reprice(run: &Generation, catalog: &Snapshot) -> Repriced {
    let (Some(served), Some(usage)) = (&run.served, &run.usage) else {
        return Repriced::Free;
    };
    if run.finish_reason.as_deref() == Some(FinishReason::Error.as_str()) {
        return Repriced::Free;
    }
    let Some(answered) = endpoint(&served.model, &served.endpoint, catalog) else {
        return Repriced::Gone;
    };
    // Any reason will do that is no error: the run was finished, or left.
    let finish = run.finish_reason.as_ref().map(|_| FinishReason::Stop);
    let terms = &run.charge.terms;
    let mut rest = run.steps.as_slice();
    let mut legs = Vec::with_capacity(run.legs.len());
    for leg in &run.legs {
        let Some(endpoint) = endpoint(&leg.model, &leg.endpoint, catalog) else {
            return Repriced::Gone;
        };
        let (steps, later) = rest.split_at(leg.steps.min(rest.len()));
        rest = later;
        legs.push(price::Leg {
            pricing: &endpoint.pricing,
            steps,
        });
    }
    let (before, last) = match rest.split_last() {
        Some((last, before)) => (
            before,
            Usage {
                tokens: *last,
                ..*usage
            },
        ),
        None => (&[][..], *usage),
    };
    let charge = price::charge_with_steps(
        &legs,
        &answered.pricing,
        before,
        Some(&last),
        finish,
        run.created_at,
        terms,
    );
    // What an engine costs stands in no catalogue.
    let searches = run.charge.searches;
    Repriced::At(price::with_searches(charge, &usage.tokens, finish, searches).net)
}

/// An endpoint that made steps, whether it can be used now or not.
fn endpoint<'a>(model: &ModelId, tag: &EndpointTag, catalog: &'a Snapshot) -> Option<&'a Endpoint> {
    let model = catalog.model(model.as_str())?;
    let mut endpoints = model.endpoints.iter().chain(&model.disabled);
    endpoints
        .find(|endpoint| endpoint.tag == *tag)
        .map(AsRef::as_ref)
}
