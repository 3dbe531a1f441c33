//! A batch of settlements as Postgres takes it, by columns.

use super::Settlement;
use crate::store::StoreError;

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
        let [prompt, completion, reasoning] = row.tokens();
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
            .push(served.map(|served| &*served.provider_name));
        self.prompt.push(prompt);
        self.completion.push(completion);
        self.reasoning.push(reasoning);
        self.usage_sources.push(row.usage_source());
        self.net.push(row.net().0);
        self.discount.push(row.discount().0);
        self.fee.push(row.fee().0);
        let record = serde_json::to_string(generation);
        self.records
            .push(record.map_err(|_| StoreError::Unreadable("a generation"))?);
        Ok(())
    }
}
