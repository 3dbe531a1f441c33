//! `catalog`: every model, who serves it, and what is missing for those who do not.

use super::Failure;
use super::output::Output;
use super::setup::Setup;
use crate::catalog::Summary;
use crate::catalog::list::inventory;

pub(super) fn list(setup: &Setup, out: &Output) -> Result<(), Failure> {
    out.print(&inventory(&setup.catalog.snapshot()), |inventory| {
        inventory.to_string().trim_end().to_owned()
    })
}

/// Reaching it means that the catalogue was read and found right.
pub(super) fn check(setup: &Setup, out: &Output) -> Result<(), Failure> {
    let summary = Summary::of(&setup.catalog.snapshot());
    out.print(&summary, |summary| {
        format!("The catalogue is right. Usable now: {summary}.")
    })
}
