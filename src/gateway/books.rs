//! The ledger as the gateway uses it: what goes into the books is counted for the operator as well.

use super::Refusal;
use crate::domain::generation::Generation;
use crate::domain::money::Nanos;
use crate::domain::principal::Principal;
use crate::domain::terms::Terms;
use crate::ledger::{Hold, HoldError, Ledger, SettleError};
use crate::telemetry::metrics::Metrics;

/// The ledger and the counts of what is written to it. Cloning shares both.
#[derive(Clone)]
pub struct Books {
    ledger: Ledger,
    metrics: Metrics,
}

impl Books {
    /// Books over a ledger, counted in `metrics`.
    pub fn new(ledger: Ledger, metrics: Metrics) -> Self {
        Books { ledger, metrics }
    }

    pub(super) fn terms(&self, who: &Principal) -> Terms {
        self.ledger.terms(who)
    }

    pub(super) async fn hold(&self, who: &Principal, most: Nanos) -> Result<Hold, HoldError> {
        self.ledger.hold(who, most).await
    }

    /// Charges a run; it is over.
    pub(super) fn settle(
        &self,
        hold: Hold,
        generation: Generation,
    ) -> impl Future<Output = Result<(), SettleError>> + Send + use<> {
        self.metrics.generation(&generation);
        self.ledger.settle(hold, generation)
    }

    /// Keeps a run that is not charged; it is over.
    pub(super) fn record(&self, hold: Hold, generation: Generation) {
        self.metrics.generation(&generation);
        self.ledger.record(hold, generation);
    }

    /// Counts a call that was not answered.
    pub(super) fn refused(&self, refusal: &Refusal) {
        self.metrics.refused(word(refusal));
    }
}

fn word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Plan(_) => "invalid",
        Refusal::Rank(_) => "no_endpoint",
        Refusal::NoSearch(_) => "no_search",
        Refusal::FreeLimit(_) => "free_limit",
        Refusal::Hold {
            error: HoldError::Busy,
            ..
        } => "busy",
        Refusal::Hold { .. } => "credit",
        Refusal::Search(_) => "search_failed",
        Refusal::Exhausted(_) | Refusal::Step(_) => "upstream",
        Refusal::Settle(_) => "unsettled",
        Refusal::Closing => "closing",
    }
}
