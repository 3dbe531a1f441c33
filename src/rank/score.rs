//! The orderings (contract 6.3, 6.7, 6.9): which of the endpoints that may serve comes first.
//!
//! Every endpoint gets a key and the keys are sorted, so that the order of the catalogue never
//! matters. Chance is drawn from the seed and the endpoint's own identity for the same reason.

use std::cmp::Ordering;

use crate::plan::preferences::{Partition, Sort};
use crate::plan::{Plan, Tier};

use super::exacto::{self, Quality};
use super::health::{Health, Standing};
use super::{Contender, Situation, price};

/// Why an endpoint stands where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// What the order was made by.
    pub by: By,
    /// Its health.
    pub health: Health,
    /// What the request is expected to cost there, in pico-dollars.
    pub price: i128,
    /// Its position in `order`.
    pub ordered: Option<usize>,
    /// Whether it has served this conversation.
    pub stuck: bool,
    /// Whether it misses a preferred throughput or latency.
    pub misses: bool,
    /// What its tool calls are worth, where that counts.
    pub quality: Quality,
}

/// What an order is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Chance, weighted by one over the square of the price.
    Balance,
    /// The caller's list.
    Order,
    /// A strict sort.
    Sort(Sort),
}

impl By {
    /// One stable word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            By::Balance => "balance",
            By::Order => "order",
            By::Sort(Sort::Price) => "price",
            By::Sort(Sort::Throughput) => "throughput",
            By::Sort(Sort::Latency) => "latency",
            By::Sort(Sort::Exacto) => "exacto",
        }
    }
}

/// The contenders to try, in order, and those that may not be fallbacks.
pub(super) fn order<'a>(
    plan: &Plan,
    situation: &Situation<'_>,
    fitting: Vec<Contender<'a>>,
) -> (Vec<(Contender<'a>, Score)>, Vec<Contender<'a>>) {
    let mut scored: Vec<Scored<'a>> = fitting
        .into_iter()
        .map(|contender| scored(plan, situation, contender))
        .collect();
    let judges = |scored: &Scored<'_>| scored.score.by == By::Sort(Sort::Exacto);
    if scored.iter().any(judges) {
        judge(&mut scored);
    }
    let ranks: Vec<Rank> = scored.iter().map(|one| one.rank(plan)).collect();
    // Places are sorted rather than what stands in them, which is large.
    let mut places: Vec<usize> = (0..scored.len()).collect();
    places.sort_unstable_by(|&a, &b| ranks[a].cmp(&ranks[b]));
    let (mut tried, mut spared) = (Vec::with_capacity(scored.len()), Vec::new());
    for one in places.into_iter().map(|place| &scored[place]) {
        if may_try(plan, one, &tried) {
            tried.push((one.contender, one.score));
        } else {
            spared.push(one.contender);
        }
    }
    (tried, spared)
}

struct Scored<'a> {
    contender: Contender<'a>,
    score: Score,
    chance: f64,
}

/// What is compared, first to last; the lower comes first.
struct Rank {
    model: usize,
    ordered: usize,
    tier: u8,
    unstuck: bool,
    standing: u8,
    quality: u8,
    misses: bool,
    value: f64,
    price: i128,
    chance: f64,
    key: u64,
}

impl Rank {
    fn cmp(&self, other: &Rank) -> Ordering {
        let whole = |rank: &Rank| {
            (
                rank.model,
                rank.ordered,
                rank.tier,
                rank.unstuck,
                rank.standing,
                rank.quality,
                rank.misses,
            )
        };
        whole(self)
            .cmp(&whole(other))
            .then_with(|| self.value.total_cmp(&other.value))
            .then_with(|| self.price.cmp(&other.price))
            .then_with(|| self.chance.total_cmp(&other.chance))
            .then_with(|| self.key.cmp(&other.key))
    }
}

fn scored<'a>(plan: &Plan, situation: &Situation<'_>, contender: Contender<'a>) -> Scored<'a> {
    let Contender {
        entry,
        position,
        endpoint,
    } = contender;
    let (preferences, key) = (&plan.preferences, endpoint.key);
    let health = exacto::with_prior(situation.health.health(endpoint), endpoint.tool_calls);
    let stuck_to = situation.stuck.get(position).copied().flatten();
    let by = by(plan, entry.sort);
    let score = Score {
        by,
        health,
        price: price::expected(
            plan,
            &endpoint.pricing,
            health.cache_hits_ppm,
            situation.at_ms,
        ),
        ordered: preferences
            .order
            .iter()
            .position(|name| name.means(endpoint)),
        // An explicit order of any kind is kept, cache or not.
        stuck: stuck_to == Some(key)
            && entry.sort.or(preferences.sort).is_none()
            && by != By::Order,
        misses: health.misses(&preferences.min_throughput, &preferences.max_latency),
        quality: Quality::Unknown,
    };
    Scored {
        contender,
        score,
        chance: chance(situation.seed, key),
    }
}

/// The caller's list decides alone; then the slug's own variant, then the request's `sort`. Tool
/// requests that ask for nothing get the best tool calls (contract 6.9).
fn by(plan: &Plan, variant: Option<Sort>) -> By {
    if !plan.preferences.order.is_empty() {
        return By::Order;
    }
    let auto = || (plan.needs.tools()).then_some(Sort::Exacto);
    match variant.or(plan.preferences.sort).or_else(auto) {
        Some(sort) => By::Sort(sort),
        None => By::Balance,
    }
}

impl Scored<'_> {
    fn rank(&self, plan: &Plan) -> Rank {
        let Score {
            by,
            health,
            price,
            ordered,
            ..
        } = self.score;
        let partitioned = plan.preferences.partition == Partition::Model;
        // Exponential races: the least of -ln(u)/w is each endpoint's with a chance of its weight w.
        let race = self.chance * (price as f64) * (price as f64);
        let last = f64::INFINITY;
        let value = match by {
            By::Balance | By::Sort(Sort::Exacto) => race,
            By::Order | By::Sort(Sort::Price) => 0.0,
            By::Sort(Sort::Throughput) => health.throughput.map_or(last, |tokens| -tokens.p50),
            By::Sort(Sort::Latency) => health.latency_ms.map_or(last, |millis| millis.p50),
        };
        let balanced = matches!(by, By::Balance | By::Sort(Sort::Exacto));
        let wanted_tier = |endpoint_tier| plan.tier.is_some() && endpoint_tier == plan.tier;
        let tier = Tier::of_variant(self.contender.endpoint.variant.as_deref());
        Rank {
            model: if partitioned {
                self.contender.position
            } else {
                0
            },
            ordered: ordered.unwrap_or(plan.preferences.order.len()),
            tier: u8::from(plan.tier.is_some() && !wanted_tier(tier)),
            unstuck: !(self.score.stuck && health.standing <= Standing::Degraded),
            standing: standing(by, health.standing),
            quality: match by {
                By::Sort(Sort::Exacto) => self.score.quality as u8,
                _ => 0,
            },
            misses: self.score.misses,
            value,
            // Where chance has decided, the price has been counted.
            price: if balanced && value > 0.0 { 0 } else { price },
            chance: self.chance,
            key: self.contender.endpoint.key,
        }
    }
}

/// A caller who sorts has asked for it: only an endpoint that is down or rests goes to the back. A
/// caller's own order is kept whatever is known.
fn standing(by: By, standing: Standing) -> u8 {
    let counts = match by {
        By::Balance | By::Sort(Sort::Exacto) => true,
        By::Sort(_) => standing >= Standing::Down,
        By::Order => false,
    };
    if counts { standing as u8 } else { 0 }
}

/// Thresholds come from an endpoint's peers, so they are set model by model.
fn judge(scored: &mut [Scored<'_>]) {
    let last = scored
        .iter()
        .map(|one| one.contender.position)
        .max()
        .unwrap_or(0);
    for position in 0..=last {
        let peers: Vec<Health> = scored
            .iter()
            .filter(|one| one.contender.position == position)
            .map(|one| one.score.health)
            .collect();
        let bar = exacto::Bar::of(&peers);
        for one in scored
            .iter_mut()
            .filter(|one| one.contender.position == position)
        {
            one.score.quality = bar.quality(&one.score.health);
        }
    }
}

/// Without fallbacks only the first endpoint of each list is tried, or the ordered ones.
fn may_try(plan: &Plan, one: &Scored<'_>, tried: &[(Contender<'_>, Score)]) -> bool {
    if plan.preferences.allow_fallbacks {
        return true;
    }
    if !plan.preferences.order.is_empty() {
        return one.score.ordered.is_some();
    }
    let same_list = |other: &Contender<'_>| {
        plan.preferences.partition == Partition::None || other.position == one.contender.position
    };
    !tried.iter().any(|(other, _)| same_list(other))
}

/// A draw from the exponential distribution that only this seed and endpoint share.
fn chance(seed: u64, key: u64) -> f64 {
    // SplitMix64: every bit of the sum reaches every bit of the draw.
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(key);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let uniform = ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -uniform.ln()
}
