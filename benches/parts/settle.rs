//! What a charge costs: in memory, from the hold to the queue, and in the database, by the size of a batch.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;
use turnpike::domain::generation::Generation;
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::Principal;
use turnpike::ledger::{Ledger, LedgerSettings};
use turnpike::store::{Settlement, Store};

use crate::support::db::TestDb;
use crate::support::money::{NOON, account, key, run, settlement};

const BATCHES: [usize; 4] = [1, 32, 256, 1000];
/// Settlements of one measurement of the table: enough for a clock that ticks a hundred times a second.
const MEASURED: usize = 8_000;
/// Runs between two emptyings of the queue.
const QUEUE: u64 = 4_096;
const CREDIT: i64 = 1_000_000_000_000_000;

/// Both engines, where TEST_DATABASE_URL names a Postgres, and the path that needs neither.
pub(crate) fn settle(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    in_memory(criterion, &runtime);
    let mut rows = vec![
        "| engine | batch | settlements a second | CPU a settlement, µs |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
    ];
    rows.extend(in_database(
        criterion,
        &runtime,
        "SQLite",
        &TestDb::sqlite(),
    ));
    if std::env::var_os("TEST_DATABASE_URL").is_some() {
        let db = runtime.block_on(TestDb::postgres());
        rows.extend(in_database(criterion, &runtime, "Postgres", &db));
        runtime.block_on(db.drop());
    }
    eprintln!("\n{}\n", rows.join("\n"));
}

/// A hold and its settlement as far as the queue, with credit on lease. Nothing waits here, so that on one
/// thread the writer runs only between the measurements.
fn in_memory(criterion: &mut Criterion, runtime: &Runtime) {
    let db = TestDb::sqlite();
    let (who, ledger) = runtime.block_on(async {
        let store = db.open().await;
        let account = account(&store, CREDIT).await;
        let who = key(&store, &account, None).await;
        let mut settings = LedgerSettings::in_directory(db.folder.path().join("ledger"));
        settings.lease = Nanos(CREDIT / 2);
        settings.queue = usize::try_from(QUEUE).expect("a small number");
        let ledger = Ledger::start(store, settings, &TaskTracker::new())
            .await
            .expect("a ledger");
        let first = ledger.hold(&who, Nanos(CREDIT / 2)).await;
        drop(first.expect("credit on lease"));
        (who, ledger)
    });
    criterion.bench_function("hold and settle in memory", |bencher| {
        bencher.iter_custom(|runs| {
            let mut measured = Duration::ZERO;
            let mut left = runs;
            while left > 0 {
                let piece = left.min(QUEUE);
                measured += runtime.block_on(hold_and_settle(&ledger, &who, piece));
                left -= piece;
            }
            measured
        });
    });
    runtime.block_on(ledger.close());
}

async fn hold_and_settle(ledger: &Ledger, who: &Principal, runs: u64) -> Duration {
    let generations: Vec<Generation> = (0..runs).map(|_| run(who, 10)).collect();
    let mut answers = Vec::with_capacity(generations.len());
    let started = Instant::now();
    for generation in generations {
        let hold = ledger.hold(who, Nanos(100)).await;
        let hold = hold.expect("there is credit on lease and room in the queue");
        answers.push(ledger.settle(hold, generation));
    }
    let measured = started.elapsed();
    for answer in answers {
        black_box(answer.await).expect("it is settled");
    }
    measured
}

/// Batches of each size, one after the other. Answers the rows of the table.
fn in_database(
    criterion: &mut Criterion,
    runtime: &Runtime,
    engine: &str,
    db: &TestDb,
) -> Vec<String> {
    let store = runtime.block_on(db.open());
    let who = runtime.block_on(async {
        let account = account(&store, CREDIT).await;
        key(&store, &account, None).await
    });
    let mut group = criterion.benchmark_group(format!("settle on {engine}"));
    group.sample_size(10);
    let mut rows = Vec::new();
    for size in BATCHES {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|batches| {
                let batches = (0..batches).map(|_| batch(&who, size)).collect::<Vec<_>>();
                runtime.block_on(commit(&store, &batches))
            });
        });
        rows.push(row(runtime, engine, &store, &who, size));
    }
    group.finish();
    rows
}

fn row(runtime: &Runtime, engine: &str, store: &Store, who: &Principal, size: usize) -> String {
    let count = if size == 1 {
        MEASURED / 8
    } else {
        MEASURED / size
    };
    let batches: Vec<_> = (0..count).map(|_| batch(who, size)).collect();
    let before = cpu_time();
    let took = runtime.block_on(commit(store, &batches));
    let cpu = cpu_time().saturating_sub(before);
    let settlements = (count * size) as u32;
    format!(
        "| {engine} | {size} | {:.0} | {:.0} |",
        f64::from(settlements) / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / f64::from(settlements)
    )
}

fn batch(who: &Principal, size: usize) -> Vec<Arc<Settlement>> {
    let one = |_| settlement("bench", run(who, 10), NOON);
    (0..size).map(one).collect()
}

async fn commit(store: &Store, batches: &[Vec<Arc<Settlement>>]) -> Duration {
    let started = Instant::now();
    for batch in batches {
        store.settle(batch).await.expect("it is settled");
    }
    started.elapsed()
}

/// What this process has used of the processors, its database threads included; a Postgres server's own
/// work is not. Zero where there is no /proc.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program comes second, in brackets, and may hold spaces; user and system time are 14th and 15th.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}
