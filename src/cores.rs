//! The threads that serve connections, one for each processor, each with a runtime of its own.
//!
//! A connection stays on the thread that got it, and so do its requests, their upstream connections and what they wait
//! for: nothing of it is handed over, nor is a sleeping thread woken, where one that is awake could go on. With one
//! runtime for all threads, a request cost a sixth more (`benches/README.md`).
//!
//! What goes on without a request (the ledger's writer, the watch on keys) has the process's own runtime.

use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

thread_local! {
    /// Which core this thread is; other threads go along with the first.
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// The running threads. They end when it is dropped.
#[derive(Debug)]
pub struct Cores {
    cores: Vec<Core>,
    stop: DropGuard,
}

#[derive(Debug)]
struct Core {
    runtime: Handle,
    ended: oneshot::Receiver<()>,
}

/// A value for each core, so that those who run on different ones need not share it.
#[derive(Debug)]
pub struct PerCore<T>(Box<[T]>);

impl Cores {
    /// Starts a thread for each processor that this process may use.
    pub fn start() -> io::Result<Self> {
        let stop = CancellationToken::new();
        let cores = (0..count()).map(|number| core(number, stop.clone()));
        Ok(Cores {
            cores: cores.collect::<io::Result<_>>()?,
            stop: stop.drop_guard(),
        })
    }

    /// Runs `work` on the core with the fewest tasks; a connection, and what it waits for, is a few.
    pub fn spawn(&self, tasks: &TaskTracker, work: impl Future<Output = ()> + Send + 'static) {
        let least_busy = self
            .runtimes()
            .min_by_key(|runtime| runtime.metrics().num_alive_tasks());
        match least_busy {
            Some(runtime) => tasks.spawn_on(work, runtime),
            None => tasks.spawn(work),
        };
    }

    /// All of them, in the order of [`PerCore`].
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.cores.iter().map(|core| &core.runtime)
    }

    /// Ends the threads, and returns when they have. What still runs on them is dropped.
    pub async fn stop(self) {
        drop(self.stop);
        for core in self.cores {
            // An error says no more than that the thread has ended.
            let _ = core.ended.await;
        }
    }
}

impl<T> PerCore<T> {
    /// As many values as there are cores.
    pub fn new(make: impl FnMut(usize) -> T) -> Self {
        PerCore((0..count()).map(make).collect())
    }

    /// The value of the core that asks.
    pub fn here(&self) -> &T {
        &self.0[HERE.get() % self.0.len()]
    }
}

fn core(number: usize, stop: CancellationToken) -> io::Result<Core> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (end, ended) = oneshot::channel();
    let work = move || {
        HERE.set(number);
        runtime.block_on(stop.cancelled());
        drop(runtime);
        drop(end);
    };
    thread::Builder::new()
        .name(format!("core {number}"))
        .spawn(work)?;
    Ok(Core {
        runtime: handle,
        ended,
    })
}

fn count() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread::ThreadId;

    use parking_lot::Mutex;

    use super::*;

    /// Tasks of one core after the other note their thread and what is theirs.
    async fn spread(cores: &Cores, tasks: usize) -> Vec<(ThreadId, usize)> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mine = Arc::new(PerCore::new(|core| core));
        let (tracker, go) = (TaskTracker::new(), CancellationToken::new());
        for _ in 0..tasks {
            let (seen, mine, go) = (Arc::clone(&seen), Arc::clone(&mine), go.clone());
            cores.spawn(&tracker, async move {
                go.cancelled().await;
                let here = (thread::current().id(), *mine.here());
                seen.lock().push(here);
            });
        }
        go.cancel();
        tracker.close();
        tracker.wait().await;
        Arc::into_inner(seen).unwrap().into_inner()
    }

    #[tokio::test]
    async fn tasks_spread_evenly_and_each_core_has_a_thread_and_a_value() {
        let cores = Cores::start().unwrap();
        let mut seen = spread(&cores, 3 * count()).await;
        seen.sort_by_key(|(_, mine)| *mine);
        for (core, tasks) in seen.chunks(3).enumerate() {
            assert_eq!(tasks, [(tasks[0].0, core); 3]);
            assert_ne!(tasks[0].0, thread::current().id());
        }
        cores.stop().await;
    }

    #[tokio::test]
    async fn what_still_runs_is_dropped_once_they_stop() {
        let cores = Cores::start().unwrap();
        let (held, dropped) = oneshot::channel::<()>();
        cores.spawn(&TaskTracker::new(), async move {
            let _held = held;
            std::future::pending().await
        });
        cores.stop().await;
        assert!(dropped.await.is_err());
    }
}
