//! The phases in which both proxies carry the same load, in turns.

use std::time::Duration;

use crate::Result;
use crate::figures::Figures;
use crate::load;
use crate::targets::{Bench, Target};
use crate::upstream::{CHUNKS, Manner};

/// Content chunks, the first excepted, with the finish chunk, the usage chunk and `[DONE]`.
const EVENTS: usize = CHUNKS as usize + 3;

/// One kind of load.
struct Phase {
    name: &'static str,
    manner: Manner,
    /// Bytes of the prompt.
    prompt: usize,
    load: Load,
}

#[derive(Clone, Copy)]
enum Load {
    Closed {
        connections: usize,
        requests: usize,
        /// Within how long the connections begin, one after the other.
        spread: Duration,
    },
    Steady {
        rate: u32,
        seconds: u64,
    },
}

/// A phase's line in the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) nginx: Figures,
    pub(crate) turnpike: Figures,
}

/// Runs every phase, the proxies taking turns; `quick` is a short form to try the harness itself.
pub(crate) async fn run(bench: &Bench, quick: bool) -> Result<Vec<Row>> {
    let rounds = if quick { 1 } else { 7 };
    let mut rows = Vec::new();
    for phase in phases(if quick { 10 } else { 1 }) {
        let (mut nginx, mut turnpike) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            nginx.push(measure(&bench.nginx, &phase).await?);
            turnpike.push(measure(&bench.turnpike, &phase).await?);
        }
        rows.push(Row {
            name: phase.name,
            nginx: Figures::median(&nginx),
            turnpike: Figures::median(&turnpike),
        });
    }
    Ok(rows)
}

fn phases(divisor: usize) -> Vec<Phase> {
    let plain = |name, prompt, connections, requests: usize| Phase {
        name,
        manner: if prompt > 2_000 {
            Manner::Large
        } else {
            Manner::Plain
        },
        prompt,
        load: Load::Closed {
            connections,
            requests: requests / divisor,
            spread: Duration::ZERO,
        },
    };
    // Paced streams begin all the time, not two hundred at once.
    let streams = |name, manner: Manner, requests| Phase {
        name,
        manner,
        prompt: 2_000,
        load: Load::Closed {
            connections: 200,
            requests,
            spread: manner.lasts(),
        },
    };
    vec![
        plain("plain, 1 connection, 2 kB", 2_000, 1, 3_000),
        plain("plain, 16 connections, 2 kB", 2_000, 16, 20_000),
        plain("plain, 64 connections, 2 kB", 2_000, 64, 20_000),
        plain("plain, 256 connections, 2 kB", 2_000, 256, 20_000),
        plain("plain, 64 connections, 100 kB", 100_000, 64, 6_000),
        Phase {
            name: "plain, 500 a second, 2 kB",
            manner: Manner::Plain,
            prompt: 2_000,
            load: Load::Steady {
                rate: 500,
                seconds: if divisor > 1 { 2 } else { 10 },
            },
        },
        streams("chunk, 200 streams, a chunk each 20 ms", Manner::Paced, 800),
        streams(
            "chunk, 200 streams, unpaced",
            Manner::Unpaced,
            4_000 / divisor,
        ),
    ]
}

async fn measure(target: &Target, phase: &Phase) -> Result<Figures> {
    let request = load::request(target, phase.manner, phase.prompt);
    // Connections and caches are warm before anything counts.
    load::closed(target, &load::request(target, Manner::Plain, 100), 32, 320).await?;
    let events = if phase.manner.streams() { EVENTS } else { 1 };
    let load = async {
        match phase.load {
            Load::Closed {
                connections,
                requests,
                spread,
            } => load::spread(target, &request, connections, requests, spread).await,
            Load::Steady { rate, seconds } => {
                load::steady(target, &request, rate, Duration::from_secs(seconds)).await
            }
        }
    };
    Figures::of(target, events, load)
        .await
        .map_err(|error| format!("{}, {}: {error}", target.name, phase.name).into())
}
