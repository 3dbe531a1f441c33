//! Rows by the million, as Turnpike itself would have written them: copies of the one key and the one run that it made,
//! under other names, at other times, with entries and sums that add up.

use turnpike::auth::ApiKey;
use turnpike::clock::now_ms;
use turnpike::domain::calendar::Windows;

use crate::Result;
use crate::database::{Connection, Database, Engine};

const DAY: i64 = 86_400_000;
const WEEK: i64 = 7 * DAY;
/// Runs that are written at once.
const PIECE: u64 = 1_000_000;
/// What each account was granted.
const CREDIT: i64 = 100_000_000_000;

/// How much there is to be.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Keys, each of an account of its own.
    pub(crate) keys: u64,
    /// Runs, spread over them evenly.
    pub(crate) runs: u64,
}

impl Size {
    pub(crate) fn new(keys: u64, runs: u64) -> Size {
        Size { keys, runs }
    }
}

/// Fills a database that no server has open, and answers the keys of `callers` accounts strewn among the others.
pub(crate) async fn fill(database: &Database, size: Size, callers: usize) -> Result<Vec<String>> {
    let mut filling = Filling {
        to: database.connect().await?,
        size,
        week: whole_week(now_ms()),
    };
    filling.note_what_is_there().await?;
    let keys = filling.name_keys(callers).await?;
    filling.add_runs().await?;
    filling.add_keys().await?;
    filling.settle_down().await?;
    filling.to.close().await?;
    if let Database::Sqlite(file) = database {
        std::fs::File::open(file)?.sync_all()?;
    }
    Ok(keys)
}

/// The Monday of the last week that is over and lies within one month, so that a key's usage of its last week is that of
/// its last month.
fn whole_week(now: i64) -> i64 {
    let mut monday = Windows::at(now).week - WEEK;
    while Windows::at(monday).month != Windows::at(monday + WEEK - 1).month {
        monday -= WEEK;
    }
    monday
}

struct Filling {
    to: Connection,
    size: Size,
    /// When the runs' week begins.
    week: i64,
}

impl Filling {
    /// Keeps the key and the run that are copied, before there are others.
    async fn note_what_is_there(&mut self) -> Result<()> {
        let runs = self.to.number("SELECT COUNT(*) FROM generations").await?;
        if runs != 1 {
            return Err(format!("one run is to be copied, and there are {runs}").into());
        }
        self.to
            .run(
                "CREATE TEMP TABLE the_run AS SELECT * FROM generations;
                CREATE TEMP TABLE the_key AS SELECT k.* FROM keys k JOIN generations g ON g.key_hash = k.hash;
                CREATE TEMP TABLE the_activity AS SELECT * FROM activity"
                    .to_owned(),
            )
            .await
    }

    /// Names every key and its account; the callers' are at even distances.
    async fn name_keys(&mut self, callers: usize) -> Result<Vec<String>> {
        let (engine, keys) = (self.to.engine(), self.size.keys);
        self.to
            .run(format!(
                "CREATE TEMP TABLE the_keys (number INTEGER PRIMARY KEY, hash {bytes} NOT NULL, account TEXT NOT NULL);
                INSERT INTO the_keys (number, hash, account) SELECT n, {hash}, 'user_' || {name} FROM {numbers}",
                bytes = engine.bytes(),
                hash = engine.random_bytes(),
                name = engine.random_text(27),
                numbers = engine.numbers(1, keys),
            ))
            .await?;
        let (mut texts, mut sql) = (Vec::with_capacity(callers), String::new());
        for caller in 0..callers as u64 {
            let (key, number) = (ApiKey::generate(), 1 + caller * keys / callers as u64);
            let hash = engine.literal(&key.hash.to_hex());
            sql.push_str(&format!(
                "UPDATE the_keys SET hash = {hash} WHERE number = {number};\n"
            ));
            texts.push(key.text.expose().to_owned());
        }
        self.to.run(sql).await?;
        Ok(texts)
    }

    /// Adds the runs with their entries and the activity of their days, in the order of their times.
    async fn add_runs(&mut self) -> Result<()> {
        let runs = self.size.runs;
        // Added row by row, an index in the order of random names is most of the work.
        let index = self.to.text(self.to.engine().index_text()).await?;
        self.to
            .run("DROP INDEX generations_by_account".to_owned())
            .await?;
        for from in (0..runs).step_by(PIECE as usize) {
            let piece = self.piece(from, runs.min(from + PIECE) - 1);
            self.to.run(piece).await?;
        }
        self.to.run(index).await
    }

    fn piece(&self, from: u64, to: u64) -> String {
        let (engine, Size { keys, runs }, week) = (self.to.engine(), self.size, self.week);
        format!(
            "CREATE TEMP TABLE the_runs AS
                SELECT 'gen-' || (at / 1000) || '-' || {name} AS id, at, hash, account
                FROM (SELECT n, {week} + n * CAST({WEEK} AS BIGINT) / {runs} AS at FROM {numbers}) AS times
                JOIN the_keys ON number = 1 + n % {keys} ORDER BY n;
            INSERT INTO generations (id, account, key_hash, created_at, settled_at, model, provider, endpoint,
                tokens_prompt, tokens_completion, tokens_reasoning, usage_source, net_nanos, discount_nanos, fee_nanos, record)
                SELECT r.id, r.account, r.hash, r.at, r.at, t.model, t.provider, t.endpoint,
                    t.tokens_prompt, t.tokens_completion, t.tokens_reasoning, t.usage_source, t.net_nanos, t.discount_nanos, t.fee_nanos, t.record
                FROM the_runs r, the_run t;
            INSERT INTO entries (kind, reference, debit, credit, amount_nanos, created_at)
                SELECT 'charge', r.id, 'wallet:' || r.account, 'payable:' || t.provider, t.net_nanos, r.at FROM the_runs r, the_run t;
            INSERT INTO activity (account, day, key_hash, model, endpoint, provider_name, requests,
                tokens_prompt, tokens_completion, tokens_reasoning, net_nanos, discount_nanos, fee_nanos)
                SELECT r.account, r.day, r.hash, t.model, t.endpoint, t.provider_name, r.runs, t.tokens_prompt * r.runs,
                    t.tokens_completion * r.runs, t.tokens_reasoning * r.runs, t.net_nanos * r.runs, t.discount_nanos, t.fee_nanos
                FROM (SELECT account, at - at % {DAY} AS day, hash, COUNT(*) AS runs FROM the_runs GROUP BY 1, 2, 3) AS r, the_activity t
                WHERE TRUE ORDER BY 1, 2
                ON CONFLICT (account, day, key_hash, model, endpoint) DO UPDATE SET requests = activity.requests + excluded.requests,
                    tokens_prompt = activity.tokens_prompt + excluded.tokens_prompt,
                    tokens_completion = activity.tokens_completion + excluded.tokens_completion,
                    tokens_reasoning = activity.tokens_reasoning + excluded.tokens_reasoning,
                    net_nanos = activity.net_nanos + excluded.net_nanos;
            DROP TABLE the_runs",
            name = engine.random_text(20),
            numbers = engine.numbers(from, to),
        )
    }

    /// Adds the keys with their usage, and the accounts and wallets with what they were granted and charged.
    async fn add_keys(&mut self) -> Result<()> {
        let (hash, week) = (self.to.engine().hex("k.hash"), self.week);
        let (month, last_day) = (Windows::at(week).month, week + WEEK - DAY);
        let keys = self.size.keys;
        self.to
            .run(format!(
                "CREATE TEMP TABLE the_usage AS
                    SELECT k.number, k.hash, k.account, CAST(COALESCE(SUM(a.net_nanos), 0) AS BIGINT) AS net,
                        CAST(COALESCE(SUM(CASE WHEN a.day = {last_day} THEN a.net_nanos END), 0) AS BIGINT) AS last_day
                    FROM the_keys k LEFT JOIN activity a ON a.account = k.account GROUP BY 1, 2, 3 ORDER BY 1;
                INSERT INTO accounts (id, email, admin, created_at)
                    SELECT account, 'caller' || number || '@example.com', FALSE, {week} FROM the_keys ORDER BY number;
                INSERT INTO keys (hash, account, name, label, management, disabled, limit_nanos, limit_reset, include_byok_in_limit,
                    created_at, change_number, usage_nanos, usage_daily_nanos, usage_weekly_nanos, usage_monthly_nanos,
                    day_start, week_start, month_start)
                    SELECT k.hash, k.account, t.name, 'sk-or-v1-' || SUBSTR({hash}, 1, 3) || '...' || SUBSTR({hash}, 62, 3),
                        t.management, t.disabled, t.limit_nanos, t.limit_reset, t.include_byok_in_limit,
                        {week}, c.last + k.number, k.net, k.last_day, k.net, k.net, {last_day}, {week}, {month}
                    FROM the_usage k, the_key t, key_changes c ORDER BY k.number;
                UPDATE key_changes SET last = last + {keys};
                INSERT INTO ledger_accounts (id, kind, balance_nanos, charged_nanos)
                    SELECT 'wallet:' || account, 'wallet', {CREDIT} - net, net FROM the_usage ORDER BY number;
                INSERT INTO entries (kind, reference, debit, credit, amount_nanos, created_at)
                    SELECT 'grant', 'preload:' || number, 'operator:grants', 'wallet:' || account, {CREDIT}, {week}
                    FROM the_keys ORDER BY number;
                UPDATE ledger_accounts SET balance_nanos = balance_nanos - {CREDIT} * {keys} WHERE id = 'operator:grants';
                UPDATE ledger_accounts SET balance_nanos = balance_nanos + (SELECT CAST(SUM(net) AS BIGINT) FROM the_usage)
                    WHERE id = (SELECT 'payable:' || provider FROM the_run)"
            ))
            .await
    }

    /// Does now what the engine would otherwise do while it is measured.
    async fn settle_down(&mut self) -> Result<()> {
        if self.to.engine() == Engine::Postgres {
            self.to.run("VACUUM (ANALYZE)".to_owned()).await?;
            self.to.run("CHECKPOINT".to_owned()).await?;
        }
        Ok(())
    }
}

/// What the engines say differently.
impl Engine {
    fn bytes(self) -> &'static str {
        match self {
            Engine::Sqlite => "BLOB",
            Engine::Postgres => "BYTEA",
        }
    }

    fn literal(self, hex: &str) -> String {
        match self {
            Engine::Sqlite => format!("X'{hex}'"),
            Engine::Postgres => format!("DECODE('{hex}', 'hex')"),
        }
    }

    fn hex(self, column: &str) -> String {
        match self {
            Engine::Sqlite => format!("LOWER(HEX({column}))"),
            Engine::Postgres => format!("ENCODE({column}, 'hex')"),
        }
    }

    /// As many bytes as a key's hash has.
    fn random_bytes(self) -> &'static str {
        match self {
            Engine::Sqlite => "RANDOMBLOB(32)",
            Engine::Postgres => "SHA256(RANDOM()::TEXT::BYTEA)",
        }
    }

    /// At most 32 letters and digits.
    fn random_text(self, length: usize) -> String {
        match self {
            Engine::Sqlite => format!("SUBSTR(HEX(RANDOMBLOB(16)), 1, {length})"),
            Engine::Postgres => format!("UPPER(SUBSTR(MD5(RANDOM()::TEXT), 1, {length}))"),
        }
    }

    /// The numbers `n` from one to another, both included.
    fn numbers(self, from: u64, to: u64) -> String {
        match self {
            Engine::Sqlite => format!(
                "(WITH RECURSIVE numbers (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n < {to}) SELECT n FROM numbers) AS numbers"
            ),
            Engine::Postgres => {
                format!("GENERATE_SERIES(CAST({from} AS BIGINT), {to}) AS numbers (n)")
            }
        }
    }

    /// Asks for the statement that makes the index of an account's runs.
    fn index_text(self) -> &'static str {
        match self {
            Engine::Sqlite => "SELECT sql FROM sqlite_master WHERE name = 'generations_by_account'",
            Engine::Postgres => {
                "SELECT indexdef FROM pg_indexes WHERE indexname = 'generations_by_account'"
            }
        }
    }
}
