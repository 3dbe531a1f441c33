//! The figures as Markdown.

use crate::idle::Idle;
use crate::overload::Overload;
use crate::phases::{Figures, Row};
use crate::slow::Slow;
use crate::start::Start;

/// The phases, both proxies side by side.
pub(crate) fn phases(rows: &[Row]) -> String {
    let mut table = String::from(
        "| load | nginx CPU µs | Turnpike CPU µs | ratio | nginx /s | Turnpike /s | whole p50 / p99 ms | added ms | first byte added p99 ms |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for Row {
        name,
        nginx,
        turnpike,
    } in rows
    {
        let ratio = turnpike.cpu_ns as f64 / nginx.cpu_ns.max(1) as f64;
        table.push_str(&format!(
            "| {name} | {} | {} | {ratio:.1} | {} | {} | {} / {} | {} / {} | {} |\n",
            thousandths(nginx.cpu_ns),
            thousandths(turnpike.cpu_ns),
            nginx.per_second,
            turnpike.per_second,
            thousandths(turnpike.whole.0),
            thousandths(turnpike.whole.1),
            added(nginx, turnpike, |figures| figures.whole.0),
            added(nginx, turnpike, |figures| figures.whole.1),
            added(nginx, turnpike, |figures| figures.first.1),
        ));
    }
    table
}

/// Streams that say nothing.
pub(crate) fn idle(idle: &Idle) -> String {
    let each = idle.open.saturating_sub(idle.before) as f64 / idle.streams.max(1) as f64;
    format!(
        "| open streams | opened in s | memory before MB | with all open MB | after MB | kB a stream | ended complete |\n\
         | --: | --: | --: | --: | --: | --: | --: |\n| {} | {:.1} | {} | {} | {} | {each:.1} | {} |\n",
        idle.streams,
        idle.opening.as_secs_f64(),
        idle.before / 1_024,
        idle.open / 1_024,
        idle.after / 1_024,
        idle.complete,
    )
}

/// Clients that hardly read.
pub(crate) fn slow(slow: &Slow) -> String {
    format!(
        "| streams read a byte a second | memory before MB | with them MB | others' p99 before ms | meanwhile ms |\n\
         | --: | --: | --: | --: | --: |\n| {} | {} | {} | {} | {} |\n",
        slow.readers,
        slow.before / 1_024,
        slow.with / 1_024,
        thousandths(slow.p99.0),
        thousandths(slow.p99.1),
    )
}

/// More requests than there is time for.
pub(crate) fn overload(overload: &Overload) -> String {
    format!(
        "| peak /s | sent /s | good /s | of the peak | 503 with Retry-After /s | anything else | good p50 / p99 ms | well again after ms |\n\
         | --: | --: | --: | --: | --: | --: | --: | --: |\n| {} | {} | {} | {} % | {} | {} | {} / {} | {} |\n",
        overload.peak,
        overload.sent,
        overload.good,
        overload.good * 100 / overload.peak.max(1),
        overload.refused,
        overload.other,
        thousandths(overload.whole.0),
        thousandths(overload.whole.1),
        overload.recovery.as_millis(),
    )
}

/// A start on a database that is there.
pub(crate) fn start(start: &Start) -> String {
    format!(
        "| exec to first answer ms | memory then MB | binary MB |\n| --: | --: | --: |\n| {} | {:.1} | {:.1} |\n",
        start.first_answer.as_millis(),
        start.memory as f64 / 1_024.0,
        start.binary as f64 / 1_048_576.0,
    )
}

fn added(nginx: &Figures, turnpike: &Figures, figure: fn(&Figures) -> u64) -> String {
    format!(
        "{:.2}",
        (figure(turnpike) as f64 - figure(nginx) as f64) / 1_000.0
    )
}

/// Nanoseconds as microseconds, or microseconds as milliseconds.
fn thousandths(value: u64) -> String {
    format!("{:.2}", value as f64 / 1_000.0)
}
