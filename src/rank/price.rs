//! What a request is expected to cost at an endpoint, in whole pico-dollars: its own size, the tier
//! its prompt falls into, the hour, and the part of prompts that was found in the endpoint's cache.

use crate::catalog::snapshot::{Pricing, Schedule};
use crate::plan::Plan;

/// An answer is expected to have this many tokens, or the caller's cap when that is lower.
const EXPECTED_ANSWER: u64 = 500;

const MILLION: i128 = 1_000_000;

/// The expected price of the plan's request, in pico-dollars.
pub fn expected(plan: &Plan, pricing: &Pricing, cache_hits_ppm: u32, at_ms: i64) -> i128 {
    let prices = pricing.for_prompt(plan.prompt_tokens);
    let cached = i128::from(cache_hits_ppm.min(1_000_000));
    let read = prices
        .cache_read
        .unwrap_or(prices.prompt)
        .min(prices.prompt);
    let prompt = (prices.prompt.times(plan.prompt_tokens) * (MILLION - cached)
        + read.times(plan.prompt_tokens) * cached)
        / MILLION;
    let answer = plan
        .max_tokens
        .map_or(EXPECTED_ANSWER, |cap| cap.min(EXPECTED_ANSWER))
        .saturating_mul(plan.choices);
    let request = prices.request.unwrap_or_default().times(1);
    let search = prices
        .search_unit
        .unwrap_or_default()
        .times(plan.search_units);
    let sum = prompt + prices.completion.times(answer) + request + search;
    let multiplier = pricing
        .schedule
        .as_ref()
        .map_or(Schedule::WHOLE, |schedule| schedule.multiplier_at(at_ms));
    sum * i128::from(multiplier) / i128::from(Schedule::WHOLE)
}
