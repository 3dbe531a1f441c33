//! What commands stand on: the configuration and the catalogue, checked together, and the open database.

use std::collections::BTreeMap;

use tokio::runtime::{Builder, Runtime};

use super::Failure;
use super::arguments::{Command, Options};
use crate::catalog::{Catalog, CatalogSource, Environment};
use crate::config::{Config, Problem, Problems, Sources};
use crate::store::{Account, Database, Store};

/// Everything that was configured, and found right.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) catalog: Catalog,
}

impl Setup {
    /// Reads everything. Fails with every problem of all of it.
    pub(super) fn read(options: &Options) -> Result<Self, Failure> {
        let (config, mut problems) = Config::read(&sources(options));
        let source = CatalogSource {
            overlay: config.catalog_dir.clone(),
            providers: config.providers.clone(),
            timeouts: config.timeouts,
            environment: Environment::process(),
        };
        match Catalog::load(source) {
            Ok(catalog) => {
                Problems::check(problems)?;
                Ok(Setup { config, catalog })
            }
            Err(error) => {
                problems.extend(error.problems.into_iter().map(|problem| Problem {
                    source: problem.source,
                    key: problem.key,
                    reason: problem.reason,
                }));
                Problems::check(problems)?;
                Err(Failure::other("the catalogue could not be read"))
            }
        }
    }

    /// Opens the database that the server made.
    pub(super) async fn open(&self) -> Result<Store, Failure> {
        let database = Database::from(&self.config);
        if let Database::Sqlite { file } = &database
            && !file.exists()
        {
            let file = file.display();
            return Err(Failure::Other(format!(
                "there is no database at {file}: start the server once, or name its --data-dir"
            )));
        }
        open(&database).await
    }
}

/// Opens or makes a database.
pub(super) async fn open(database: &Database) -> Result<Store, Failure> {
    Store::open(database)
        .await
        .map_err(|error| Failure::Other(format!("cannot open {}: {error}", place(database))))
}

/// The database, without its password.
pub(super) fn place(database: &Database) -> String {
    match database {
        Database::Postgres { .. } => "the Postgres database".to_owned(),
        Database::Sqlite { file } => std::path::absolute(file)
            .as_ref()
            .unwrap_or(file)
            .display()
            .to_string(),
    }
}

/// The account with this address, or the first admin's.
pub(super) async fn account(store: &Store, email: Option<&str>) -> Result<Account, Failure> {
    let (account, missing) = match email {
        Some(email) => (
            store.account_by_email(email).await,
            format!("there is no account {email}"),
        ),
        None => (
            store.first_admin().await,
            "there is no admin account yet: start the server once, or name an --account".to_owned(),
        ),
    };
    account
        .map_err(Failure::other)?
        .ok_or(Failure::Other(missing))
}

/// The runtime of a command, or of what the server does beside its requests: those have [`crate::cores`].
pub(super) fn runtime(command: Option<&Command>) -> Result<Runtime, Failure> {
    let mut builder = Builder::new_current_thread();
    if matches!(command, None | Some(Command::Serve)) {
        builder = Builder::new_multi_thread();
        builder.worker_threads(1);
    }
    builder.enable_all().build().map_err(Failure::other)
}

fn sources(options: &Options) -> Sources {
    let flags = [("listen", &options.listen), ("data_dir", &options.data_dir)];
    let flags: BTreeMap<&'static str, String> = flags
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.clone()?)))
        .collect();
    Sources {
        file: options.config.clone(),
        flags,
        ..Sources::of_process()
    }
}
