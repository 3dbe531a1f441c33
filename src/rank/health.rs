//! What ranking knows of an endpoint's health: values, not how they were measured.

use crate::catalog::snapshot::Endpoint;
use crate::plan::preferences::{Cutoffs, Percentile};

/// How an endpoint is, told from real traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// Whether it can be relied on.
    pub standing: Standing,
    /// Output tokens a second; `None` while too few answers were measured.
    pub throughput: Option<Percentiles>,
    /// Milliseconds to the first token; `None` while too few answers were measured.
    pub latency_ms: Option<Percentiles>,
    /// The part of the input tokens that came from its cache, in parts per million.
    pub cache_hits_ppm: u32,
    /// Requests of the last half hour.
    pub requests: u32,
    /// How its tool calls were.
    pub tools: ToolCalls,
}

/// Whether an endpoint can be relied on (contract 6.3, 6.5), best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing speaks against it.
    #[default]
    Well,
    /// Fewer than 95 of 100 requests succeeded lately.
    Degraded,
    /// An outage within the last half minute.
    Outage,
    /// Fewer than 80 of 100 requests succeeded lately.
    Down,
    /// It asked for a pause, or keeps failing and is given one.
    Resting,
}

/// Percentiles where `p99` is the value that 99 of 100 requests better.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// Three of four are better.
    pub p75: f64,
    /// Nine of ten are better.
    pub p90: f64,
    /// Ninety-nine of a hundred are better.
    pub p99: f64,
}

/// Requests that ended in tool calls, over two hours (contract 6.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolCalls {
    /// How many were looked at.
    pub judged: u32,
    /// How many had a call that cannot be run.
    pub bad: u32,
}

/// Where ranking reads health.
pub trait HealthView: Sync {
    /// How an endpoint is; the default for one that was never used.
    fn health(&self, endpoint: &Endpoint) -> Health;
}

/// Nothing is known of anyone.
#[derive(Clone, Copy, Debug)]
pub struct Unknown;

impl HealthView for Unknown {
    fn health(&self, _: &Endpoint) -> Health {
        Health::default()
    }
}

impl Standing {
    /// One stable word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Well => "well",
            Standing::Degraded => "degraded",
            Standing::Outage => "outage",
            Standing::Down => "down",
            Standing::Resting => "resting",
        }
    }
}

impl Percentiles {
    /// The value of one percentile.
    pub fn at(&self, percentile: Percentile) -> f64 {
        match percentile {
            Percentile::P50 => self.p50,
            Percentile::P75 => self.p75,
            Percentile::P90 => self.p90,
            Percentile::P99 => self.p99,
        }
    }
}

impl Health {
    /// Whether a measured value misses a cutoff. What was not measured misses none.
    pub fn misses(&self, min_throughput: &Cutoffs, max_latency_seconds: &Cutoffs) -> bool {
        let slower = |&(percentile, least): &(Percentile, f64)| {
            self.throughput
                .is_some_and(|measured| measured.at(percentile) < least)
        };
        let later = |&(percentile, most): &(Percentile, f64)| {
            self.latency_ms
                .is_some_and(|measured| measured.at(percentile) > most * 1_000.0)
        };
        min_throughput.0.iter().any(slower) || max_latency_seconds.0.iter().any(later)
    }
}
