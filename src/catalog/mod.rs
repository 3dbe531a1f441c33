//! What can be served: providers, models and their endpoints, with prices and limits.
//! An immutable [`Snapshot`] is swapped whole; readers never wait.
//! Knows no request, no HTTP, no database.
//!
//! `draft` reads what is written, `provider_config` lays the operator's tables over it, `build` looks up keys and variables.

mod amazon;
mod behaviour;
mod build;
mod check;
mod draft;
mod environment;
mod fields;
#[cfg(test)]
pub(crate) mod fixture;
mod google;
mod key;
pub mod list;
mod parameters;
mod pricing;
mod problem;
mod provider_config;
mod rows;
pub mod snapshot;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

pub use environment::Environment;
pub use parameters::VOCABULARY as PARAMETERS;
pub use problem::Problem;
pub use provider_config::ProviderConfig;
use snapshot::{Snapshot, Timeouts};

/// The catalogue in use. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Catalog {
    source: Arc<CatalogSource>,
    current: Arc<ArcSwap<Snapshot>>,
}

/// Where the catalogue comes from.
#[derive(Clone, Debug)]
pub struct CatalogSource {
    /// A directory of files like those in `config/catalog/`, laid over them by slug and id.
    pub overlay: Option<PathBuf>,
    /// The configuration's `[[providers]]`.
    pub providers: Vec<ProviderConfig>,
    /// How long to wait for a provider that says nothing else.
    pub timeouts: Timeouts,
    /// Where keys are looked up.
    pub environment: Environment,
}

/// How much a catalogue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Providers with an endpoint that can be used now.
    pub providers: usize,
    /// Models that can be served now.
    pub models: usize,
    /// Endpoints that can be used now.
    pub endpoints: usize,
}

/// Everything that keeps a catalogue from being used; the one before stays.
#[derive(Debug, PartialEq, Eq)]
pub struct CatalogError {
    /// Every problem, in the order found; never empty.
    pub problems: Vec<Problem>,
}

impl Catalog {
    /// Reads the catalogue. Fails with every problem of its files and tables at once.
    pub fn load(source: CatalogSource) -> Result<Catalog, CatalogError> {
        let snapshot = read(&source)?;
        Ok(Catalog {
            source: Arc::new(source),
            current: Arc::new(ArcSwap::from_pointee(snapshot)),
        })
    }

    /// The catalogue as it is now. A reader that keeps it sees no later change.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Reads the files and key files again and swaps the whole, or leaves all as it was when anything is wrong.
    pub fn reload(&self) -> Result<Summary, CatalogError> {
        let snapshot = read(&self.source)?;
        let summary = Summary::of(&snapshot);
        self.current.store(Arc::new(snapshot));
        Ok(summary)
    }
}

impl CatalogSource {
    /// The built-in catalogue with the keys of this process.
    pub fn built_in() -> Self {
        CatalogSource {
            overlay: None,
            providers: Vec::new(),
            timeouts: Timeouts::default(),
            environment: Environment::process(),
        }
    }
}

fn read(source: &CatalogSource) -> Result<Snapshot, CatalogError> {
    let mut problems = Vec::new();
    let mut drafts = draft::read(source.overlay.as_deref(), source.timeouts, &mut problems);
    provider_config::lay(
        &source.providers,
        source.timeouts,
        &mut drafts,
        &mut problems,
    );
    let snapshot = build::snapshot(&drafts, &source.environment, &mut problems);
    if problems.is_empty() {
        Ok(snapshot)
    } else {
        Err(CatalogError { problems })
    }
}

impl Summary {
    /// Counts what can be used now.
    pub fn of(snapshot: &Snapshot) -> Self {
        let endpoints = || snapshot.models.iter().flat_map(|model| &model.endpoints);
        let mut providers: Vec<_> = endpoints()
            .map(|endpoint| &endpoint.provider.slug)
            .collect();
        providers.sort_unstable();
        providers.dedup();
        let models = snapshot
            .models
            .iter()
            .filter(|model| !model.endpoints.is_empty())
            .count();
        Summary {
            providers: providers.len(),
            models,
            endpoints: endpoints().count(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary {
            providers,
            models,
            endpoints,
        } = self;
        write!(
            f,
            "{models} models, {endpoints} endpoints, {providers} providers"
        )
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "1 problem in the catalogue")?,
            many => write!(f, "{many} problems in the catalogue")?,
        }
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for CatalogError {}
