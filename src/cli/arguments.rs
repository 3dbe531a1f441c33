//! The arguments, as people write them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;
use crate::domain::terms::Ppm;

/// A self-hosted, OpenAI-compatible gateway to every model provider: it routes, and it bills.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What every command takes.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The configuration file [env: TURNPIKE_CONFIG] [default: ./turnpike.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where the embedded database and the spool live [env: TURNPIKE_DATA_DIR] [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) data_dir: Option<String>,
    /// The address to listen on [env: TURNPIKE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve; what happens without a command
    Serve,
    /// Read the configuration and the catalogue, and say what is wrong with them
    Check,
    /// Ask the server on the configured address whether it is alive
    Health,
    /// Say where a request for a model would go now, and why
    Explain(Explain),
    /// API keys
    Keys {
        /// What to do with them.
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Credit of accounts
    Credits {
        /// What to do with it.
        #[command(subcommand)]
        command: CreditsCommand,
    },
    /// Accounts
    Users {
        /// What to do with them.
        #[command(subcommand)]
        command: UsersCommand,
    },
    /// The double-entry ledger
    Ledger {
        /// What to do with it.
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Providers and models
    Catalog {
        /// What to do with them.
        #[command(subcommand)]
        command: CatalogCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key and print it, this once
    Create(NewKey),
    /// List an account's keys
    List(Whose),
    /// Switch a key off
    Disable(Which),
    /// Switch a key on again
    Enable(Which),
    /// Delete a key; what it spent stays in the ledger
    Delete(Which),
}

#[derive(Debug, Subcommand)]
pub(super) enum CreditsCommand {
    /// Give an account credit
    Grant(Grant),
    /// Show what an account was given and has used
    Show(Whose),
}

#[derive(Debug, Subcommand)]
pub(super) enum UsersCommand {
    /// Make an account
    Create(NewUser),
    /// List the accounts
    List,
    /// Set what an account is let off the list price of everything it uses from now on
    Discount(Discount),
    /// Set an account's password to the line on standard input, and sign it out everywhere
    Password(Whose),
    /// Print a link with which an account's password can be set, once, within a day
    Link(Whose),
    /// Print a link with which somebody can make an account, once, within a week
    Invite,
}

#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// Prove that the ledger adds up
    Verify,
    /// Show which charges would be others by today's catalogue; changes nothing
    Reprice {
        /// Runs that began then or later: a day such as 2026-08-31, or a time such as 2026-08-31T12:00:00Z
        #[arg(long, value_name = "TIME", value_parser = day_or_time)]
        since: i64,
    },
    /// Print entries as CSV, by kind and reference; with --json a line of JSON each
    Export {
        /// Entries made then or later: a day, or a time
        #[arg(long, value_name = "TIME", value_parser = day_or_time)]
        from: Option<i64>,
        /// Entries made before then
        #[arg(long, value_name = "TIME", value_parser = day_or_time)]
        to: Option<i64>,
    },
    /// Show what an account had, got, used and has left in a month
    Statement(StatementOf),
}

#[derive(Debug, Subcommand)]
pub(super) enum CatalogCommand {
    /// List every model, who serves it, and what is missing for those who do not
    List,
    /// Read the catalogue and say what is wrong with it
    Check,
}

#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The model's slug, variants included
    pub(super) model: String,
    /// The request's `provider` object, such as '{"sort": "price"}'
    #[arg(long, value_name = "JSON")]
    pub(super) provider_json: Option<String>,
    /// The request's `max_tokens`
    #[arg(long, value_name = "TOKENS")]
    pub(super) max_tokens: Option<u64>,
    /// The request offers tools
    #[arg(long)]
    pub(super) tools: bool,
}

/// The account that is meant.
#[derive(Args, Debug)]
pub(super) struct Whose {
    /// The account's e-mail address [default: the first admin's]
    #[arg(long, visible_alias = "email", value_name = "EMAIL")]
    pub(super) account: Option<String>,
}

/// The key that is meant.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// The key's hash, or as much of its beginning as tells it apart
    pub(super) hash: String,
    #[command(flatten)]
    pub(super) whose: Whose,
}

#[derive(Args, Debug)]
pub(super) struct NewKey {
    #[command(flatten)]
    pub(super) whose: Whose,
    /// What people call it
    #[arg(long)]
    pub(super) name: String,
    /// The most it may spend, in dollars
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(super) limit: Option<Nanos>,
    /// When the limit starts anew: daily, weekly or monthly, at midnight UTC
    #[arg(long, value_name = "WINDOW", value_parser = reset, requires = "limit")]
    pub(super) limit_reset: Option<LimitReset>,
    /// When it stops working, such as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) expires_at: Option<i64>,
    /// It manages keys, and calls no models
    #[arg(long)]
    pub(super) management: bool,
}

#[derive(Args, Debug)]
pub(super) struct StatementOf {
    #[command(flatten)]
    pub(super) whose: Whose,
    /// The month, in UTC, such as 2026-08
    #[arg(long, value_name = "YYYY-MM", value_parser = month)]
    pub(super) month: CalendarMonth,
}

/// A month, from its first midnight to the next month's, Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CalendarMonth {
    pub(super) name: String,
    pub(super) from: i64,
    pub(super) until: i64,
}

#[derive(Args, Debug)]
pub(super) struct Grant {
    #[command(flatten)]
    pub(super) whose: Whose,
    /// How much, in dollars; a negative amount takes credit back
    #[arg(long, value_name = "USD", value_parser = amount, allow_hyphen_values = true)]
    pub(super) amount: Nanos,
    /// A name for this grant: the same name twice grants once
    #[arg(long, value_name = "TEXT")]
    pub(super) reference: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Discount {
    #[command(flatten)]
    pub(super) whose: Whose,
    /// How much, in percent of the list price, such as 12.5; 0 ends a discount
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(super) percent: Ppm,
}

#[derive(Args, Debug)]
pub(super) struct NewUser {
    /// The e-mail address, the account's name
    #[arg(long)]
    pub(super) email: String,
    /// The account runs this installation
    #[arg(long)]
    pub(super) admin: bool,
}

fn amount(text: &str) -> Result<Nanos, String> {
    match Nanos::parse(text.strip_prefix('$').unwrap_or(text)) {
        Ok(Nanos::ZERO) => Err("expected an amount other than nothing".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

fn percent(text: &str) -> Result<Ppm, String> {
    Ppm::parse_percent(text)
        .ok()
        .filter(|share| (Ppm::ZERO..=Ppm::WHOLE).contains(share))
        .ok_or_else(|| "expected percent from 0 to 100, with at most four decimals".to_owned())
}

fn dollars(text: &str) -> Result<Nanos, String> {
    match Nanos::parse(text.strip_prefix('$').unwrap_or(text)) {
        Ok(limit) if limit < Nanos::ZERO => {
            Err("expected an amount that is not negative".to_owned())
        }
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

fn reset(text: &str) -> Result<LimitReset, String> {
    LimitReset::parse(Some(text)).ok_or_else(|| "expected daily, weekly or monthly".to_owned())
}

fn time(text: &str) -> Result<i64, String> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "expected a time such as 2030-01-01T00:00:00Z".to_owned())?;
    i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000).map_err(|_| "too far away".to_owned())
}

/// A day stands for its midnight, UTC.
fn day_or_time(text: &str) -> Result<i64, String> {
    midnight(text).map_or_else(|| time(text), Ok)
}

fn month(text: &str) -> Result<CalendarMonth, String> {
    let read = || {
        let from = midnight(&format!("{text}-01"))?;
        let (year, month) = text.split_once('-')?;
        let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
        let next = (year + month / 12, month % 12 + 1);
        let until = midnight(&format!("{:04}-{:02}-01", next.0, next.1))?;
        let name = text.to_owned();
        Some(CalendarMonth { name, from, until })
    };
    read().ok_or_else(|| "expected a month such as 2026-08".to_owned())
}

fn midnight(day: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(&format!("{day}T00:00:00Z"), &Rfc3339).ok()?;
    Some(at.unix_timestamp() * 1_000)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn months_end_where_the_next_begins() {
        let check = |text: &str, days: Option<i64>| {
            let month = month(text).ok();
            assert_eq!(
                month.map(|month| (month.until - month.from) / 86_400_000),
                days,
                "{text}"
            );
        };
        check("2026-08", Some(31));
        check("2024-02", Some(29));
        check("2026-12", Some(31));
        check("2026-13", None);
        check("2026-00", None);
        check("2026-8", None);
        check("2026-08-01", None);
    }

    #[test]
    fn a_day_is_its_midnight() {
        assert_eq!(day_or_time("2026-08-31"), Ok(1_788_134_400_000));
        assert_eq!(day_or_time("2026-08-31T12:00:00Z"), Ok(1_788_177_600_000));
        assert!(day_or_time("August").is_err());
    }
}
