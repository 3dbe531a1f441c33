//! Models, endpoints and providers: a small catalogue with everything a configuration can say, and the built-in one
//! whole.

use std::fmt::Write as _;

use serde_json::Value;

use super::held::Held;
use crate::support::client::Http;
use crate::support::server::Server;

pub(super) const ROUTES: &[&str] = &[
    "GET /models",
    "GET /models/count",
    "GET /models/user",
    "GET /models/{author}/{slug}/endpoints",
    "GET /model/{author}/{slug}",
    "GET /parameters/{author}/{slug}",
    "GET /embeddings/models",
    "GET /endpoints/zdr",
    "GET /providers",
];

/// A provider that says all there is to say.
const LAB: &str = r#"
    [[providers]]
    slug = "lab-a"
    name = "Lab A"
    wire = "openai"
    base_url = "http://127.0.0.1:9/v1"
    headquarters = "NO"
    status_page = "https://status.lab-a.example"
    privacy_policy = "https://lab-a.example/privacy"
    terms_of_service = "https://lab-a.example/terms"
    data_policy = { training = false, retains_prompts = false }

    [[providers.models]]
    id = "acme/orca"
    name = "Acme: Orca"
    upstream_model = "orca-large"
    input_modalities = ["text", "image"]
    output_modalities = ["text"]
    context_length = 32768
    max_output_tokens = 4096
    quantization = "fp8"
    pricing = { prompt = "0.000001", completion = "0.000002", cache_read = "0.0000001" }
    tiers = [{ above = 16000, prompt = "0.000002" }]
    supported_parameters = ["tools", "tool_choice", "response_format", "max_tokens", "temperature"]

    [[providers.models]]
    id = "acme/shoal"
    type = "embedding"
"#;

#[tokio::test]
async fn a_configured_catalogue_keeps_the_contract() {
    let server = Server::alone(LAB).await;
    let mut held = Held::default();
    let orca = "acme/orca";
    let cases = [
        ("GET /models", 200, "/models".to_owned()),
        ("GET /models", 200, "/models?limit=1".to_owned()),
        (
            "GET /models",
            200,
            "/models?q=orca&sort=pricing-low-to-high&supported_parameters=tools&max_price=5"
                .to_owned(),
        ),
        (
            "GET /models",
            200,
            "/models?output_modalities=all&providers=lab-a&zdr=true".to_owned(),
        ),
        ("GET /models", 200, "/models?use_rss=true".to_owned()),
        ("GET /models", 400, "/models?limit=-1".to_owned()),
        ("GET /models", 400, "/models?sort=by-mood".to_owned()),
        ("GET /models/count", 200, "/models/count".to_owned()),
        (
            "GET /models/count",
            400,
            "/models/count?min_price=cheap".to_owned(),
        ),
        ("GET /models/user", 200, "/models/user".to_owned()),
        (
            "GET /models/{author}/{slug}/endpoints",
            200,
            format!("/models/{orca}/endpoints"),
        ),
        (
            "GET /models/{author}/{slug}/endpoints",
            404,
            "/models/acme/none/endpoints".to_owned(),
        ),
        ("GET /model/{author}/{slug}", 200, format!("/model/{orca}")),
        (
            "GET /model/{author}/{slug}",
            200,
            format!("/model/{orca}:nitro"),
        ),
        (
            "GET /model/{author}/{slug}",
            404,
            "/model/acme/none".to_owned(),
        ),
        (
            "GET /parameters/{author}/{slug}",
            200,
            format!("/parameters/{orca}"),
        ),
        (
            "GET /parameters/{author}/{slug}",
            404,
            "/parameters/acme/none".to_owned(),
        ),
        (
            "GET /embeddings/models",
            200,
            "/embeddings/models".to_owned(),
        ),
        (
            "GET /embeddings/models",
            400,
            "/embeddings/models?offset=x".to_owned(),
        ),
        ("GET /endpoints/zdr", 200, "/endpoints/zdr".to_owned()),
        ("GET /providers", 200, "/providers".to_owned()),
    ];
    for (route, status, path) in cases {
        held.hold(
            route,
            status,
            server.http.get(&format!("/api/v1{path}")).await,
        );
    }
    let nobody = Http::new(&server.base).get("/api/v1/models/user").await;
    held.hold("GET /models/user", 401, nobody);
    held.finish_having_answered(ROUTES);
    server.stop().await;
}

/// Every provider of the built-in catalogue with a key, so that every model of it is there to be shown.
fn all_providers(key_file: &str) -> String {
    let rows = include_str!("../../config/catalog/providers.jsonl").lines();
    let rows = rows.map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row.get("api_key").is_some())
        .fold(String::new(), |mut config, row| {
            let slug = row["slug"].as_str().unwrap();
            writeln!(
                config,
                "[[providers]]\nslug = \"{slug}\"\napi_key = {{ file = \"{key_file}\" }}"
            )
            .unwrap();
            config
        })
}

#[tokio::test]
async fn the_built_in_catalogue_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "sk-any").unwrap();
    let server = Server::alone(&all_providers(key.to_str().unwrap())).await;
    let mut held = Held::default();
    let models = server
        .http
        .get("/api/v1/models?output_modalities=all")
        .await;
    let models = held.hold("GET /models", 200, models).json();
    let models = models["data"].as_array().unwrap();
    assert!(models.len() > 300, "{}", models.len());
    for model in models {
        let path = format!("/api/v1/models/{}/endpoints", model["id"].as_str().unwrap());
        held.hold(
            "GET /models/{author}/{slug}/endpoints",
            200,
            server.http.get(&path).await,
        );
    }
    held.hold(
        "GET /providers",
        200,
        server.http.get("/api/v1/providers").await,
    );
    held.finish();
    server.stop().await;
}
