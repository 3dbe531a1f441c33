//! The client: requests over kept connections, as fast as they are answered or at a fixed rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Result;
use crate::targets::Target;
use crate::upstream::{ILL, Manner};
use crate::wire::{Answer, Reader};

/// Times of the answers of one run, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    /// From the request to the end of the answer.
    pub(crate) whole: Vec<u64>,
    /// From the request to the first byte of the body.
    pub(crate) first: Vec<u64>,
}

impl Times {
    /// A percentile of sorted or unsorted times.
    pub(crate) fn percentile(times: &[u64], percent: usize) -> u64 {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * percent / 100).copied().unwrap_or(0)
    }

    fn extend(&mut self, other: Times) {
        self.whole.extend(other.whole);
        self.first.extend(other.first);
    }
}

/// The bytes of one request.
pub(crate) fn request(target: &Target, manner: Manner, prompt: usize) -> Arc<[u8]> {
    request_by(&target.key, target, manner, prompt)
}

/// The same of another caller.
pub(crate) fn request_by(key: &str, target: &Target, manner: Manner, prompt: usize) -> Arc<[u8]> {
    let text = "Tell me more. ".repeat(prompt / 14 + 1);
    let (model, stream) = (manner.model(), manner.streams());
    // Whoever is ill would be spared soon.
    let order = match manner.is_broken() {
        true => format!(r#""provider":{{"order":["{ILL}"]}},"#),
        false => String::new(),
    };
    let body = format!(
        r#"{{"model":"{model}","stream":{stream},"max_tokens":64,{order}"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        target.path,
        key,
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat().into()
}

/// `requests` over `connections`, each sending the next as soon as the last is answered.
pub(crate) async fn closed(
    target: &Target,
    request: &Arc<[u8]>,
    connections: usize,
    requests: usize,
) -> Result<Times> {
    spread(target, request, connections, requests, Duration::ZERO).await
}

/// The same over connections that begin one after the other, the last after `within`.
pub(crate) async fn spread(
    target: &Target,
    request: &Arc<[u8]>,
    connections: usize,
    requests: usize,
    within: Duration,
) -> Result<Times> {
    let each = requests.div_ceil(connections);
    let requests = vec![Arc::clone(request); each * connections];
    each_once(target, &requests, connections, within).await
}

/// Different requests, each sent once, over `connections` likewise.
pub(crate) async fn each_once(
    target: &Target,
    requests: &[Arc<[u8]>],
    connections: usize,
    within: Duration,
) -> Result<Times> {
    let mut tasks = JoinSet::new();
    let parts = requests.chunks(requests.len().div_ceil(connections).max(1));
    for (position, requests) in parts.enumerate() {
        let (mut client, requests) = (Client::connect(target).await?, requests.to_vec());
        let begins = within * position as u32 / connections as u32;
        tasks.spawn(async move {
            tokio::time::sleep(begins).await;
            let mut times = Times::default();
            for request in requests {
                client.ask(&request, Instant::now(), &mut times).await?;
            }
            Ok(times)
        });
    }
    gather(tasks).await
}

/// `rate` requests a second for `length`, timed from when each was due: a proxy that stalls cannot hide it.
pub(crate) async fn steady(
    target: &Target,
    request: &Arc<[u8]>,
    rate: u32,
    length: Duration,
) -> Result<Times> {
    const CONNECTIONS: usize = 64;
    let (due, waiting) = mpsc::channel::<Instant>(1024);
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut client, request) = (Client::connect(target).await?, Arc::clone(request));
        let waiting = Arc::clone(&waiting);
        tasks.spawn(async move {
            let mut times = Times::default();
            loop {
                let next = waiting.lock().await.recv().await;
                let Some(due) = next else { return Ok(times) };
                client.ask(&request, due, &mut times).await?;
            }
        });
    }
    let every = Duration::from_secs(1) / rate;
    let begun = Instant::now();
    let mut at = begun;
    while at.duration_since(begun) < length {
        tokio::time::sleep_until(at.into()).await;
        due.send(at).await?;
        at += every;
    }
    drop(due);
    gather(tasks).await
}

async fn gather(mut tasks: JoinSet<Result<Times>>) -> Result<Times> {
    let mut times = Times::default();
    while let Some(ended) = tasks.join_next().await {
        times.extend(ended??);
    }
    Ok(times)
}

/// One kept connection.
pub(crate) struct Client(Reader);

impl Client {
    pub(crate) async fn connect(target: &Target) -> Result<Client> {
        Client::connect_to(target.port).await
    }

    /// Connects to a port on loopback.
    pub(crate) async fn connect_to(port: u16) -> Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Client(Reader::new(stream)))
    }

    /// Sends a request and reads up to the first bytes of its body, which must be a good one.
    pub(crate) async fn begin(&mut self, request: &[u8]) -> Result<()> {
        self.0.stream().write_all(request).await?;
        self.0.begin().await?;
        match self.0.status()? {
            200 => Ok(()),
            status => Err(format!("answered {status}").into()),
        }
    }

    /// Reads what was begun to its end, and says whether it is complete.
    pub(crate) async fn rest(&mut self) -> Result<bool> {
        self.0.rest().await
    }

    /// Sends a request and reads whatever is answered.
    pub(crate) async fn answer(&mut self, request: &[u8]) -> Result<Answer> {
        self.0.stream().write_all(request).await?;
        self.0.answer().await
    }

    /// Sends a request, whatever becomes of it.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.0.stream().write_all(request).await?)
    }

    /// Sends a request and hangs up `after` its answer has begun, whose status is answered.
    pub(crate) async fn leave(mut self, request: &[u8], after: Duration) -> Result<u16> {
        self.0.stream().write_all(request).await?;
        self.0.begin().await?;
        let status = self.0.status()?;
        // What comes meanwhile is read, and not looked at.
        let _ = timeout(after, self.0.rest()).await;
        Ok(status)
    }

    /// The text of an answer.
    pub(crate) async fn text(&mut self, request: &[u8]) -> Result<String> {
        self.0.stream().write_all(request).await?;
        self.0.text().await
    }

    /// Reads one byte of what was begun.
    pub(crate) async fn byte(&mut self) -> Result<()> {
        self.0.byte().await
    }

    async fn ask(&mut self, request: &[u8], due: Instant, times: &mut Times) -> Result<()> {
        let answer = self.answer(request).await?;
        if answer.status != 200 || !answer.complete {
            return Err(format!("answered {}: {}", answer.status, answer.text).into());
        }
        times.first.push(micros(answer.first.duration_since(due)));
        times.whole.push(micros(due.elapsed()));
        Ok(())
    }
}

/// Microseconds, as the tables show them.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
