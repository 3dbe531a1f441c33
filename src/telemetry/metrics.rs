//! What an operator counts of the running process, in Prometheus' terms (`GET /metrics`). Counts since the
//! process started; names of models and providers are labels, accounts and keys never are.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;

use crate::domain::generation::Generation;

/// Seconds: from a twentieth, doubling, to more than a minute and a half.
const FIRST_TOKEN_BUCKETS: (f64, f64, u16) = (0.05, 2.0, 12);

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
}

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
        for attempt in &generation.attempts {
            let provider = attempt.endpoint.as_str().split('/').next();
            let tried = Tried {
                provider: provider.unwrap_or_default().to_owned(),
                outcome: attempt
                    .failure
                    .clone()
                    .unwrap_or_else(|| "answered".to_owned()),
            };
            shared.attempts.get_or_create(&tried).inc();
        }
        let (model, provider) = match &generation.served {
            Some(served) => (served.model.as_str(), served.provider.as_str()),
            None => ("", ""),
        };
        let (model, provider) = (model.to_owned(), provider.to_owned());
        let ended = Ended {
            model: model.clone(),
            provider: provider.clone(),
            outcome: outcome(generation),
        };
        shared.generations.get_or_create(&ended).inc();
        if let Some(milliseconds) = generation.latency_ms {
            let provider = Provider {
                provider: provider.clone(),
            };
            let seconds = milliseconds as f64 / 1_000.0;
            shared.first_token.get_or_create(&provider).observe(seconds);
        }
        let Some(usage) = generation.usage else {
            return;
        };
        let reported = Reported {
            provider: provider.clone(),
            source: usage.source.as_str(),
        };
        shared.usage.get_or_create(&reported).inc();
        for (kind, count) in [
            ("prompt", usage.tokens.prompt),
            ("cached", usage.tokens.cached),
            ("completion", usage.tokens.completion),
            ("reasoning", usage.tokens.reasoning),
        ] {
            if count > 0 {
                let counted = Counted {
                    model: model.clone(),
                    provider: provider.clone(),
                    kind,
                };
                shared.tokens.get_or_create(&counted).inc_by(count);
            }
        }
        let net = u64::try_from(generation.charge.net.0).unwrap_or(0);
        let charged = Endpoint { model, provider };
        shared.charged.get_or_create(&charged).inc_by(net);
    }

    /// Counts a call that was not answered.
    pub fn refused(&self, reason: &'static str) {
        self.shared
            .refusals
            .get_or_create(&Refused { reason })
            .inc();
    }

    /// All counts as text. Fails only where text cannot be written at all.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        if let Ok(runtime) = Handle::try_current() {
            let alive = runtime.metrics().num_alive_tasks();
            self.shared
                .tasks
                .set(i64::try_from(alive).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.shared.registry)?;
        Ok(text)
    }
}

fn outcome(generation: &Generation) -> &'static str {
    match generation.finish_reason.as_deref() {
        _ if generation.cancelled => "cancelled",
        Some("error") => "failed",
        _ => "complete",
    }
}

fn first_token_buckets() -> Histogram {
    let (start, factor, length) = FIRST_TOKEN_BUCKETS;
    Histogram::new(exponential_buckets(start, factor, length))
}
