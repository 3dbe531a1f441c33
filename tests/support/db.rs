//! A database of its own for each test, on either engine.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use turnpike::domain::ids::random_text;
use turnpike::domain::secret::Secret;
use turnpike::store::{Database, Store};

use super::proxy::Proxy;

/// Makes a test of each engine out of one body, which is given a [`TestDb`].
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident: TestDb) $body:block)+) => {
        $(mod $name {
            use super::*;

            async fn test($db: &$crate::support::db::TestDb) $body

            $(#[$meta])*
            #[tokio::test]
            async fn on_sqlite() {
                test(&$crate::support::db::TestDb::sqlite()).await;
            }

            $(#[$meta])*
            #[tokio::test]
            async fn on_postgres() {
                let db = $crate::support::db::TestDb::postgres().await;
                test(&db).await;
                db.drop().await;
            }
        })+
    };
}

pub(crate) use on_both_engines;

/// An empty database and a folder beside it.
pub(crate) struct TestDb {
    pub(crate) database: Database,
    pub(crate) folder: TempDir,
    schema: Option<String>,
}

impl TestDb {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        TestDb {
            database: Database::Sqlite {
                file: folder.path().join("test.db"),
            },
            folder,
            schema: None,
        }
    }

    /// A schema of its own on the server that TEST_DATABASE_URL names.
    pub(crate) async fn postgres() -> Self {
        let schema = format!("test_{}", random_text(20).to_lowercase());
        server()
            .await
            .execute(AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
            .await
            .unwrap();
        let separator = if server_url().contains('?') { '&' } else { '?' };
        let url = format!(
            "{}{separator}options=-c%20search_path%3D{schema}",
            server_url()
        );
        let database = Database::Postgres {
            url: Secret::new(&url),
            connections: 4,
        };
        TestDb {
            database,
            folder: tempfile::tempdir().unwrap(),
            schema: Some(schema),
        }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.database).await.unwrap()
    }

    /// The same database through a proxy that can be cut: Postgres alone.
    pub(crate) async fn behind_proxy(&self) -> (Proxy, Database) {
        let Database::Postgres { url, connections } = &self.database else {
            panic!("SQLite has no wire to cut")
        };
        let start = url
            .expose()
            .rfind('@')
            .map_or_else(|| url.expose().find("//").unwrap() + 2, |at| at + 1);
        let end = start + url.expose()[start..].find('/').unwrap();
        let proxy = Proxy::to(url.expose()[start..end].to_owned()).await;
        let (head, tail) = (&url.expose()[..start], &url.expose()[end..]);
        let url = Secret::new(&format!("{head}127.0.0.1:{}{tail}", proxy.port));
        (
            proxy,
            Database::Postgres {
                url,
                connections: *connections,
            },
        )
    }

    /// Runs a statement behind the store's back.
    pub(crate) async fn tamper(&self, sql: &str) {
        self.try_tamper(sql).await.unwrap();
    }

    /// Likewise, where the database may refuse.
    pub(crate) async fn try_tamper(&self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.database {
            Database::Sqlite { file } => {
                let options = SqliteConnectOptions::new().filename(file);
                let mut connection = SqliteConnection::connect_with(&options).await?;
                sqlx::raw_sql(sql).execute(&mut connection).await?;
            }
            Database::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url.expose()).await?;
                sqlx::raw_sql(sql).execute(&mut connection).await?;
            }
        }
        Ok(())
    }

    /// Every row of every table, as text. Empty on SQLite, whose file has them.
    pub(crate) async fn rows(&self) -> String {
        let (Database::Postgres { url, .. }, Some(schema)) = (&self.database, &self.schema) else {
            return String::new();
        };
        let mut connection = PgConnection::connect(url.expose()).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = $1",
        )
        .bind(schema)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert!(tables.len() > 5, "{tables:?}");
        let mut rows = String::new();
        for table in tables {
            let all =
                format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {schema}.{table} t");
            let text: String = sqlx::query_scalar(AssertSqlSafe(all))
                .fetch_one(&mut connection)
                .await
                .unwrap();
            rows.push_str(&text);
        }
        rows
    }

    /// Removes the schema. A test that fails leaves it behind, to be looked at.
    pub(crate) async fn drop(self) {
        if let Some(schema) = &self.schema {
            server()
                .await
                .execute(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE")))
                .await
                .unwrap();
        }
    }
}

fn server_url() -> String {
    std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL names a Postgres server; scripts/test starts one")
}

async fn server() -> PgConnection {
    PgConnection::connect(&server_url()).await.unwrap()
}
