//! Turnpike beside nginx, in one run on one machine: what a request, a chunk, an open stream and a start cost.
//!
//! `scripts/bench` runs it. Both proxies stand before the same mock provider, take turns, and are compared by the
//! processor time of their process trees, so that the ratios hold on any machine. Turnpike authenticates, routes,
//! meters and settles durably all the while; nginx only forwards.

use std::error::Error;
use std::io::Write as _;

use tokio::runtime::Builder;

use database::Engine;

mod database;
mod engines;
mod figures;
mod home;
mod idle;
mod load;
mod overload;
mod phases;
mod preload;
mod process;
mod slow;
mod soak;
mod start;
mod table;
mod targets;
mod train;
mod upstream;
mod wire;

/// The harness ends at the first thing that goes wrong: half a comparison is none.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    if arguments.first().is_some_and(|word| word == upstream::ROLE) {
        return runtime.block_on(upstream::serve());
    }
    if arguments.first().is_some_and(|word| word == train::ROLE) {
        return runtime.block_on(train::run());
    }
    let quick = arguments.iter().any(|word| word == "--quick");
    let named = |part: &&str| arguments.iter().any(|word| word == part);
    let one = |engine: &Engine| {
        arguments
            .iter()
            .any(|word| *word == engine.name().to_lowercase())
    };
    let mut engines = Engine::all();
    if engines.iter().any(one) {
        engines.retain(one);
    }
    let parts: Vec<&str> = PARTS.into_iter().chain(LONG_PARTS).filter(named).collect();
    let chosen = if parts.is_empty() {
        PARTS.to_vec()
    } else {
        parts
    };
    runtime.block_on(compare(&chosen, &engines, quick))
}

/// What can be measured, and named to measure nothing else.
const PARTS: [&str; 6] = ["start", "engines", "phases", "idle", "slow", "overload"];

/// What takes so long that it must be named.
const LONG_PARTS: [&str; 2] = ["preload", "soak"];

async fn compare(chosen: &[&str], engines: &[Engine], quick: bool) -> Result<()> {
    let mut out = std::io::stdout();
    // These start servers of their own.
    let mut common = Vec::new();
    for part in chosen {
        let table = match *part {
            "start" => table::start(&start::measure().await?),
            "engines" => table::engines(&engines::measure(engines, quick).await?),
            "preload" => {
                // The figures come first, since the proof takes long, and nobody need wait for it.
                for &engine in engines {
                    let measured = preload::measure(engine, quick).await?;
                    writeln!(out, "{}", table::preload(&measured.rows))?;
                    measured.verify()?;
                }
                continue;
            }
            part => {
                common.push(part);
                continue;
            }
        };
        writeln!(out, "{table}")?;
    }
    if common.is_empty() {
        return Ok(());
    }
    let bench = targets::Bench::start(Engine::Sqlite).await?;
    for part in common {
        let table = match part {
            "phases" => table::phases(&phases::run(&bench, quick).await?),
            "idle" => table::idle(&idle::measure(&bench, quick).await?),
            "slow" => table::slow(&slow::measure(&bench, quick).await?),
            "overload" => table::overload(&overload::measure(&bench, quick).await?),
            _ => table::soak(&soak::measure(&bench, quick).await?),
        };
        writeln!(out, "{table}")?;
    }
    bench.verify()
}
