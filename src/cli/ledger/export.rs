//! `ledger export`: entries as CSV, or as a line of JSON each. Any number of them, in little memory.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

use crate::cli::Failure;
use crate::cli::output::{Output, time};
use crate::domain::money::Nanos;
use crate::store::{Entry, Store, StoreError};

#[derive(Serialize)]
struct Line<'a> {
    kind: &'a str,
    reference: &'a str,
    debit: &'a str,
    credit: &'a str,
    amount: Nanos,
    created_at: String,
}

#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Prints every entry made from `from` until before `until`.
pub(in crate::cli) async fn run(
    from: i64,
    until: i64,
    store: &Store,
    out: &Output,
) -> Result<(), Failure> {
    let mut lines = BufWriter::new(io::stdout().lock());
    let json = out.is_json();
    if !json {
        lines
            .write_all(b"kind,reference,debit,credit,amount_usd,created_at\n")
            .map_err(Failure::other)?;
    }
    let print = |entry: Entry| Ok::<_, Interrupted>(write(&mut lines, &entry, json)?);
    match store.each_entry(from, until, print).await {
        // Whoever read has read enough.
        Err(Interrupted::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::other(error)),
        Ok(()) => lines.flush().map_err(Failure::other),
    }
}

fn write(out: &mut impl Write, entry: &Entry, json: bool) -> io::Result<()> {
    let created_at = time(entry.created_at);
    let Entry {
        kind,
        reference,
        debit,
        credit,
        amount,
        ..
    } = entry;
    if json {
        let amount = *amount;
        serde_json::to_writer(
            &mut *out,
            &Line {
                kind,
                reference,
                debit,
                credit,
                amount,
                created_at,
            },
        )?;
        return out.write_all(b"\n");
    }
    let [kind, reference, debit, credit] =
        [kind, reference, debit, credit].map(|text| quoted(text));
    writeln!(
        out,
        "{kind},{reference},{debit},{credit},{amount},{created_at}"
    )
}

/// A field of CSV (RFC 4180).
fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let entry = Entry {
            kind: "grant".to_owned(),
            reference: "for \"Ann\", 1st".to_owned(),
            debit: "operator:grants".to_owned(),
            credit: "wallet:user_a".to_owned(),
            amount: Nanos(1_500_000_000),
            created_at: 0,
        };
        let print = |json| {
            let mut out = Vec::new();
            write(&mut out, &entry, json).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            print(false),
            "grant,\"for \"\"Ann\"\", 1st\",operator:grants,wallet:user_a,1.5,1970-01-01T00:00:00Z\n"
        );
        assert_eq!(
            print(true),
            "{\"kind\":\"grant\",\"reference\":\"for \\\"Ann\\\", 1st\",\"debit\":\"operator:grants\",\"credit\":\"wallet:user_a\",\"amount\":1.5,\"created_at\":\"1970-01-01T00:00:00Z\"}\n"
        );
    }
}
