//! The catalogue's routes over a small catalogue, held against the contract's schemas.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::catalog::{CatalogSource, Environment};
use crate::edge::manage::providers;

const LABS: &str = r#"
    [[providers]]
    slug = "lab-a"
    name = "Lab A"
    headquarters = "DE"
    base_url = "http://127.0.0.1:9101/v1"

    [[providers.models]]
    id = "acme/orca"
    name = "Acme: Orca & Co"
    created = 1750000000
    input_modalities = ["text", "image"]
    context_length = 32768
    max_output_tokens = 4096
    quantization = "fp8"
    pricing = { prompt = "0.000001", completion = "0.000002", cache_read = "0.0000001" }
    tiers = [{ above = 16000, prompt = "0.000003" }]
    supported_parameters = ["tools", "max_tokens"]
    data_policy = { training = false, retains_prompts = false }

    [[providers.models]]
    id = "acme/minnow"
    created = 1760000000
    context_length = 8192
    pricing = { prompt = "0.0000001", completion = "0.0000002" }
    supported_parameters = ["max_tokens"]

    [[providers.models]]
    id = "acme/embed"
    type = "embedding"

    [[providers]]
    slug = "lab-b"
    name = "Lab B"
    headquarters = "US"
    base_url = "http://127.0.0.1:9102/v1"
    models = [{ id = "acme/orca", pricing = { prompt = "0.000002", completion = "0.000002" } }]
"#;

fn routes(config: &str, environment: Environment) -> Router {
    let mut tables: toml::Table = toml::from_str(config).unwrap();
    let providers = tables
        .remove("providers")
        .map(|tables| tables.try_into().unwrap())
        .unwrap_or_default();
    let source = CatalogSource {
        providers,
        environment,
        ..CatalogSource::built_in()
    };
    Router::new()
        .route("/models", get(list))
        .route("/models/count", get(count))
        .route("/embeddings/models", get(list_embeddings))
        .route("/model/{author}/{slug}", get(one))
        .route("/models/{author}/{slug}/endpoints", get(endpoints_in_full))
        .route("/parameters/{author}/{slug}", get(parameters))
        .route("/providers", get(providers::list))
        .route("/endpoints/zdr", get(providers::zdr))
        .with_state(Listing::new(
            Catalog::load(source).unwrap(),
            Healths::default(),
        ))
}

/// As a caller with a key sees them.
async fn endpoints_in_full(
    State(listing): State<Listing>,
    Path((author, slug)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    listing.endpoints(&format!("{author}/{slug}"), true)
}

fn labs() -> Router {
    routes(LABS, Environment::from_fn(|_| None))
}

async fn answer(
    routes: &Router,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = routes
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn json(routes: &Router, path: &str) -> Value {
    let (status, _, body) = answer(routes, path, &[]).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

async fn ids(routes: &Router, query: &str) -> Vec<String> {
    let list = json(routes, &format!("/models{query}")).await;
    list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Holds a value against the contract's answer of a path. An operator's providers have names of their own.
#[track_caller]
fn conforms(path: &str, value: &Value) {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/schemas.json");
    let mut document: Value =
        serde_json::from_str(&std::fs::read_to_string(document).unwrap()).unwrap();
    let schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        ["schema"]
        .clone();
    document["components"]["schemas"]["ProviderName"] = serde_json::json!({ "type": "string" });
    let schema = serde_json::json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(problems, Vec::<String>::new(), "{path}");
}

#[tokio::test]
async fn every_answer_is_as_the_contract_says() {
    for routes in [
        labs(),
        routes("", Environment::from_fn(|_| Some("value".into()))),
    ] {
        for path in [
            "/models",
            "/models/count",
            "/embeddings/models",
            "/providers",
            "/endpoints/zdr",
        ] {
            conforms(path, &json(&routes, path).await);
        }
        for model in json(&routes, "/models?output_modalities=all").await["data"]
            .as_array()
            .unwrap()
            .iter()
            .step_by(25)
        {
            let id = model["id"].as_str().unwrap();
            conforms(
                "/model/{author}/{slug}",
                &json(&routes, &format!("/model/{id}")).await,
            );
            conforms(
                "/models/{author}/{slug}/endpoints",
                &json(&routes, &format!("/models/{id}/endpoints")).await,
            );
        }
    }
}

#[tokio::test]
async fn a_model_is_shown_with_the_prices_of_the_endpoint_tried_first() {
    let mut model = json(&labs(), "/model/acme/orca").await;
    // Lab B, of which nothing is written, adds everything common.
    let parameters = model["data"]
        .as_object_mut()
        .unwrap()
        .remove("supported_parameters")
        .unwrap();
    assert_eq!(parameters.as_array().unwrap().len(), 17);
    insta::assert_snapshot!(serde_json::to_string_pretty(&model["data"]).unwrap(), @r#"
    {
      "architecture": {
        "input_modalities": [
          "text",
          "image"
        ],
        "instruct_type": null,
        "modality": "text+image->text",
        "output_modalities": [
          "text"
        ],
        "tokenizer": "Other"
      },
      "canonical_slug": "acme/orca",
      "context_length": 32768,
      "created": 1750000000,
      "default_parameters": null,
      "description": "",
      "expiration_date": null,
      "hugging_face_id": null,
      "id": "acme/orca",
      "knowledge_cutoff": null,
      "links": {
        "details": "/api/v1/models/acme/orca/endpoints"
      },
      "name": "Acme: Orca & Co",
      "per_request_limits": null,
      "pricing": {
        "completion": "0.000002",
        "image": "0",
        "input_cache_read": "0.0000001",
        "overrides": [
          {
            "min_prompt_tokens": 16000,
            "prompt": "0.000003"
          }
        ],
        "prompt": "0.000001",
        "request": "0"
      },
      "supported_voices": null,
      "top_provider": {
        "context_length": 32768,
        "is_moderated": false,
        "max_completion_tokens": 4096
      }
    }
    "#);
}

#[tokio::test]
async fn the_endpoints_of_a_model_are_listed_in_order() {
    let model = json(&labs(), "/models/acme/orca:nitro/endpoints").await;
    let tags: Vec<&str> = model["data"]["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| endpoint["tag"].as_str().unwrap())
        .collect();
    assert_eq!(tags, ["lab-a/fp8", "lab-b"]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&model["data"]["endpoints"][0]).unwrap(), @r#"
    {
      "context_length": 32768,
      "latency_last_30m": null,
      "max_completion_tokens": 4096,
      "max_prompt_tokens": null,
      "model_id": "acme/orca",
      "model_name": "Acme: Orca & Co",
      "name": "Lab A | acme/orca",
      "pricing": {
        "completion": "0.000002",
        "discount": 0,
        "image": "0",
        "input_cache_read": "0.0000001",
        "overrides": [
          {
            "min_prompt_tokens": 16000,
            "prompt": "0.000003"
          }
        ],
        "prompt": "0.000001",
        "request": "0"
      },
      "provider_name": "Lab A",
      "quantization": "fp8",
      "status": 0,
      "supported_parameters": [
        "max_tokens",
        "tools"
      ],
      "supports_implicit_caching": true,
      "tag": "lab-a/fp8",
      "throughput_last_30m": null,
      "uptime_last_1d": null,
      "uptime_last_30m": null,
      "uptime_last_5m": null
    }
    "#);
}

#[tokio::test]
async fn the_list_is_of_text_models_that_can_be_served() {
    let routes = labs();
    assert_eq!(
        ids(&routes, "").await,
        ["acme/minnow", "acme/orca", "turnpike/echo"]
    );
    assert_eq!(
        ids(&routes, "?output_modalities=embeddings").await,
        ["acme/embed"]
    );
    assert_eq!(ids(&routes, "?output_modalities=all").await.len(), 4);
    assert_eq!(json(&routes, "/models/count").await["data"]["count"], 3);
    assert_eq!(
        json(&routes, "/models/count?output_modalities=all").await["data"]["count"],
        4
    );
    assert_eq!(
        json(&routes, "/embeddings/models").await["data"][0]["id"],
        "acme/embed"
    );
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let routes = labs();
    let orca = ["acme/orca"].as_slice();
    for (query, expect) in [
        ("?q=ORCA", orca),
        ("?q=acme%20co", orca),
        (
            "?supported_parameters=tools,max_tokens&model_authors=acme",
            orca,
        ),
        ("?input_modalities=image", orca),
        ("?context=10000&model_authors=acme", orca),
        ("?min_price=0.5", orca),
        ("?min_output_price=2", orca),
        ("?min_price=1.000001", &[]),
        ("?max_price=0.1&model_authors=acme", &["acme/minnow"]),
        ("?providers=lab-b", orca),
        ("?providers=Lab%20B", orca),
        ("?zdr=true&model_authors=acme", orca),
        ("?region=us", orca),
        ("?region=eu", &["acme/minnow", "acme/orca"]),
        ("?arch=gpt", &[]),
        ("?distillable=true", &[]),
        ("?min_coding_index=0.5", &[]),
        (
            "?category=programming&model_authors=acme",
            &["acme/minnow", "acme/orca"],
        ),
        ("?min_age_days=100000", &[]),
        (
            "?max_price=",
            &["acme/minnow", "acme/orca", "turnpike/echo"],
        ),
    ] {
        assert_eq!(ids(&routes, query).await, expect, "{query}");
    }
}

#[tokio::test]
async fn sorts_order_the_list_and_missing_data_goes_last() {
    let routes = labs();
    for (sort, expect) in [
        ("newest", ["turnpike/echo", "acme/minnow", "acme/orca"]),
        (
            "pricing-low-to-high",
            ["turnpike/echo", "acme/minnow", "acme/orca"],
        ),
        (
            "pricing-high-to-low",
            ["acme/orca", "acme/minnow", "turnpike/echo"],
        ),
        (
            "context-high-to-low",
            ["turnpike/echo", "acme/orca", "acme/minnow"],
        ),
        (
            "most-popular",
            ["acme/minnow", "acme/orca", "turnpike/echo"],
        ),
    ] {
        assert_eq!(
            ids(&routes, &format!("?sort={sort}")).await,
            expect,
            "{sort}"
        );
    }
}

#[tokio::test]
async fn pages_are_opt_in_and_lead_to_the_next() {
    let routes = labs();
    let whole = json(&routes, "/models").await;
    assert_eq!(
        (&whole["links"]["next"], &whole["total_count"]),
        (&Value::Null, &3.into())
    );
    let first = json(&routes, "/models?limit=2&q=e&offset=0").await;
    assert_eq!(
        (
            first["data"].as_array().unwrap().len(),
            &first["total_count"]
        ),
        (2, &3.into())
    );
    assert_eq!(first["links"]["next"], "/models?q=e&offset=2&limit=2");
    let last = json(&routes, first["links"]["next"].as_str().unwrap()).await;
    assert_eq!(
        (
            last["data"].as_array().unwrap().len(),
            &last["links"]["next"]
        ),
        (1, &Value::Null)
    );
    assert_eq!(
        json(&routes, "/models?offset=99").await["data"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn wrong_parameters_are_refused_by_name() {
    for (query, fragment) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("offset=-1", "offset"),
        ("sort=best", "sort"),
        ("min_price=cheap", "min_price"),
        ("max_price=-1", "max_price"),
        ("region=mars", "region"),
        ("category=cooking", "category"),
    ] {
        let (status, _, body) = answer(&labs(), &format!("/models?{query}"), &[]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert!(body.contains(fragment), "{query}: {body}");
    }
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_again() {
    let routes = labs();
    let (_, headers, _) = answer(&routes, "/models", &[]).await;
    let etag = headers[ETAG].to_str().unwrap();
    for tags in [
        etag.to_owned(),
        format!("\"other\", W/{etag}"),
        "*".to_owned(),
    ] {
        let (status, headers, body) = answer(&routes, "/models", &[("if-none-match", &tags)]).await;
        assert_eq!(
            (status, headers[ETAG].to_str().unwrap(), body.as_str()),
            (StatusCode::NOT_MODIFIED, etag, "")
        );
    }
    assert_eq!(
        answer(&routes, "/models", &[("if-none-match", "\"other\"")])
            .await
            .0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_model_nobody_serves_says_which_variable_to_set() {
    let (status, _, body) = answer(&labs(), "/model/openai/gpt-4o", &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("OPENAI_API_KEY"), "{body}");
    for path in [
        "/model/acme/whale",
        "/models/acme/whale/endpoints",
        "/model/acme/orca:turbo",
    ] {
        assert_eq!(
            answer(&labs(), path, &[]).await.0,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn providers_are_those_that_serve() {
    let providers = json(&labs(), "/providers").await;
    let slugs: Vec<&str> = providers["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|provider| provider["slug"].as_str().unwrap())
        .collect();
    assert_eq!(slugs, ["lab-a", "lab-b", "turnpike"]);
    let zdr = json(&labs(), "/endpoints/zdr").await;
    let tags: Vec<&str> = zdr["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| endpoint["tag"].as_str().unwrap())
        .collect();
    assert_eq!(tags, ["lab-a/fp8", "turnpike"]);
    assert_eq!(
        json(&labs(), "/parameters/acme/orca").await["data"]["supported_parameters"][0],
        "frequency_penalty"
    );
}

#[tokio::test]
async fn the_list_is_a_feed_when_asked() {
    let (status, headers, body) = answer(
        &labs(),
        "/models?use_rss=true&model_authors=acme",
        &[("host", "gateway.example"), ("x-forwarded-proto", "https")],
    )
    .await;
    assert_eq!(
        (status, headers[CONTENT_TYPE].to_str().unwrap()),
        (StatusCode::OK, "application/rss+xml; charset=utf-8")
    );
    insta::assert_snapshot!(body, @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <rss version="2.0"><channel><title>Models</title><link>https://gateway.example/models</link><description>Models this gateway serves</description>
    <item><title>acme/minnow</title><link>https://gateway.example/models/acme/minnow</link><guid isPermaLink="false">acme/minnow</guid><description>acme/minnow</description><pubDate>Thu, 09 Oct 2025 08:53:20 +0000</pubDate></item>
    <item><title>Acme: Orca &amp; Co</title><link>https://gateway.example/models/acme/orca</link><guid isPermaLink="false">acme/orca</guid><description>Acme: Orca &amp; Co</description><pubDate>Sun, 15 Jun 2025 15:06:40 +0000</pubDate></item>
    </channel></rss>
    "#);
    let (_, _, body) = answer(
        &labs(),
        "/models?use_rss=1&use_rss_chat_links=1",
        &[("host", "evil\"><x>")],
    )
    .await;
    assert!(
        body.contains("<link>http://localhost/chat?models=acme/orca</link>"),
        "{body}"
    );
}
