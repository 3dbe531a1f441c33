//! What an endpoint's tool calls are worth beside its peers' (contract 6.9): good, not known, or
//! clearly worse. Thresholds are robust: a median, and the median deviation in place of σ.

use super::health::{Health, ToolCalls};
use crate::catalog::snapshot::ToolCallPrior;

/// An endpoint is judged after this many requests in half an hour …
const REQUESTS: u32 = 100;
/// … and this many tool requests in two hours.
const TOOL_REQUESTS: u32 = 200;
/// A threshold needs this many endpoints that can be judged.
const PEERS: usize = 4;

/// What an endpoint's tool calls are worth, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// As good as its peers.
    Good,
    /// Too little is known.
    #[default]
    Unknown,
    /// Clearly slower, or with clearly more bad tool calls, than its peers.
    Poor,
}

impl Quality {
    /// One stable word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Quality::Good => "good",
            Quality::Unknown => "insufficient_data",
            Quality::Poor => "deprioritized",
        }
    }
}

/// The least that an endpoint must reach; `None` where too few peers could be measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bar {
    throughput: Option<f64>,
    success: Option<f64>,
}

impl Bar {
    /// The bar that the endpoints of a model set for each other.
    pub(super) fn of(peers: &[Health]) -> Self {
        let judged = || peers.iter().filter(|peer| is_judged(peer));
        Bar {
            throughput: below_median(judged().filter_map(speed).collect(), 1.5),
            success: below_median(judged().filter_map(success).collect(), 2.0),
        }
    }

    /// Where an endpoint stands.
    pub(super) fn quality(&self, health: &Health) -> Quality {
        let under = |value: Option<f64>, least: Option<f64>| matches!((value, least), (Some(value), Some(least)) if value < least);
        if !is_judged(health) {
            Quality::Unknown
        } else if under(speed(health), self.throughput) || under(success(health), self.success) {
            Quality::Poor
        } else {
            Quality::Good
        }
    }
}

/// What was measured together with what is known beforehand: so many answers the catalogue vouches for.
pub(super) fn with_prior(health: Health, prior: Option<ToolCallPrior>) -> Health {
    let Some(ToolCallPrior { judged, bad }) = prior else {
        return health;
    };
    Health {
        requests: health.requests.max(judged),
        tools: ToolCalls {
            judged: health.tools.judged.saturating_add(judged),
            bad: health.tools.bad.saturating_add(bad),
        },
        ..health
    }
}

fn is_judged(health: &Health) -> bool {
    health.requests >= REQUESTS && health.tools.judged >= TOOL_REQUESTS
}

fn speed(health: &Health) -> Option<f64> {
    health.throughput.map(|measured| measured.p50)
}

fn success(health: &Health) -> Option<f64> {
    let judged = f64::from(health.tools.judged);
    (judged > 0.0).then(|| 1.0 - f64::from(health.tools.bad) / judged)
}

/// So many σ below the median, where 1.4826 median deviations estimate σ.
fn below_median(mut values: Vec<f64>, sigmas: f64) -> Option<f64> {
    if values.len() < PEERS {
        return None;
    }
    let middle = median(&mut values)?;
    let mut deviations: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    Some(middle - sigmas * 1.4826 * median(&mut deviations)?)
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get(values.len().saturating_sub(1) / 2)?;
    Some((upper + lower) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::super::health::Percentiles;
    use super::*;

    fn measured(tokens_per_second: f64, bad: u32) -> Health {
        Health {
            throughput: Some(Percentiles {
                p50: tokens_per_second,
                ..Percentiles::default()
            }),
            requests: 1_000,
            tools: ToolCalls { judged: 1_000, bad },
            ..Health::default()
        }
    }

    #[test]
    fn outliers_are_poor_and_the_unmeasured_unknown() {
        let peers = [
            measured(90.0, 10),
            measured(100.0, 12),
            measured(110.0, 8),
            measured(20.0, 10),
            measured(100.0, 400),
            Health::default(),
        ];
        let bar = Bar::of(&peers);
        let qualities: Vec<Quality> = peers.iter().map(|peer| bar.quality(peer)).collect();
        use Quality::{Good, Poor, Unknown};
        assert_eq!(qualities, [Good, Good, Good, Poor, Poor, Unknown]);
    }

    #[test]
    fn the_catalogue_can_vouch_for_an_endpoint() {
        let prior = |judged, bad| Some(ToolCallPrior { judged, bad });
        let peers = [
            with_prior(Health::default(), prior(500, 5)),
            with_prior(Health::default(), prior(500, 6)),
            with_prior(Health::default(), prior(500, 4)),
            with_prior(Health::default(), prior(500, 250)),
            with_prior(measured(100.0, 12), prior(500, 6)),
            with_prior(Health::default(), prior(20, 0)),
        ];
        let bar = Bar::of(&peers);
        let qualities: Vec<Quality> = peers.iter().map(|peer| bar.quality(peer)).collect();
        use Quality::{Good, Poor, Unknown};
        assert_eq!(qualities, [Good, Good, Good, Poor, Good, Unknown]);
    }

    #[test]
    fn three_peers_set_no_bar() {
        let peers = [measured(90.0, 10), measured(1.0, 900), measured(110.0, 8)];
        let bar = Bar::of(&peers);
        assert!(peers.iter().all(|peer| bar.quality(peer) == Quality::Good));
    }
}
