//! A batch of settlements as the engines take it: whole columns for Postgres, values row by row for SQLite.

use std::sync::LazyLock;

use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

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

    /// Statements that write the batch into the table `fresh` of SQLite's writer, as few as [`INSERTS`] allow.
    pub(super) fn inserts(&self) -> Vec<Insert<'_>> {
        let mut inserts = Vec::new();
        let mut row = 0;
        for (rows, sql) in &*INSERTS {
            while row + rows <= self.ids.len() {
                let insert = sqlx::query(sql.as_str());
                inserts.push((row..row + rows).fold(insert, |insert, row| self.bind(insert, row)));
                row += rows;
            }
        }
        inserts
    }

    /// A row's values, in the order of [`insert`].
    fn bind<'q>(&'q self, insert: Insert<'q>, row: usize) -> Insert<'q> {
        insert
            .bind(self.ids[row])
            .bind(self.replicas[row])
            .bind(self.accounts[row])
            .bind(self.keys[row])
            .bind(self.created_at[row])
            .bind(self.settled_at[row])
            .bind(self.models[row])
            .bind(self.providers[row])
            .bind(self.endpoints[row])
            .bind(self.provider_names[row])
            .bind(self.prompt[row])
            .bind(self.completion[row])
            .bind(self.reasoning[row])
            .bind(self.usage_sources[row])
            .bind(self.net[row])
            .bind(self.discount[row])
            .bind(self.fee[row])
            .bind(&self.records[row])
    }
}

type Insert<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Texts that insert so many rows at once. Few sizes, so that each is prepared once and for all.
static INSERTS: LazyLock<[(usize, String); 3]> =
    LazyLock::new(|| [64, 8, 1].map(|rows| (rows, insert(rows))));

fn insert(rows: usize) -> String {
    const COLUMNS: &str = "id, replica, account, key_hash, created_at, settled_at, model, provider, endpoint, \
        provider_name, tokens_prompt, tokens_completion, tokens_reasoning, usage_source, net_nanos, discount_nanos, \
        fee_nanos, record";
    let row = format!("({})", vec!["?"; COLUMNS.split(',').count()].join(", "));
    format!(
        "INSERT INTO temp.fresh ({COLUMNS}) VALUES {}",
        vec![row; rows].join(", ")
    )
}
