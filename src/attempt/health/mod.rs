//! How endpoints do, measured from the traffic that goes to them: what ranking reads, what clients
//! are shown, and what keeps requests away from an endpoint in trouble.
//!
//! Recording is a few atomic additions and takes no lock; an endpoint needs the same memory whatever
//! its traffic. Knows no plan, price or client; times are Unix milliseconds that the caller passes in.

mod breaker;
mod histogram;
mod recent;
mod ring;
mod silence;
mod stored;
mod summary;
#[cfg(test)]
mod tests;
mod vitals;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use breaker::Patience;
pub use summary::{Outcomes, Published, Summary};
pub use vitals::{Awaited, Trouble, Vitals, Went};

use crate::catalog::snapshot::Endpoint;
use crate::domain::ids::{EndpointTag, ModelId};
use crate::rank::health::{Health, HealthView};
use stored::Windows;

/// Every endpoint's health. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Healths {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    patience: Patience,
    /// By [`Endpoint::key`]. Copied when an endpoint is seen for the first time, which is rare.
    endpoints: ArcSwap<HashMap<u64, Arc<Vitals>>>,
    /// How much of each endpoint had been marked when it was last stored.
    stored: Mutex<HashMap<u64, u32>>,
}

/// What one process measured of one endpoint, to be kept for the others.
#[derive(Clone, Debug)]
pub struct StoredHealth {
    /// The model.
    pub model: ModelId,
    /// The endpoint's tag.
    pub tag: EndpointTag,
    /// The measurements, in a form of this module's own.
    pub measured: String,
}

/// All healths at one moment.
#[derive(Debug)]
pub struct View {
    endpoints: Arc<HashMap<u64, Arc<Vitals>>>,
    now: i64,
}

impl Healths {
    /// Nothing measured yet.
    pub fn new(patience: Patience) -> Self {
        Healths {
            shared: Arc::new(Shared {
                patience,
                ..Shared::default()
            }),
        }
    }

    /// The health of an endpoint, to be added to.
    pub fn of(&self, endpoint: &Endpoint) -> Arc<Vitals> {
        self.keyed(endpoint.key, &endpoint.model, &endpoint.tag)
    }

    /// All healths as they are now.
    pub fn view(&self, now: i64) -> View {
        View {
            endpoints: self.shared.endpoints.load_full(),
            now,
        }
    }

    /// What was measured since the last call, endpoint by endpoint.
    pub fn unstored(&self, now: i64) -> Vec<StoredHealth> {
        let mut stored = self.shared.stored.lock();
        let mut news = Vec::new();
        for (key, vitals) in &*self.shared.endpoints.load_full() {
            let marks = vitals.marks();
            if stored.insert(*key, marks).unwrap_or(0) == marks {
                continue;
            }
            match vitals.measured(now).to_text() {
                Ok(measured) => news.push(StoredHealth {
                    model: vitals.model.clone(),
                    tag: vitals.tag.clone(),
                    measured,
                }),
                Err(error) => tracing::error!(%error, "an endpoint's health cannot be written"),
            }
        }
        news
    }

    /// Makes the next [`Healths::unstored`] tell everything again: what it told last was lost.
    pub fn store_again(&self) {
        self.shared.stored.lock().clear();
    }

    /// Takes note of what all other processes measured.
    pub fn learn(&self, rows: &[StoredHealth]) {
        let mut elsewhere: HashMap<(&ModelId, &EndpointTag), Windows> = HashMap::new();
        for row in rows {
            if let Some(windows) = Windows::of_text(&row.measured) {
                elsewhere
                    .entry((&row.model, &row.tag))
                    .or_default()
                    .add(&windows);
            }
        }
        for ((model, tag), windows) in elsewhere {
            let key = Endpoint::key_of(model, tag);
            self.keyed(key, model, tag).learn(windows);
        }
    }

    fn keyed(&self, key: u64, model: &ModelId, tag: &EndpointTag) -> Arc<Vitals> {
        let endpoints = &self.shared.endpoints;
        if let Some(vitals) = endpoints.load().get(&key) {
            return Arc::clone(vitals);
        }
        let fresh = Arc::new(Vitals::new(
            model.clone(),
            tag.clone(),
            self.shared.patience,
        ));
        endpoints.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(key).or_insert_with(|| Arc::clone(&fresh));
            known
        });
        // Another thread may have been first; everybody counts in the one that is there.
        let known = endpoints.load().get(&key).map(Arc::clone);
        known.unwrap_or(fresh)
    }
}

impl View {
    /// What was measured of an endpoint; `None` for one that was never used.
    pub fn summary(&self, endpoint: &Endpoint) -> Option<Summary> {
        let vitals = self.endpoints.get(&endpoint.key)?;
        Some(vitals.summary_now(self.now))
    }

    /// What last went wrong at an endpoint, as far as this process saw it.
    pub fn trouble(&self, endpoint: &Endpoint) -> Option<Trouble> {
        self.endpoints.get(&endpoint.key)?.trouble()
    }
}

impl HealthView for View {
    fn health(&self, endpoint: &Endpoint) -> Health {
        self.endpoints
            .get(&endpoint.key)
            .map(|vitals| vitals.health(self.now))
            .unwrap_or_default()
    }
}
