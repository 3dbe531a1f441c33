//! Who calls: bearer keys and the principals they stand for.
//!
//! Knows the store and its change numbers; knows no HTTP, no money beyond the limit it passes on.

mod api_key;
mod principal;

pub use api_key::ApiKey;
pub use principal::{Auth, AuthError};
