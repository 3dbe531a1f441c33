//! The counts that runs of one model at one provider move. A run moves some ten of them, and to find one by its labels
//! costs more than to move it, so each is found once.

use std::sync::OnceLock;

use parking_lot::RwLock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// The counts of one model at one provider, as far as any run has moved them: what never moved is not shown.
pub(super) struct Series {
    /// The model's label.
    pub(super) model: String,
    /// The provider's.
    pub(super) provider: String,
    /// Runs, by how they ended.
    pub(super) ended: Found<Counter>,
    /// Tokens, by their kind.
    pub(super) tokens: Found<Counter>,
    /// Runs, by who counted their tokens.
    pub(super) usage: Found<Counter>,
    /// What was charged.
    pub(super) charged: OnceLock<Counter>,
    /// Times to the first token.
    pub(super) first_token: OnceLock<Histogram>,
    /// Attempts that were answered.
    pub(super) answered: OnceLock<Counter>,
}

impl Series {
    pub(super) fn of(model: &str, provider: &str) -> Self {
        Series {
            model: model.to_owned(),
            provider: provider.to_owned(),
            ended: Found::default(),
            tokens: Found::default(),
            usage: Found::default(),
            charged: OnceLock::new(),
            first_token: OnceLock::new(),
            answered: OnceLock::new(),
        }
    }
}

/// Metrics that were found, by the one label that tells them apart: a handful, so that looking through is quickest.
pub(super) struct Found<M>(RwLock<Vec<(&'static str, M)>>);

impl<M> Default for Found<M> {
    fn default() -> Self {
        Found(RwLock::default())
    }
}

impl<M: Clone> Found<M> {
    /// The one of this label; `find` gives it the first time. Two that are found at once are the same.
    pub(super) fn get(&self, label: &'static str, find: impl FnOnce() -> M) -> M {
        let found = self
            .0
            .read()
            .iter()
            .find(|(known, _)| *known == label)
            .map(|(_, metric)| metric.clone());
        found.unwrap_or_else(|| {
            let metric = find();
            self.0.write().push((label, metric.clone()));
            metric
        })
    }
}
