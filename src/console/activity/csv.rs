//! The sums as a table that spreadsheets read (RFC 4180). Pure.

use std::fmt::Write as _;

use super::sums::Sums;
use crate::domain::calendar::iso_day;

/// A line for each day and part that used something. Amounts are in dollars, exact.
pub(super) fn write(by: &str, sums: &Sums) -> String {
    let mut out = format!("day,{by},requests,prompt_tokens,completion_tokens,cost\r\n");
    for ((day, part), used) in &sums.cells {
        let _ = write!(
            out,
            "{},{},{},{},{},{}\r\n",
            iso_day(*day),
            quoted(part),
            used.requests,
            used.prompt,
            used.completion,
            used.cost
        );
    }
    out
}

/// Text that spreadsheets take for text: one that begins like a formula is kept from being one.
fn quoted(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::activity::sums::Use;
    use crate::domain::money::Nanos;

    #[test]
    fn names_stay_text() {
        let used = Use {
            requests: 2,
            prompt: 3,
            completion: 4,
            cost: Nanos(1_500),
        };
        let cells = [(0, "=HYPERLINK(\"x\")".to_owned(), used)];
        let sums = Sums::of(0, 86_400_000, cells.into_iter());
        assert_eq!(
            write("key", &sums),
            "day,key,requests,prompt_tokens,completion_tokens,cost\r\n1970-01-01,\"'=HYPERLINK(\"\"x\"\")\",2,3,4,0.0000015\r\n"
        );
    }
}
