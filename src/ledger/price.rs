//! What a run costs: counts times unit prices, exact until the one rounding at the end.
//!
//! Pure: no clock, no store. Sums are `i128` pico-dollars, scaled by parts per million where a schedule or an account's
//! terms apply; each amount is divided once, half up, from the exact sum.

use std::fmt::Write as _;

use crate::catalog::snapshot::{Prices, Pricing, Schedule};
use crate::domain::event::FinishReason;
use crate::domain::generation::Charge;
use crate::domain::money::{Nanos, PICOS_PER_NANO, Picos};
use crate::domain::terms::{Ppm, Terms};
use crate::domain::usage::{Tokens, Usage};

/// The most a request may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Output tokens of all choices together.
    pub output_tokens: u64,
    /// Images in the prompt.
    pub images: u64,
    /// Searches that the provider may make.
    pub searches: u64,
    /// Units of a search over documents.
    pub search_units: u64,
}

/// The most a request can cost: every prompt token at the dearest class of input, every output token at
/// the dearest class of output, at the dearest tier the prompt reaches, its images, searches and units of a search, and
/// the fee of a request.
pub fn most(pricing: &Pricing, demand: &Demand, at_ms: i64, terms: &Terms) -> Nanos {
    let reached = pricing
        .tiers
        .iter()
        .filter(|tier| demand.prompt_tokens > tier.above)
        .map(|tier| &tier.prices);
    let dearest = std::iter::once(&pricing.base)
        .chain(reached)
        .map(|prices| most_at(prices, demand))
        .max();
    rounded(
        dearest.unwrap_or_default(),
        [
            multiplier(pricing.schedule.as_ref(), at_ms),
            terms.discount.rest(),
            terms.markup.on_top(),
        ],
    )
}

fn most_at(prices: &Prices, demand: &Demand) -> i128 {
    let input = dearest(
        prices.prompt,
        [
            prices.cache_read,
            prices.cache_write,
            prices.cache_write_1h,
            prices.audio_in,
        ],
    );
    let output = dearest(
        prices.completion,
        [prices.reasoning, prices.audio_out, None, None],
    );
    times(input, demand.prompt_tokens)
        .saturating_add(times(output, demand.output_tokens))
        .saturating_add(times(prices.image.unwrap_or_default(), demand.images))
        .saturating_add(times(
            prices.web_search.unwrap_or_default(),
            demand.searches,
        ))
        .saturating_add(times(
            prices.search_unit.unwrap_or_default(),
            demand.search_units,
        ))
        .saturating_add(times(prices.request.unwrap_or_default(), 1))
}

/// What a run costs and why. A run that brought nothing, or ended in an error, costs nothing even where
/// the provider bills it (contract 15.3).
///
/// The account pays `gross × (1 − discount) × (1 + markup)`. Gross, what the discount leaves, and the net are each
/// rounded from the exact sum; discount and fee are their differences, so that `net = gross − discount + fee` holds.
pub fn charge(
    pricing: &Pricing,
    usage: Option<&Usage>,
    finish: Option<FinishReason>,
    at_ms: i64,
    terms: &Terms,
) -> Charge {
    charge_with_steps(&[], pricing, &[], usage, finish, at_ms, terms)
}

/// Steps of a run that one endpoint made.
#[derive(Clone, Copy)]
pub struct Leg<'a> {
    /// Its prices.
    pub pricing: &'a Pricing,
    /// What each of the steps used.
    pub steps: &'a [Tokens],
}

/// The same for a run of several steps, of which `usage` is the last one's: each is a request of its own to the provider,
/// at the tier of its own prompt, and all are rounded together. The `legs` came first, by other endpoints and at their
/// prices; the charge shows those of the last.
pub fn charge_with_steps(
    legs: &[Leg<'_>],
    pricing: &Pricing,
    before: &[Tokens],
    usage: Option<&Usage>,
    finish: Option<FinishReason>,
    at_ms: i64,
    terms: &Terms,
) -> Charge {
    let last = usage.map(|usage| &usage.tokens);
    let steps = before.iter().chain(last);
    let mut listed = Listed::of(pricing, steps.clone(), at_ms);
    for leg in legs {
        listed = listed.plus(Listed::of(leg.pricing, leg.steps, at_ms));
    }
    let steps = steps.chain(legs.iter().flat_map(|leg| leg.steps));
    let tokens = steps.fold(Tokens::default(), |sum, step| sum.plus(step));
    let prices = pricing.for_prompt(last.map_or(0, |tokens| tokens.prompt));
    let multiplier = multiplier(pricing.schedule.as_ref(), at_ms);
    let unpaid = Charge {
        prices: Some(shown(prices, multiplier)),
        price_source: Some(pricing.source.clone()),
        terms: *terms,
        ..Charge::default()
    };
    let gross = listed.rounded([]);
    if is_let_off(&tokens, finish) {
        return Charge {
            insured: gross > Nanos::ZERO,
            ..unpaid
        };
    }
    let (rest, on_top) = (terms.discount.rest(), terms.markup.on_top());
    let left = listed.rounded([rest]);
    let net = listed.rounded([rest, on_top]);
    Charge {
        gross,
        discount: gross.saturating_sub(left),
        fee: net.saturating_sub(left),
        net,
        prompt_part: listed.prompt_part().min(gross),
        ..unpaid
    }
}

/// What each leg is of the gross, so that with what remains for the last endpoint nothing is lost in rounding.
pub fn shares(legs: &[Leg<'_>], at_ms: i64) -> Vec<Nanos> {
    let mut sum = Listed::default();
    let share = |leg: &Leg<'_>| {
        let before = sum.rounded([]);
        sum = sum.plus(Listed::of(leg.pricing, leg.steps, at_ms));
        sum.rounded([]).saturating_sub(before)
    };
    legs.iter().map(share).collect()
}

/// List prices added up, in parts per million of pico-dollars: each at the multiplier of its endpoint's hour.
#[derive(Clone, Copy, Default)]
struct Listed {
    prompt: i128,
    whole: i128,
}

impl Listed {
    fn of<'a>(pricing: &Pricing, steps: impl IntoIterator<Item = &'a Tokens>, at_ms: i64) -> Self {
        let mut sum = Listed::default();
        for step in steps {
            let prices = pricing.for_prompt(step.prompt);
            let prompt = prompt_cost(prices, step);
            sum = sum.plus(Listed {
                prompt,
                whole: prompt
                    .saturating_add(completion_cost(prices, step))
                    .saturating_add(extras_cost(prices, step)),
            });
        }
        let ppm = i128::from(multiplier(pricing.schedule.as_ref(), at_ms).0);
        Listed {
            prompt: sum.prompt.saturating_mul(ppm),
            whole: sum.whole.saturating_mul(ppm),
        }
    }

    fn plus(self, other: Listed) -> Self {
        Listed {
            prompt: self.prompt.saturating_add(other.prompt),
            whole: self.whole.saturating_add(other.whole),
        }
    }

    fn rounded<const N: usize>(self, shares: [Ppm; N]) -> Nanos {
        rounded_at(
            self.whole,
            PICOS_PER_NANO * i128::from(Ppm::WHOLE.0),
            shares,
        )
    }

    fn prompt_part(self) -> Nanos {
        rounded_at(self.prompt, PICOS_PER_NANO * i128::from(Ppm::WHOLE.0), [])
    }
}

/// The same with the searches that the gateway itself made for the run, which `used` that much. They are the operator's to pay and to charge,
/// at the engine's price: beside the list, and untouched by the account's terms.
pub fn with_searches(
    charge: Charge,
    used: &Tokens,
    finish: Option<FinishReason>,
    searches: Nanos,
) -> Charge {
    if searches <= Nanos::ZERO {
        return charge;
    }
    if is_let_off(used, finish) {
        return Charge {
            insured: true,
            ..charge
        };
    }
    Charge {
        fee: charge.fee.saturating_add(searches),
        net: charge.net.saturating_add(searches),
        searches,
        ..charge
    }
}

fn is_let_off(tokens: &Tokens, finish: Option<FinishReason>) -> bool {
    matches!(finish, Some(FinishReason::Error)) || (finish.is_none() && tokens.completion == 0)
}

/// Classes that overlap are parts of the prompt and of each other's remainder: no token is charged twice.
fn prompt_cost(prices: &Prices, tokens: &Tokens) -> i128 {
    let mut rest = tokens.prompt;
    let mut part = |count: u64, price: Option<Picos>| {
        let count = count.min(rest);
        rest -= count;
        times(price.unwrap_or(prices.prompt), count)
    };
    let write_1h = prices.cache_write_1h.or(prices.cache_write);
    part(tokens.cached, prices.cache_read)
        .saturating_add(part(tokens.cache_write_5m, prices.cache_write))
        .saturating_add(part(tokens.cache_write_1h, write_1h))
        .saturating_add(part(tokens.audio_in, prices.audio_in))
        .saturating_add(part(u64::MAX, None))
}

fn completion_cost(prices: &Prices, tokens: &Tokens) -> i128 {
    let mut rest = tokens.completion;
    let mut part = |count: u64, price: Option<Picos>| {
        let count = count.min(rest);
        rest -= count;
        times(price.unwrap_or(prices.completion), count)
    };
    part(tokens.reasoning, prices.reasoning)
        .saturating_add(part(tokens.audio_out, prices.audio_out))
        .saturating_add(part(u64::MAX, None))
}

fn extras_cost(prices: &Prices, tokens: &Tokens) -> i128 {
    times(prices.request.unwrap_or_default(), 1)
        .saturating_add(times(prices.image.unwrap_or_default(), tokens.images))
        .saturating_add(times(
            prices.search_unit.unwrap_or_default(),
            tokens.search_units,
        ))
        .saturating_add(times(
            prices.web_search.unwrap_or_default(),
            tokens.web_searches,
        ))
}

/// A price below zero would be a gift that nobody decided on.
fn times(price: Picos, units: u64) -> i128 {
    price.max(Picos::ZERO).times(units)
}

fn dearest(price: Picos, others: [Option<Picos>; 4]) -> Picos {
    others.into_iter().flatten().fold(price, Picos::max)
}

/// An exact sum times shares of it, rounded half up, once.
fn rounded<const N: usize>(picos: i128, shares: [Ppm; N]) -> Nanos {
    rounded_at(picos, PICOS_PER_NANO, shares)
}

/// The same of a sum of which so many make a nano-dollar.
fn rounded_at<const N: usize>(mut sum: i128, mut unit: i128, shares: [Ppm; N]) -> Nanos {
    for share in shares.into_iter().filter(|share| *share != Ppm::WHOLE) {
        sum = sum.saturating_mul(i128::from(share.0));
        unit *= i128::from(Ppm::WHOLE.0);
    }
    Nanos(i64::try_from(sum.saturating_add(unit / 2).div_euclid(unit)).unwrap_or(i64::MAX))
}

/// The multiplier of the hour.
fn multiplier(schedule: Option<&Schedule>, at_ms: i64) -> Ppm {
    let ppm = schedule.map_or(Schedule::WHOLE, |schedule| schedule.multiplier_at(at_ms));
    Ppm(ppm.max(0))
}

/// The unit prices as a JSON object of decimal strings, for the record.
fn shown(prices: &Prices, multiplier: Ppm) -> String {
    let optional = [
        ("cache_read", prices.cache_read),
        ("cache_write", prices.cache_write),
        ("cache_write_1h", prices.cache_write_1h),
        ("reasoning", prices.reasoning),
        ("audio_in", prices.audio_in),
        ("audio_out", prices.audio_out),
        ("image", prices.image),
        ("request", prices.request),
        ("search_unit", prices.search_unit),
        ("web_search", prices.web_search),
    ];
    let given = [
        ("prompt", Some(prices.prompt)),
        ("completion", Some(prices.completion)),
    ]
    .into_iter()
    .chain(optional);
    let mut shown = String::with_capacity(64);
    for (name, price) in given {
        if let Some(price) = price {
            let before = if shown.is_empty() { "{\"" } else { ",\"" };
            for part in [before, name, "\":\"", price.decimal().as_str(), "\""] {
                shown.push_str(part);
            }
        }
    }
    if multiplier != Ppm::WHOLE {
        // Writing to a string does not fail.
        let _ = write!(shown, ",\"multiplier_ppm\":{}", multiplier.0);
    }
    shown.push('}');
    shown
}

#[cfg(test)]
mod tests;
