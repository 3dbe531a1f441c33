//! Streams that are open and say nothing: how many at once, what each holds, and whether all end well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;

use crate::Result;
use crate::load::{self, Client};
use crate::targets::Bench;
use crate::upstream::{HOLD, Manner};

/// What open streams cost Turnpike.
pub(crate) struct Idle {
    /// Open at once.
    pub(crate) streams: usize,
    /// Resident memory before, with all of them open, and after, in kB.
    pub(crate) before: u64,
    pub(crate) open: u64,
    pub(crate) after: u64,
    /// How many ended complete.
    pub(crate) complete: usize,
    /// From the first to the last that opened.
    pub(crate) opening: Duration,
}

/// Opens as many streams as the descriptors of one process allow, two a stream, and reads each to its end.
pub(crate) async fn measure(bench: &Bench, quick: bool) -> Result<Idle> {
    const AT_ONCE: usize = 256;
    let streams = if quick { 500 } else { most_streams() };
    let target = &bench.turnpike;
    let request = load::request(target, Manner::Idle, 2_000);
    let before = target.process.tree().memory();
    let begun = Instant::now();
    // Opened a few at a time, since the provider's silence is counted from its first chunk.
    let (opening, all_open) = (
        Arc::new(Semaphore::new(AT_ONCE)),
        Arc::new(Barrier::new(streams + 1)),
    );
    let mut tasks = JoinSet::new();
    for _ in 0..streams {
        let turn = Arc::clone(&opening).acquire_owned().await?;
        let (mut client, request) = (Client::connect(target).await?, Arc::clone(&request));
        let all_open = Arc::clone(&all_open);
        tasks.spawn(async move {
            let begun = client.begin(&request).await;
            drop(turn);
            all_open.wait().await;
            begun?;
            client.rest().await
        });
    }
    all_open.wait().await;
    let opening = begun.elapsed();
    if opening >= HOLD {
        return Err(format!(
            "{streams} streams took {opening:?} to open, longer than the provider holds them"
        )
        .into());
    }
    let open = target.process.tree().memory();
    let mut complete = 0;
    while let Some(ended) = tasks.join_next().await {
        complete += usize::from(ended??);
    }
    Ok(Idle {
        streams,
        before,
        open,
        after: target.process.tree().memory(),
        complete,
        opening,
    })
}

/// Half the descriptors, less what a server has open besides.
fn most_streams() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| {
        let soft = line.strip_prefix("Max open files")?;
        soft.split_whitespace().next()?.parse::<usize>().ok()
    });
    (files.unwrap_or(1_024) / 2)
        .saturating_sub(400)
        .clamp(100, 9_600)
}
