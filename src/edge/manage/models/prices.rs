//! Prices as clients see them (contract 13.3).

use serde::Serialize;

use crate::catalog::snapshot::{Prices, Pricing, Schedule};
use crate::domain::money::Picos;

/// Prices in dollars per unit, as decimal strings (contract 13.3).
#[derive(Default, Serialize)]
pub(in crate::edge) struct PricingView {
    #[serde(flatten)]
    prices: PricesView,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<Override>,
}

#[derive(Default, Serialize)]
struct PricesView {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_output: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_search: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    internal_reasoning: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_read: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_write: Option<Picos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_write_1h: Option<Picos>,
}

/// Prices under conditions; what it leaves out stays as it is.
#[derive(Default, Serialize)]
struct Override {
    #[serde(skip_serializing_if = "Option::is_none")]
    min_prompt_tokens: Option<u64>,
    /// HHMM.
    #[serde(skip_serializing_if = "Option::is_none")]
    utc_start: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    utc_end: Option<u16>,
    #[serde(flatten)]
    prices: PricesView,
}

impl PricingView {
    /// The prices, with an override for each tier and each stretch of hours.
    pub(super) fn of(pricing: &Pricing) -> Self {
        let base = &pricing.base;
        let tiers = pricing.tiers.iter().map(|tier| Override {
            min_prompt_tokens: Some(tier.above),
            prices: PricesView::changed(base, &tier.prices),
            ..Override::default()
        });
        let scheduled = pricing.schedule.iter().flat_map(|schedule| {
            schedule.hours.iter().map(|&(from, until)| Override {
                utc_start: Some(clock_digits(from)),
                utc_end: Some(clock_digits(until)),
                prices: PricesView::changed(base, &multiplied(base, schedule)),
                ..Override::default()
            })
        });
        PricingView {
            prices: PricesView::of(base),
            discount: None,
            overrides: tiers.chain(scheduled).collect(),
        }
    }

    /// With the discount that endpoints show.
    pub(super) fn with_discount(self) -> Self {
        PricingView {
            discount: Some(0),
            ..self
        }
    }
}

impl PricesView {
    fn of(prices: &Prices) -> Self {
        PricesView {
            prompt: Some(prices.prompt),
            completion: Some(prices.completion),
            // Older clients read these two without asking whether they are there.
            // A query is what a unit of a search is the price of.
            request: Some(prices.request.or(prices.search_unit).unwrap_or_default()),
            image: Some(prices.image.unwrap_or_default()),
            audio: prices.audio_in,
            audio_output: prices.audio_out,
            web_search: prices.web_search,
            internal_reasoning: prices.reasoning,
            input_cache_read: prices.cache_read,
            input_cache_write: prices.cache_write,
            input_cache_write_1h: prices.cache_write_1h,
        }
    }

    /// The prices of an override, of those that the contract lets an override change.
    fn changed(base: &Prices, now: &Prices) -> Self {
        let differing = |base: Option<Picos>, now: Option<Picos>| now.filter(|_| now != base);
        PricesView {
            prompt: differing(Some(base.prompt), Some(now.prompt)),
            completion: differing(Some(base.completion), Some(now.completion)),
            audio: differing(base.audio_in, now.audio_in),
            input_cache_read: differing(base.cache_read, now.cache_read),
            input_cache_write: differing(base.cache_write, now.cache_write),
            input_cache_write_1h: differing(base.cache_write_1h, now.cache_write_1h),
            ..PricesView::default()
        }
    }
}

fn multiplied(base: &Prices, schedule: &Schedule) -> Prices {
    let times = |price: Picos| {
        let exact = i128::from(price.0) * i128::from(schedule.multiplier_ppm);
        let rounded =
            (exact + i128::from(Schedule::WHOLE / 2)).div_euclid(i128::from(Schedule::WHOLE));
        Picos(i64::try_from(rounded).unwrap_or(i64::MAX))
    };
    Prices {
        prompt: times(base.prompt),
        completion: times(base.completion),
        audio_in: base.audio_in.map(times),
        cache_read: base.cache_read.map(times),
        cache_write: base.cache_write.map(times),
        cache_write_1h: base.cache_write_1h.map(times),
        ..base.clone()
    }
}

fn clock_digits(minute: u16) -> u16 {
    minute / 60 * 100 + minute % 60
}
