//! `users` and `credits`: who pays, and what they have.

use serde::Serialize;

use super::Failure;
use super::arguments::{Discount, Grant, NewUser, Whose};
use super::output::{Output, table, time};
use super::setup::account;
use crate::clock::now_ms;
use crate::domain::ids::random_text;
use crate::domain::money::Nanos;
use crate::store::{Account, Credits, Store};

#[derive(Serialize)]
struct ShownAccount {
    id: String,
    email: String,
    admin: bool,
    discount_percent: String,
    created_at: String,
}

#[derive(Serialize)]
struct ShownCredits {
    account: String,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Nanos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    total_credits: Nanos,
    total_usage: Nanos,
    balance: Nanos,
}

pub(super) async fn create(user: NewUser, store: &Store, out: &Output) -> Result<(), Failure> {
    if !user.email.contains('@') {
        return Err(Failure::Other(format!(
            "{} is not an e-mail address",
            user.email
        )));
    }
    let account = store
        .create_account(&user.email, user.admin, now_ms())
        .await
        .map_err(Failure::other)?;
    out.print(&ShownAccount::from(account), |account| {
        format!(
            "made the account {}, which has no credit yet",
            account.email
        )
    })
}

pub(super) async fn list(store: &Store, out: &Output) -> Result<(), Failure> {
    let accounts: Vec<ShownAccount> = store
        .accounts()
        .await
        .map_err(Failure::other)?
        .into_iter()
        .map(ShownAccount::from)
        .collect();
    out.print(&accounts, |accounts| {
        let role = |account: &ShownAccount| if account.admin { "admin" } else { "user" }.to_owned();
        let row = |account: &ShownAccount| {
            [
                account.email.clone(),
                role(account),
                format!("{}%", account.discount_percent),
                account.id.clone(),
                account.created_at.clone(),
            ]
        };
        table(
            ["E-MAIL", "ROLE", "DISCOUNT", "ID", "CREATED"],
            accounts.iter().map(row),
        )
    })
}

pub(super) async fn discount(
    discount: &Discount,
    store: &Store,
    out: &Output,
) -> Result<(), Failure> {
    let mut account = account(store, discount.whose.account.as_deref()).await?;
    store
        .set_discount(&account.id, discount.percent)
        .await
        .map_err(Failure::other)?;
    account.discount = discount.percent;
    out.print(&ShownAccount::from(account), |shown| {
        format!(
            "{} pays the list price less {}%",
            shown.email, shown.discount_percent
        )
    })
}

pub(super) async fn grant(grant: Grant, store: &Store, out: &Output) -> Result<(), Failure> {
    let account = account(store, grant.whose.account.as_deref()).await?;
    let reference = grant
        .reference
        .unwrap_or_else(|| format!("grant-{}", random_text(20)));
    let fresh = store
        .grant(&account.id, grant.amount, &reference, now_ms())
        .await
        .map_err(Failure::other)?;
    let credits = store.credits(&account.id).await.map_err(Failure::other)?;
    let amount = if fresh { grant.amount } else { Nanos::ZERO };
    let shown = ShownCredits {
        amount: Some(amount),
        reference: Some(reference),
        ..ShownCredits::new(account, credits)
    };
    out.print(&shown, |shown| {
        let done = if fresh {
            format!("granted ${}", grant.amount)
        } else {
            "granted before, so nothing was changed".to_owned()
        };
        format!("{done}: {} has ${} of credit", shown.email, shown.balance)
    })
}

pub(super) async fn credits(whose: &Whose, store: &Store, out: &Output) -> Result<(), Failure> {
    let account = account(store, whose.account.as_deref()).await?;
    let credits = store.credits(&account.id).await.map_err(Failure::other)?;
    out.print(&ShownCredits::new(account, credits), |shown| {
        let ShownCredits {
            email,
            total_credits,
            total_usage,
            balance,
            ..
        } = shown;
        format!("{email} has ${balance} of credit: was given ${total_credits}, used ${total_usage}")
    })
}

impl From<Account> for ShownAccount {
    fn from(account: Account) -> Self {
        ShownAccount {
            id: account.id.to_string(),
            email: account.email,
            admin: account.admin,
            discount_percent: account.discount.to_string(),
            created_at: time(account.created_at),
        }
    }
}

impl ShownCredits {
    fn new(account: Account, credits: Credits) -> Self {
        ShownCredits {
            account: account.id.to_string(),
            email: account.email,
            amount: None,
            reference: None,
            total_credits: credits.granted,
            total_usage: credits.used,
            balance: credits.balance(),
        }
    }
}
