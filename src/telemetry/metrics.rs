//! What an operator counts of the running process, in Prometheus' terms (`GET /metrics`). Counts since the
//! process started; names of models and providers are labels, accounts and keys never are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::series::Series;
use crate::domain::generation::{Attempt, Generation, Served};
use crate::domain::ids::{ModelId, ProviderSlug};
use crate::domain::money::Nanos;
use crate::domain::usage::Usage;

/// Seconds: from a twentieth, doubling, to more than a minute and a half.
const FIRST_TOKEN_BUCKETS: (f64, f64, u16) = (0.05, 2.0, 12);

/// Seconds: from a ten thousandth, each two fifths more than the last, to more than three.
const COMMIT_BUCKETS: (f64, f64, u16) = (0.0001, 1.4, 32);

/// The counts. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    generations: Family<Ended, Counter>,
    tokens: Family<Counted, Counter>,
    charged: Family<Endpoint, Counter>,
    first_token: Family<Provider, Histogram>,
    attempts: Family<Tried, Counter>,
    usage: Family<Reported, Counter>,
    refusals: Family<Refused, Counter>,
    tasks: Gauge,
    commits: CommitTimes,
    series: RwLock<HashMap<Option<Of>, Arc<Series>>>,
}

/// Of which model, at which provider.
type Of = (ModelId, ProviderSlug);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    model: String,
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    model: String,
    provider: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Counted {
    model: String,
    provider: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Provider {
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tried {
    provider: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reported {
    provider: String,
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("turnpike");
        let generations = Family::default();
        let tokens = Family::default();
        let charged = Family::default();
        let first_token = Family::new_with_constructor(first_token_buckets as fn() -> Histogram);
        let attempts = Family::default();
        let usage = Family::default();
        let refusals = Family::default();
        let tasks = Gauge::default();
        let commits = CommitTimes::default();
        registry.register(
            "generations",
            "Runs, by how they ended: complete, cancelled by the caller, or failed",
            Family::clone(&generations),
        );
        registry.register(
            "tokens",
            "Tokens of charged runs; cached and reasoning tokens are counted among prompt and completion too",
            Family::clone(&tokens),
        );
        registry.register(
            "charged_nanodollars",
            "What accounts were charged",
            Family::clone(&charged),
        );
        registry.register(
            "first_token_seconds",
            "Time until an answer began, failed attempts before it included",
            Family::clone(&first_token),
        );
        registry.register(
            "attempts",
            "Requests to providers, by what came of them",
            Family::clone(&attempts),
        );
        registry.register(
            "usage",
            "Runs by who counted their tokens: reported by the provider, estimated where it was silent, clamped where it could not be right",
            Family::clone(&usage),
        );
        registry.register(
            "refusals",
            "Calls that were not answered, by the reason",
            Family::clone(&refusals),
        );
        registry.register(
            "tasks",
            "Tasks that are alive: connections, runs under way, and a few that are always there",
            tasks.clone(),
        );
        registry.register(
            "commit_seconds",
            "How long the database takes to make a batch of settlements durable",
            commits.0.clone(),
        );
        Metrics {
            shared: Arc::new(Shared {
                registry,
                generations,
                tokens,
                charged,
                first_token,
                attempts,
                usage,
                refusals,
                tasks,
                commits,
                series: RwLock::default(),
            }),
        }
    }
}

impl Metrics {
    /// The media type of [`Metrics::text`].
    pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Counts a run that is over.
    pub fn generation(&self, generation: &Generation) {
        let shared = &*self.shared;
        let served = generation.served.as_ref();
        let series = shared.series(served);
        for attempt in &generation.attempts {
            match served {
                Some(served)
                    if attempt.failure.is_none() && attempt.endpoint == served.endpoint =>
                {
                    let answered = series.answered.get_or_init(|| shared.attempt(attempt));
                    answered.inc();
                }
                _ => {
                    shared.attempt(attempt).inc();
                }
            }
        }
        let outcome = outcome(generation);
        let ended = series.ended.get(outcome, || {
            shared.generations.get_or_create_owned(&Ended {
                model: series.model.clone(),
                provider: series.provider.clone(),
                outcome,
            })
        });
        ended.inc();
        if let Some(milliseconds) = generation.latency_ms {
            let first_token = series.first_token.get_or_init(|| {
                shared.first_token.get_or_create_owned(&Provider {
                    provider: series.provider.clone(),
                })
            });
            first_token.observe(milliseconds as f64 / 1_000.0);
        }
        if let Some(usage) = &generation.usage {
            shared.used(&series, usage, generation.charge.net);
        }
    }

    /// Counts a call that was not answered.
    pub fn refused(&self, reason: &'static str) {
        self.shared
            .refusals
            .get_or_create(&Refused { reason })
            .inc();
    }

    /// Where the times of commits are counted.
    pub fn commits(&self) -> CommitTimes {
        self.shared.commits.clone()
    }

    /// All counts as text, with so many tasks that are alive. Fails only where text cannot be written at all.
    pub fn text(&self, tasks: usize) -> Result<String, std::fmt::Error> {
        let tasks = i64::try_from(tasks).unwrap_or(i64::MAX);
        self.shared.tasks.set(tasks);
        let mut text = String::new();
        encode(&mut text, &self.shared.registry)?;
        Ok(text)
    }
}

impl Shared {
    /// The counts that a run of this model at this provider moves.
    fn series(&self, served: Option<&Served>) -> Arc<Series> {
        let key = served.map(|served| (served.model.clone(), served.provider.clone()));
        if let Some(series) = self.series.read().get(&key) {
            return Arc::clone(series);
        }
        let (model, provider) = match &key {
            Some((model, provider)) => (model.as_str(), provider.as_str()),
            None => ("", ""),
        };
        let series = Arc::new(Series::of(model, provider));
        self.series.write().entry(key).or_insert(series).clone()
    }

    fn attempt(&self, attempt: &Attempt) -> Counter {
        let provider = attempt.endpoint.as_str().split('/').next();
        self.attempts.get_or_create_owned(&Tried {
            provider: provider.unwrap_or_default().to_owned(),
            outcome: attempt
                .failure
                .clone()
                .unwrap_or_else(|| "answered".to_owned()),
        })
    }

    /// Counts what was used, and what it cost.
    fn used(&self, series: &Series, usage: &Usage, net: Nanos) {
        let source = usage.source.as_str();
        let reported = series.usage.get(source, || {
            self.usage.get_or_create_owned(&Reported {
                provider: series.provider.clone(),
                source,
            })
        });
        reported.inc();
        for (kind, count) in [
            ("prompt", usage.tokens.prompt),
            ("cached", usage.tokens.cached),
            ("completion", usage.tokens.completion),
            ("reasoning", usage.tokens.reasoning),
        ] {
            if count > 0 {
                let counted = series.tokens.get(kind, || {
                    self.tokens.get_or_create_owned(&Counted {
                        model: series.model.clone(),
                        provider: series.provider.clone(),
                        kind,
                    })
                });
                counted.inc_by(count);
            }
        }
        let charged = series.charged.get_or_init(|| {
            self.charged.get_or_create_owned(&Endpoint {
                model: series.model.clone(),
                provider: series.provider.clone(),
            })
        });
        charged.inc_by(u64::try_from(net.0).unwrap_or(0));
    }
}

fn outcome(generation: &Generation) -> &'static str {
    match generation.finish_reason.as_deref() {
        _ if generation.cancelled => "cancelled",
        Some("error") => "failed",
        _ => "complete",
    }
}

/// How long commits take.
#[derive(Clone, Debug)]
pub struct CommitTimes(Histogram);

impl Default for CommitTimes {
    fn default() -> Self {
        let (start, factor, length) = COMMIT_BUCKETS;
        CommitTimes(Histogram::new(exponential_buckets(start, factor, length)))
    }
}

impl CommitTimes {
    /// Counts one that took so long.
    pub fn count(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }
}

fn first_token_buckets() -> Histogram {
    let (start, factor, length) = FIRST_TOKEN_BUCKETS;
    Histogram::new(exponential_buckets(start, factor, length))
}
