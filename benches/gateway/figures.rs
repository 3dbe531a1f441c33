//! What a target did under one load.

use std::time::Instant;

use crate::Result;
use crate::load::{self, Times};
use crate::targets::Target;

/// The thread in which Turnpike settles on SQLite.
const LEDGER: &str = "ledger";

/// What a target did under one load, or the median of what it did in several rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Processor time of a request, or of a chunk of a stream, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// That part of it which its ledger's thread has used, likewise: nothing where another process keeps the ledger.
    pub(crate) ledger_ns: u64,
    /// What a commit takes: median and the one of a hundred, in microseconds.
    pub(crate) commit: (u64, u64),
    /// That of the database server, where the target has one, likewise.
    pub(crate) database_ns: u64,
    /// Requests or chunks a second.
    pub(crate) per_second: u64,
    /// Whole answers: median and the one of a hundred, in microseconds.
    pub(crate) whole: (u64, u64),
    /// First bytes of the body, likewise.
    pub(crate) first: (u64, u64),
}

impl Figures {
    /// What the target does under a load of answers with so many `events` each.
    pub(crate) async fn of(
        target: &Target,
        events: usize,
        load: impl Future<Output = Result<Times>>,
    ) -> Result<Figures> {
        let cpu = || target.process.tree().cpu();
        let database = || target.database.map_or(0, |server| server.cpu());
        let ledger = || target.process.tree().thread_cpu(LEDGER);
        let commits_before = target.commits().await?;
        let (cpu_before, ledger_before) = (cpu(), ledger());
        let (database_before, begun) = (database(), Instant::now());
        let times = load.await?;
        let took = load::micros(begun.elapsed()).max(1);
        let units = (times.whole.len() * events).max(1) as u64;
        let each = |micros: u64| micros * 1_000 / units;
        let (cpu, ledger, database) = (cpu(), ledger(), database());
        let commits = target.commits().await?;
        Ok(Figures {
            cpu_ns: each(cpu - cpu_before),
            ledger_ns: each(ledger - ledger_before),
            commit: (
                commits.since(&commits_before, 0.5),
                commits.since(&commits_before, 0.99),
            ),
            database_ns: each(database.saturating_sub(database_before)),
            per_second: units * 1_000_000 / took,
            whole: both(&times.whole),
            first: both(&times.first),
        })
    }

    /// The median of each figure over the rounds.
    pub(crate) fn median(rounds: &[Figures]) -> Figures {
        let of = |figure: fn(&Figures) -> u64| {
            let figures: Vec<u64> = rounds.iter().map(figure).collect();
            Times::percentile(&figures, 50)
        };
        Figures {
            cpu_ns: of(|round| round.cpu_ns),
            ledger_ns: of(|round| round.ledger_ns),
            commit: (of(|round| round.commit.0), of(|round| round.commit.1)),
            database_ns: of(|round| round.database_ns),
            per_second: of(|round| round.per_second),
            whole: (of(|round| round.whole.0), of(|round| round.whole.1)),
            first: (of(|round| round.first.0), of(|round| round.first.1)),
        }
    }
}

fn both(times: &[u64]) -> (u64, u64) {
    (Times::percentile(times, 50), Times::percentile(times, 99))
}
