//! Where a request goes: ranking fifty endpoints by everything a caller can ask for, and adding one
//! answer to an endpoint's health.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::Criterion;
use turnpike::attempt::health::{Healths, Went};
use turnpike::catalog::{Catalog, CatalogSource};
use turnpike::domain::call::{Call, Form, Origin};
use turnpike::domain::json::JsonObject;
use turnpike::plan::plan;
use turnpike::rank::{Situation, rank};

const ENDPOINTS: usize = 50;
const NOW: i64 = 1_788_177_600_000;

/// Every preference that lets all endpoints through, so that none is spared its score.
const PREFERENCES: &str = r#"{
    "model": "acme/orca", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100,
    "tools": [{"type": "function", "function": {"name": "any"}}], "session_id": "chat-17",
    "provider": {
        "ignore": ["openai"], "data_collection": "deny", "zdr": true, "require_parameters": true,
        "quantizations": ["fp8"], "max_price": {"prompt": 1000, "completion": 1000},
        "preferred_min_throughput": {"p50": 40, "p90": 20}, "preferred_max_latency": {"p50": 1, "p99": 5}
    }
}"#;

/// Ranking, plain and with every preference, and recording.
pub(crate) fn routing(criterion: &mut Criterion) {
    let catalog = catalog().snapshot();
    let healths = Healths::default();
    let model = catalog.model("acme/orca").expect("it is configured");
    for (number, endpoint) in (0_u64..).zip(&model.endpoints) {
        let vitals = healths.of(endpoint);
        for answer in 0..200 {
            vitals.first_token(Duration::from_millis(200 + number * 10 + answer), NOW);
            vitals.ended(went(50 + number), NOW);
            vitals.tool_calls(answer % 50 == 0, NOW);
        }
    }
    let mut group = criterion.benchmark_group("routing");
    let plain = r#"{"model": "acme/orca", "messages": [{"role": "user", "content": "Hello"}]}"#;
    for (name, body) in [("plain", plain), ("every preference", PREFERENCES)] {
        let plan = plan(&call(body), None, &catalog).expect("the request is right");
        let mut seed = 0;
        group.bench_function(format!("rank 50 endpoints, {name}"), |bencher| {
            bencher.iter(|| {
                seed += 1;
                let situation = Situation {
                    health: &healths.view(NOW),
                    stuck: &[],
                    seed,
                    at_ms: NOW,
                };
                let ranked = rank(&plan, &situation).expect("all endpoints fit");
                assert_eq!(ranked.candidates.len(), ENDPOINTS);
                black_box(ranked)
            });
        });
    }
    let vitals = healths.of(&model.endpoints[0]);
    group.bench_function("record an answer's health", |bencher| {
        bencher.iter(|| {
            vitals.first_token(black_box(Duration::from_millis(321)), NOW);
            vitals.ended(black_box(went(77)), NOW);
        });
    });
    group.finish();
}

fn went(tokens: u64) -> Went {
    Went::Well {
        output: (tokens, Duration::from_secs(1)),
        prompt_tokens: 100,
        cached_tokens: 20,
    }
}

fn catalog() -> Catalog {
    let mut config = String::new();
    for number in 0..ENDPOINTS {
        write!(
            config,
            r#"
            [[providers]]
            slug = "lab-{number}"
            base_url = "http://127.0.0.1:1/v1"
            data_policy = {{ training = false, retains_prompts = false }}

            [[providers.models]]
            id = "acme/orca"
            context_length = 32768
            quantization = "fp8"
            supported_parameters = ["tools", "max_tokens"]
            pricing = {{ prompt = "0.00000{}", completion = "0.00001{}" }}
            "#,
            1 + number % 9,
            number % 10,
        )
        .expect("text can be written to");
    }
    let mut tables: toml::Table = config.parse().expect("the configuration is TOML");
    let providers = tables.remove("providers").expect("there are providers");
    let source = CatalogSource {
        providers: providers.try_into().expect("providers are tables"),
        ..CatalogSource::built_in()
    };
    Catalog::load(source).expect("the catalogue is right")
}

fn call(body: &'static str) -> Call {
    let body = JsonObject::parse(Bytes::from_static(body.as_bytes())).expect("the body is JSON");
    Call {
        form: Form::Chat,
        model: Some("acme/orca".to_owned()),
        models: Vec::new(),
        stream: false,
        max_tokens: Some(100),
        choices: 1,
        provider: body.given("provider").cloned(),
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
        body,
    }
}
