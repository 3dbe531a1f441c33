//! What can be served: providers, models and their endpoints, with prices and limits.
//! An immutable [`Snapshot`](snapshot::Snapshot) is swapped whole; readers never wait.
//! Knows no request, no HTTP, no database.

pub mod snapshot;
