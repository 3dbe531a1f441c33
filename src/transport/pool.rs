//! The connections from one core to one host: those over HTTP/1 that nobody uses at the moment, and those over HTTP/2,
//! which many exchanges share.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::http1::{self, Stream};
use super::http2::Shared;

/// Idle connections are kept this long; providers close theirs after a minute or more.
const IDLE: Duration = Duration::from_secs(50);
/// So often it is looked for those that are idle for too long, or that the host has closed.
const SWEEP: Duration = Duration::from_secs(5);

/// The connections to one host.
#[derive(Debug)]
pub(super) struct Pool {
    state: Mutex<State>,
    /// Who may make a connection over HTTP/2 when all that there are have no room.
    turn: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    /// The one used last is at the end.
    idle: VecDeque<Idle>,
    shared: Vec<Arc<Shared>>,
    sweeper: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    since: Instant,
}

/// A connection that an exchange can begin on.
pub(super) enum Connection {
    /// All of it.
    Http1(Stream),
    /// A stream of it.
    Http2(Arc<Shared>),
}

impl Pool {
    /// A connection that is there: over HTTP/1 the one used last, since the others may then come to rest.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut state = self.state.lock();
        if let Some(shared) = state.roomy() {
            return Some(Connection::Http2(shared));
        }
        loop {
            let mut last = state.idle.pop_back()?;
            if http1::is_quiet(&mut last.stream) {
                return Some(Connection::Http1(last.stream));
            }
        }
    }

    /// Keeps a connection over HTTP/1 for those that come next.
    pub(super) fn put(self: &Arc<Self>, stream: Stream) {
        let mut state = self.state.lock();
        let since = Instant::now();
        state.idle.push_back(Idle { stream, since });
        self.keep_swept(&mut state);
    }

    /// Waits until this caller may make a connection, where others can use it too: they wait for it. Where it is not known
    /// yet that they can, nobody waits.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if self.state.lock().shared.is_empty() {
            return None;
        }
        // It is never closed.
        self.turn.acquire().await.ok()
    }

    /// Lets others use a connection over HTTP/2 too. Another that has been made in the same moment, and has room, serves as
    /// well.
    pub(super) fn share(self: &Arc<Self>, shared: Shared) -> Arc<Shared> {
        let mut state = self.state.lock();
        if let Some(other) = state.roomy() {
            return other;
        }
        let shared = Arc::new(shared);
        state.shared.push(Arc::clone(&shared));
        self.keep_swept(&mut state);
        shared
    }

    /// Nobody else begins an exchange on this connection.
    pub(super) fn forget(&self, shared: &Arc<Shared>) {
        let mut state = self.state.lock();
        state.shared.retain(|other| !Arc::ptr_eq(other, shared));
    }

    fn keep_swept(self: &Arc<Self>, state: &mut State) {
        if state.sweeper.is_none() {
            let sweeper = tokio::spawn(keep_swept(Arc::downgrade(self)));
            state.sweeper = Some(AbortOnDropHandle::new(sweeper));
        }
    }

    /// Closes what has been idle for too long, and what the host has closed. Whether anything is left.
    fn sweep(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        state.idle.retain_mut(|idle| {
            now.duration_since(idle.since) < IDLE && http1::is_quiet(&mut idle.stream)
        });
        let left = state.idle.len();
        state.idle.shrink_to(2 * left);
        state.shared.retain(|shared| shared.is_of_use(now, IDLE));
        let is_left = !state.idle.is_empty() || !state.shared.is_empty();
        if !is_left {
            state.sweeper = None;
        }
        is_left
    }
}

impl Default for Pool {
    fn default() -> Self {
        Pool {
            state: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl State {
    /// A connection over HTTP/2 on which one more exchange can begin. Those that are closed are forgotten.
    fn roomy(&mut self) -> Option<Arc<Shared>> {
        self.shared.retain(|shared| shared.is_open());
        self.shared.iter().find(|shared| shared.has_room()).cloned()
    }
}

async fn keep_swept(pool: Weak<Pool>) {
    loop {
        sleep(SWEEP).await;
        if !pool
            .upgrade()
            .is_some_and(|pool| pool.sweep(Instant::now()))
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A pool with an idle connection, and the host's end of that.
    async fn pooled() -> (Arc<Pool>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (host, _) = listener.accept().await.unwrap();
        let pool = Arc::new(Pool::default());
        pool.put(Box::new(stream.unwrap()));
        (pool, host)
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_after_a_while() {
        let (pool, mut host) = pooled().await;
        assert!(pool.sweep(Instant::now()));
        assert!(!pool.sweep(Instant::now() + IDLE));
        assert_eq!(host.read(&mut [0]).await.unwrap(), 0);
        assert!(pool.take().is_none());
    }

    #[tokio::test]
    async fn a_connection_that_its_host_has_closed_is_not_kept() {
        let (pool, host) = pooled().await;
        drop(host);
        // Until the system has said so.
        while pool.sweep(Instant::now()) {
            tokio::task::yield_now().await;
        }
        assert!(pool.take().is_none());
    }
}
