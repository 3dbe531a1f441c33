//! `ledger reprice`: what charges should have been by today's catalogue. Prints differences and changes nothing.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use crate::catalog::snapshot::Snapshot;
use crate::cli::Failure;
use crate::cli::output::Output;
use crate::domain::generation::Generation;
use crate::domain::money::Nanos;
use crate::ledger::reprice::{Repriced, reprice};
use crate::store::{Store, StoreError};

#[derive(Serialize)]
struct Difference<'a> {
    generation: &'a str,
    account: &'a str,
    model: &'a str,
    endpoint: &'a str,
    charged: Nanos,
    expected: Nanos,
}

/// What was found besides the differences themselves.
#[derive(Default, Serialize)]
struct Totals {
    /// Runs that were looked at.
    runs: u64,
    /// Runs whose endpoint the catalogue no longer has.
    gone: u64,
    differing: u64,
    charged: Nanos,
    expected: Nanos,
}

#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Compares every run since `from`, one at a time.
pub(in crate::cli) async fn run(
    from: i64,
    store: &Store,
    catalog: &Snapshot,
    out: &Output,
) -> Result<(), Failure> {
    let mut report = Report {
        json: out.is_json(),
        out: BufWriter::new(io::stdout().lock()),
        totals: Totals::default(),
    };
    let compare = |run: Generation| Ok::<_, Interrupted>(report.look_at(&run, catalog)?);
    store
        .each_generation(from, compare)
        .await
        .map_err(Failure::other)?;
    report.finish().map_err(Failure::other)
}

struct Report<W: Write> {
    json: bool,
    out: W,
    totals: Totals,
}

impl<W: Write> Report<W> {
    fn look_at(&mut self, run: &Generation, catalog: &Snapshot) -> io::Result<()> {
        self.totals.runs += 1;
        let expected = match reprice(run, catalog) {
            Repriced::Free => return Ok(()),
            Repriced::Gone => {
                self.totals.gone += 1;
                return Ok(());
            }
            Repriced::At(expected) => expected,
        };
        let charged = run.charge.net;
        if expected == charged {
            return Ok(());
        }
        let served = run.served.as_ref();
        self.print(&Difference {
            generation: run.id.as_str(),
            account: run.account.as_str(),
            model: served.map_or("", |served| served.model.as_str()),
            endpoint: served.map_or("", |served| served.endpoint.as_str()),
            charged,
            expected,
        })?;
        let Totals {
            differing,
            charged: sum,
            expected: due,
            ..
        } = &mut self.totals;
        *differing += 1;
        *sum = sum.saturating_add(charged);
        *due = due.saturating_add(expected);
        Ok(())
    }

    fn print(&mut self, it: &Difference<'_>) -> io::Result<()> {
        let first = self.totals.differing == 0;
        if self.json {
            self.out.write_all(if first {
                b"{\"differences\":[\n"
            } else {
                b",\n"
            })?;
            return serde_json::to_writer(&mut self.out, it).map_err(io::Error::from);
        }
        let Difference {
            generation,
            account,
            model,
            endpoint,
            charged,
            expected,
        } = it;
        writeln!(
            self.out,
            "{generation}  {account}  {model} at {endpoint}: charged ${charged}, expected ${expected}"
        )
    }

    fn finish(mut self) -> io::Result<()> {
        if self.json {
            let none = self.totals.differing == 0;
            self.out.write_all(if none {
                b"{\"differences\":[],\n\"totals\":"
            } else {
                b"],\n\"totals\":"
            })?;
            serde_json::to_writer(&mut self.out, &self.totals).map_err(io::Error::from)?;
            self.out.write_all(b"}\n")?;
        } else {
            let Totals {
                runs,
                gone,
                differing,
                charged,
                expected,
            } = &self.totals;
            let off = expected.saturating_sub(*charged);
            writeln!(
                self.out,
                "{differing} of {runs} runs differ: charged ${charged}, expected ${expected}, off by ${off}"
            )?;
            if *gone > 0 {
                writeln!(
                    self.out,
                    "{gone} runs were served by endpoints that the catalogue no longer has"
                )?;
            }
        }
        self.out.flush()
    }
}
