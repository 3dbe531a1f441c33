//! Tables for contract 6.1, 6.2, 6.3, 6.6, 6.7 and 5.4, and properties of the order itself.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::health::{Health, Percentiles, Standing, ToolCalls, Unknown};
use super::*;
use crate::catalog::fixture::{endpoint, model, snapshot};
use crate::catalog::snapshot::{DataPolicy, Lack, Model, Prices, Schedule, Snapshot, Tier as Step};
use crate::domain::money::Picos;
use crate::plan::{plan, tests::call};

/// Health by tag.
#[derive(Default)]
struct Measured(HashMap<String, Health>);

impl HealthView for Measured {
    fn health(&self, endpoint: &Endpoint) -> Health {
        self.0
            .get(endpoint.tag.as_str())
            .copied()
            .unwrap_or_default()
    }
}

impl Measured {
    fn with(mut self, tag: &str, health: Health) -> Self {
        self.0.insert(tag.to_owned(), health);
        self
    }
}

fn standing(standing: Standing) -> Health {
    Health {
        standing,
        ..Health::default()
    }
}

fn speed(tokens: f64, millis: f64) -> Health {
    let flat = |value: f64| Percentiles {
        p50: value,
        p75: value,
        p90: value,
        p99: value,
    };
    Health {
        throughput: Some(flat(tokens)),
        latency_ms: Some(flat(millis)),
        ..Health::default()
    }
}

struct Case {
    catalog: Snapshot,
    health: Measured,
    stuck: Vec<Option<u64>>,
}

impl Case {
    fn of(endpoints: Vec<Endpoint>) -> Self {
        Case::models(vec![model("acme/orca", endpoints)])
    }

    fn models(models: Vec<Model>) -> Self {
        Case {
            catalog: snapshot(models),
            health: Measured::default(),
            stuck: Vec::new(),
        }
    }

    fn health(mut self, tag: &str, health: Health) -> Self {
        self.health = self.health.with(tag, health);
        self
    }

    fn rank(&self, body: &Value, seed: u64) -> Result<Ranked, RankError> {
        let mut body = body.clone();
        if body.get("model").is_none() && body.get("models").is_none() {
            body["model"] = json!("acme/orca");
        }
        let plan = plan(&call(&body), None, &self.catalog).unwrap();
        let situation = Situation {
            health: &self.health,
            stuck: &self.stuck,
            seed,
            at_ms: 0,
        };
        rank(&plan, &situation).map_err(|error| error.suggesting(&plan, &self.catalog))
    }

    fn order(&self, body: Value) -> Vec<String> {
        tags(&self.rank(&body, 7).unwrap())
    }

    /// The refusals by tag, in words.
    fn refusals(&self, body: Value) -> Vec<String> {
        let verdicts = match self.rank(&body, 7) {
            Ok(ranked) => ranked.verdicts,
            Err(RankError::Filtered(filtered)) => filtered.verdicts,
            Err(error) => panic!("{error}"),
        };
        let mut refusals: Vec<String> = verdicts
            .iter()
            .filter_map(|verdict| {
                let refusal = verdict.decision.as_ref().err()?;
                Some(format!("{}: {refusal:?}", verdict.endpoint.tag))
            })
            .collect();
        refusals.sort();
        refusals
    }
}

fn tags(ranked: &Ranked) -> Vec<String> {
    ranked
        .candidates
        .iter()
        .map(|candidate| candidate.endpoint.tag.to_string())
        .collect()
}

fn supporting(tag: &str, parameters: &[&str]) -> Endpoint {
    Endpoint {
        supported_parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
        ..endpoint(tag, 1, 1)
    }
}

fn policy(tag: &str, training: Option<bool>, retains_prompts: Option<bool>) -> Endpoint {
    Endpoint {
        data_policy: DataPolicy {
            training,
            retains_prompts,
        },
        ..endpoint(tag, 1, 1)
    }
}

#[test]
fn every_filter_refuses_by_name() {
    let abc = || {
        Case::of(vec![
            endpoint("a", 1, 1),
            endpoint("b/fp8", 2, 2),
            endpoint("c", 3, 3),
        ])
    };
    let check = |case: Case, body: Value, expect: &[&str]| {
        assert_eq!(case.refusals(body.clone()), expect, "{body}");
    };
    check(abc(), json!({}), &[]);
    check(
        abc(),
        json!({"provider": {"only": ["a", "b/fp8"]}}),
        &["c: NotAllowed"],
    );
    check(
        abc(),
        json!({"provider": {"ignore": ["a Inc", "b"]}}),
        &["a: Ignored", "b/fp8: Ignored"],
    );
    check(
        abc(),
        json!({"provider": {"only": ["a", "b"], "ignore": ["a"]}}),
        &["a: Ignored", "c: NotAllowed"],
    );
    check(
        abc(),
        json!({"provider": {"quantizations": ["fp8"]}}),
        &["a: Quantization", "c: Quantization"],
    );
    check(
        abc(),
        json!({"provider": {"quantizations": ["unknown"]}}),
        &["b/fp8: Quantization"],
    );
    check(
        abc(),
        json!({"provider": {"max_price": {"prompt": 2}}}),
        &["c: Price(\"prompt\")"],
    );
    check(
        abc(),
        json!({"provider": {"max_price": {"completion": "1.999999"}}}),
        &["b/fp8: Price(\"completion\")", "c: Price(\"completion\")"],
    );
    check(
        abc(),
        json!({"max_tokens": 5000}),
        &["a: Output", "b/fp8: Output", "c: Output"],
    );
    check(
        abc(),
        json!({"provider": {"enforce_distillable_text": true}}),
        &["a: Distillation", "b/fp8: Distillation", "c: Distillation"],
    );
    check(
        abc(),
        json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        &[
            "a: Input(\"image\")",
            "b/fp8: Input(\"image\")",
            "c: Input(\"image\")",
        ],
    );
    check(
        abc(),
        json!({"modalities": ["image", "text"]}),
        &[
            "a: Medium(\"image\")",
            "b/fp8: Medium(\"image\")",
            "c: Medium(\"image\")",
        ],
    );
    let policies = || {
        Case::of(vec![
            policy("a", Some(false), Some(true)),
            policy("b", None, None),
            policy("c", Some(false), Some(false)),
            policy("d", Some(true), Some(false)),
        ])
    };
    check(
        policies(),
        json!({"provider": {"data_collection": "deny"}}),
        &["b: Training", "d: Training"],
    );
    check(
        policies(),
        json!({"provider": {"zdr": true}}),
        &["a: Retention", "b: Retention"],
    );
    check(
        policies(),
        json!({"provider": {"zdr": false, "data_collection": "allow"}}),
        &[],
    );
    let parameters = || {
        Case::of(vec![
            supporting("a", &["max_tokens", "seed", "tools"]),
            supporting("b", &["max_completion_tokens"]),
            supporting("c", &["seed"]),
        ])
    };
    check(parameters(), json!({"seed": 1, "max_tokens": 5}), &[]);
    check(
        parameters(),
        json!({"seed": 1, "provider": {"require_parameters": true}}),
        &["b: Parameter(\"seed\")"],
    );
    check(
        parameters(),
        json!({"max_tokens": 5, "provider": {"require_parameters": true}}),
        &["c: Parameter(\"max_tokens\")"],
    );
    check(
        parameters(),
        json!({"tools": [{}]}),
        &["b: Softly(\"tools\")", "c: Softly(\"tools\")"],
    );
    check(parameters(), json!({"verbosity": "low"}), &[]);
    check(
        parameters(),
        json!({"tools": [{}], "provider": {"ignore": ["a"]}}),
        &["a: Ignored"],
    );
}

#[test]
fn long_prompts_need_a_long_context() {
    let case = Case::of(vec![
        Endpoint {
            context_length: Some(1_000),
            ..endpoint("a", 1, 1)
        },
        Endpoint {
            max_prompt_tokens: Some(500),
            ..endpoint("b", 1, 1)
        },
        endpoint("c", 1, 1),
    ]);
    let body = json!({"messages": [{"role": "user", "content": "four ".repeat(3_000)}]});
    assert_eq!(case.refusals(body.clone()), ["a: Context", "b: Context"]);
    let case = Case::of(vec![Endpoint {
        context_length: Some(1_000),
        ..endpoint("a", 1, 1)
    }]);
    let error = case.rank(&body, 1).unwrap_err().to_string();
    assert!(
        error.starts_with("This endpoint's maximum context length is 1000 tokens."),
        "{error}"
    );
}

#[test]
fn tiers_serve_only_whoever_asked() {
    let case = || {
        Case::of(vec![
            endpoint("a", 2, 2),
            endpoint("a/flex", 1, 1),
            endpoint("a/priority", 4, 4),
            endpoint("b/turbo", 3, 3),
        ])
    };
    let check = |body: Value, expect: &[&str]| {
        assert_eq!(case().order(body.clone()), expect, "{body}");
    };
    check(json!({"provider": {"sort": "price"}}), &["a", "b/turbo"]);
    check(
        json!({"model": "acme/orca:floor"}),
        &["a/flex", "a", "b/turbo"],
    );
    check(
        json!({"model": "acme/orca:floor", "service_tier": "default"}),
        &["a", "b/turbo"],
    );
    check(
        json!({"model": "acme/orca:floor", "provider": {"order": ["a"]}}),
        &["a", "b/turbo"],
    );
    check(
        json!({"provider": {"order": ["a/flex"]}}),
        &["a/flex", "a", "b/turbo"],
    );
    check(
        json!({"provider": {"only": ["a/priority"]}}),
        &["a/priority"],
    );
    check(json!({"service_tier": "flex"}), &["a/flex"]);
    let mut fast = case().order(json!({"service_tier": "priority"}));
    assert_eq!(fast.remove(0), "a/priority");
    assert_eq!(fast.len(), 2);
    let none = Case::of(vec![endpoint("a", 1, 1)]);
    assert_eq!(none.order(json!({"service_tier": "flex"})), ["a"]);
    let nitro = case()
        .health("a", speed(50.0, 1.0))
        .health("a/priority", speed(90.0, 1.0))
        .health("b/turbo", speed(70.0, 1.0));
    assert_eq!(
        nitro.order(json!({"model": "acme/orca:nitro"})),
        ["a/priority", "b/turbo", "a"]
    );
}

#[test]
fn sorts_are_strict() {
    let case = || {
        Case::of(vec![
            endpoint("a", 1, 1),
            endpoint("b", 2, 2),
            endpoint("c", 3, 3),
        ])
        .health("a", speed(10.0, 900.0))
        .health("b", speed(90.0, 500.0))
        .health("c", speed(50.0, 100.0))
    };
    let check = |body: Value, expect: &[&str]| {
        assert_eq!(case().order(body.clone()), expect, "{body}");
    };
    check(json!({"provider": {"sort": "price"}}), &["a", "b", "c"]);
    check(
        json!({"provider": {"sort": "throughput"}}),
        &["b", "c", "a"],
    );
    check(json!({"provider": {"sort": "latency"}}), &["c", "b", "a"]);
    check(json!({"model": "acme/orca:nitro"}), &["b", "c", "a"]);
    check(json!({"model": "acme/orca:floor"}), &["a", "b", "c"]);
    // The slug's own variant is nearer than the request's sort.
    check(
        json!({"model": "acme/orca:floor", "provider": {"sort": "latency"}}),
        &["a", "b", "c"],
    );
    check(
        json!({"provider": {"sort": "price", "preferred_min_throughput": 40}}),
        &["b", "c", "a"],
    );
    check(
        json!({"provider": {"sort": "price", "preferred_max_latency": {"p90": 0.2}}}),
        &["c", "a", "b"],
    );
    check(
        json!({"provider": {"sort": "price", "preferred_max_latency": 0.6, "preferred_min_throughput": {"p50": 60, "p99": 60}}}),
        &["b", "a", "c"],
    );
    check(json!({"provider": {"order": ["c", "a"]}}), &["c", "a", "b"]);
    check(
        json!({"provider": {"order": ["c", "a"], "sort": "throughput"}}),
        &["c", "a", "b"],
    );
    check(
        json!({"provider": {"order": ["c", "a"], "allow_fallbacks": false}}),
        &["c", "a"],
    );
    check(
        json!({"provider": {"sort": "throughput", "allow_fallbacks": false}}),
        &["b"],
    );
    // A strict order knows no outage rule; what is down or rests goes to the back.
    let outage = case()
        .health("a", standing(Standing::Outage))
        .health("b", standing(Standing::Down));
    assert_eq!(
        outage.order(json!({"provider": {"sort": "price"}})),
        ["a", "c", "b"]
    );
}

#[test]
fn outages_come_after_the_healthy() {
    let case = Case::of(vec![
        endpoint("a", 100, 100),
        endpoint("b", 1, 1),
        endpoint("c", 1, 1),
        endpoint("d", 1, 1),
        endpoint("e", 1, 1),
    ])
    .health("b", standing(Standing::Degraded))
    .health("c", standing(Standing::Outage))
    .health("d", standing(Standing::Down))
    .health("e", standing(Standing::Resting));
    for seed in 0..100 {
        assert_eq!(
            tags(&case.rank(&json!({}), seed).unwrap()),
            ["a", "b", "c", "d", "e"]
        );
    }
}

#[test]
fn models_are_tried_one_after_the_other_or_as_one_list() {
    let case = || {
        Case::models(vec![
            model("acme/orca", vec![endpoint("a", 5, 5), endpoint("b", 3, 3)]),
            model(
                "acme/minnow",
                vec![endpoint("c", 4, 4), endpoint("d", 1, 1)],
            ),
        ])
    };
    let check = |provider: Value, expect: &[&str]| {
        let body = json!({"models": ["acme/orca", "acme/minnow"], "provider": provider});
        assert_eq!(case().order(body), expect, "{provider}");
    };
    check(json!({"sort": "price"}), &["b", "a", "d", "c"]);
    check(
        json!({"sort": {"by": "price", "partition": "none"}}),
        &["d", "b", "c", "a"],
    );
    check(
        json!({"sort": "price", "allow_fallbacks": false}),
        &["b", "d"],
    );
    check(
        json!({"sort": {"by": "price", "partition": "none"}, "allow_fallbacks": false}),
        &["d"],
    );
    check(json!({"sort": "price", "only": ["c"]}), &["c"]);
    let body = json!({"models": ["acme/orca:floor", "acme/minnow"], "provider": {"sort": "price"}, "route": "sort"});
    assert_eq!(case().order(body), ["d", "b", "c", "a"]);
}

#[test]
fn a_conversation_goes_back_to_its_cache() {
    let cached = |tag: &str, price: i64| {
        let mut endpoint = endpoint(tag, price, price);
        endpoint.pricing.base.cache_read = Some(Picos(1));
        endpoint
    };
    let mut case = Case::of(vec![cached("a", 1), cached("b", 100)]);
    case.stuck = vec![Some(case.catalog.models[0].endpoints[1].key)];
    assert_eq!(case.order(json!({})), ["b", "a"]);
    assert_eq!(
        case.order(json!({"provider": {"order": ["a"]}})),
        ["a", "b"]
    );
    assert_eq!(
        case.order(json!({"provider": {"sort": "price"}})),
        ["a", "b"]
    );
    let case = case.health("b", standing(Standing::Outage));
    assert_eq!(case.order(json!({})), ["a", "b"]);
}

#[test]
fn prices_are_those_of_the_request() {
    let mut tiered = endpoint("a", 1, 1);
    tiered.pricing.tiers = vec![Step {
        above: 100,
        prices: Prices {
            prompt: Picos(9_000_000),
            ..tiered.pricing.base.clone()
        },
    }];
    let mut night = endpoint("c", 8, 8);
    night.pricing.schedule = Some(Schedule {
        hours: vec![(0, 60)],
        weekdays_only: false,
        multiplier_ppm: 100_000,
    });
    let case = Case::of(vec![tiered, endpoint("b", 2, 2), night]);
    let short = json!({"provider": {"sort": "price"}, "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]});
    let mut long = short.clone();
    long["messages"][0]["content"] = json!("four".repeat(2_000));
    // At midnight the dear one costs a tenth.
    assert_eq!(case.order(short), ["c", "a", "b"]);
    assert_eq!(case.order(long), ["c", "b", "a"]);
    let mut cached = endpoint("a", 3, 0);
    cached.pricing.base.cache_read = Some(Picos(300_000));
    let case = Case::of(vec![cached, endpoint("b", 2, 0)]);
    let body =
        json!({"provider": {"sort": "price"}, "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(case.order(body.clone()), ["b", "a"]);
    let hits = Health {
        cache_hits_ppm: 900_000,
        ..Health::default()
    };
    assert_eq!(case.health("a", hits).order(body), ["a", "b"]);
}

#[test]
fn tool_requests_avoid_bad_tool_calls() {
    let measured = |bad: u32| Health {
        requests: 1_000,
        tools: ToolCalls { judged: 1_000, bad },
        ..speed(100.0, 100.0)
    };
    let case = Case::of(Vec::from(
        ["a", "b", "c", "d", "e", "f"].map(|tag| supporting(tag, &["tools"])),
    ))
    .health("a", measured(500))
    .health("b", measured(10))
    .health("c", measured(12))
    .health("d", measured(8))
    .health("e", measured(11));
    for seed in 0..50 {
        let auto = tags(&case.rank(&json!({"tools": [{}]}), seed).unwrap());
        assert_eq!(auto[4..], ["f", "a"], "{auto:?}");
        let explicit = tags(
            &case
                .rank(&json!({"model": "acme/orca:exacto"}), seed)
                .unwrap(),
        );
        assert_eq!(explicit[4..], ["f", "a"], "{explicit:?}");
    }
    assert_eq!(
        case.order(json!({"tools": [{}], "provider": {"sort": "price"}}))
            .len(),
        6
    );
}

#[test]
fn nothing_left_says_what_refused() {
    let case = || {
        Case::models(vec![
            model(
                "acme/orca",
                vec![endpoint("a", 2, 4), endpoint("b/fp8", 3, 6)],
            ),
            model("acme/minnow", vec![endpoint("c", 1, 1)]),
            model("other/fish", vec![endpoint("c", 1, 1)]),
        ])
    };
    let check = |body: Value,
                 message: &str,
                 excluded_by: &[&str],
                 constraint: Option<(&str, &str)>,
                 suggestions: &[&str]| {
        let RankError::Filtered(filtered) = case().rank(&body, 1).unwrap_err() else {
            panic!("{body}");
        };
        assert_eq!(filtered.message, message, "{body}");
        assert_eq!(filtered.excluded_by, excluded_by, "{body}");
        let actual = filtered
            .constraint
            .as_ref()
            .map(|(field, detail)| (*field, detail.as_str()));
        assert_eq!(actual, constraint, "{body}");
        assert_eq!(filtered.suggestions, suggestions, "{body}");
    };
    check(
        json!({"provider": {"max_price": {"prompt": 1}}}),
        "No endpoint for acme/orca fits max_price",
        &["max_price"],
        Some(("max_price", "cheapest prompt price is 2")),
        &["acme/minnow"],
    );
    check(
        json!({"provider": {"only": ["c"]}}),
        "No allowed providers are available for the selected model.",
        &["allowed_providers"],
        Some(("only", "`only` leaves it out")),
        &["acme/minnow"],
    );
    check(
        json!({"provider": {"ignore": ["a"], "quantizations": ["bf16"]}}),
        "No allowed providers are available for the selected model.",
        &["allowed_providers", "quantization"],
        None,
        &[],
    );
    check(
        json!({"provider": {"zdr": true}}),
        "No endpoints found for acme/orca matching your data policy (zero data retention).",
        &["data_policy:zdr"],
        Some(("zdr", "it may keep prompts")),
        &[],
    );
    check(
        json!({"provider": {"quantizations": ["int4"]}}),
        "No endpoint for acme/orca fits quantizations",
        &["quantization"],
        Some(("quantizations", "on offer: fp8, unknown")),
        &[],
    );
    check(
        json!({"tools": [{}], "provider": {"require_parameters": true}}),
        "No endpoints found that support tool use.",
        &["require_parameters"],
        Some(("tools", "it does not support `tools`")),
        &[],
    );
    check(
        json!({"max_tokens": 9999}),
        "No endpoint for acme/orca can write 9999 tokens",
        &["context_length"],
        Some(("max_tokens", "the longest answer on offer has 4096 tokens")),
        &[],
    );
}

#[test]
fn a_model_without_keys_names_the_variables() {
    let mut bare = model("acme/orca", Vec::new());
    let lacking = |name: &str| {
        Arc::new(Endpoint {
            lacks: Some(Lack::Variable(name.to_owned())),
            ..endpoint("a", 1, 1)
        })
    };
    bare.disabled = vec![lacking("B_KEY"), lacking("A_KEY")];
    let error = Case::models(vec![bare]).rank(&json!({}), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "No endpoints found for acme/orca. Set one of these to enable a provider: A_KEY, B_KEY"
    );
}

#[test]
fn shares_follow_the_inverse_square_of_the_price() {
    const DRAWS: u32 = 100_000;
    let prices = [1_i64, 2, 3, 5];
    let case = Case::of(
        prices
            .iter()
            .map(|&price| endpoint(&format!("p{price}/x"), price, price))
            .collect(),
    );
    let plan = plan(&call(&json!({"model": "acme/orca"})), None, &case.catalog).unwrap();
    let mut firsts: HashMap<String, u32> = HashMap::new();
    for seed in 0..DRAWS {
        let situation = Situation {
            health: &Unknown,
            stuck: &[],
            seed: u64::from(seed),
            at_ms: 0,
        };
        let ranked = rank(&plan, &situation).unwrap();
        *firsts
            .entry(ranked.candidates[0].endpoint.tag.to_string())
            .or_default() += 1;
    }
    let weight = |price: i64| 1.0 / (price * price) as f64;
    let total: f64 = prices.iter().map(|&price| weight(price)).sum();
    for price in prices {
        let share = weight(price) / total;
        let expected = f64::from(DRAWS) * share;
        let sigma = (f64::from(DRAWS) * share * (1.0 - share)).sqrt();
        let drawn = f64::from(firsts[&format!("p{price}/x")]);
        assert!(
            (drawn - expected).abs() < 3.0 * sigma,
            "{price}: {drawn} for {expected}"
        );
    }
}

#[test]
fn free_endpoints_share_and_come_before_paid_ones() {
    let case = Case::of(vec![
        endpoint("a", 0, 0),
        endpoint("b", 0, 0),
        endpoint("c", 1, 1),
    ]);
    let mut firsts: HashMap<String, u32> = HashMap::new();
    for seed in 0..1_000 {
        let order = tags(&case.rank(&json!({}), seed).unwrap());
        assert_eq!(order[2], "c");
        *firsts.entry(order[0].clone()).or_default() += 1;
    }
    assert!(firsts["a"] > 400 && firsts["b"] > 400, "{firsts:?}");
}

fn any_health() -> impl Strategy<Value = Health> {
    let standings = [
        Standing::Well,
        Standing::Degraded,
        Standing::Outage,
        Standing::Down,
        Standing::Resting,
    ];
    (
        proptest::sample::select(standings.to_vec()),
        proptest::option::of(1.0..200.0_f64),
        proptest::option::of(10.0..5_000.0_f64),
    )
        .prop_map(|(standing, tokens, millis)| {
            let flat = |value: f64| Percentiles {
                p50: value,
                p75: value,
                p90: value,
                p99: value,
            };
            Health {
                standing,
                throughput: tokens.map(flat),
                latency_ms: millis.map(flat),
                ..Health::default()
            }
        })
}

fn any_field() -> impl Strategy<Value = (Vec<(i64, Health)>, Vec<usize>)> {
    proptest::collection::vec((0..20_i64, any_health()), 1..12).prop_flat_map(|field| {
        let positions: Vec<usize> = (0..field.len()).collect();
        (Just(field), Just(positions).prop_shuffle())
    })
}

fn field_case(field: &[(i64, Health)], positions: &[usize]) -> Case {
    let tag = |position: usize| format!("p{position}/x");
    let endpoints = positions
        .iter()
        .map(|&position| endpoint(&tag(position), field[position].0, field[position].0));
    let mut case = Case::of(endpoints.collect());
    for (position, (_, health)) in field.iter().enumerate() {
        case = case.health(&tag(position), *health);
    }
    case
}

const ORDERS: [&str; 6] = [
    r#"{}"#,
    r#"{"provider":{"sort":"price"}}"#,
    r#"{"provider":{"sort":"throughput"}}"#,
    r#"{"provider":{"sort":"latency"}}"#,
    r#"{"provider":{"sort":"exacto"}}"#,
    r#"{"provider":{"order":["p0"],"preferred_min_throughput":50}}"#,
];

proptest! {
    #[test]
    fn a_permutation_in_is_the_same_order_out((field, shuffled) in any_field(), seed: u64) {
        let sorted: Vec<usize> = (0..field.len()).collect();
        for body in ORDERS {
            let body: Value = serde_json::from_str(body).unwrap();
            let order = |positions: &[usize]| tags(&field_case(&field, positions).rank(&body, seed).unwrap());
            prop_assert_eq!(order(&sorted), order(&shuffled));
        }
    }

    #[test]
    fn a_strictly_better_endpoint_is_never_behind((field, _) in any_field(), seed: u64) {
        let positions: Vec<usize> = (0..field.len()).collect();
        let case = field_case(&field, &positions);
        for (sort, better) in [
            ("price", (|a: &(i64, Health), b: &(i64, Health)| a.0 < b.0) as fn(&_, &_) -> bool),
            ("throughput", |a, b| matches!((a.1.throughput, b.1.throughput), (Some(a), Some(b)) if a.p50 > b.p50)),
            ("latency", |a, b| matches!((a.1.latency_ms, b.1.latency_ms), (Some(a), Some(b)) if a.p50 < b.p50)),
        ] {
            let order = case.order(json!({"provider": {"sort": sort}}));
            let place = |position: usize| order.iter().position(|tag| *tag == format!("p{position}/x"));
            for a in 0..field.len() {
                for b in 0..field.len() {
                    let healthier = field[a].1.standing <= field[b].1.standing;
                    if healthier && better(&field[a], &field[b]) {
                        prop_assert!(place(a) < place(b), "{} by {sort}: {order:?}", a);
                    }
                }
            }
        }
        let _ = seed;
    }
}
