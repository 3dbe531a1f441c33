//! Whether a request costs more where there are a million keys and ten million runs already than where there are none.
//!
//! Two servers of one engine take turns, one on a database that is nearly empty and one on a full one. Both are asked by
//! as many callers, who are strewn among all the others in the full one.

use std::time::{Duration, Instant};

use crate::Result;
use crate::database::Engine;
use crate::figures::Figures;
use crate::home::Home;
use crate::load;
use crate::targets::{Provider, Target};
use crate::upstream::Manner;

mod fill;

use fill::Size;

/// Requests come over this many connections.
const CONNECTIONS: usize = 64;
/// How often each caller asks again, once known.
const AGAIN: usize = 20;

/// No lease is given back while the other server is measured, whose database may be on the same machine.
const LEASES: &str = "[ledger]\nidle = \"1h\"\n";

/// One kind of requests on one engine.
pub(crate) struct Row {
    pub(crate) engine: &'static str,
    pub(crate) requests: &'static str,
    pub(crate) empty: Figures,
    pub(crate) full: Figures,
    /// Resident memory of both servers after all rounds, in kB.
    pub(crate) memory: (u64, u64),
}

/// A server on a database with so much in it, and the keys of its callers.
struct Server {
    target: Target,
    callers: Vec<String>,
    home: Home,
}

/// What was measured on one engine, and what is still to be proved there.
pub(crate) struct Preload {
    pub(crate) rows: Vec<Row>,
    empty: Server,
    full: Server,
}

/// Measures one engine.
pub(crate) async fn measure(engine: Engine, quick: bool) -> Result<Preload> {
    let (rounds, callers) = if quick { (1, 200) } else { (9, 1_000) };
    let full = if quick {
        Size::new(10_000, 100_000)
    } else {
        Size::new(1_000_000, 10_000_000)
    };
    let provider = Provider::start()?;
    let empty = Size::new((rounds * callers) as u64, 0);
    let empty = Server::start(engine, &provider, empty, rounds * callers).await?;
    let full = Server::start(engine, &provider, full, rounds * callers).await?;
    let (mut first, mut further) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for round in 0..rounds {
        let [new, known] = empty.round(round, rounds).await?;
        first.0.push(new);
        further.0.push(known);
        let [new, known] = full.round(round, rounds).await?;
        first.1.push(new);
        further.1.push(known);
    }
    let memory = (
        empty.target.process.tree().memory(),
        full.target.process.tree().memory(),
    );
    let row = |(requests, (empty, full)): (_, (Vec<_>, Vec<_>))| Row {
        engine: engine.name(),
        requests,
        empty: Figures::median(&empty),
        full: Figures::median(&full),
        memory,
    };
    let rows = [("a key's first", first), ("further", further)];
    Ok(Preload {
        rows: rows.map(row).into(),
        empty,
        full,
    })
}

impl Preload {
    /// What was written beside Turnpike must be what Turnpike would have written. Takes long on a full database.
    pub(crate) fn verify(&self) -> Result<()> {
        let begun = Instant::now();
        self.empty.home.verify()?;
        self.full.home.verify()?;
        eprintln!("the ledgers add up, which took {:.0?}", begun.elapsed());
        Ok(())
    }
}

impl Server {
    /// Makes the schema and one run, fills the database with more like it, and serves.
    async fn start(
        engine: Engine,
        provider: &Provider,
        size: Size,
        callers: usize,
    ) -> Result<Server> {
        let config = format!("{LEASES}{}", provider.config());
        let home = Home::new(engine, &config).await?;
        let first = Target::turnpike(&home)?;
        let request = load::request(&first, Manner::Plain, 2_000);
        load::closed(&first, &request, 1, 1).await?;
        drop(first);
        let begun = Instant::now();
        let callers = fill::fill(&home.database, size, callers).await?;
        eprintln!(
            "{}: {} keys and {} runs took {:.0?}",
            engine.name(),
            size.keys,
            size.runs,
            begun.elapsed()
        );
        Ok(Server {
            target: Target::turnpike(&home)?,
            callers,
            home,
        })
    }

    /// The first requests of some callers, then further ones of the same.
    async fn round(&self, round: usize, rounds: usize) -> Result<[Figures; 2]> {
        let target = &self.target;
        let warm = load::request(target, Manner::Plain, 2_000);
        load::closed(target, &warm, CONNECTIONS, 640).await?;
        let of = |key: &String| load::request_by(key, target, Manner::Plain, 2_000);
        let callers = self.callers.iter().skip(round).step_by(rounds);
        let new: Vec<_> = callers.map(of).collect();
        let known = vec![new.as_slice(); AGAIN].concat();
        let ask = |requests| load::each_once(target, requests, CONNECTIONS, Duration::ZERO);
        Ok([
            Figures::of(target, 1, ask(&new)).await?,
            Figures::of(target, 1, ask(&known)).await?,
        ])
    }
}
