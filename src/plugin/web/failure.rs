//! Why there is no search, and why one failed.

use crate::domain::search::Engine;
use crate::transport::TransportError;

/// Why the web cannot be searched for a call. Said before anything is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSearch {
    /// There is no engine, and the providers of the models do not search.
    #[error(
        "web search is not configured on this server: the operator may set EXA_API_KEY, TAVILY_API_KEY, BRAVE_API_KEY, \
         FIRECRAWL_API_KEY, PARALLEL_API_KEY, PERPLEXITY_API_KEY or searxng.base_url; models whose provider searches the web itself need none of them"
    )]
    NotConfigured,
    /// The engine that is named has no key, or no address.
    #[error("the search engine {0} is not configured on this server: the operator may set {needs}", needs = .0.needs())]
    Unconfigured(Engine),
    /// No provider of the models searches itself.
    #[error(
        "no provider that may serve this request searches the web itself; leave `engine` out, or name another"
    )]
    NotNative,
}

/// Why a search failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// It took too long.
    #[error("the search engine did not answer in time")]
    Timeout,
    /// The engine could not be reached, or the connection broke.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The engine refused.
    #[error("the search engine answered {status} {}", .code.as_deref().unwrap_or_default())]
    Refused {
        /// Its status; 200 for a refusal inside an answer.
        status: u16,
        /// Its own word for it, where it has one. Never its sentence, which may repeat the query.
        code: Option<String>,
    },
    /// What the engine says is not what it should be.
    #[error("the search engine's answer cannot be read: {0}")]
    Malformed(String),
    /// The engine asks others, and none of them answered.
    #[error("none of the engines that were asked answered")]
    Unresponsive,
}

impl SearchError {
    /// One word, for records and metadata.
    pub fn word(&self) -> &'static str {
        match self {
            SearchError::Timeout => "timeout",
            SearchError::Transport(_) => "connection",
            SearchError::Refused { .. } => "refused",
            SearchError::Malformed(_) => "malformed",
            SearchError::Unresponsive => "unresponsive",
        }
    }
}
