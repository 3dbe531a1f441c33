//! When the steps of a run that has server tools are to end (contract 2.1 `stop_server_tools_when`).

use super::money::Nanos;

/// One condition, met at the end of a step. What the model has asked for by then is still done, and it answers after
/// that without tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// So many steps were made.
    Steps(u64),
    /// A tool of this name was called.
    Called(String),
    /// More tokens than this were used.
    Tokens(u64),
    /// More than this was spent.
    Cost(Nanos),
    /// The step ended for this reason, in the contract's word or the provider's.
    Finished(String),
}
