//! The catalogue as a whole: what the built-in one holds, and what overlays and tables make of it.

use std::fs;

use super::snapshot::{Auth, Lack, Model};
use super::*;
use crate::domain::money::Picos;
use crate::wire::WireName;
use crate::wire::quirks::MaxTokensName;

/// Every variable is set.
fn all_keys() -> Environment {
    Environment::from_fn(|_| Some("value".to_owned()))
}

fn keys(names: &'static [&'static str]) -> Environment {
    Environment::from_fn(|name| names.contains(&name).then(|| "value".to_owned()))
}

fn source(environment: Environment, config: &str) -> CatalogSource {
    let mut tables: toml::Table = toml::from_str(config).unwrap();
    let providers = tables
        .remove("providers")
        .map(|tables| tables.try_into().unwrap())
        .unwrap_or_default();
    CatalogSource {
        providers,
        environment,
        ..CatalogSource::built_in()
    }
}

#[track_caller]
fn load(environment: Environment, config: &str) -> Catalog {
    Catalog::load(source(environment, config)).unwrap()
}

#[track_caller]
fn refused(config: &str) -> Vec<String> {
    let error = Catalog::load(source(keys(&[]), config)).unwrap_err();
    error.problems.iter().map(ToString::to_string).collect()
}

fn tags(model: &Model) -> Vec<&str> {
    model
        .endpoints
        .iter()
        .map(|endpoint| endpoint.tag.as_str())
        .collect()
}

#[test]
fn with_all_keys_the_openai_wire_alone_serves_most_models() {
    let catalog = load(all_keys(), "");
    let snapshot = catalog.snapshot();
    let on_openai = |model: &&Arc<Model>| {
        model
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.target.wire == WireName::Openai)
            .count()
    };
    let counts: Vec<usize> = snapshot
        .models
        .iter()
        .map(|model| on_openai(&model))
        .collect();
    let served = counts.iter().filter(|&&count| count >= 1).count();
    let with_fallback = counts.iter().filter(|&&count| count >= 2).count();
    println!(
        "{} served, {with_fallback} with a fallback, of {}; {}",
        served,
        counts.len(),
        Summary::of(&snapshot)
    );
    assert!(served >= 450, "{served}");
    assert!(with_fallback >= 230, "{with_fallback}");
}

#[test]
fn with_all_keys_nearly_every_model_is_served_and_half_of_them_twice() {
    let snapshot = load(all_keys(), "").snapshot();
    let summary = Summary::of(&snapshot);
    let models = snapshot.models.iter();
    let with_fallback = models.filter(|model| model.endpoints.len() >= 2).count();
    assert!(summary.models >= 500, "{summary}");
    assert!(summary.providers >= 100, "{summary}");
    assert!(with_fallback >= 270, "{with_fallback}");
}

#[test]
fn without_keys_only_the_built_in_model_is_served_and_the_rest_says_what_it_lacks() {
    let snapshot = load(keys(&[]), "").snapshot();
    let served: Vec<&str> = snapshot
        .models
        .iter()
        .filter(|model| !model.endpoints.is_empty())
        .map(|model| model.id.as_str())
        .collect();
    assert_eq!(served, ["turnpike/echo"]);
    let echo = &snapshot.model("turnpike/echo").unwrap().endpoints[0];
    assert_eq!(echo.provider.base_url, "internal:echo");
    assert!(matches!(echo.provider.auth, Auth::None));
    assert_eq!(echo.pricing.base, snapshot::Prices::default());
    for endpoint in snapshot.models.iter().flat_map(|model| &model.disabled) {
        assert!(endpoint.lacks.is_some(), "{endpoint:?}");
    }
    assert_eq!(
        snapshot.model("openai/gpt-4o").unwrap().disabled[0]
            .provider
            .lacks
            .as_deref(),
        Some("OPENAI_API_KEY")
    );
}

#[test]
fn a_key_enables_its_provider_and_an_account_setting_is_asked_for_too() {
    let snapshot = load(
        keys(&[
            "OPENAI_API_KEY",
            "AZURE_API_KEY",
            "GOOGLE_API_KEY",
            "WATSONX_AI_APIKEY",
        ]),
        "",
    )
    .snapshot();
    let provider = |slug: &str| &snapshot.providers[&crate::domain::ids::ProviderSlug::from(slug)];
    assert!(matches!(&provider("openai").auth, Auth::Bearer(secret) if secret.expose() == "value"));
    assert_eq!(provider("openai").lacks, None);
    assert_eq!(
        provider("azure").lacks.as_deref(),
        Some("AZURE_RESOURCE_NAME")
    );
    // Any of several variables will do.
    assert_eq!(provider("google-ai-studio").lacks, None);
    assert_eq!(tags(snapshot.model("openai/gpt-4o").unwrap()), ["openai"]);
    let responses_only = snapshot.model("openai/gpt-5-pro").unwrap();
    assert_eq!(responses_only.endpoints[0].target.wire, WireName::Responses);
}

#[test]
fn a_wire_that_is_not_spoken_gives_way_to_the_compatible_address() {
    let folder = tempfile::tempdir().unwrap();
    let row = r#"{"slug": "lab", "name": "Lab", "wire": "replicate", "base_url": "http://127.0.0.1:1/own",
        "compatible_base_url": "http://127.0.0.1:1/v1", "api_key": {"env": ["LAB_KEY"], "header": "x-lab-key"}}"#;
    fs::write(folder.path().join("providers.jsonl"), row.replace('\n', "")).unwrap();
    let catalog = Catalog::load(CatalogSource {
        overlay: Some(folder.path().to_owned()),
        ..source(all_keys(), "")
    })
    .unwrap();
    let lab = &catalog.snapshot().providers[&crate::domain::ids::ProviderSlug::from("lab")];
    assert_eq!(
        (lab.wire, lab.base_url.as_str()),
        (WireName::Openai, "http://127.0.0.1:1/v1")
    );
    assert!(matches!(lab.auth, Auth::Bearer(_)));
}

#[test]
fn a_location_tells_the_host_of_vertex() {
    let variables = |location: &'static str| {
        Environment::from_fn(move |name| {
            let value = match name {
                "GOOGLE_APPLICATION_CREDENTIALS" => "ya29.token",
                "GOOGLE_VERTEX_PROJECT" => "mine",
                "GOOGLE_VERTEX_LOCATION" => location,
                _ => return None,
            };
            Some(value.to_owned())
        })
    };
    let vertex = |environment: Environment| {
        let snapshot = load(environment, "").snapshot();
        Arc::clone(&snapshot.providers[&crate::domain::ids::ProviderSlug::from("google-vertex")])
    };
    let regional = vertex(variables("europe-west4"));
    assert_eq!(
        regional.base_url,
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/mine/locations/europe-west4"
    );
    assert!(matches!(&regional.auth, Auth::Bearer(token) if token.expose() == "ya29.token"));
    assert_eq!(
        vertex(variables("global")).base_url,
        "https://aiplatform.googleapis.com/v1/projects/mine/locations/global"
    );
    let bare = vertex(keys(&["GOOGLE_APPLICATION_CREDENTIALS"]));
    assert_eq!(
        bare.lacks.as_deref(),
        Some("GOOGLE_VERTEX_LOCATION and GOOGLE_VERTEX_PROJECT")
    );
    let snapshot = load(variables("global"), "").snapshot();
    let wire = |model: &str| {
        let endpoints = &snapshot.model(model).unwrap().endpoints;
        endpoints.iter().map(|endpoint| endpoint.target.wire).next()
    };
    assert_eq!(wire("google/gemini-2.5-pro"), Some(WireName::Vertex));
    assert_eq!(
        wire("anthropic/claude-haiku-5.5"),
        Some(WireName::VertexAnthropic)
    );
    assert_eq!(wire("z-ai/glm-5.2"), Some(WireName::VertexOpenai));
}

#[test]
fn quirks_come_from_data() {
    let snapshot = load(all_keys(), "").snapshot();
    let quirks = |model: &str, tag: &str| {
        let model = snapshot.model(model).unwrap();
        let endpoint = model
            .endpoints
            .iter()
            .find(|endpoint| endpoint.tag.as_str() == tag)
            .unwrap();
        (
            endpoint.target.quirks.as_ref().clone(),
            endpoint.supported_parameters.clone(),
            endpoint.target.unsupported_parameters.clone(),
        )
    };
    let (openai, supported, unsupported) = quirks("openai/gpt-5", "openai");
    assert_eq!(
        openai.max_tokens_name,
        Some(MaxTokensName::MaxCompletionTokens)
    );
    assert!(!openai.developer_as_system);
    assert!(openai.refuses.contains(&"stop".to_owned()));
    assert!(
        supported.contains(&"reasoning".to_owned())
            && !supported.contains(&"temperature".to_owned())
    );
    assert!(unsupported.contains(&"temperature".to_owned()));
    let (xai, ..) = quirks("x-ai/grok-4.5", "xai");
    assert!(xai.reasoning_apart && xai.developer_as_system && !xai.text_completions);
    assert_eq!(xai.max_tokens_name, Some(MaxTokensName::MaxTokens));
    let cancels =
        |slug: &str| snapshot.providers[&crate::domain::ids::ProviderSlug::from(slug)].cancels;
    assert!(cancels("openai") && cancels("together") && cancels("turnpike"));
    assert!(!cancels("groq") && !cancels("mistral") && !cancels("nebius"));
}

const TWO_LABS: &str = r#"
    [[providers]]
    slug = "lab-a"
    name = "Lab A"
    wire = "openai"
    base_url = "http://127.0.0.1:9101/v1/"
    api_key = { env = "LAB_A_KEY" }
    headers = { "x-region" = "eu" }
    timeouts = { first_token = 2.5 }
    quirks = { max_tokens_name = "max_tokens", text_completions = false }
    cancels = false

    [[providers.models]]
    id = "acme/orca"
    name = "Acme: Orca"
    upstream_model = "orca-large"
    input_modalities = ["text", "image"]
    output_modalities = ["text"]
    context_length = 32768
    max_output_tokens = 4096
    quantization = "fp8"
    pricing = { prompt = "0.000001", completion = "0.000002", cache_read = "0.0000001", request = "0" }
    supported_parameters = ["tools", "tool_choice", "response_format", "max_tokens", "temperature"]
    data_policy = { training = false, retains_prompts = false }

    [[providers]]
    slug = "lab-b"
    base_url = "http://127.0.0.1:9102/v1"
    [[providers.models]]
    id = "acme/orca"
    [[providers.models]]
    id = "acme/embed"
    type = "embedding"
"#;

#[test]
fn an_operators_providers_make_one_model_with_endpoints_in_the_order_written() {
    let snapshot = load(keys(&["LAB_A_KEY"]), TWO_LABS).snapshot();
    let orca = snapshot.model("acme/orca").unwrap();
    assert_eq!(
        (
            orca.name.as_str(),
            orca.author.as_str(),
            orca.context_length
        ),
        ("Acme: Orca", "acme", Some(32_768))
    );
    assert_eq!(tags(orca), ["lab-a/fp8", "lab-b"]);
    let [first, second] = &orca.endpoints[..] else {
        panic!("{orca:?}")
    };
    assert_eq!(first.pricing.base.prompt, Picos(1_000_000));
    assert_eq!(&*first.pricing.source, "config");
    assert_eq!(
        first.supported_parameters,
        [
            "max_tokens",
            "response_format",
            "temperature",
            "tool_choice",
            "tools"
        ]
    );
    assert_eq!(first.data_policy.retains_prompts, Some(false));
    let lab_a = &first.provider;
    assert_eq!(
        (&*lab_a.name, lab_a.base_url.as_str(), lab_a.cancels),
        ("Lab A", "http://127.0.0.1:9101/v1", false)
    );
    assert_eq!(lab_a.headers[0].0, "x-region");
    assert_eq!(
        lab_a.timeouts.first_token,
        std::time::Duration::from_millis(2_500)
    );
    assert_eq!(lab_a.timeouts.idle, Timeouts::default().idle);
    assert!(!first.target.quirks.text_completions && second.target.quirks.text_completions);
    assert_eq!(second.target.upstream_model, "acme/orca");
    assert!(matches!(second.provider.auth, Auth::None));
    assert_eq!(
        snapshot.model("acme/embed").unwrap().kind,
        snapshot::ModelKind::Embedding
    );
    assert_eq!(
        snapshot.model("acme/embed").unwrap().output_modalities,
        ["embeddings"]
    );

    let snapshot = load(keys(&[]), TWO_LABS).snapshot();
    let orca = snapshot.model("acme/orca").unwrap();
    assert_eq!(tags(orca), ["lab-b"]);
    assert_eq!(
        orca.disabled[0].lacks,
        Some(Lack::Variable("LAB_A_KEY".into()))
    );
}

#[test]
fn a_catalogue_provider_is_changed_where_the_operator_says_so() {
    let config = r#"
        [[providers]]
        slug = "groq"
        base_url = "http://127.0.0.1:9103/v1"
        [[providers.models]]
        id = "openai/gpt-oss-120b"
        context_length = 1000
        [[providers.models]]
        id = "acme/new"
        pricing = { prompt = "0.000001", completion = "0.000001" }
    "#;
    let before = load(keys(&["GROQ_API_KEY"]), "").snapshot();
    let after = load(keys(&["GROQ_API_KEY"]), config).snapshot();
    let groq =
        |snapshot: &Snapshot, id: &str| Arc::clone(&snapshot.model(id).unwrap().endpoints[0]);
    let (old, new) = (
        groq(&before, "openai/gpt-oss-120b"),
        groq(&after, "openai/gpt-oss-120b"),
    );
    assert_eq!(new.provider.base_url, "http://127.0.0.1:9103/v1");
    assert!(matches!(new.provider.auth, Auth::Bearer(_)));
    assert_eq!(
        (new.context_length, &new.target.upstream_model),
        (Some(1_000), &old.target.upstream_model)
    );
    assert_eq!(new.pricing.base, old.pricing.base);
    assert_eq!(new.target.quirks, old.target.quirks);
    assert_eq!(groq(&after, "acme/new").tag.as_str(), "groq");
    let served = |snapshot: &Snapshot| Summary::of(snapshot).models;
    assert_eq!(served(&after), served(&before) + 1);
}

#[test]
fn every_problem_is_in_one_report_with_its_key() {
    let report = refused(
        r#"
        [[providers]]
        slug = "lab-a"
        wire = "opena"
        baseurl = "http://127.0.0.1:9101"
        api_key = {}
        headers = { "bad name" = "x" }
        [[providers.models]]
        id = "orca"
        pricing = { prompt = "0.0000000000001", completion = "-1", cache_raed = "0" }
        quantization = "fp9"
        supported_parameters = ["temprature", "min_tokens"]
        [[providers]]
        slug = "lab-a"
        base_url = "ftp://example"
        models = "all"
        "#,
    );
    insta::assert_snapshot!(report.join("\n"), @r"
    providers[0].wire: `opena` is no wire; did you mean `openai`?
    providers[0].base_url: is missing
    providers[0].api_key: names either a variable (`env`) or a file (`file`)
    providers[0].headers.bad name: invalid HTTP header name
    providers[0].models[0].id: `orca` is not of the form author/slug
    providers[0].models[0].quantization: `fp9` is no quantization; did you mean `fp4`?
    providers[0].models[0].pricing.prompt: more than 12 decimal places
    providers[0].models[0].pricing.completion: a price cannot be negative
    providers[0].models[0].pricing.cache_raed: unknown key; did you mean `cache_read`?
    providers[0].models[0].supported_parameters: unknown parameter `temprature`; did you mean `temperature`?
    providers[0].baseurl: unknown key; did you mean `base_url`?
    providers[1].slug: `lab-a` is written in providers[0] already; put its models together
    providers[1].base_url: `ftp://example` is no http or https address
    providers[1].models: an array of tables is wanted
    ");
}

#[test]
fn the_examples_of_the_readme_are_right() {
    let readme = include_str!("../../config/catalog/README.md");
    let examples: Vec<&str> = readme
        .split("```toml")
        .skip(1)
        .filter_map(|text| text.split("```").next())
        .collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        load(keys(&[]), example);
    }
}

#[test]
fn the_example_of_the_configuration_is_right() {
    let file = include_str!("../../config/turnpike.toml");
    let example = file.split("#    [[providers]]").nth(1).unwrap();
    let example: Vec<&str> = example
        .lines()
        .map(|line| line.trim_start_matches('#'))
        .collect();
    let snapshot = load(
        keys(&["LAB_A_KEY"]),
        &format!("[[providers]]\n{}", example.join("\n")),
    )
    .snapshot();
    assert_eq!(tags(snapshot.model("acme/orca").unwrap()), ["lab-a/fp8"]);
}

#[test]
fn the_same_endpoint_twice_is_refused() {
    let report = refused(
        r#"
        [[providers]]
        slug = "lab"
        base_url = "http://127.0.0.1:9101/v1"
        models = [{ id = "acme/orca" }, { id = "acme/orca" }]
        "#,
    );
    assert_eq!(
        report,
        ["acme/orca has the endpoint `lab` twice; give one a `variant` or a `quantization`"]
    );
}

#[test]
fn an_overlay_wins_by_slug_and_id_and_a_broken_one_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "providers.jsonl",
        r#"{"slug": "lab", "name": "Lab", "wire": "openai", "base_url": "http://127.0.0.1:9101/v1"}"#,
    );
    let models = concat!(
        r#"{"model": "turnpike/echo", "name": "Other Echo"}"#,
        "\n",
        r#"{"endpoint": "lab", "upstream_model": "echo", "pricing": {"prompt": "0.5"}}"#
    );
    write("models.jsonl", models);
    let catalog = Catalog::load(CatalogSource {
        overlay: Some(folder.path().to_owned()),
        ..source(keys(&[]), "")
    })
    .unwrap();
    let kept = catalog.snapshot();
    assert_eq!(tags(kept.model("turnpike/echo").unwrap()), ["lab"]);
    assert_eq!(kept.model("turnpike/echo").unwrap().name, "Other Echo");

    let wrong = r#"{"endpoint": "lba/fp8", "upstream_model": "echo", "pricing": {}}"#;
    write(
        "models.jsonl",
        &format!("{}\n{wrong}", models.replace("\"0.5\"", "0.5")),
    );
    write("quirks.toml", "[labb]");
    write("model.jsonl", "");
    let problems = catalog.reload().unwrap_err().problems;
    let report: Vec<String> = problems
        .iter()
        .map(|problem| {
            problem
                .to_string()
                .replace(&folder.path().display().to_string(), "DIR")
        })
        .collect();
    insta::assert_snapshot!(report.join("\n"), @r"
    DIR/model.jsonl: not a catalogue file; did you mean `models.jsonl`?
    DIR/models.jsonl line 2: invalid type: floating point `0.5`, expected a string at column 71
    quirks.toml: unknown provider `labb`; did you mean `lab`?
    models.jsonl: turnpike/echo: unknown provider `lba`; did you mean `lab`?
    ");
    assert!(Arc::ptr_eq(&kept, &catalog.snapshot()));

    fs::remove_file(folder.path().join("model.jsonl")).unwrap();
    write("quirks.toml", "");
    write("models.jsonl", "");
    assert_eq!(catalog.reload().unwrap().models, 1);
    assert_eq!(
        tags(catalog.snapshot().model("turnpike/echo").unwrap()),
        ["turnpike"]
    );
}

#[test]
fn a_key_file_is_read_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let config = format!(
        "[[providers]]\nslug = \"lab\"\nbase_url = \"http://127.0.0.1:1/v1\"\napi_key = {{ file = {:?}, header = \"x-api-key\" }}",
        file.display().to_string()
    );
    fs::write(&file, "first\n").unwrap();
    let catalog = load(keys(&[]), &config);
    let key = |catalog: &Catalog| match &catalog.snapshot().providers
        [&crate::domain::ids::ProviderSlug::from("lab")]
        .auth
    {
        Auth::Header(name, secret) => format!("{name}: {}", secret.expose()),
        other => panic!("{other:?}"),
    };
    assert_eq!(key(&catalog), "x-api-key: first");
    fs::write(&file, "second").unwrap();
    catalog.reload().unwrap();
    assert_eq!(key(&catalog), "x-api-key: second");
    fs::remove_file(&file).unwrap();
    assert!(catalog.reload().is_err());
    assert_eq!(key(&catalog), "x-api-key: second");
}

#[test]
fn canonical_slugs_name_their_model_and_upstream_names_do_not() {
    let snapshot = load(keys(&[]), "").snapshot();
    assert_eq!(
        snapshot
            .model("anthropic/claude-4.5-haiku-20251001")
            .unwrap()
            .id
            .as_str(),
        "anthropic/claude-haiku-4.5"
    );
    assert!(snapshot.model("claude-haiku-4-5").is_none());
}

#[test]
fn facts_of_the_files_reach_the_snapshot() {
    let snapshot = load(all_keys(), "").snapshot();
    let endpoints = || snapshot.models.iter().flat_map(|model| &model.endpoints);
    let scheduled: Vec<_> = endpoints()
        .filter_map(|endpoint| endpoint.pricing.schedule.clone())
        .collect();
    assert_eq!(scheduled.len(), 3);
    assert!(scheduled.iter().any(|schedule| schedule.weekdays_only
        && schedule.multiplier_ppm == 2_000_000
        && schedule.hours.contains(&(60, 240))));
    let tiered = endpoints()
        .find(|endpoint| !endpoint.pricing.tiers.is_empty())
        .unwrap();
    assert!(tiered.pricing.tiers[0].prices.prompt > tiered.pricing.base.prompt);
    assert!(
        snapshot
            .models
            .windows(2)
            .all(|pair| pair[0].id < pair[1].id)
    );
    let sonnet = snapshot.model("anthropic/claude-sonnet-4.5").unwrap();
    assert!(
        sonnet.reasoning.as_ref().unwrap().budget && !sonnet.reasoning.as_ref().unwrap().mandatory
    );
}
