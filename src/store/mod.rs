//! Everything that is kept: accounts, keys, money, runs. The only place that knows SQL and its drivers.
//!
//! One file per subject, each a set of methods of [`Store`]. Knows no HTTP and reads no clock:
//! times are Unix milliseconds that the caller passes in.

mod accounts;
mod activity;
mod counters;
mod credits;
mod db;
mod error;
mod free_runs;
mod generations;
mod health;
mod identities;
mod journal;
mod keys;
mod leases;
mod oauth_codes;
#[cfg(test)]
mod plans;
mod retention;
mod sessions;
mod settlements;
mod shares;
mod statement;
mod usage;
mod users;
mod verify;

pub use accounts::Account;
pub use activity::Activity;
pub use counters::KeyUsage;
pub use credits::Credits;
pub use db::{Database, Store};
pub use error::StoreError;
pub use generations::{RunFilter, StoredGeneration};
pub use health::HealthRow;
pub use identities::Connected;
pub use journal::Entry;
pub use keys::{Key, KeyChange, KnownKey, NewKey};
pub use leases::{Ask, Keep, Lent};
pub use oauth_codes::{AppKey, Grant, StoredCode};
pub use sessions::Session;
pub use settlements::{Settlement, Uncovered};
pub use statement::{ChargeLine, GrantLine, Statement};
pub use usage::{UsageBy, Used, UsedAmounts};
pub use users::{Entrance, LinkKind, User};
pub use verify::{Difference, Verification};
