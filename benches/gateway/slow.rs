//! Clients that hardly read: what endless streams to them make the gateway hold, and whether others notice.

use std::time::Duration;

use tokio::time::{interval, sleep};

use crate::Result;
use crate::load::{self, Client, Times};
use crate::process::Tree;
use crate::targets::Bench;
use crate::upstream::Manner;

const READERS: usize = 500;
const RATE: u32 = 200;

/// Less processor time than this in a second, in microseconds, is rest.
const REST: u64 = 50_000;
/// How many seconds it may take to come to rest.
const PATIENCE: usize = 60;

/// What slow readers cost.
pub(crate) struct Slow {
    /// Streams that are read a byte a second.
    pub(crate) readers: usize,
    /// Resident memory before, and after some time with all of them, in kB.
    pub(crate) before: u64,
    pub(crate) with: u64,
    /// Whole answers of others before and meanwhile, the one of a hundred, in microseconds.
    pub(crate) p99: (u64, u64),
}

/// Opens streams without end, reads a byte of each a second, and asks for plain answers beside them.
pub(crate) async fn measure(bench: &Bench, quick: bool) -> Result<Slow> {
    let target = &bench.turnpike;
    let length = Duration::from_secs(if quick { 3 } else { 20 });
    let plain = load::request(target, Manner::Plain, 2_000);
    let calm = load::steady(target, &plain, RATE, length).await?;
    let before = target.process.tree().memory();
    let endless = load::request(target, Manner::Endless, 2_000);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..READERS {
        let mut client = Client::connect(target).await?;
        client.begin(&endless).await?;
        readers.spawn(async move {
            let mut clock = interval(Duration::from_secs(1));
            loop {
                clock.tick().await;
                if client.byte().await.is_err() {
                    return;
                }
            }
        });
    }
    rest(target.process.tree()).await;
    let meanwhile = load::steady(target, &plain, RATE, length).await?;
    let with = target.process.tree().memory();
    if readers.try_join_next().is_some() {
        return Err("a stream without end has ended".into());
    }
    readers.shutdown().await;
    let p99 = |times: &Times| Times::percentile(&times.whole, 99);
    Ok(Slow {
        readers: READERS,
        before,
        with,
        p99: (p99(&calm), p99(&meanwhile)),
    })
}

/// Until every buffer on the way to slow readers is full, and the server has nothing more to do for them.
async fn rest(server: Tree) {
    for _ in 0..PATIENCE {
        let before = server.cpu();
        sleep(Duration::from_secs(1)).await;
        if server.cpu().saturating_sub(before) < REST {
            return;
        }
    }
}
