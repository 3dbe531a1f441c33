//! The database of one Turnpike: a file, or one of its own on the server that `TEST_DATABASE_URL` names.

use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};
use turnpike::domain::ids::random_text;
use url::Url;

use crate::Result;
use crate::process::Tree;

const SERVER: &str = "TEST_DATABASE_URL";

/// Which database Turnpike settles in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// A file, written by Turnpike's own process.
    Sqlite,
    /// A server, whose processor time is counted apart.
    Postgres,
}

impl Engine {
    /// Those that are there.
    pub(crate) fn all() -> Vec<Engine> {
        let mut engines = vec![Engine::Sqlite];
        if std::env::var_os(SERVER).is_some() {
            engines.push(Engine::Postgres);
        }
        engines
    }

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "Postgres",
        }
    }
}

/// A database, which ends with its value.
pub(crate) enum Database {
    /// The file is in the folder of the server, and goes with it.
    Sqlite(PathBuf),
    /// A database that was made for this run, and the processes of its server, where they are this machine's.
    Postgres { url: Url, server: Option<Tree> },
}

impl Drop for Database {
    fn drop(&mut self) {
        let Database::Postgres { url, .. } = self else {
            return;
        };
        let url = url.clone();
        // On a thread of its own, since values are dropped where nobody can wait.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let name = url.path().trim_start_matches('/');
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            runtime.block_on(async { Connection::server().await?.run(drop).await })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("a database of this run is still there");
        }
    }
}

impl Database {
    /// A new one; `data` is the server's folder.
    pub(crate) async fn make(engine: Engine, data: &Path) -> Result<Database> {
        match engine {
            Engine::Sqlite => Ok(Database::Sqlite(data.join("turnpike.db"))),
            Engine::Postgres => {
                let mut server = Connection::server().await?;
                let name = format!("turnpike_bench_{}", random_text(12).to_lowercase());
                server.run(format!("CREATE DATABASE {name}")).await?;
                if server.text("SHOW fsync").await? == "off" {
                    eprintln!(
                        "the Postgres server forgets what it has committed if it fails: fsync is off"
                    );
                }
                let process = server.number("SELECT pg_backend_pid()::BIGINT").await?;
                let mut url = Url::parse(&std::env::var(SERVER)?)?;
                url.set_path(&name);
                Ok(Database::Postgres {
                    url,
                    server: Tree::parent_of(u32::try_from(process)?, "postgres"),
                })
            }
        }
    }

    /// What Turnpike calls `database.url`; none for a file.
    pub(crate) fn url(&self) -> &str {
        match self {
            Database::Sqlite(_) => "",
            Database::Postgres { url, .. } => url.as_str(),
        }
    }

    /// The processes of its server, if it has one and they can be seen.
    pub(crate) fn server(&self) -> Option<Tree> {
        match self {
            Database::Sqlite(_) => None,
            Database::Postgres { server, .. } => *server,
        }
    }

    /// A connection for one who writes much, and writes it again should the machine fail.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        match self {
            Database::Sqlite(file) => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .journal_mode(SqliteJournalMode::Off)
                    .synchronous(SqliteSynchronous::Off)
                    .pragma("cache_size", "-2000000")
                    .disable_statement_logging();
                Ok(Connection::Sqlite(options.connect().await?))
            }
            Database::Postgres { url, .. } => {
                let options: PgConnectOptions = url.as_str().parse()?;
                let options = options
                    .options([("synchronous_commit", "off"), ("work_mem", "256MB")])
                    .disable_statement_logging();
                Ok(Connection::Postgres(options.connect().await?))
            }
        }
    }
}

/// A connection beside Turnpike's own.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    async fn server() -> Result<Connection> {
        let options: PgConnectOptions = std::env::var(SERVER)?.parse()?;
        Ok(Connection::Postgres(options.connect().await?))
    }

    /// Which engine it leads to.
    pub(crate) fn engine(&self) -> Engine {
        match self {
            Connection::Sqlite(_) => Engine::Sqlite,
            Connection::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs statements.
    pub(crate) async fn run(&mut self, sql: String) -> Result<()> {
        let failed = |error| format!("{error}: {}", &sql[..sql.len().min(400)]);
        let text = sqlx::raw_sql(AssertSqlSafe(sql.clone()));
        match self {
            Connection::Sqlite(connection) => text.execute(connection).await.map(drop),
            Connection::Postgres(connection) => text.execute(connection).await.map(drop),
        }
        .map_err(failed)?;
        Ok(())
    }

    /// The one number that a question is answered by.
    pub(crate) async fn number(&mut self, sql: &'static str) -> Result<i64> {
        Ok(match self {
            Connection::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(connection).await?,
            Connection::Postgres(connection) => {
                sqlx::query_scalar(sql).fetch_one(connection).await?
            }
        })
    }

    /// The one text that a question is answered by.
    pub(crate) async fn text(&mut self, sql: &'static str) -> Result<String> {
        Ok(match self {
            Connection::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(connection).await?,
            Connection::Postgres(connection) => {
                sqlx::query_scalar(sql).fetch_one(connection).await?
            }
        })
    }

    /// Closes it, so that whatever it wrote is there for others.
    pub(crate) async fn close(self) -> Result<()> {
        match self {
            Connection::Sqlite(connection) => connection.close().await?,
            Connection::Postgres(connection) => connection.close().await?,
        }
        Ok(())
    }
}
