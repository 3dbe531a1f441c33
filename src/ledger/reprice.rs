//! What charges should have been by the prices of another catalogue. Pure: compares, and changes nothing.

use crate::catalog::snapshot::{Endpoint, Snapshot};
use crate::domain::event::FinishReason;
use crate::domain::generation::{Generation, Served};
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
    let Some(endpoint) = endpoint(served, catalog) else {
        return Repriced::Gone;
    };
    // Any reason will do that is no error: the run was finished, or left.
    let finish = run.finish_reason.as_ref().map(|_| FinishReason::Stop);
    let terms = &run.charge.terms;
    let (before, last) = match run.steps.split_last() {
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
        &endpoint.pricing,
        before,
        Some(&last),
        finish,
        run.created_at,
        terms,
    );
    // What an engine costs stands in no catalogue.
    Repriced::At(price::with_searches(charge, usage, finish, run.charge.searches).net)
}

/// The endpoint that answered, whether it can be used now or not.
fn endpoint<'a>(served: &Served, catalog: &'a Snapshot) -> Option<&'a Endpoint> {
    let model = catalog.model(served.model.as_str())?;
    let mut endpoints = model.endpoints.iter().chain(&model.disabled);
    endpoints
        .find(|endpoint| endpoint.tag == served.endpoint)
        .map(AsRef::as_ref)
}
