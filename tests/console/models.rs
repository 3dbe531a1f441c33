//! The model list as people search it, and models' own pages.

use http::StatusCode;
use serde_json::json;
use turnpike::catalog::snapshot::Lack;
use turnpike::catalog::{Catalog, CatalogSource, Environment};

use crate::support::browser::Browser;
use crate::support::server::Server;
use crate::support::upstream::{Upstream, json_body};

const CATALOGUE: &str = r#"
[[providers]]
slug = "lab-a"
name = "Lab <A>"
wire = "openai"
base_url = "http://127.0.0.1:9/v1"

[[providers.models]]
id = "acme/orca"
name = "Acme: <script>Orca</script>"
input_modalities = ["text", "image"]
output_modalities = ["text"]
context_length = 200000
pricing = { prompt = "0.000001", completion = "0.000004" }
supported_parameters = ["tools", "max_tokens"]

[[providers.models]]
id = "acme/krill"
name = "Acme: Krill"
context_length = 8000
pricing = { prompt = "0", completion = "0" }
supported_parameters = ["max_tokens"]
"#;

#[tokio::test]
async fn the_list_is_searched_and_filtered() {
    let server = Server::alone(CATALOGUE).await;
    let browser = Browser::new(&server.base);
    let check = async |query: &str, orca: bool, krill: bool| {
        let answer = browser.get(&format!("/models{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let page = answer.text();
        let links = |model: &str| page.contains(&format!("href=\"/models/{model}\""));
        assert_eq!(
            (links("acme/orca"), links("acme/krill")),
            (orca, krill),
            "{query}: {page}"
        );
        assert!(!page.contains("<script>Orca"), "{page}");
    };
    check("", true, true).await;
    check("?q=kri+acme", false, true).await;
    check("?takes=image", true, false).await;
    check("?tools=1", true, false).await;
    check("?tools=1&reasoning=1", false, false).await;
    check("?context=128000", true, false).await;
    check("?price=0", false, true).await;
    check("?author=acme&sort=pricing-low-to-high", true, true).await;
    check("?author=turnpike", false, false).await;
    check("?page=9", false, false).await;
    for odd in ["?sort=colour", "?page=x"] {
        let answer = browser.get(&format!("/models{odd}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{odd}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_models_page_says_who_serves_it_and_how_to_call_it() {
    let server = Server::alone(CATALOGUE).await;
    let browser = Browser::new(&server.base);
    let page = browser.get("/models/acme/orca").await.text();
    for words in [
        "Lab &lt;A&gt;",
        "$1.00",
        "$4.00",
        "200K",
        "curl",
        "from openai import OpenAI",
        "import OpenAI from",
        &format!("{}/api/v1", server.base),
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let variant = browser.get("/models/acme/orca:nitro").await;
    assert_eq!(variant.location(), "/models/acme/orca");
    for unknown in ["/models/acme/nothing", "/models/%3Cb%3E/x"] {
        assert_eq!(
            browser.get(unknown).await.status,
            StatusCode::NOT_FOUND,
            "{unknown}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_models_page_says_how_its_endpoints_do() {
    let good = Upstream::answering("One two three four five six").await;
    let bad =
        Upstream::start(|_| json_body(503, &json!({"error": {"message": "sk-secret"}}))).await;
    let pause = "[routing]\npause = \"10m\"\nlongest_pause = \"10m\"\n".to_owned();
    let (good_one, bad_one) = (
        good.provider("lab-a", "0.001", "0.001"),
        bad.provider("lab-b", "0.001", "0.001"),
    );
    let server = Server::alone(&(pause + &good_one + &bad_one)).await;
    for _ in 0..6 {
        let chat = json!({
            "model": "acme/orca", "max_tokens": 50, "stream": true,
            "messages": [{"role": "user", "content": "Go"}],
            "provider": {"order": ["lab-b", "lab-a"]},
        });
        let answer = server.http.post("/api/v1/chat/completions", &chat).await;
        assert!(answer.text().contains("[DONE]"), "{}", answer.text());
    }
    let (_, ann) = server.person("ann@example.com", true).await;
    let page = ann.get("/models/acme/orca").await.text();
    // Six of six, and as many as it took to leave the other alone.
    for words in [
        "100%",
        "of 6",
        "0%",
        "resting",
        "First token",
        "/s",
        "Tool calls",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let visitors = Browser::new(&server.base).get("/models/acme/orca").await;
    let visitors = visitors.text();
    assert!(
        visitors.contains("100%") && !visitors.contains("First token"),
        "{visitors}"
    );
    let providers = ann.get("/admin/providers").await.text();
    for words in [
        "an error (503)",
        "just now",
        "href=\"/models/acme/orca\"",
        "100%",
    ] {
        assert!(providers.contains(words), "{words}: {providers}");
    }
    assert!(
        !providers.contains("sk-secret"),
        "a provider's words stay out"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_model_without_a_provider_says_what_it_lacks() {
    let server = Server::alone("").await;
    let source = CatalogSource {
        environment: Environment::from_fn(|_| None),
        ..CatalogSource::built_in()
    };
    let snapshot = Catalog::load(source).unwrap().snapshot();
    let lacking = snapshot.models.iter().find(|model| {
        let lack = |lack: &Option<Lack>| matches!(lack, Some(Lack::Variable(_)));
        model.endpoints.is_empty() && model.disabled.iter().any(|endpoint| lack(&endpoint.lacks))
    });
    let page = format!("/models/{}", lacking.unwrap().id);
    let page = Browser::new(&server.base).get(&page).await.text();
    assert!(page.contains("is not set"), "{page}");
    server.stop().await;
}
