//! A batch of settlements as the engines take it: columns for Postgres, one JSON text for SQLite.

use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

use super::StoreError;
use super::settlements::Settlement;

/// More tokens than any run has: a count beyond is an error of somebody's, and must not overflow the sums of a day.
const MOST_TOKENS: i64 = 1_000_000_000_000;

/// A batch by columns, as UNNEST takes it.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) ids: Vec<&'a str>,
    pub(super) replicas: Vec<&'a str>,
    pub(super) accounts: Vec<&'a str>,
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) created_at: Vec<i64>,
    pub(super) settled_at: Vec<i64>,
    pub(super) models: Vec<Option<&'a str>>,
    pub(super) providers: Vec<Option<&'a str>>,
    pub(super) endpoints: Vec<Option<&'a str>>,
    pub(super) provider_names: Vec<Option<&'a str>>,
    pub(super) prompt: Vec<i64>,
    pub(super) completion: Vec<i64>,
    pub(super) reasoning: Vec<i64>,
    pub(super) usage_sources: Vec<Option<&'a str>>,
    pub(super) net: Vec<i64>,
    pub(super) discount: Vec<i64>,
    pub(super) fee: Vec<i64>,
    pub(super) records: Vec<String>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &[&'a Settlement]) -> Result<Self, StoreError> {
        let mut columns = Columns::default();
        for row in batch {
            columns.push(row)?;
        }
        Ok(columns)
    }

    fn push(&mut self, row: &'a Settlement) -> Result<(), StoreError> {
        let generation = &row.generation;
        let served = generation.served.as_ref();
        let usage = generation.usage;
        let tokens = usage.map(|usage| usage.tokens).unwrap_or_default();
        let count = |tokens: u64| {
            i64::try_from(tokens)
                .unwrap_or(MOST_TOKENS)
                .min(MOST_TOKENS)
        };
        self.ids.push(generation.id.as_str());
        self.replicas.push(&row.replica);
        self.accounts.push(generation.account.as_str());
        self.keys.push(generation.key.as_bytes());
        self.created_at.push(generation.created_at);
        self.settled_at.push(row.settled_at);
        self.models.push(served.map(|served| served.model.as_str()));
        self.providers.push(row.provider());
        self.endpoints
            .push(served.map(|served| served.endpoint.as_str()));
        self.provider_names
            .push(served.map(|served| served.provider_name.as_str()));
        self.prompt.push(count(tokens.prompt));
        self.completion.push(count(tokens.completion));
        self.reasoning.push(count(tokens.reasoning));
        self.usage_sources
            .push(usage.map(|usage| usage.source.as_str()));
        self.net.push(row.net().0);
        self.discount.push(row.discount().0);
        self.fee.push(row.fee().0);
        let record = serde_json::to_string(generation);
        self.records
            .push(record.map_err(|_| StoreError::Unreadable("a generation"))?);
        Ok(())
    }

    /// The batch as one JSON array of rows, each an array in the order of the columns.
    pub(super) fn json(&self) -> Result<String, StoreError> {
        let rows: Vec<JsonRow<'_>> = (0..self.ids.len()).map(|row| JsonRow(self, row)).collect();
        serde_json::to_string(&rows).map_err(|_| StoreError::Unreadable("a settlement"))
    }
}

/// One row of the columns, as an array.
struct JsonRow<'a>(&'a Columns<'a>, usize);

impl Serialize for JsonRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let JsonRow(columns, row) = *self;
        let mut array = serializer.serialize_seq(None)?;
        array.serialize_element(columns.ids[row])?;
        array.serialize_element(columns.replicas[row])?;
        array.serialize_element(columns.accounts[row])?;
        array.serialize_element(&hex::encode(columns.keys[row]))?;
        array.serialize_element(&columns.created_at[row])?;
        array.serialize_element(&columns.settled_at[row])?;
        array.serialize_element(&columns.models[row])?;
        array.serialize_element(&columns.providers[row])?;
        array.serialize_element(&columns.endpoints[row])?;
        array.serialize_element(&columns.provider_names[row])?;
        array.serialize_element(&columns.prompt[row])?;
        array.serialize_element(&columns.completion[row])?;
        array.serialize_element(&columns.reasoning[row])?;
        array.serialize_element(&columns.usage_sources[row])?;
        array.serialize_element(&columns.net[row])?;
        array.serialize_element(&columns.discount[row])?;
        array.serialize_element(&columns.fee[row])?;
        array.serialize_element(&columns.records[row])?;
        array.end()
    }
}
