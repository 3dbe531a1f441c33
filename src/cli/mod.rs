//! The command line: arguments → configuration → one command. A command says one clear line when it fails.
//!
//! Commands other than `serve` open the same database as the server and may run beside it. Knows how people ask and
//! how answers are printed; what an answer is, others know.

mod accounts;
mod arguments;
mod catalog;
mod check;
mod explain;
mod first_start;
mod health;
mod keys;
mod ledger;
mod output;
mod people;
mod serve;
mod setup;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::config::Problems;
use arguments::{
    Arguments, CatalogCommand, Command, CreditsCommand, KeysCommand, LedgerCommand, UsersCommand,
};
use output::Output;
use setup::Setup;

/// The exit code of a wrong configuration, as of wrong arguments.
const WRONG_CONFIGURATION: u8 = 2;

/// Does what the arguments say.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Help and the version come this way too, and nothing can be done about a closed terminal.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(WRONG_CONFIGURATION));
        }
    };
    match command(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = output::complain(&failure);
            failure.exit_code()
        }
    }
}

fn command(arguments: Arguments) -> Result<(), Failure> {
    let setup = Setup::read(&arguments.options)?;
    let out = Output::new(arguments.options.json);
    let runtime = setup::runtime(arguments.command.as_ref())?;
    runtime.block_on(async {
        match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::serve(setup).await,
            Command::Check => check::check(&setup, &out),
            Command::Health => health::health(&setup, &out).await,
            Command::Explain(wanted) => {
                explain::explain(wanted, &setup, &setup.open().await?, &out).await
            }
            Command::Keys { command } => keys(command, &setup, &out).await,
            Command::Credits { command } => match command {
                CreditsCommand::Grant(grant) => {
                    accounts::grant(grant, &setup.open().await?, &out).await
                }
                CreditsCommand::Show(whose) => {
                    accounts::credits(&whose, &setup.open().await?, &out).await
                }
            },
            Command::Users { command } => match command {
                UsersCommand::Create(user) => {
                    accounts::create(user, &setup.open().await?, &out).await
                }
                UsersCommand::List => accounts::list(&setup.open().await?, &out).await,
                UsersCommand::Discount(discount) => {
                    accounts::discount(&discount, &setup.open().await?, &out).await
                }
                UsersCommand::Password(whose) => {
                    people::password(whose.account.as_deref(), &setup, &out).await
                }
                UsersCommand::Link(whose) => {
                    people::link(whose.account.as_deref(), &setup, &out).await
                }
                UsersCommand::Invite => people::invite(&setup, &out).await,
            },
            Command::Ledger { command } => ledger(command, &setup, &out).await,
            Command::Catalog { command } => match command {
                CatalogCommand::List => catalog::list(&setup, &out),
                CatalogCommand::Check => catalog::check(&setup, &out),
            },
        }
    })
}

async fn keys(command: KeysCommand, setup: &Setup, out: &Output) -> Result<(), Failure> {
    let store = setup.open().await?;
    match command {
        KeysCommand::Create(key) => keys::create(key, &store, out).await,
        KeysCommand::List(whose) => keys::list(&whose, &store, out).await,
        KeysCommand::Disable(which) => keys::switch(&which, true, &store, out).await,
        KeysCommand::Enable(which) => keys::switch(&which, false, &store, out).await,
        KeysCommand::Delete(which) => keys::delete(&which, &store, out).await,
    }
}

async fn ledger(command: LedgerCommand, setup: &Setup, out: &Output) -> Result<(), Failure> {
    let store = setup.open().await?;
    match command {
        LedgerCommand::Verify => ledger::verify(&store, out).await,
        LedgerCommand::Reprice { since } => {
            ledger::reprice::run(since, &store, &setup.catalog.snapshot(), out).await
        }
        LedgerCommand::Export { from, to } => {
            ledger::export::run(from.unwrap_or(0), to.unwrap_or(i64::MAX), &store, out).await
        }
        LedgerCommand::Statement(wanted) => ledger::statement::run(&wanted, &store, out).await,
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// Anything else, in words for people.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Any error, as words.
    fn other(error: impl ToString) -> Self {
        Failure::Other(error.to_string())
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Configuration(_) => ExitCode::from(WRONG_CONFIGURATION),
            Failure::Other(_) => ExitCode::FAILURE,
        }
    }
}
