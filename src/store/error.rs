//! What can go wrong with the database, told apart by what the caller can do about it.

use std::error::Error;
use std::sync::Arc;

use sqlx::migrate::MigrateError;

/// What the driver says.
type Cause = Arc<dyn Error + Send + Sync>;

/// Why the store did not do what it was asked. Cheap to clone: a batch answers many callers with one error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is out of resources, or gave up on a lock. Whether the work
    /// was done is not known; trying again is right.
    #[error("the database is not available: {0}")]
    Away(Cause),
    /// The database did not answer in time. Whether the work was done is not known.
    #[error("the database did not answer in time")]
    Late,
    /// The database understood and refused: the same data will be refused again.
    #[error("the database refused the data: {0}")]
    Refused(Cause),
    /// A name that must be unique is taken.
    #[error("{0} exists already")]
    Taken(&'static str),
    /// A stored value is not what this version writes.
    #[error("the database holds {0} that this version cannot read")]
    Unreadable(&'static str),
    /// The replica's registration is gone: others took it for dead and took its leases back.
    #[error("this replica was taken for dead")]
    Disowned,
    /// The schema is not one that this version can bring up to date.
    #[error("{0}")]
    Schema(String),
}

impl StoreError {
    /// Whether trying the same again may succeed.
    pub fn is_passing(&self) -> bool {
        matches!(self, StoreError::Away(_) | StoreError::Late)
    }

    /// An amount that no sum of the ledger can hold.
    pub(super) fn overflow() -> Self {
        StoreError::Refused(Arc::from(Box::from("a sum is out of range")))
    }

    /// Whether a name was taken already.
    pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
        error
            .as_database_error()
            .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let refused = match &error {
            sqlx::Error::Database(inner) => is_refusal(inner.code().as_deref().unwrap_or_default()),
            sqlx::Error::Encode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::TypeNotFound { .. } => true,
            _ => false,
        };
        if refused {
            StoreError::Refused(Arc::new(error))
        } else {
            StoreError::Away(Arc::new(error))
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let refused = match &error {
            rusqlite::Error::SqliteFailure(inner, _) => is_refusal_of_sqlite(inner.extended_code),
            // All others are about values, and about what was asked for.
            _ => true,
        };
        if refused {
            StoreError::Refused(Arc::new(error))
        } else {
            StoreError::Away(Arc::new(error))
        }
    }
}

/// Whether the database's code blames the data. Postgres: data exceptions (22), constraints (23) and
/// names or grammar (42) — five characters. All else — connections, locks, disks, memory — passes.
fn is_refusal(code: &str) -> bool {
    if code.len() == 5 {
        return ["22", "23", "42"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    code.parse().is_ok_and(is_refusal_of_sqlite)
}

/// The low byte is ERROR (1), TOOBIG (18), CONSTRAINT (19), MISMATCH (20) or RANGE (25).
fn is_refusal_of_sqlite(code: i32) -> bool {
    matches!(code & 0xff, 1 | 18 | 19 | 20 | 25)
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        StoreError::Schema(match error {
            MigrateError::Execute(error) => return error.into(),
            MigrateError::VersionMissing(version) => {
                format!(
                    "the database has migration {version}, which this version of turnpike does not know: run the newer version that made it"
                )
            }
            MigrateError::VersionMismatch(version) => {
                format!(
                    "the database has another migration {version} than this version of turnpike: it belongs to a different build"
                )
            }
            MigrateError::Dirty(version) => format!(
                "migration {version} was left half done: restore the database from a backup"
            ),
            other => format!("the database could not be brought up to date: {other}"),
        })
    }
}
