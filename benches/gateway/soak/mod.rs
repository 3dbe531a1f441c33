//! Whether the server is after half an hour what it was after five minutes: mixed traffic at a part of what it can take,
//! while its memory, descriptors and threads are looked at again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{interval, sleep};

use crate::Result;
use crate::targets::{Bench, Target};
use crate::upstream::ILL;

pub(crate) mod mix;

use mix::Told;

/// The part of the capacity that is used.
const PART: f64 = 0.7;
/// Connections to providers are kept for most of this, once nothing uses them.
const REST: Duration = Duration::from_secs(60);

/// How the server bore it.
pub(crate) struct Soak {
    /// Requests of the mix a second at the peak, and those that were sent.
    pub(crate) peak: f64,
    pub(crate) rate: f64,
    pub(crate) length: Duration,
    pub(crate) samples: Vec<Sample>,
    /// The largest distance of the memory from its median once the server is warm, in percent of that.
    pub(crate) deviation: f64,
    /// Descriptors at rest, before and after.
    pub(crate) descriptors: (u64, u64),
    /// Tasks at rest, likewise.
    pub(crate) tasks: (u64, u64),
    /// What became of the requests.
    pub(crate) told: Arc<Told>,
    /// Attempts that failed at the provider that fails.
    pub(crate) failed_attempts: u64,
    /// Whether the ledger adds up afterwards.
    pub(crate) verified: bool,
}

/// The server at one instant.
pub(crate) struct Sample {
    pub(crate) at: Duration,
    /// Requests that came to their end since the one before.
    pub(crate) served: u64,
    /// Resident memory in kB.
    pub(crate) memory: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
}

/// How long everything takes.
struct Times {
    length: Duration,
    /// From here on the server is warm.
    warm: Duration,
    every: Duration,
    /// What the peak is found in.
    finding: Duration,
}

impl Times {
    fn of(quick: bool) -> Times {
        let seconds = Duration::from_secs;
        if quick {
            Times {
                length: seconds(60),
                warm: seconds(20),
                every: seconds(2),
                finding: seconds(5),
            }
        } else {
            Times {
                length: seconds(1_800),
                warm: seconds(300),
                every: seconds(10),
                finding: seconds(20),
            }
        }
    }
}

/// Finds the peak, and stays below it for long.
pub(crate) async fn measure(bench: &Bench, quick: bool) -> Result<Soak> {
    let (target, times) = (&bench.turnpike, Times::of(quick));
    let found = Arc::default();
    mix::run(target, None, times.finding, &found).await?;
    let peak = found.served() as f64 / times.finding.as_secs_f64();
    sleep(REST).await;
    let descriptors = target.process.tree().descriptors();
    let tasks = tasks(&target.metrics().await?);
    let (rate, told) = (peak * PART, Arc::<Told>::default());
    let traffic = mix::run(target, Some(rate), times.length, &told);
    tokio::pin!(traffic);
    let mut samples = Vec::new();
    let (begun, mut clock) = (Instant::now(), interval(times.every));
    clock.tick().await;
    loop {
        tokio::select! {
            ended = &mut traffic => break ended?,
            _ = clock.tick() => samples.push(sample(target, begun.elapsed(), &told, &samples)),
        }
    }
    let failed_attempts = failed_attempts(&target.metrics().await?);
    if let Some(first) = &*told.first_other.lock().await {
        eprintln!("the first of anything else: {first}");
    }
    let over = Instant::now();
    while target.process.tree().descriptors() > descriptors && over.elapsed() < REST * 2 {
        sleep(Duration::from_secs(1)).await;
    }
    Ok(Soak {
        peak,
        rate,
        length: times.length,
        deviation: deviation(&samples, times.warm),
        samples,
        descriptors: (descriptors, target.process.tree().descriptors()),
        tasks: (tasks, self::tasks(&target.metrics().await?)),
        told: Arc::clone(&told),
        failed_attempts,
        verified: bench.verify().is_ok(),
    })
}

fn sample(target: &Target, at: Duration, told: &Told, before: &[Sample]) -> Sample {
    let counted: u64 = before.iter().map(|sample| sample.served).sum();
    let tree = target.process.tree();
    Sample {
        at,
        served: told.served() - counted,
        memory: tree.memory(),
        descriptors: tree.descriptors(),
        threads: tree.threads(),
    }
}

fn deviation(samples: &[Sample], warm: Duration) -> f64 {
    let warm = samples.iter().filter(|sample| sample.at >= warm);
    let memory: Vec<u64> = warm.map(|sample| sample.memory).collect();
    let median = crate::load::Times::percentile(&memory, 50);
    let farthest = memory.iter().map(|memory| memory.abs_diff(median)).max();
    farthest.unwrap_or(0) as f64 * 100.0 / median.max(1) as f64
}

/// Attempts that failed at the provider that fails.
fn failed_attempts(metrics: &str) -> u64 {
    let ill = format!("turnpike_attempts_total{{provider=\"{ILL}\"");
    let tried = metrics
        .lines()
        .filter(|line| line.starts_with(&ill) && !line.contains("\"answered\""));
    tried.filter_map(count).sum()
}

fn tasks(metrics: &str) -> u64 {
    let mut lines = metrics.lines();
    let line = lines.find(|line| line.starts_with("turnpike_tasks "));
    line.and_then(count).unwrap_or(0)
}

fn count(line: &str) -> Option<u64> {
    line.rsplit(' ').next()?.parse().ok()
}
