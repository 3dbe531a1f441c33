//! Settlement: a batch of runs becomes generations, entries, balances and counters in one transaction.
//!
//! Exactly once: the insert of a generation is what decides. A row whose id is there already changes
//! nothing else, so a batch may be sent again whenever its outcome is not known.
//!
//! Never too little credit: a charge first uses up the lease that its replica holds for the key, in the
//! same transaction — what was promised becomes what was spent — and then the balance. A charge whose
//! lease is gone (its replica was taken for dead) or too small takes the balance alone, below zero if
//! it must: the run has happened, and the money is owed.
//!
//! A charge that its lease covers is carried by the lease, whose row lies among the few that are in use, and reaches the
//! key's counters and the wallet when the lease moves ([`super::leases`]). Until then both are what is stored with what is
//! carried; the room that they leave is the same either way. A lease carries charges of one day, since a key counts by
//! days: those of the next are written where they belong until the lease has moved.
//!
//! Three entries tell what became of the money of a run: the `charge` goes from the wallet to what the provider is owed,
//! the `fee` from the wallet to the operator, and the `discount` from the operator to the provider. Where several
//! providers made its steps, [`super::shares`] adds what goes on to each. The activity of the day is counted along.
//!
//! Each engine has a way of its own, since what costs differs: [`postgres`] sends a batch as one statement, [`sqlite`], where
//! asking is cheap, goes row by row.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::db::{Engine, write};
use super::{Store, StoreError};
use crate::domain::calendar::Windows;
use crate::domain::generation::{Generation, Which};
use crate::domain::ids::KeyHash;
use crate::domain::money::Nanos;

/// The sums of a day's row with what a batch adds to it.
macro_rules! add_activity {
    () => {
        "requests = activity.requests + excluded.requests, tokens_prompt = activity.tokens_prompt + excluded.tokens_prompt,
            tokens_completion = activity.tokens_completion + excluded.tokens_completion,
            tokens_reasoning = activity.tokens_reasoning + excluded.tokens_reasoning, net_nanos = activity.net_nanos + excluded.net_nanos,
            discount_nanos = activity.discount_nanos + excluded.discount_nanos, fee_nanos = activity.fee_nanos + excluded.fee_nanos"
    };
}

pub(super) mod clerk;
mod columns;
mod postgres;
pub(super) mod sqlite;
mod sums;

/// More tokens than any run has: a count beyond is an error of somebody's, and must not overflow the sums of a day.
const MOST_TOKENS: i64 = 1_000_000_000_000;

/// What stands in the place of a name that a run does not have.
const UNKNOWN: &str = "unknown";

/// A run to be charged and kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Noted", into = "Noted")]
pub struct Settlement {
    /// The run.
    pub generation: Generation,
    /// The replica whose lease the run was held against.
    pub replica: Arc<str>,
    /// When it was handed over, Unix milliseconds: the instant whose day, week and month it counts in.
    pub settled_at: i64,
}

/// A settlement as it is written where runs have no columns.
#[derive(Serialize, Deserialize)]
struct Noted {
    /// `None` in notes of older versions, whose records have it.
    which: Option<Which>,
    generation: Generation,
    replica: Arc<str>,
    settled_at: i64,
}

impl From<Settlement> for Noted {
    fn from(settlement: Settlement) -> Self {
        Noted {
            which: Some(settlement.generation.which()),
            generation: settlement.generation,
            replica: settlement.replica,
            settled_at: settlement.settled_at,
        }
    }
}

impl From<Noted> for Settlement {
    fn from(noted: Noted) -> Self {
        let which = noted.which.unwrap_or_else(|| noted.generation.which());
        Settlement {
            generation: Generation::of(which, noted.generation),
            replica: noted.replica,
            settled_at: noted.settled_at,
        }
    }
}

/// The part of a replica's charges to a key that its lease did not cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// Whose lease it was.
    pub replica: String,
    /// The key that was charged.
    pub key: KeyHash,
    /// Charges minus what the lease had.
    pub amount: Nanos,
}

impl Settlement {
    /// What is charged. A negative charge would be a gift that nobody decided on.
    pub fn net(&self) -> Nanos {
        self.generation.charge.net.max(Nanos::ZERO)
    }

    /// The part of the net that is the operator's.
    pub(super) fn fee(&self) -> Nanos {
        self.generation.charge.fee.clamp(Nanos::ZERO, self.net())
    }

    /// What the operator pays the provider in the account's place.
    pub(super) fn discount(&self) -> Nanos {
        self.generation.charge.discount.max(Nanos::ZERO)
    }

    /// Whether money moves.
    fn is_charged(&self) -> bool {
        self.net() > Nanos::ZERO || self.discount() > Nanos::ZERO
    }

    fn provider(&self) -> Option<&str> {
        Some(self.generation.served.as_ref()?.provider.as_str())
    }

    /// Who is owed what it costs, as its account is called.
    pub(super) fn payee(&self) -> &str {
        self.provider().unwrap_or(UNKNOWN)
    }

    /// What was used: tokens of the prompt, of the completion, and those of them that were reasoning.
    fn tokens(&self) -> [i64; 3] {
        let tokens = self
            .generation
            .usage
            .map(|usage| usage.tokens)
            .unwrap_or_default();
        [tokens.prompt, tokens.completion, tokens.reasoning].map(|tokens| {
            i64::try_from(tokens)
                .unwrap_or(MOST_TOKENS)
                .min(MOST_TOKENS)
        })
    }

    /// Who counted the tokens.
    fn usage_source(&self) -> Option<&'static str> {
        Some(self.generation.usage?.source.as_str())
    }
}

impl Store {
    /// Charges and keeps a batch: all of it or, on an error, nothing. Says which leases fell short.
    pub async fn settle(&self, batch: &[Arc<Settlement>]) -> Result<Vec<Uncovered>, StoreError> {
        let mut uncovered = Vec::new();
        // Within one day every row counts in the same windows, so that a batch moves each counter once. More than
        // one day in a batch is the exception of midnight and of replays, and whole days are safe to commit apart.
        for day in
            batch.chunk_by(|one, next| Windows::at(one.settled_at) == Windows::at(next.settled_at))
        {
            let Some(first) = day.first() else { continue };
            let windows = Windows::at(first.settled_at);
            uncovered.extend(match &*self.engine {
                // Large, and part of every settlement of either engine.
                Engine::Postgres(pool) => Box::pin(postgres::settle(pool, day, windows)).await?,
                Engine::Sqlite { writer, clerk, .. } => {
                    let turn = writer.turn().await?;
                    clerk.settle(day, windows, turn).await?
                }
            });
        }
        Ok(uncovered)
    }

    /// Sets a settlement aside that the database refuses, for a person to look at.
    pub async fn park(
        &self,
        settlement: &Settlement,
        reason: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "INSERT INTO parked_settlements (id, record, reason, parked_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (id) DO NOTHING";
        let record = serde_json::to_string(settlement)
            .map_err(|_| StoreError::Unreadable("a settlement"))?;
        let id = settlement.generation.id.as_str();
        write!(self, tx => { sqlx::query(SQL).bind(id).bind(&record).bind(reason).bind(now).execute(&mut *tx).await?; });
        Ok(())
    }
}
