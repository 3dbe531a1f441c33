//! Who calls: bearer keys and the principals they stand for; people, their passwords and sessions.
//!
//! Knows the store and its change numbers; knows no HTTP, no money beyond the limit it passes on.

mod api_key;
mod elsewhere;
mod flow;
mod limits;
mod password;
mod people;
mod principal;
mod session;

pub use api_key::{ApiKey, KeyNameError, checked_key_name};
pub use elsewhere::AddressTrust;
pub use flow::{FLOW_LIVES, Flow, TooLong};
pub use limits::{Exempt, FreeLimits};
pub use password::{LONGEST, PasswordError, SHORTEST};
pub use people::{People, PeopleError, SignUp, SignedIn, checked_address};
pub use principal::{Auth, AuthError};
