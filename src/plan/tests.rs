//! Every row of contract 6.2 and 7.3, as a plan sees it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::preferences::{Cutoffs, MaxPrice, Percentile};
use super::*;
use crate::catalog::fixture::{endpoint, model, snapshot};
use crate::domain::call::Origin;
use crate::domain::json::JsonObject;
use crate::domain::money::Picos;
use crate::domain::search::{Engine, Location, Mode, Place, Searcher};

pub(crate) fn call(body: &Value) -> Call {
    let body = JsonObject::parse(Bytes::from(body.to_string())).unwrap();
    let text = |name: &str| body.given(name).and_then(|value| value.parse().ok());
    Call {
        form: Form::Chat,
        model: text("model"),
        models: body
            .given("models")
            .and_then(|value| value.parse().ok())
            .unwrap_or_default(),
        stream: false,
        max_tokens: body
            .given("max_tokens")
            .and_then(|value| value.parse().ok()),
        choices: 1,
        provider: body.given("provider").cloned(),
        plugins: body.given("plugins").cloned(),
        origin: Origin {
            session_id: text("session_id"),
            ..Origin::default()
        },
        verbatim: None,
        body,
    }
}

fn catalog() -> Snapshot {
    snapshot(vec![
        model(
            "acme/orca",
            vec![
                endpoint("north", 1, 2),
                endpoint("north/turbo", 1, 2),
                endpoint("south/fp8", 1, 2),
            ],
        ),
        model("acme/orca:free", vec![endpoint("north", 0, 0)]),
        model("acme/minnow", vec![endpoint("north", 1, 1)]),
        model("acme/whale", vec![endpoint("east", 1, 1)]),
    ])
}

fn planned(body: &Value) -> Result<Plan, PlanError> {
    plan(&call(body), None, &catalog())
}

fn preferences(provider: Value) -> Result<Preferences, String> {
    let body = json!({"model": "acme/orca", "provider": provider});
    planned(&body)
        .map(|plan| plan.preferences)
        .map_err(|error| error.to_string())
}

#[track_caller]
fn check(provider: Value, expect: impl FnOnce(&mut Preferences)) {
    let mut expected = Preferences::default();
    expect(&mut expected);
    assert_eq!(preferences(provider), Ok(expected));
}

#[track_caller]
fn refused(provider: Value, expect: &str) {
    assert_eq!(preferences(provider), Err(expect.to_owned()));
}

#[test]
fn every_field_of_the_provider_object_is_read() {
    check(json!({}), |_| {});
    check(
        json!({"allow_fallbacks": null, "order": null, "sort": null, "max_price": null}),
        |_| {},
    );
    check(json!({"allow_fallbacks": false}), |p| {
        p.allow_fallbacks = false
    });
    check(json!({"require_parameters": true}), |p| {
        p.require_parameters = true
    });
    check(json!({"data_collection": "deny"}), |p| {
        p.deny_data_collection = true
    });
    check(json!({"data_collection": "allow"}), |_| {});
    check(json!({"zdr": true}), |p| p.zdr = true);
    check(json!({"enforce_distillable_text": true}), |p| {
        p.enforce_distillable_text = true
    });
    check(json!({"quantizations": ["fp8", "unknown"]}), |p| {
        p.quantizations = Some(vec!["fp8", "unknown"])
    });
    check(json!({"quantizations": []}), |_| {});
    check(json!({"sort": "throughput"}), |p| {
        p.sort = Some(Sort::Throughput)
    });
    check(json!({"sort": "exacto"}), |p| p.sort = Some(Sort::Exacto));
    check(
        json!({"sort": {"by": "latency", "partition": "none"}}),
        |p| {
            p.sort = Some(Sort::Latency);
            p.partition = Partition::None;
        },
    );
    check(
        json!({"sort": {"by": "price", "partition": "model"}}),
        |p| p.sort = Some(Sort::Price),
    );
    check(json!({"sort": {"partition": "none"}}), |p| {
        p.partition = Partition::None
    });
    check(json!({"preferred_min_throughput": 50}), |p| {
        p.min_throughput = Cutoffs(vec![(Percentile::P50, 50.0)]);
    });
    check(
        json!({"preferred_max_latency": {"p90": 1.5, "p50": 0.5, "p75": null}}),
        |p| {
            p.max_latency = Cutoffs(vec![(Percentile::P50, 0.5), (Percentile::P90, 1.5)]);
        },
    );
    check(json!({"options": {"north": {}}}), |_| {});
}

#[test]
fn wrong_types_are_refused_by_their_path() {
    refused(
        json!({"allow_fallbacks": "no"}),
        "provider.allow_fallbacks: expected a boolean",
    );
    refused(json!({"zdr": 1}), "provider.zdr: expected a boolean");
    refused(
        json!({"order": "north"}),
        "provider.order: expected an array of provider names",
    );
    refused(
        json!({"only": [1]}),
        "provider.only: expected an array of provider names",
    );
    refused(
        json!({"ignore": ["nowhere"]}),
        "provider.ignore: no provider is called \"nowhere\"",
    );
    refused(
        json!({"order": ["north/"]}),
        "provider.order: no provider is called \"north/\"",
    );
    refused(
        json!({"data_collection": "never"}),
        "provider.data_collection: expected \"allow\" or \"deny\"",
    );
    refused(
        json!({"sort": "speed"}),
        "provider.sort: expected one of price, throughput, latency, exacto",
    );
    refused(
        json!({"sort": {"by": "speed"}}),
        "provider.sort.by: expected one of price, throughput, latency, exacto",
    );
    refused(
        json!({"sort": {"by": "price", "partition": "all"}}),
        "provider.sort.partition: expected \"model\" or \"none\"",
    );
    refused(
        json!({"sort": 5}),
        "provider.sort: expected one of price, throughput, latency, exacto",
    );
    refused(
        json!({"max_price": 5}),
        "provider.max_price: expected an object",
    );
    refused(
        json!({"max_price": {"prompt": true}}),
        "provider.max_price.prompt: expected a price in dollars",
    );
    refused(
        json!({"max_price": {"prompt": -1}}),
        "provider.max_price.prompt: expected a price in dollars",
    );
    refused(
        json!({"preferred_min_throughput": "fast"}),
        "provider.preferred_min_throughput: expected a number, or an object of p50, p75, p90, p99",
    );
    refused(
        json!({"preferred_max_latency": {"p50": "x"}}),
        "provider.preferred_max_latency.p50: expected a number, or an object of p50, p75, p90, p99",
    );
    refused(
        json!({"preferred_max_latency": {"p95": 1}}),
        "provider.preferred_max_latency.p95: known are p50, p75, p90, p99",
    );
    let error = preferences(json!({"quantizations": ["fp9"]})).unwrap_err();
    assert!(
        error.starts_with("provider.quantizations: expected an array of int4"),
        "{error}"
    );
    let error = preferences(json!({"data_colection": "deny"})).unwrap_err();
    assert!(
        error.starts_with("provider.data_colection: no such field"),
        "{error}"
    );
}

#[test]
fn prices_are_compared_exactly() {
    let prompt = |written: Value| {
        preferences(json!({"max_price": {"prompt": written}}))
            .map(|preferences| preferences.max_price.prompt.map(|price| price.0))
    };
    // A dollar per million tokens is a million pico-dollars a token.
    for (written, expect) in [
        (json!(1), 1_000_000),
        (json!("1"), 1_000_000),
        (json!(0.1), 100_000),
        (json!("0.3000000"), 300_000),
        (json!("2.5e-1"), 250_000),
        (json!(0), 0),
        (json!("0.0000019"), 1),
        (json!("0.0000001"), 0),
        (json!("1e3"), 1_000_000_000),
        (json!("1e300"), i64::MAX),
        (json!("99999999999999999999"), i64::MAX),
    ] {
        assert_eq!(prompt(written.clone()), Ok(Some(expect)), "{written}");
    }
    for written in ["", ".", "1.", "x", "1e", "NaN", "0x1", "1.2.3", " 1"] {
        assert!(prompt(json!(written)).is_err(), "{written}");
    }
    check(
        json!({"max_price": {"request": "0.01", "image": 0.002, "audio": 1, "completion": 2}}),
        |p| {
            p.max_price = MaxPrice {
                prompt: None,
                completion: Some(Picos(2_000_000)),
                request: Some(Picos(10_000_000_000)),
                image: Some(Picos(2_000_000_000)),
                audio: Some(Picos(1_000_000_000_000)),
            };
        },
    );
}

#[test]
fn providers_are_named_by_slug_tag_and_display_name() {
    let endpoints = &catalog().models[0].endpoints;
    let means = |name: &str| -> Vec<&str> {
        let preferences = preferences(json!({"only": [name]})).unwrap();
        let names = preferences.only.unwrap();
        endpoints
            .iter()
            .filter(|endpoint| names[0].means(endpoint))
            .map(|endpoint| endpoint.tag.as_str())
            .collect()
    };
    assert_eq!(means("north"), ["north", "north/turbo"]);
    assert_eq!(means("North"), ["north", "north/turbo"]);
    assert_eq!(means("north Inc"), ["north", "north/turbo"]);
    assert_eq!(means("NORTH INC"), ["north", "north/turbo"]);
    assert_eq!(means("north/turbo"), ["north/turbo"]);
    assert_eq!(means("south/fp8"), ["south/fp8"]);
    assert_eq!(means("south/fp4"), [""; 0]);
}

#[test]
fn quantizations_stand_for_their_families() {
    let accepted = |wanted: &str| -> Vec<&str> {
        let preferences = preferences(json!({"quantizations": [wanted]})).unwrap();
        ["fp4", "mxfp4", "nvfp4", "fp8", "mxfp8", "bf16", "unknown"]
            .into_iter()
            .filter(|actual| {
                preferences.accepts_quantization(Some(actual).filter(|q| **q != "unknown").copied())
            })
            .collect()
    };
    assert_eq!(accepted("fp4"), ["fp4", "mxfp4", "nvfp4"]);
    assert_eq!(accepted("fp8"), ["fp8", "mxfp8"]);
    assert_eq!(accepted("mxfp8"), ["mxfp8"]);
    assert_eq!(accepted("unknown"), ["unknown"]);
}

#[track_caller]
fn entries(body: Value, expect: &[(&str, Option<Sort>, Option<Tier>)]) {
    let plan = planned(&body).unwrap();
    let entries: Vec<_> = plan
        .entries
        .iter()
        .map(|entry| (entry.model.id.as_str(), entry.sort, entry.admits))
        .collect();
    assert_eq!(entries, expect);
}

#[test]
fn variants_are_orders_of_their_own_entry() {
    entries(json!({"model": "acme/orca"}), &[("acme/orca", None, None)]);
    entries(
        json!({"model": "acme/orca:nitro"}),
        &[("acme/orca", Some(Sort::Throughput), Some(Tier::Priority))],
    );
    entries(
        json!({"model": "acme/orca:floor"}),
        &[("acme/orca", Some(Sort::Price), Some(Tier::Flex))],
    );
    entries(
        json!({"model": "acme/orca:exacto"}),
        &[("acme/orca", Some(Sort::Exacto), None)],
    );
    entries(
        json!({"model": "acme/orca:floor:exacto"}),
        &[("acme/orca", Some(Sort::Exacto), None)],
    );
    entries(
        json!({"model": "acme/orca:free:nitro"}),
        &[(
            "acme/orca:free",
            Some(Sort::Throughput),
            Some(Tier::Priority),
        )],
    );
    entries(
        json!({"model": "acme/orca", "models": ["acme/minnow:floor", "acme/orca", "acme/whale"]}),
        &[
            ("acme/orca", None, None),
            ("acme/minnow", Some(Sort::Price), Some(Tier::Flex)),
            ("acme/whale", None, None),
        ],
    );
    entries(
        json!({"models": ["acme/whale"]}),
        &[("acme/whale", None, None)],
    );
}

#[test]
fn slugs_that_cannot_be_served_are_refused() {
    let check = |body: Value, expect: &str| {
        assert_eq!(planned(&body).unwrap_err().to_string(), expect, "{body}");
    };
    check(
        json!({"model": "acme/shark"}),
        "acme/shark is not a valid model ID",
    );
    check(
        json!({"model": "acme/orca:turbo"}),
        "acme/orca:turbo is not a valid model ID",
    );
    check(
        json!({"model": "acme/minnow:free"}),
        "No endpoints found for acme/minnow:free.",
    );
    check(
        json!({"model": "acme/minnow:thinking:nitro"}),
        "No endpoints found for acme/minnow:thinking:nitro.",
    );
    check(
        json!({"model": "@preset/x"}),
        "@preset/x: presets are not supported by this server",
    );
    check(
        json!({"model": "acme/orca@preset/x"}),
        "acme/orca@preset/x: presets are not supported by this server",
    );
    check(
        json!({"models": ["a/a", "a/b", "a/c", "a/d"]}),
        "'models' array must have 3 items or fewer",
    );
    check(
        json!({}),
        "no model was given and no default model is configured",
    );
}

#[test]
fn a_search_is_wanted_by_slug_or_by_plugin() {
    let search = |body: Value| planned(&body).unwrap().search;
    let usual = Some(SearchWish::default());
    assert_eq!(search(json!({"model": "acme/orca"})), None);
    assert_eq!(search(json!({"model": "acme/orca:online"})), usual);
    assert_eq!(
        search(json!({"model": "acme/orca", "models": ["acme/minnow:online:floor"]})),
        usual
    );
    let plugin = |plugin: Value| {
        search(json!({"model": "acme/orca", "plugins": [{"id": "auto-router"}, plugin]}))
    };
    assert_eq!(plugin(json!({"id": "web"})), usual);
    assert_eq!(plugin(json!({"id": "web", "enabled": false})), None);
    assert_eq!(plugin(json!({"id": "web-fetch"})), None);
    let place = |text: &str| Place::parse(text).unwrap();
    let full = json!({
        "id": "web", "enabled": true, "engine": "searxng", "mode": "deep-lite", "max_results": 25, "search_prompt": "Found:",
        "include_domains": ["a.example", "*.b.example"], "exclude_domains": ["a.example/private"], "max_uses": 2,
        "user_location": {"type": "approximate", "city": "Oslo", "country": "NO", "region": null}
    });
    let expect = SearchWish {
        searcher: Searcher::Engine(Engine::Searxng),
        max_results: 25,
        heading: Some("Found:".to_owned()),
        include: vec![place("a.example"), place("*.b.example")],
        exclude: vec![place("a.example/private")],
        mode: Some(Mode::DeepLite),
        max_uses: Some(2),
        location: Some(Location {
            city: Some("Oslo".to_owned()),
            country: Some("NO".to_owned()),
            ..Location::default()
        }),
        excerpt: SearchWish::EXCERPT,
    };
    assert_eq!(plugin(full), Some(expect));
    let engine =
        |name: &str| plugin(json!({"id": "web", "engine": name})).map(|wish| wish.searcher);
    assert_eq!(engine("auto"), Some(Searcher::Any));
    assert_eq!(engine("native"), Some(Searcher::Native));
    // A mode of another engine is no mistake of the caller's.
    assert_eq!(
        plugin(json!({"id": "web", "mode": "advanced"}))
            .unwrap()
            .mode,
        Some(Mode::Advanced)
    );
}

#[test]
fn a_search_that_makes_no_sense_is_refused_with_its_place() {
    let check = |plugin: Value, expect: &str| {
        let body = json!({"model": "acme/orca", "plugins": [plugin]});
        assert_eq!(planned(&body).unwrap_err().to_string(), expect);
    };
    check(
        json!({"id": "web", "max_results": 0}),
        "plugins[0].max_results: must be 1 to 25",
    );
    check(
        json!({"id": "web", "max_results": 26}),
        "plugins[0].max_results: must be 1 to 25",
    );
    check(
        json!({"id": "web", "max_uses": 31}),
        "plugins[0].max_uses: must be 1 to 30",
    );
    check(
        json!({"id": "web", "engine": "bing"}),
        "plugins[0].engine: bing is not offered here; there are native, exa, tavily, brave, firecrawl, parallel, searxng, perplexity",
    );
    check(
        json!({"id": "web", "mode": "lazy"}),
        "plugins[0].mode: unknown variant `lazy`, expected one of `instant`, `fast`, `auto`, `deep-lite`, `deep`, `deep-reasoning`, `advanced`, `basic`, `turbo`",
    );
    check(
        json!({"id": "web", "include_domains": ["a.example", "http://169.254.169.254/"]}),
        "plugins[0].include_domains[1]: must be a domain such as example.com, *.example.com or example.com/blog",
    );
    check(
        json!({"id": "web", "exclude_domains": "a.example"}),
        "plugins[0].exclude_domains: invalid type: string \"a.example\", expected a sequence",
    );
    check(
        json!({"id": "web", "search_prompt": "x".repeat(8_001)}),
        "plugins[0].search_prompt: must have at most 8000 bytes",
    );
}

#[test]
fn strategies_and_tiers_are_told() {
    let strategy = |body: Value| planned(&body).unwrap().strategy;
    assert_eq!(
        strategy(json!({"model": "acme/orca:nitro"})),
        Strategy::Direct
    );
    assert_eq!(
        strategy(json!({"model": "acme/whale-20260101"})),
        Strategy::Alias
    );
    assert_eq!(
        strategy(json!({"models": ["acme/orca", "acme/whale"]})),
        Strategy::Fallback
    );
    let tier = |field: Value| {
        let mut body = json!({"model": "acme/orca"});
        body.as_object_mut()
            .unwrap()
            .extend(field.as_object().unwrap().clone());
        planned(&body).unwrap().tier
    };
    assert_eq!(
        tier(json!({"service_tier": "priority"})),
        Some(Tier::Priority)
    );
    assert_eq!(tier(json!({"service_tier": "fast"})), Some(Tier::Priority));
    assert_eq!(tier(json!({"speed": "fast"})), Some(Tier::Priority));
    assert_eq!(tier(json!({"service_tier": "flex"})), Some(Tier::Flex));
    assert_eq!(tier(json!({"service_tier": "default"})), None);
    assert_eq!(tier(json!({})), None);
}

#[test]
fn a_route_of_sort_makes_one_list() {
    let partition = |route: &str| {
        let body = json!({"model": "acme/orca", "route": route});
        planned(&body).unwrap().preferences.partition
    };
    assert_eq!(partition("sort"), Partition::None);
    assert_eq!(partition("fallback"), Partition::Model);
}

#[test]
fn needs_are_what_the_request_asks_for() {
    let needs = |field: Value| {
        let mut body = json!({"model": "acme/orca", "messages": []});
        body.as_object_mut()
            .unwrap()
            .extend(field.as_object().unwrap().clone());
        planned(&body).unwrap().needs
    };
    let parameters = |field: Value| needs(field).parameters;
    assert_eq!(parameters(json!({"tools": []})), [""; 0]);
    assert_eq!(
        parameters(json!({"tools": [{}], "tool_choice": "auto"})),
        ["tools"]
    );
    assert_eq!(
        parameters(json!({"tools": [{}], "tool_choice": "required"})),
        ["tools", "tool_choice"]
    );
    assert_eq!(
        parameters(json!({"response_format": {"type": "text"}})),
        [""; 0]
    );
    assert_eq!(
        parameters(json!({"response_format": {"type": "json_object"}})),
        ["response_format"]
    );
    assert_eq!(
        parameters(json!({"response_format": {"type": "json_schema", "json_schema": {}}})),
        ["response_format", "structured_outputs"]
    );
    assert_eq!(
        parameters(json!({"temperature": 1, "max_tokens": 5})),
        ["temperature", "max_tokens"]
    );
    assert_eq!(
        needs(json!({"modalities": ["text", "image"]})).output,
        ["image"]
    );
}

/// Prices in dollars per million tokens, and when the model appeared.
fn dated(
    id: &str,
    price: i64,
    created: i64,
    parameters: &[&str],
) -> crate::catalog::snapshot::Model {
    let mut endpoint = endpoint("north", price, price);
    endpoint.supported_parameters = parameters.iter().map(|&name| name.to_owned()).collect();
    let mut model = model(id, vec![endpoint]);
    model.created = Some(created);
    model
}

fn routers() -> Snapshot {
    snapshot(vec![
        dated("acme/orca-1", 1, 100, &["tools"]),
        dated("acme/orca-2", 2, 200, &["tools"]),
        dated("acme/orca-2-mini", 3, 300, &[]),
        dated("acme/ray", 4, 50, &["tools"]),
        dated("other/shrimp:free", 0, 10, &[]),
        dated("other/krill:free", 0, 20, &["tools"]),
    ])
}

#[test]
fn routers_choose_among_models() {
    let models = |body: Value| {
        let plan = plan(&call(&body), None, &routers()).map_err(|error| error.to_string())?;
        let ids: Vec<String> = plan
            .entries
            .iter()
            .map(|entry| entry.model.id.to_string())
            .collect();
        Ok::<_, String>((plan.strategy.as_str(), ids.join(" "), plan.entries[0].sort))
    };
    let check = |mut body: Value, expect: Result<(&'static str, &str, Option<Sort>), &str>| {
        body["messages"] = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a", "model": "acme/ray"}]);
        let expect = expect
            .map(|(strategy, ids, sort)| (strategy, ids.to_owned(), sort))
            .map_err(str::to_owned);
        assert_eq!(models(body.clone()), expect, "{body}");
    };
    let auto = |options: Value| {
        let mut plugin = options;
        plugin["id"] = json!("auto-router");
        json!({"model": "openrouter/auto", "plugins": [plugin]})
    };
    check(
        json!({"model": "~acme/orca-latest"}),
        Ok(("latest", "acme/orca-2", None)),
    );
    check(
        json!({"model": "~acme/orca-latest:nitro"}),
        Ok(("latest", "acme/orca-2", Some(Sort::Throughput))),
    );
    check(
        json!({"model": "~acme/squid-latest"}),
        Err("~acme/squid-latest is not a valid model ID"),
    );
    check(
        json!({"model": "openrouter/free"}),
        Ok(("free", "other/shrimp:free other/krill:free", None)),
    );
    check(
        json!({"model": "openrouter/free", "tools": [{}]}),
        Ok(("free", "other/krill:free", None)),
    );
    check(
        json!({"model": "openrouter/auto"}),
        Ok(("auto", "acme/orca-1", None)),
    );
    check(
        json!({"model": "openrouter/auto:floor"}),
        Ok(("auto", "acme/orca-1", Some(Sort::Price))),
    );
    check(
        auto(json!({"cost_tier": "max"})),
        Ok(("auto", "acme/ray", None)),
    );
    check(
        auto(json!({"cost_tier": "high"})),
        Ok(("auto", "acme/orca-2", None)),
    );
    check(
        auto(json!({"excluded_models": ["*orca-1"], "allowed_models": ["acme/*"]})),
        Ok(("auto", "acme/orca-2", None)),
    );
    check(
        auto(json!({"pin_model": true})),
        Ok(("auto", "acme/ray acme/orca-1", None)),
    );
    check(
        auto(json!({"allowed_models": ["nobody/*"]})),
        Err("No endpoints found for openrouter/auto."),
    );
    check(
        auto(json!({"cost_tier": "tiny"})),
        Err(
            "plugins: auto-router: unknown variant `tiny`, expected one of `low`, `medium`, `high`, `xhigh`, `max` at line 1 column 19",
        ),
    );
    let images = json!([{"role": "user", "content": [{"type": "image_url"}]}]);
    let blind = plan(
        &call(&json!({"model": "openrouter/auto", "messages": images})),
        None,
        &routers(),
    );
    assert_eq!(
        blind.map(|_| ()),
        Err(PlanError::NoVariant("openrouter/auto".to_owned()))
    );
}
