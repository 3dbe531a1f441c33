//! What a batch moves, added up: each lease, key, wallet and day's row is changed once, however many runs concern it.

use std::collections::BTreeMap;

use super::{Settlement, UNKNOWN};
use crate::domain::ids::KeyHash;
use crate::store::StoreError;

/// The sums of the runs that were added.
#[derive(Default)]
pub(super) struct Sums<'a> {
    /// Nano-dollars that each replica's runs cost each key.
    pub(super) spent: BTreeMap<Spender<'a>, i64>,
    /// What is added to the day's activity.
    pub(super) used: BTreeMap<Subject<'a>, Used<'a>>,
    /// Nano-dollars that each provider is owed.
    pub(super) owed: BTreeMap<&'a str, i64>,
    /// Nano-dollars that the operator earns: fees, less what is taken off prices.
    pub(super) earned: i64,
}

/// Whose lease pays, and for which account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spender<'a> {
    pub(super) replica: &'a str,
    pub(super) key: KeyHash,
    pub(super) account: &'a str,
}

/// A row of a day's activity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject<'a> {
    pub(super) account: &'a str,
    pub(super) key: KeyHash,
    pub(super) model: &'a str,
    pub(super) endpoint: &'a str,
}

/// What is added to such a row.
pub(super) struct Used<'a> {
    pub(super) provider_name: &'a str,
    /// Requests, the tokens of [`Settlement::tokens`], net, discount and fee.
    pub(super) counts: [i64; 7],
}

impl<'a> Sums<'a> {
    /// Adds a run. Fails where a sum leaves the range of amounts.
    pub(super) fn add(&mut self, row: &'a Settlement) -> Result<(), StoreError> {
        let generation = &row.generation;
        let (net, discount, fee) = (row.net().0, row.discount().0, row.fee().0);
        let account = generation.account.as_str();
        let served = generation.served.as_ref();
        if net > 0 {
            let spender = Spender {
                replica: &row.replica,
                key: generation.key,
                account,
            };
            add(self.spent.entry(spender).or_default(), net)?;
        }
        if row.is_charged() {
            let owed = self.owed.entry(row.payee()).or_default();
            add(owed, net - fee)?;
            add(owed, discount)?;
            add(&mut self.earned, fee)?;
            add(&mut self.earned, -discount)?;
        }
        if served.is_some() || net > 0 {
            let subject = Subject {
                account,
                key: generation.key,
                model: served.map_or(UNKNOWN, |served| served.model.as_str()),
                endpoint: served.map_or(UNKNOWN, |served| served.endpoint.as_str()),
            };
            let used = self.used.entry(subject).or_insert(Used {
                provider_name: served.map_or(UNKNOWN, |served| &*served.provider_name),
                counts: [0; 7],
            });
            let [prompt, completion, reasoning] = row.tokens();
            let more = [1, prompt, completion, reasoning, net, discount, fee];
            for (count, more) in used.counts.iter_mut().zip(more) {
                add(count, more)?;
            }
        }
        Ok(())
    }
}

fn add(sum: &mut i64, more: i64) -> Result<(), StoreError> {
    *sum = sum.checked_add(more).ok_or_else(StoreError::overflow)?;
    Ok(())
}
