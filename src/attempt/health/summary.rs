//! What the counts of an endpoint amount to: worked out now and then, read by every ranking.

use std::time::Duration;

use super::histogram::Counts;
use super::ring::Tally;
use crate::rank::health::{Health, Percentiles, Standing, ToolCalls};

/// An uptime needs this many requests (contract 6.5).
const REQUESTS_FOR_UPTIME: u32 = 100;
/// Percentiles that order endpoints need this many answers.
const ANSWERS_FOR_PERCENTILES: u64 = 5;
/// What an endpoint usually takes is known after this many answers.
const ANSWERS_FOR_HABITS: u64 = 20;

/// Waiting is hopeless after so many times what 99 of 100 of an endpoint's answers need.
const FAR_BEYOND_USUAL: f64 = 4.0;

/// The tallies of an endpoint's windows at a moment.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) five_minutes: Tally,
    pub(super) half_hour: Tally,
    pub(super) day: Tally,
    /// The hour under way and the two before it.
    pub(super) two_hours: Tally,
}

/// What the tallies amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// What ranking reads, its standing told from the uptime alone.
    pub health: Health,
    /// What clients are shown.
    pub published: Published,
    /// How the requests of a day went.
    pub day: Outcomes,
    /// When an endpoint's first token is later than it usually is, in milliseconds.
    usual_first_token_ms: Option<f64>,
    /// The time that nearly all of its first tokens need, in milliseconds.
    slowest_first_token_ms: Option<f64>,
    /// The time that nearly all of its answers need that come whole, in milliseconds.
    slowest_whole_ms: Option<f64>,
}

/// How requests went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// They were answered well.
    pub served: u32,
    /// They failed, and the endpoint was at fault.
    pub failed: u32,
    /// They were told to come back later.
    pub limited: u32,
}

/// What clients are shown of an endpoint (contract 13.5).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Published {
    /// Percent of the requests of five minutes, half an hour and a day that succeeded; `None` for too few.
    pub uptime: [Option<f64>; 3],
    /// Milliseconds to the first token, over half an hour.
    pub latency_ms: Option<Percentiles>,
    /// Output tokens a second, over half an hour.
    pub throughput: Option<Percentiles>,
}

impl Outcomes {
    /// The part of them that was answered well, in tenths of a percent; `None` when there were none. Requests that were
    /// told to come back later say nothing of it (contract 6.5).
    pub fn per_mille(self) -> Option<u32> {
        let requests = u64::from(self.served) + u64::from(self.failed);
        let served = (u64::from(self.served) * 1_000).checked_div(requests)?;
        u32::try_from(served).ok()
    }
}

impl std::ops::AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        self.served = self.served.saturating_add(other.served);
        self.failed = self.failed.saturating_add(other.failed);
        self.limited = self.limited.saturating_add(other.limited);
    }
}

impl Summary {
    pub(super) fn of(tallies: &Tallies) -> Self {
        let Tallies {
            five_minutes,
            half_hour,
            day,
            two_hours,
        } = tallies;
        let windows = [five_minutes, half_hour, day];
        let habits = first_with(windows, ANSWERS_FOR_HABITS, |tally| &tally.latency);
        Summary {
            health: Health {
                standing: standing(windows),
                throughput: first_with(windows, ANSWERS_FOR_PERCENTILES, |tally| &tally.throughput)
                    .and_then(throughput),
                latency_ms: first_with(windows, ANSWERS_FOR_PERCENTILES, |tally| &tally.latency)
                    .and_then(latency),
                cache_hits_ppm: cache_hits(half_hour),
                requests: half_hour.requests(),
                tools: ToolCalls {
                    judged: two_hours.tools_judged,
                    bad: two_hours.tools_bad,
                },
            },
            published: Published {
                uptime: windows.map(|tally| uptime(tally).map(|share| share * 100.0)),
                latency_ms: latency(&half_hour.latency),
                throughput: throughput(&half_hour.throughput),
            },
            day: Outcomes {
                served: day.served,
                failed: day.failed,
                limited: day.limited,
            },
            usual_first_token_ms: habits.and_then(|counts| counts.quantile(0.95)),
            slowest_first_token_ms: habits.and_then(|counts| counts.quantile(0.99)),
            slowest_whole_ms: first_with(windows, ANSWERS_FOR_HABITS, |tally| &tally.whole)
                .and_then(|counts| counts.quantile(0.99)),
        }
    }

    /// When its first token is later than it usually is; `None` while too little is known.
    pub fn usual_first_token(&self) -> Option<Duration> {
        self.usual_first_token_ms.map(millis)
    }

    /// When waiting for its first token is hopeless; `None` while too little is known.
    pub fn hopeless_first_token(&self) -> Option<Duration> {
        self.slowest_first_token_ms.map(far_beyond)
    }

    /// When waiting for an answer that comes whole is hopeless; `None` while too little is known.
    pub fn hopeless_whole(&self) -> Option<Duration> {
        self.slowest_whole_ms.map(far_beyond)
    }
}

fn far_beyond(slowest_ms: f64) -> Duration {
    millis(slowest_ms * FAR_BEYOND_USUAL)
}

/// The shortest window that counted enough: the latest word that means something.
fn first_with<'a>(
    windows: [&'a Tally; 3],
    least: u64,
    counts: impl Fn(&'a Tally) -> &'a Counts,
) -> Option<&'a Counts> {
    windows
        .into_iter()
        .map(counts)
        .find(|counts| counts.total() >= least)
}

fn standing([five_minutes, half_hour, _]: [&Tally; 3]) -> Standing {
    let of = |tally: &Tally| standing_of(tally.served, tally.failed);
    of(five_minutes).or(of(half_hour)).unwrap_or_default()
}

/// Contract 6.5: from 95 of 100 normal, from 80 degraded, below down; `None` for too few.
pub(super) fn standing_of(served: u32, failed: u32) -> Option<Standing> {
    Some(match share(served, failed)? {
        share if share < 0.80 => Standing::Down,
        share if share < 0.95 => Standing::Degraded,
        _ => Standing::Well,
    })
}

fn uptime(tally: &Tally) -> Option<f64> {
    share(tally.served, tally.failed)
}

fn share(served: u32, failed: u32) -> Option<f64> {
    let requests = served.saturating_add(failed);
    (requests >= REQUESTS_FOR_UPTIME).then(|| f64::from(served) / f64::from(requests))
}

fn cache_hits(tally: &Tally) -> u32 {
    let cached = u128::from(tally.cached_tokens.min(tally.prompt_tokens)) * 1_000_000;
    let share = cached.checked_div(u128::from(tally.prompt_tokens));
    u32::try_from(share.unwrap_or(0)).unwrap_or(0)
}

/// The higher the worse: `p99` is what the slowest hundredth takes.
fn latency(counts: &Counts) -> Option<Percentiles> {
    percentiles(|share| counts.quantile(share))
}

/// The lower the worse: `p99` is what the slowest hundredth reaches.
fn throughput(counts: &Counts) -> Option<Percentiles> {
    percentiles(|share| counts.quantile(1.0 - share).map(|tenths| tenths / 10.0))
}

fn percentiles(at: impl Fn(f64) -> Option<f64>) -> Option<Percentiles> {
    Some(Percentiles {
        p50: at(0.50)?,
        p75: at(0.75)?,
        p90: at(0.90)?,
        p99: at(0.99)?,
    })
}

fn millis(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1_000.0).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(served: u32, failed: u32) -> Tally {
        Tally {
            served,
            failed,
            ..Tally::default()
        }
    }

    #[track_caller]
    fn check(five_minutes: (u32, u32), half_hour: (u32, u32), expect: Standing) {
        let tallies = Tallies {
            five_minutes: tally(five_minutes.0, five_minutes.1),
            half_hour: tally(half_hour.0, half_hour.1),
            ..Tallies::default()
        };
        assert_eq!(Summary::of(&tallies).health.standing, expect);
    }

    #[test]
    fn standing_follows_the_uptime_where_enough_is_known() {
        check((99, 0), (99, 0), Standing::Well);
        check((0, 99), (0, 99), Standing::Well);
        check((95, 5), (95, 5), Standing::Well);
        check((949, 51), (949, 51), Standing::Degraded);
        check((80, 20), (80, 20), Standing::Degraded);
        check((79, 21), (79, 21), Standing::Down);
        check((50, 0), (70, 30), Standing::Down);
        check((100, 0), (100, 900), Standing::Well);
    }

    #[test]
    fn uptime_is_published_for_a_hundred_requests_and_more() {
        let tallies = Tallies {
            five_minutes: tally(90, 9),
            half_hour: tally(90, 10),
            day: tally(998, 2),
            ..Tallies::default()
        };
        let published = Summary::of(&tallies).published;
        assert_eq!(published.uptime, [None, Some(90.0), Some(99.8)]);
        assert_eq!(published.latency_ms, None);
    }

    #[test]
    fn high_percentiles_are_the_bad_ones() {
        let mut half_hour = Tally::default();
        let hundred: Vec<(u8, u32)> = vec![(10, 50), (20, 25), (30, 15), (40, 10)];
        half_hour.latency = Counts::of_sparse(&hundred);
        half_hour.throughput = Counts::of_sparse(&hundred);
        let health = Summary::of(&Tallies {
            half_hour,
            ..Tallies::default()
        })
        .health;
        let (latency, throughput) = (health.latency_ms.unwrap(), health.throughput.unwrap());
        assert!(
            latency.p50 < latency.p75 && latency.p75 < latency.p90 && latency.p90 < latency.p99
        );
        assert!(throughput.p50 > throughput.p75 && throughput.p75 > throughput.p99);
    }

    #[test]
    fn the_part_from_the_cache_is_told_in_millionths() {
        let half_hour = Tally {
            prompt_tokens: 400,
            cached_tokens: 100,
            ..Tally::default()
        };
        let tallies = Tallies {
            half_hour,
            ..Tallies::default()
        };
        assert_eq!(Summary::of(&tallies).health.cache_hits_ppm, 250_000);
        assert_eq!(Summary::of(&Tallies::default()).health.cache_hits_ppm, 0);
    }
}
