//! The figures as Markdown.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::engines;
use crate::figures::Figures;
use crate::idle::Idle;
use crate::overload::Overload;
use crate::phases::Row;
use crate::preload;
use crate::slow::Slow;
use crate::soak::Soak;
use crate::start::Start;

/// The phases, both proxies side by side.
pub(crate) fn phases(rows: &[Row]) -> String {
    let mut table = String::from(
        "| load | nginx CPU µs | Turnpike CPU µs | ratio | of it the ledger's µs | ratio without | nginx /s | Turnpike /s | \
         whole p50 / p99 ms | added ms | commit p50 / p99 ms | first byte added p99 ms |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for Row {
        name,
        nginx,
        turnpike,
    } in rows
    {
        let ratio = |used: u64| used as f64 / nginx.cpu_ns.max(1) as f64;
        table.push_str(&format!(
            "| {name} | {} | {} | {:.1} | {} | {:.1} | {} | {} | {} / {} | {} / {} | {} / {} | {} |\n",
            thousandths(nginx.cpu_ns),
            thousandths(turnpike.cpu_ns),
            ratio(turnpike.cpu_ns),
            thousandths(turnpike.ledger_ns),
            ratio(turnpike.cpu_ns - turnpike.ledger_ns.min(turnpike.cpu_ns)),
            nginx.per_second,
            turnpike.per_second,
            thousandths(turnpike.whole.0),
            thousandths(turnpike.whole.1),
            added(nginx, turnpike, |figures| figures.whole.0),
            added(nginx, turnpike, |figures| figures.whole.1),
            thousandths(turnpike.commit.0),
            thousandths(turnpike.commit.1),
            added(nginx, turnpike, |figures| figures.first.1),
        ));
    }
    table
}

/// One load on each engine.
pub(crate) fn engines(rows: &[engines::Row]) -> String {
    let mut table = String::from(
        "| engine | connections | CPU µs | the server's µs | requests /s | whole p50 / p99 ms |\n\
         | --- | --: | --: | --: | --: | --: |\n",
    );
    for engines::Row {
        engine,
        connections,
        figures,
    } in rows
    {
        table.push_str(&format!(
            "| {engine} | {connections} | {} | {} | {} | {} / {} |\n",
            thousandths(figures.cpu_ns),
            server(figures),
            figures.per_second,
            thousandths(figures.whole.0),
            thousandths(figures.whole.1),
        ));
    }
    table
}

/// An empty and a full database, side by side.
pub(crate) fn preload(rows: &[preload::Row]) -> String {
    let mut table = String::from(
        "| engine | requests | empty CPU µs | full CPU µs | ratio | the server's empty µs | full µs | p50 empty / full ms | memory empty / full MB |\n\
         | --- | --- | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for row in rows {
        let (empty, full) = (&row.empty, &row.full);
        table.push_str(&format!(
            "| {} | {} | {} | {} | {:.2} | {} | {} | {} / {} | {} / {} |\n",
            row.engine,
            row.requests,
            thousandths(empty.cpu_ns),
            thousandths(full.cpu_ns),
            full.cpu_ns as f64 / empty.cpu_ns.max(1) as f64,
            server(empty),
            server(full),
            thousandths(empty.whole.0),
            thousandths(full.whole.0),
            row.memory.0 / 1_024,
            row.memory.1 / 1_024,
        ));
    }
    table
}

/// A long time under a mixed load.
pub(crate) fn soak(soak: &Soak) -> String {
    const ROWS: usize = 30;
    let mut table = String::from(
        "| after s | served /s | memory MB | descriptors | threads |\n| --: | --: | --: | --: | --: |\n",
    );
    let (mut served, mut since) = (0, Duration::ZERO);
    for (number, sample) in soak.samples.iter().enumerate() {
        served += sample.served;
        if (number + 1) % soak.samples.len().div_ceil(ROWS) != 0 {
            continue;
        }
        let a_second = served as f64 / (sample.at - since).as_secs_f64();
        table.push_str(&format!(
            "| {} | {a_second:.0} | {:.1} | {} | {} |\n",
            sample.at.as_secs(),
            sample.memory as f64 / 1_024.0,
            sample.descriptors,
            sample.threads,
        ));
        (served, since) = (0, sample.at);
    }
    let told = &soak.told;
    let count = |count: &AtomicU64| count.load(Relaxed);
    table.push_str(&format!(
        "\n| peak /s | sent /s | minutes | answered | left | broken off by the provider | failed attempts | 503 | anything else | memory at most off its median | descriptors before / after | tasks | ledger adds up |\n\
         | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |\n\
         | {:.0} | {:.0} | {} | {} | {} | {} | {} | {} | {} | {:.1} % | {} / {} | {} / {} | {} |\n",
        soak.peak,
        soak.rate,
        soak.length.as_secs() / 60,
        count(&told.good),
        count(&told.left),
        count(&told.broken),
        soak.failed_attempts,
        count(&told.refused),
        count(&told.other),
        soak.deviation,
        soak.descriptors.0,
        soak.descriptors.1,
        soak.tasks.0,
        soak.tasks.1,
        if soak.verified { "yes" } else { "no" },
    ));
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

/// What the database server used, where there is one that can be seen.
fn server(figures: &Figures) -> String {
    match figures.database_ns {
        0 => "–".to_owned(),
        used => thousandths(used),
    }
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
