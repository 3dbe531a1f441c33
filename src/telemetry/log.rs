//! Logs to standard error: for people on a terminal, one JSON object a line otherwise. Standard output belongs to
//! what commands print.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal as _;
use std::panic::{self, PanicHookInfo};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::{LogConfig, LogFormat};

/// Sends events, and panics as events, to standard error from now on. Fails when somebody else was first.
pub fn start(config: &LogConfig) -> Result<(), TryInitError> {
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::new(config.level.as_str()));
    if pretty(config.format) {
        builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .finish()
            .try_init()?;
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .finish()
            .try_init()?;
    }
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn pretty(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        panic.location = location,
        panic.thread = std::thread::current().name().unwrap_or_default(),
        panic.backtrace = backtrace,
        "panicked: {}",
        message(panic)
    );
}

/// A message that was put together at run time may quote what a client sent, as slicing a text does.
fn message<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    panic
        .payload()
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(the message may quote data, so it is left out)")
}
