//! The shares of a run's providers, where several made its steps: the charge went to the one that made the last, and from
//! there each of the others gets what its own steps cost, in an entry of the kind `step`.
//!
//! Seldom, so that the settlement's own statement knows nothing of it; in the same transaction, so that a run is never
//! charged without them. A share that is entered is not entered again.

use super::settlements::Settlement;
use crate::domain::money::Nanos;

/// What a provider gets of a run that another finished.
pub(super) struct Share {
    /// `ID/POSITION`: one of a run.
    pub(super) reference: String,
    /// The account of the one that finished.
    pub(super) finisher: String,
    /// The provider's account.
    pub(super) provider: String,
    pub(super) amount: Nanos,
}

impl Share {
    /// What its entry does to balances.
    pub(super) fn moves(&self) -> [(&str, i64); 2] {
        [
            (&self.finisher, -self.amount.0),
            (&self.provider, self.amount.0),
        ]
    }
}

/// The account of what a provider is owed.
pub(super) fn payable(provider: &str) -> String {
    format!("payable:{provider}")
}

/// The shares of a run. What a provider would get from itself is none.
pub(super) fn of(row: &Settlement) -> impl Iterator<Item = Share> {
    let id = row.generation.id.as_str();
    let legs = row.generation.legs.iter().enumerate();
    let shares = legs.map(move |(position, leg)| Share {
        reference: format!("{id}/{position}"),
        finisher: payable(row.payee()),
        provider: payable(leg.provider.as_str()),
        amount: leg.gross,
    });
    shares.filter(|share| share.amount > Nanos::ZERO && share.provider != share.finisher)
}

pub(super) const ENTER: &str =
    "INSERT INTO entries (kind, reference, debit, credit, amount_nanos, created_at)
    VALUES ('step', $1, $2, $3, $4, $5) ON CONFLICT (kind, reference) DO NOTHING";

pub(super) const MOVE: &str = "INSERT INTO ledger_accounts (id, kind, balance_nanos) VALUES ($1, 'payable', $2)
    ON CONFLICT (id) DO UPDATE SET balance_nanos = ledger_accounts.balance_nanos + excluded.balance_nanos";
