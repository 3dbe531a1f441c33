//! What an operator can decide about attempts.

use std::time::Duration;

use super::health::Patience;
use super::lane::Width;

/// How attempts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// When endpoints that keep failing are paused.
    pub patience: Patience,
    /// How wide a provider's lane is, unless the provider says otherwise.
    pub width: Width,
    /// However fast an endpoint usually is, it has at least this long for its first token while there
    /// is another to go to.
    pub least_first_token: Duration,
    /// Of a hundred streamed requests, so many may be sent to a second endpoint when the first is
    /// slower than usual; `None` for none.
    pub hedge_percent: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            patience: Patience::default(),
            width: Width::default(),
            least_first_token: Duration::from_secs(15),
            hedge_percent: None,
        }
    }
}
