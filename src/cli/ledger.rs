//! `ledger`: what can be asked of the ledger, while the server runs. Here `verify`, which proves that it adds up.

pub(super) mod export;
pub(super) mod reprice;
pub(super) mod statement;

use serde::Serialize;

use super::Failure;
use super::output::{Output, table};
use crate::domain::money::Nanos;
use crate::store::{Difference, Store, Verification};

#[derive(Serialize)]
struct Proof {
    holds: bool,
    entries: i64,
    generations: i64,
    /// Settlements that the database refused and that wait for a person.
    parked: i64,
    differences: Vec<ShownDifference>,
    /// Differences beyond those listed.
    more: u64,
}

#[derive(Serialize)]
struct ShownDifference {
    invariant: &'static str,
    subject: String,
    stored: Nanos,
    expected: Nanos,
}

/// Fails when anything does not hold.
pub(super) async fn verify(store: &Store, out: &Output) -> Result<(), Failure> {
    let proof = Proof::from(store.verify().await.map_err(Failure::other)?);
    out.print(&proof, words)?;
    if proof.holds {
        Ok(())
    } else {
        Err(Failure::other("the ledger does not add up"))
    }
}

fn words(proof: &Proof) -> String {
    let Proof {
        entries,
        generations,
        parked,
        differences,
        more,
        ..
    } = proof;
    let mut words = format!("{entries} entries and {generations} generations were checked");
    if *parked > 0 {
        words.push_str(&format!(
            "; {parked} settlements are parked and wait for a person"
        ));
    }
    if proof.holds {
        return words + ". The ledger adds up.";
    }
    let row = |it: &ShownDifference| {
        [
            it.invariant.to_owned(),
            it.subject.clone(),
            it.stored.to_string(),
            it.expected.to_string(),
        ]
    };
    let rows = table(
        ["DOES NOT HOLD", "OF", "STORED", "EXPECTED"],
        differences.iter().map(row),
    );
    format!(
        "{words}.\n\n{rows}\n{}",
        if *more > 0 {
            format!("and {more} more")
        } else {
            String::new()
        }
    )
}

impl From<Verification> for Proof {
    fn from(found: Verification) -> Self {
        Proof {
            holds: found.holds(),
            entries: found.entries,
            generations: found.generations,
            parked: found.parked,
            differences: found
                .differences
                .into_iter()
                .map(ShownDifference::from)
                .collect(),
            more: found.more,
        }
    }
}

impl From<Difference> for ShownDifference {
    fn from(difference: Difference) -> Self {
        let Difference {
            invariant,
            subject,
            stored,
            expected,
        } = difference;
        ShownDifference {
            invariant,
            subject,
            stored: Nanos(stored),
            expected: Nanos(expected),
        }
    }
}
