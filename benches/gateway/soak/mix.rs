//! The mixed traffic of a soak: plain and large requests, streams, callers who leave, and a provider that fails, a failover
//! at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::Result;
use crate::load::{self, Client};
use crate::targets::Target;
use crate::upstream::Manner;

/// Requests come over this many connections: more than are ever answered at once.
const CONNECTIONS: usize = 384;
/// How long callers who leave amid a stream read of it.
const STAY: Duration = Duration::from_millis(200);

/// What callers do, one after the other and then again from the first.
const TURNS: [Turn; 20] = [
    Turn::Ask(Manner::Plain),
    Turn::Ask(Manner::BrokenPlain),
    Turn::Ask(Manner::Plain),
    Turn::Ask(Manner::Large),
    Turn::Ask(Manner::Plain),
    Turn::Ask(Manner::BrokenStream),
    Turn::Ask(Manner::Plain),
    Turn::Ask(Manner::Paced),
    Turn::Ask(Manner::Plain),
    Turn::Ask(Manner::BrokenPlain),
    Turn::Ask(Manner::Plain),
    Turn::Leave(Manner::Paced),
    Turn::Ask(Manner::Plain),
    Turn::Ask(Manner::Large),
    Turn::Ask(Manner::Plain),
    Turn::Ask(Manner::BrokenStream),
    Turn::Ask(Manner::Plain),
    Turn::Ask(Manner::BrokenPlain),
    Turn::Ask(Manner::Plain),
    Turn::Leave(Manner::Large),
];

#[derive(Clone, Copy)]
enum Turn {
    /// Waits for the whole answer.
    Ask(Manner),
    /// Hangs up amid a stream, or before a plain answer.
    Leave(Manner),
}

/// What became of the requests.
#[derive(Default)]
pub(crate) struct Told {
    /// Answered whole.
    pub(crate) good: AtomicU64,
    /// Streams that broke at the provider when they had begun, and said so.
    pub(crate) broken: AtomicU64,
    /// Left by their callers.
    pub(crate) left: AtomicU64,
    /// Refused with a 503 that says when to return.
    pub(crate) refused: AtomicU64,
    /// Everything else, and the first of it.
    pub(crate) other: AtomicU64,
    pub(crate) first_other: Mutex<Option<String>>,
}

impl Told {
    /// All that came to an end as it should have.
    pub(crate) fn served(&self) -> u64 {
        [&self.good, &self.broken, &self.left]
            .map(|count| count.load(Relaxed))
            .iter()
            .sum()
    }
}

/// Sends the mix for a time: `rate` requests a second, or as many as are answered.
pub(crate) async fn run(
    target: &Target,
    rate: Option<f64>,
    length: Duration,
    told: &Arc<Told>,
) -> Result<()> {
    let requests: Arc<[Arc<[u8]>]> = TURNS.map(|turn| turn.request(target)).into();
    let (due, waiting) = mpsc::channel::<usize>(CONNECTIONS);
    let waiting = Arc::new(Mutex::new(waiting));
    let mut callers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut caller = Caller {
            port: target.port,
            kept: None,
            requests: Arc::clone(&requests),
        };
        let (waiting, told) = (Arc::clone(&waiting), Arc::clone(told));
        callers.spawn(async move {
            loop {
                let next = waiting.lock().await.recv().await;
                let Some(turn) = next else { return };
                caller.take(turn, &told).await;
            }
        });
    }
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < length {
        match rate {
            Some(rate) if f64::from(sent) > begun.elapsed().as_secs_f64() * rate => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            _ => {
                due.send(sent as usize % TURNS.len()).await?;
                sent += 1;
            }
        }
    }
    drop(due);
    while let Some(ended) = callers.join_next().await {
        ended?;
    }
    Ok(())
}

impl Turn {
    fn request(self, target: &Target) -> Arc<[u8]> {
        let (Turn::Ask(manner) | Turn::Leave(manner)) = self;
        let prompt = if manner == Manner::Large {
            100_000
        } else {
            2_000
        };
        load::request(target, manner, prompt)
    }
}

/// One who sends request after request, over one connection for as long as it lasts.
struct Caller {
    port: u16,
    kept: Option<Client>,
    requests: Arc<[Arc<[u8]>]>,
}

impl Caller {
    async fn take(&mut self, turn: usize, told: &Told) {
        let request = Arc::clone(&self.requests[turn]);
        let came_to = match TURNS[turn] {
            Turn::Ask(manner) => self.ask(manner, &request, told).await,
            Turn::Leave(manner) => self.leave(manner, &request, told).await,
        };
        if let Err(error) = came_to {
            told.other.fetch_add(1, Relaxed);
            told.first_other
                .lock()
                .await
                .get_or_insert_with(|| error.to_string());
        }
    }

    async fn ask(&mut self, manner: Manner, request: &[u8], told: &Told) -> Result<()> {
        let mut client = self.client().await?;
        let answer = client.answer(request).await?;
        let count = match answer.status {
            200 if answer.complete => &told.good,
            200 if manner == Manner::BrokenStream => &told.broken,
            503 if answer.retry_after => &told.refused,
            status => return Err(format!("{manner:?} answered {status}: {}", answer.text).into()),
        };
        count.fetch_add(1, Relaxed);
        // Who is refused before the body was read is hung up on.
        self.kept = (answer.status == 200).then_some(client);
        Ok(())
    }

    async fn leave(&mut self, manner: Manner, request: &[u8], told: &Told) -> Result<()> {
        let mut client = self.client().await?;
        let status = if manner.streams() {
            client.leave(request, STAY).await?
        } else {
            client.send(request).await?;
            200
        };
        let count = match status {
            200 => &told.left,
            503 => &told.refused,
            status => return Err(format!("who left {manner:?} was answered {status}").into()),
        };
        count.fetch_add(1, Relaxed);
        Ok(())
    }

    async fn client(&mut self) -> Result<Client> {
        match self.kept.take() {
            Some(client) => Ok(client),
            None => Client::connect_to(self.port).await,
        }
    }
}
