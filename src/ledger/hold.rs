//! A hold: the credit and the place in the queue that a run under way keeps for itself.

use std::sync::Arc;

use tokio::sync::mpsc::OwnedPermit;

use super::lease::Credit;
use super::settle::Job;
use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;
use crate::store::StoreError;

/// Reserved for one run. Dropping it unsettled gives the credit back: a counter in memory, no I/O.
#[must_use = "a hold that is not settled charges nothing"]
pub struct Hold {
    place: OwnedPermit<Job>,
    replica: Arc<str>,
    credit: Option<Credit>,
}

/// Why there is no hold.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HoldError {
    /// The account has nothing left, or owes.
    #[error("the account has no credit left")]
    NoCredit {
        /// What it has.
        balance: Nanos,
    },
    /// The account has credit, but not enough for the most this run can cost.
    #[error("the run can cost {needed}, and {available} is available")]
    Unaffordable {
        /// The most the run can cost.
        needed: Nanos,
        /// What is neither spent nor held for others.
        available: Nanos,
    },
    /// The key's own cap does not leave enough.
    #[error("the key's limit is exceeded")]
    KeyLimit {
        /// When the cap starts anew.
        reset: LimitReset,
    },
    /// Too many runs are under way, or this replica may not lend now. Trying again later is right.
    #[error("the ledger is busy")]
    Busy,
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hold {
    pub(super) fn new(place: OwnedPermit<Job>, replica: Arc<str>, credit: Option<Credit>) -> Self {
        Hold {
            place,
            replica,
            credit,
        }
    }

    /// How much credit is reserved.
    pub fn amount(&self) -> Nanos {
        self.credit
            .as_ref()
            .map_or(Nanos::ZERO, |credit| Nanos(credit.amount()))
    }

    pub(super) fn into_parts(self) -> (OwnedPermit<Job>, Arc<str>, Option<Credit>) {
        (self.place, self.replica, self.credit)
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("amount", &self.amount())
            .finish_non_exhaustive()
    }
}
