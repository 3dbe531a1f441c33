//! `ledger statement`: what an account had, got, used and has left in a month.

use serde::Serialize;

use crate::cli::Failure;
use crate::cli::arguments::StatementOf;
use crate::cli::output::{Output, table, time};
use crate::cli::setup::account;
use crate::domain::money::Nanos;
use crate::store::{ChargeLine, GrantLine, Store};

#[derive(Serialize)]
struct Shown {
    account: String,
    email: String,
    month: String,
    opening: Nanos,
    grants: Vec<ShownGrant>,
    charges: Vec<ShownCharge>,
    granted: Nanos,
    charged: Nanos,
    closing: Nanos,
}

#[derive(Serialize)]
struct ShownGrant {
    kind: String,
    reference: String,
    amount: Nanos,
    created_at: String,
}

#[derive(Serialize)]
struct ShownCharge {
    model: String,
    requests: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    list: Nanos,
    discount: Nanos,
    fee: Nanos,
    charged: Nanos,
}

/// Prints an account's month, days in UTC.
pub(in crate::cli) async fn run(
    wanted: &StatementOf,
    store: &Store,
    out: &Output,
) -> Result<(), Failure> {
    let account = account(store, wanted.whose.account.as_deref()).await?;
    let month = &wanted.month;
    let statement = store
        .statement(&account.id, month.from, month.until)
        .await
        .map_err(Failure::other)?;
    let shown = Shown {
        account: account.id.to_string(),
        email: account.email,
        month: month.name.clone(),
        opening: statement.opening,
        granted: statement.granted(),
        charged: statement.charged(),
        closing: statement.closing(),
        grants: statement.grants.iter().map(ShownGrant::of).collect(),
        charges: statement.charges.iter().map(ShownCharge::of).collect(),
    };
    out.print(&shown, words)
}

fn words(shown: &Shown) -> String {
    let Shown {
        email,
        month,
        opening,
        grants,
        charges,
        charged,
        closing,
        ..
    } = shown;
    let mut words = format!("{email} in {month}\n\nOpening balance  ${opening}\n");
    if !grants.is_empty() {
        let row = |it: &ShownGrant| {
            [
                it.created_at.clone(),
                it.kind.clone(),
                it.reference.clone(),
                format!("${}", it.amount),
            ]
        };
        let rows = table(
            ["WHEN", "WHAT", "REFERENCE", "AMOUNT"],
            grants.iter().map(row),
        );
        words.push_str(&format!("\n{rows}\n"));
    }
    if !charges.is_empty() {
        let row = |it: &ShownCharge| {
            let money = |amount: Nanos| format!("${amount}");
            [
                it.model.clone(),
                it.requests.to_string(),
                it.prompt_tokens.to_string(),
                it.completion_tokens.to_string(),
                money(it.list),
                money(it.discount),
                money(it.fee),
                money(it.charged),
            ]
        };
        let heading = [
            "MODEL",
            "REQUESTS",
            "PROMPT",
            "COMPLETION",
            "LIST",
            "DISCOUNT",
            "FEE",
            "CHARGED",
        ];
        let rows = table(heading, charges.iter().map(row));
        words.push_str(&format!("\n{rows}\n"));
    }
    words + &format!("\nCharged          ${charged}\nClosing balance  ${closing}")
}

impl ShownGrant {
    fn of(line: &GrantLine) -> Self {
        ShownGrant {
            kind: line.kind.clone(),
            reference: line.reference.clone(),
            amount: line.amount,
            created_at: time(line.created_at),
        }
    }
}

impl ShownCharge {
    fn of(line: &ChargeLine) -> Self {
        ShownCharge {
            model: line.model.clone(),
            requests: line.requests,
            prompt_tokens: line.tokens_prompt,
            completion_tokens: line.tokens_completion,
            list: line.gross,
            discount: line.discount,
            fee: line.fee,
            charged: line.net,
        }
    }
}
