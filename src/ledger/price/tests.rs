//! Prices by example, and against exact rational arithmetic.

use proptest::prelude::*;

use super::*;
use crate::catalog::snapshot::Tier;
use crate::domain::usage::UsageSource;

fn picos(text: &str) -> Picos {
    Picos::parse(text).unwrap()
}

fn pricing(prompt: &str, completion: &str) -> Pricing {
    let base = Prices {
        prompt: picos(prompt),
        completion: picos(completion),
        ..Prices::default()
    };
    Pricing {
        base,
        source: "config".into(),
        ..Pricing::default()
    }
}

fn reported(tokens: Tokens) -> Usage {
    Usage {
        tokens,
        source: UsageSource::Reported,
    }
}

#[track_caller]
fn check(pricing: &Pricing, tokens: Tokens, dollars: &str) {
    let charge = charge(
        pricing,
        Some(&reported(tokens)),
        Some(FinishReason::Stop),
        0,
        &Terms::default(),
    );
    assert_eq!(charge.net.to_string(), dollars);
    assert_eq!(charge.gross, charge.net);
    assert!(!charge.insured);
}

#[test]
fn each_class_of_tokens_has_its_price() {
    let mut pricing = pricing("0.000003", "0.000015");
    let tokens = Tokens {
        prompt: 1_000,
        completion: 100,
        ..Tokens::default()
    };
    check(&pricing, tokens, "0.0045");
    pricing.base.cache_read = Some(picos("0.0000003"));
    pricing.base.cache_write = Some(picos("0.00000375"));
    check(
        &pricing,
        Tokens {
            cached: 500,
            cache_write_5m: 200,
            ..tokens
        },
        "0.0033",
    );
    // The hour's cache costs what five minutes cost where it is not priced apart.
    check(
        &pricing,
        Tokens {
            cached: 500,
            cache_write_1h: 200,
            ..tokens
        },
        "0.0033",
    );
    pricing.base.reasoning = Some(picos("0.00001"));
    check(
        &pricing,
        Tokens {
            reasoning: 60,
            ..tokens
        },
        "0.0042",
    );
    pricing.base.request = Some(picos("0.001"));
    pricing.base.web_search = Some(picos("0.01"));
    check(
        &pricing,
        Tokens {
            web_searches: 2,
            ..tokens
        },
        "0.0255",
    );
}

#[test]
fn parts_larger_than_the_whole_are_not_charged_twice() {
    let mut pricing = pricing("0.000001", "0.000002");
    pricing.base.cache_read = Some(picos("0.0000001"));
    check(
        &pricing,
        Tokens {
            prompt: 100,
            cached: 500,
            cache_write_5m: 500,
            ..Tokens::default()
        },
        "0.00001",
    );
}

#[test]
fn a_tier_holds_for_the_whole_prompt_above_its_threshold() {
    let mut pricing = pricing("0.000001", "0.000002");
    let prices = Prices {
        prompt: picos("0.000002"),
        completion: picos("0.000004"),
        ..Prices::default()
    };
    pricing.tiers = vec![Tier { above: 200, prices }];
    check(
        &pricing,
        Tokens {
            prompt: 200,
            completion: 10,
            ..Tokens::default()
        },
        "0.00022",
    );
    check(
        &pricing,
        Tokens {
            prompt: 201,
            completion: 10,
            ..Tokens::default()
        },
        "0.000442",
    );
}

#[test]
fn a_schedule_multiplies_the_whole() {
    let mut pricing = pricing("0.000001", "0.000001");
    pricing.schedule = Some(Schedule {
        hours: vec![(60, 120)],
        weekdays_only: false,
        multiplier_ppm: 250_000,
    });
    let demand = Demand {
        prompt_tokens: 1_000,
        ..Demand::default()
    };
    let at = |minute: i64| most(&pricing, &demand, minute * 60_000, &Terms::default()).to_string();
    assert_eq!(
        [at(59), at(60), at(119), at(120)],
        ["0.001", "0.00025", "0.00025", "0.001"]
    );
}

#[test]
fn nothing_said_or_an_error_costs_nothing() {
    let pricing = pricing("0.000001", "0.000002");
    let with = |completion: u64, finish: Option<FinishReason>| {
        let charge = charge(
            &pricing,
            Some(&reported(Tokens {
                prompt: 10,
                completion,
                ..Tokens::default()
            })),
            finish,
            0,
            &Terms::default(),
        );
        (charge.net.0, charge.insured)
    };
    assert_eq!(with(0, None), (0, true));
    assert_eq!(with(5, Some(FinishReason::Error)), (0, true));
    assert_eq!(with(0, Some(FinishReason::Stop)), (10_000, false));
    assert_eq!(with(5, None), (20_000, false));
}

fn price() -> impl Strategy<Value = Picos> {
    (0_i64..2_000_000_000).prop_map(Picos)
}

prop_compose! {
    fn any_prices()(
        prompt in price(), completion in price(), cache_read in proptest::option::of(price()), cache_write in proptest::option::of(price()),
        cache_write_1h in proptest::option::of(price()), reasoning in proptest::option::of(price()), audio_in in proptest::option::of(price()),
        audio_out in proptest::option::of(price()), image in proptest::option::of(price()), request in proptest::option::of(price()),
        search_unit in proptest::option::of(price()),
    ) -> Prices {
        Prices { prompt, completion, cache_read, cache_write, cache_write_1h, reasoning, audio_in, audio_out, image, request, search_unit, web_search: None }
    }
}

prop_compose! {
    fn any_tokens()(
        plain in 0_u64..1_000_000, cached in 0_u64..1_000_000, w5 in 0_u64..100_000, w1h in 0_u64..100_000, audio_in in 0_u64..10_000,
        text in 0_u64..100_000, reasoning in 0_u64..100_000, audio_out in 0_u64..10_000, images in 0_u64..20, search_units in 0_u64..20,
    ) -> Tokens {
        Tokens {
            prompt: plain + cached + w5 + w1h + audio_in, completion: text + reasoning + audio_out,
            cached, cache_write_5m: w5, cache_write_1h: w1h, reasoning, audio_in, audio_out, image_out: 0, images, web_searches: 0, search_units,
        }
    }
}

prop_compose! {
    fn any_terms()(markup in 0_i64..3_000_000, discount in 0_i64..=1_000_000) -> Terms {
        Terms { markup: Ppm(markup), discount: Ppm(discount) }
    }
}

#[test]
fn a_discount_and_a_markup_are_shown_apart() {
    let pricing = pricing("0.000001", "0");
    let tokens = Tokens {
        prompt: 1_000,
        ..Tokens::default()
    };
    let with = |discount: &str, markup: &str| {
        let terms = Terms {
            discount: Ppm::parse_percent(discount).unwrap(),
            markup: Ppm::parse_percent(markup).unwrap(),
        };
        let finish = Some(FinishReason::Stop);
        let it = charge(&pricing, Some(&reported(tokens)), finish, 0, &terms);
        assert_eq!(it.terms, terms);
        [it.gross, it.discount, it.fee, it.net].map(|amount| amount.to_string())
    };
    assert_eq!(with("0", "0"), ["0.001", "0", "0", "0.001"]);
    assert_eq!(with("10", "0"), ["0.001", "0.0001", "0", "0.0009"]);
    assert_eq!(with("0", "5.5"), ["0.001", "0", "0.000055", "0.001055"]);
    assert_eq!(with("10", "10"), ["0.001", "0.0001", "0.00009", "0.00099"]);
    assert_eq!(with("100", "10"), ["0.001", "0.001", "0", "0"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// The parts add up, none is below zero, and the net is the exact amount rounded once.
    #[test]
    fn the_parts_of_a_charge_add_up(prices in any_prices(), tokens in any_tokens(), terms in any_terms()) {
        let pricing = Pricing { base: prices, ..Pricing::default() };
        let with = |terms: &Terms| charge(&pricing, Some(&reported(tokens)), Some(FinishReason::Stop), 0, terms);
        let it = with(&terms);
        prop_assert_eq!(it.gross.0 - it.discount.0 + it.fee.0, it.net.0);
        prop_assert!(it.discount >= Nanos::ZERO && it.fee >= Nanos::ZERO && it.discount <= it.gross);
        prop_assert_eq!(it.gross, with(&Terms::default()).gross, "terms do not change what the provider is owed");
        let exact = i128::from(it.gross.0) * i128::from(terms.discount.rest().0) * i128::from(terms.markup.on_top().0);
        // The gross itself is at most half a nano-dollar off, which a markup enlarges.
        let unit = 1_000_000_000_000_i128;
        prop_assert!((i128::from(it.net.0) * unit - exact).abs() <= 3 * unit, "{} for {exact}", it.net);
    }

    /// The charge is the nearest nano-dollar to the exact sum, the upper one of two that are equally near.
    #[test]
    fn a_charge_is_the_exact_sum_rounded_once(prices in any_prices(), tokens in any_tokens(), ppm in proptest::option::of(1_i64..2_000_000)) {
        let schedule = ppm.map(|multiplier_ppm| Schedule { hours: vec![(0, 1_440)], weekdays_only: false, multiplier_ppm });
        let pricing = Pricing { base: prices.clone(), schedule, ..Pricing::default() };
        let plain = tokens.prompt - tokens.cached - tokens.cache_write_5m - tokens.cache_write_1h - tokens.audio_in;
        let or = |price: Option<Picos>, other: Picos| i128::from(price.unwrap_or(other).0);
        let terms = [
            (plain, i128::from(prices.prompt.0)),
            (tokens.cached, or(prices.cache_read, prices.prompt)),
            (tokens.cache_write_5m, or(prices.cache_write, prices.prompt)),
            (tokens.cache_write_1h, or(prices.cache_write_1h.or(prices.cache_write), prices.prompt)),
            (tokens.audio_in, or(prices.audio_in, prices.prompt)),
            (tokens.completion - tokens.reasoning - tokens.audio_out, i128::from(prices.completion.0)),
            (tokens.reasoning, or(prices.reasoning, prices.completion)),
            (tokens.audio_out, or(prices.audio_out, prices.completion)),
            (tokens.images, or(prices.image, Picos::ZERO)),
            (1, or(prices.request, Picos::ZERO)),
            (tokens.search_units, or(prices.search_unit, Picos::ZERO)),
        ];
        // In units of 10⁻⁹ pico… that is, of a milliardth of a nano-dollar: exact whatever the multiplier.
        let exact: i128 = terms.iter().map(|(count, price)| i128::from(*count) * price).sum::<i128>() * i128::from(ppm.unwrap_or(1_000_000));
        let net = i128::from(charge(&pricing, Some(&reported(tokens)), Some(FinishReason::Stop), 0, &Terms::default()).net.0);
        let twice_over = 2 * (net * 1_000_000_000 - exact);
        prop_assert!(-1_000_000_000 < twice_over && twice_over <= 1_000_000_000, "{net} for {exact}");
    }

    /// Steps at several endpoints are rounded together, and what each is owed of it adds up.
    #[test]
    fn steps_at_several_endpoints_are_rounded_once(one in any_prices(), other in any_prices(), steps in prop::collection::vec(any_tokens(), 3), ppm in 1_i64..2_000_000) {
        let schedule = Some(Schedule { hours: vec![(0, 1_440)], weekdays_only: false, multiplier_ppm: ppm });
        let (one, other) = (Pricing { base: one, schedule, ..Pricing::default() }, Pricing { base: other, ..Pricing::default() });
        let last = reported(steps[2]);
        let legs = [Leg { pricing: &one, steps: &steps[..1] }, Leg { pricing: &other, steps: &steps[1..2] }];
        let with = |legs: &[Leg<'_>]| charge_with_steps(legs, &one, &[], Some(&last), Some(FinishReason::Stop), 0, &Terms::default()).gross.0;
        let alone = |pricing: &Pricing, tokens: Tokens| charge(pricing, Some(&reported(tokens)), Some(FinishReason::Stop), 0, &Terms::default()).gross.0;
        let apart = [alone(&one, steps[0]), alone(&other, steps[1]), alone(&one, steps[2])];
        prop_assert!((with(&legs) - apart.iter().sum::<i64>()).abs() <= 1, "each is half a nano-dollar off at most");
        prop_assert_eq!(with(&[]), apart[2]);
        let shares = shares(&legs, 0);
        let rest = with(&legs) - shares.iter().map(|share| share.0).sum::<i64>();
        for (share, apart) in [(shares[0].0, apart[0]), (shares[1].0, apart[1]), (rest, apart[2])] {
            prop_assert!(share >= 0 && (share - apart).abs() <= 1, "{share} for {apart}");
        }
    }

    /// Whatever is used within the bounds, it costs no more than was held.
    #[test]
    fn a_charge_never_exceeds_the_ceiling(prices in any_prices(), tokens in any_tokens(), terms in any_terms()) {
        let pricing = Pricing { base: prices, ..Pricing::default() };
        let charged = charge(&pricing, Some(&reported(tokens)), Some(FinishReason::Stop), 0, &terms).net;
        let demand = Demand { prompt_tokens: tokens.prompt, output_tokens: tokens.completion, images: tokens.images, searches: tokens.web_searches, search_units: tokens.search_units };
        prop_assert!(charged <= most(&pricing, &demand, 0, &terms));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow(prompt: u64, completion: u64, price in 0..i64::MAX) {
        let base = Prices { prompt: Picos(price), completion: Picos(price), ..Prices::default() };
        let schedule = Some(Schedule { hours: vec![(0, 1_440)], weekdays_only: false, multiplier_ppm: i64::MAX });
        let pricing = Pricing { base, schedule, ..Pricing::default() };
        let usage = reported(Tokens { prompt, completion, ..Tokens::default() });
        prop_assert!(charge(&pricing, Some(&usage), Some(FinishReason::Stop), 0, &Terms::default()).net >= Nanos::ZERO);
    }
}
