//! What the server logs: errors go to the test's output, and everything to a test that listens.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::prelude::*;

static LISTENING: AtomicBool = AtomicBool::new(false);
static HEARD: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Logs for all tests of this process, from the first call on.
pub(crate) fn start() {
    let errors = layer().with_test_writer().with_filter(LevelFilter::ERROR);
    let all = layer()
        .with_ansi(false)
        .with_writer(|| Heard)
        .with_filter(dynamic_filter_fn(|_, _| LISTENING.load(Relaxed)));
    let _ = tracing_subscriber::registry()
        .with(errors)
        .with(all)
        .try_init();
}

/// One test that listens, until it is dropped.
pub(crate) struct Listening(());

/// Keeps what is logged from here on, at every level and on every thread; other tests of this process log too.
pub(crate) fn listen() -> Listening {
    start();
    LISTENING.store(true, Relaxed);
    Listening(())
}

impl Listening {
    /// What was logged since.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8(HEARD.lock().clone()).unwrap()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.store(false, Relaxed);
        HEARD.lock().clear();
    }
}

struct Heard;

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        HEARD.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
