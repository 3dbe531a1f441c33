//! Answers on standard output: lines for people, or one JSON value for programs.

use std::fmt::Display;
use std::io::{self, Write as _};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Failure;

/// Where a command's answer goes.
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Output { json }
    }

    /// Whether programs read the answer.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints `value` for programs, or what `people` makes of it.
    pub(super) fn print<T: Serialize + ?Sized>(
        &self,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            say(serde_json::to_string_pretty(value).map_err(Failure::other)?)
        } else {
            say(people(value))
        }
    }
}

/// Prints one line, or several.
pub(super) fn say(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(Failure::other)
}

/// Says on standard error why a command failed.
pub(super) fn complain(failure: &Failure) -> io::Result<()> {
    writeln!(io::stderr().lock(), "turnpike: {failure}")
}

/// Rows in aligned columns under a heading.
pub(super) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(heading.map(str::to_owned))
        .chain(rows)
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A time as the API writes it.
pub(super) fn time(unix_ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000).ok();
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| unix_ms.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["a".to_owned(), "long cell".to_owned()],
            ["longer".to_owned(), String::new()],
        ];
        insta::assert_snapshot!(table(["x", "y"], rows), @r"
        x       y
        a       long cell
        longer
        ");
    }
}
