//! Three times as many requests as there is time for: what is still served, how the others are told, and how soon all is
//! well again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Result;
use crate::load::{self, Client, Times};
use crate::targets::{Bench, Target};
use crate::upstream::Manner;

/// Connections that the requests come over: more than are ever served at once, and as many as there are descriptors for.
const CONNECTIONS: usize = 8_000;
const TIMES_CAPACITY: u32 = 3;
/// Good answers in a row after which all is well.
const WELL: usize = 100;

/// How overload was borne.
pub(crate) struct Overload {
    /// Requests a second at the peak, with as many at once as are answered.
    pub(crate) peak: u64,
    /// Requests a second under overload: sent, answered well, and refused with a 503 that says when to return.
    pub(crate) sent: u64,
    pub(crate) good: u64,
    pub(crate) refused: u64,
    /// Every other answer, and every connection that broke.
    pub(crate) other: usize,
    /// Good answers under overload: median and the one of a hundred, in microseconds.
    pub(crate) whole: (u64, u64),
    /// Until no more are refused.
    pub(crate) recovery: Duration,
}

#[derive(Default)]
struct Told {
    good: Vec<u64>,
    refused: usize,
    other: usize,
}

/// Finds the peak, goes beyond it, and waits until all is well.
pub(crate) async fn measure(bench: &Bench, quick: bool) -> Result<Overload> {
    let target = &bench.turnpike;
    let request = load::request(target, Manner::Plain, 2_000);
    let length = Duration::from_secs(if quick { 3 } else { 15 });
    let requests = if quick { 3_000 } else { 30_000 };
    let begun = Instant::now();
    load::closed(target, &request, 64, requests).await?;
    let peak = requests as f64 / begun.elapsed().as_secs_f64();
    let told = flood(target, &request, peak as u32 * TIMES_CAPACITY, length).await?;
    let recovery = recovery(target, &request).await?;
    let a_second = |count: usize| (count as f64 / length.as_secs_f64()) as u64;
    Ok(Overload {
        peak: peak as u64,
        sent: a_second(told.good.len() + told.refused + told.other),
        good: a_second(told.good.len()),
        refused: a_second(told.refused),
        other: told.other,
        whole: (
            Times::percentile(&told.good, 50),
            Times::percentile(&told.good, 99),
        ),
        recovery,
    })
}

/// `rate` requests a second, as far as there are connections free to send them.
async fn flood(target: &Target, request: &Arc<[u8]>, rate: u32, length: Duration) -> Result<Told> {
    let (due, waiting) = mpsc::channel::<()>(CONNECTIONS);
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut client, request) = (Client::connect(target).await?, Arc::clone(request));
        let waiting = Arc::clone(&waiting);
        tasks.spawn(async move {
            let mut told = Told::default();
            loop {
                let next = waiting.lock().await.recv().await;
                let Some(()) = next else { return told };
                let begun = Instant::now();
                match client.answer(&request).await {
                    Ok(answer) if answer.status == 200 && answer.complete => {
                        told.good.push(load::micros(begun.elapsed()));
                    }
                    Ok(answer) if answer.status == 503 && answer.retry_after => told.refused += 1,
                    Ok(_) => told.other += 1,
                    Err(_broken) => {
                        told.other += 1;
                        return told;
                    }
                }
            }
        });
    }
    let begun = Instant::now();
    let mut sent = 0_u32;
    while begun.elapsed() < length {
        let owed = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u32;
        // What finds no connection free is not made up for later.
        while sent < owed {
            sent += 1;
            let _ = due.try_send(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(due);
    let mut sum = Told::default();
    while let Some(told) = tasks.join_next().await {
        let told = told?;
        sum.good.extend(told.good);
        sum.refused += told.refused;
        sum.other += told.other;
    }
    Ok(sum)
}

/// How long it takes until so many in a row are answered well.
async fn recovery(target: &Target, request: &Arc<[u8]>) -> Result<Duration> {
    let mut client = Client::connect(target).await?;
    let over = Instant::now();
    let mut well = (0, over);
    while well.0 < WELL {
        let sent = Instant::now();
        well = match client.answer(request).await?.status {
            200 if well.0 > 0 => (well.0 + 1, well.1),
            200 => (1, sent),
            _ => (0, sent),
        };
    }
    Ok(well.1.duration_since(over))
}
