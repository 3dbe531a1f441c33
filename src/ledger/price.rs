//! What a run costs: counts times unit prices, exact until the one rounding at the end.
//!
//! Pure: no clock, no store. Sums are `i128` pico-dollars, scaled by parts per million where a schedule
//! applies; [`charge`] divides once, half up.

use serde_json::{Map, Value};

use crate::catalog::snapshot::{Prices, Pricing, Schedule};
use crate::domain::event::FinishReason;
use crate::domain::generation::Charge;
use crate::domain::money::{Nanos, Picos};
use crate::domain::usage::{Tokens, Usage};

/// The most a request can cost: every prompt token at the dearest class of input, every output token at
/// the dearest class of output, at the dearest tier the prompt reaches, and the fee of a request.
pub fn most(pricing: &Pricing, prompt_tokens: u64, output_tokens: u64, at_ms: i64) -> Nanos {
    let reached = pricing
        .tiers
        .iter()
        .filter(|tier| prompt_tokens > tier.above)
        .map(|tier| &tier.prices);
    let dearest = std::iter::once(&pricing.base)
        .chain(reached)
        .map(|prices| {
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
            times(input, prompt_tokens)
                .saturating_add(times(output, output_tokens))
                .saturating_add(times(prices.request.unwrap_or_default(), 1))
        })
        .max();
    rounded(
        dearest.unwrap_or_default(),
        multiplier(pricing.schedule.as_ref(), at_ms),
    )
}

/// What a run costs and why. A run that brought nothing, or ended in an error, costs nothing even where
/// the provider bills it (contract 15.3).
pub fn charge(
    pricing: &Pricing,
    usage: Option<&Usage>,
    finish: Option<FinishReason>,
    at_ms: i64,
) -> Charge {
    let tokens = usage.map(|usage| usage.tokens).unwrap_or_default();
    let prices = effective(pricing, tokens.prompt);
    let multiplier = multiplier(pricing.schedule.as_ref(), at_ms);
    let prompt = prompt_cost(prices, &tokens);
    let total = prompt
        .saturating_add(completion_cost(prices, &tokens))
        .saturating_add(extras_cost(prices, &tokens));
    let gross = if usage.is_some() {
        rounded(total, multiplier)
    } else {
        Nanos::ZERO
    };
    let failed =
        matches!(finish, Some(FinishReason::Error)) || (finish.is_none() && tokens.completion == 0);
    let insured = failed && gross > Nanos::ZERO;
    let (gross, prompt_part) = if failed {
        (Nanos::ZERO, Nanos::ZERO)
    } else {
        (gross, rounded(prompt, multiplier).min(gross))
    };
    Charge {
        gross,
        discount: Nanos::ZERO,
        fee: Nanos::ZERO,
        net: gross,
        prompt_part,
        prices: Some(shown(prices, multiplier)),
        price_source: Some(pricing.source.clone()),
        insured,
    }
}

/// The prices of the highest tier that the prompt reaches.
fn effective(pricing: &Pricing, prompt_tokens: u64) -> &Prices {
    pricing
        .tiers
        .iter()
        .rev()
        .find(|tier| prompt_tokens > tier.above)
        .map_or(&pricing.base, |tier| &tier.prices)
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

/// The one rounding, half up.
fn rounded(picos: i128, multiplier: i64) -> Nanos {
    if multiplier == Schedule::WHOLE {
        return Nanos::from_picos(picos);
    }
    // Pico-dollars times parts per million, of which one nano-dollar has a milliard.
    let (scaled, unit) = (
        picos.saturating_mul(i128::from(multiplier)),
        1_000_000_000_i128,
    );
    Nanos(i64::try_from(scaled.saturating_add(unit / 2).div_euclid(unit)).unwrap_or(i64::MAX))
}

/// The multiplier of the hour, in parts per million.
fn multiplier(schedule: Option<&Schedule>, at_ms: i64) -> i64 {
    schedule
        .map_or(Schedule::WHOLE, |schedule| schedule.multiplier_at(at_ms))
        .max(0)
}

/// The unit prices as a JSON object of decimal strings, for the record.
fn shown(prices: &Prices, multiplier: i64) -> String {
    let optional = [
        ("cache_read", prices.cache_read),
        ("cache_write", prices.cache_write),
        ("cache_write_1h", prices.cache_write_1h),
        ("reasoning", prices.reasoning),
        ("audio_in", prices.audio_in),
        ("audio_out", prices.audio_out),
        ("image", prices.image),
        ("request", prices.request),
        ("web_search", prices.web_search),
    ];
    let mut shown = Map::new();
    let given = [
        ("prompt", Some(prices.prompt)),
        ("completion", Some(prices.completion)),
    ]
    .into_iter()
    .chain(optional);
    for (name, price) in given {
        if let Some(price) = price {
            shown.insert(name.to_owned(), Value::String(price.to_string()));
        }
    }
    if multiplier != Schedule::WHOLE {
        shown.insert("multiplier_ppm".to_owned(), multiplier.into());
    }
    Value::Object(shown).to_string()
}

#[cfg(test)]
mod tests;
