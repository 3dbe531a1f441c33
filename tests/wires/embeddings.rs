//! Recorded embeddings through the `openai` wire: each vector as it was recorded, in the encoding that was asked for.

use std::sync::Arc;

use serde_json::{Value, json};
use turnpike::catalog::snapshot::Target;
use turnpike::domain::call::{Call, Form, Origin};
use turnpike::domain::json::JsonObject;
use turnpike::wire::quirks::Quirks;
use turnpike::wire::{WireName, wire};

use super::expected::openai;
use super::recordings::{Recording, are_the_fixtures, recordings};

const APIS: [&str; 3] = [
    "openai-embeddings",
    "mistral-embeddings",
    "voyage-embeddings",
];

fn all() -> Vec<Recording> {
    APIS.iter().flat_map(|api| recordings(api)).collect()
}

fn call(recording: &Recording) -> Call {
    Call {
        form: Form::Embeddings,
        body: JsonObject::parse(recording.request.body.to_string().into()).unwrap(),
        model: None,
        models: Vec::new(),
        stream: false,
        max_tokens: Some(0),
        choices: 1,
        provider: None,
        plugins: None,
        origin: Origin::default(),
    }
}

fn target(recording: &Recording) -> Target {
    let quirks = Quirks {
        byte_vectors: recording.provider == "perplexity",
        ..Quirks::default()
    };
    Target {
        wire: WireName::Openai,
        upstream_model: "recorded".to_owned(),
        quirks: Arc::new(quirks),
        unsupported_parameters: Vec::new(),
        max_output_tokens: None,
        reasoning: None,
    }
}

#[test]
fn vectors_are_those_that_were_recorded() {
    let mut replayed = 0;
    for recording in all().iter().filter(|recording| recording.succeeded()) {
        let (call, target) = (call(recording), target(recording));
        let wire = wire(WireName::Openai).unwrap();
        let reply = wire
            .decode(&call, &target, &recording.body().into())
            .unwrap();
        let answer = &recording.response.body;
        let data = answer["data"].as_array().unwrap();
        assert_eq!(reply.vectors.len(), data.len(), "{}", recording.name);
        for (vector, recorded) in reply.vectors.iter().zip(data) {
            let vector: Value = vector.parse().unwrap();
            match recording.provider.as_str() {
                // Two hundred and fifty-six signed bytes in base64 for as many numbers.
                "perplexity" => check_bytes(&vector, recorded["embedding"].as_str().unwrap()),
                _ => assert_eq!(vector, recorded["embedding"], "{}", recording.name),
            }
        }
        let usage = &answer["usage"];
        let tokens = [&usage["prompt_tokens"], &usage["total_tokens"]];
        let expect = tokens.into_iter().find_map(Value::as_u64);
        assert_eq!(
            reply.usage.map(|tokens| tokens.prompt),
            expect,
            "{}",
            recording.name
        );
        assert_eq!(reply.usage.map(|tokens| tokens.completion), Some(0));
        replayed += 1;
    }
    assert!(!are_the_fixtures() || replayed == 7, "{replayed}");
}

fn check_bytes(vector: &Value, recorded: &str) {
    let numbers = vector.as_array().unwrap();
    assert_eq!((recorded.len(), numbers.len()), (344, 256));
    let whole = |number: &Value| {
        number
            .as_f64()
            .is_some_and(|number| number.fract() == 0.0 && (-128.0..=127.0).contains(&number))
    };
    assert!(numbers.iter().all(whole), "{vector}");
}

#[test]
fn errors_are_told_as_the_provider_words_them() {
    let mut replayed = 0;
    for recording in all().iter().filter(|recording| !recording.succeeded()) {
        let wire = wire(WireName::Openai).unwrap();
        let status = recording.response.status;
        let fault = wire.fault(status, &http::HeaderMap::new(), &recording.body());
        let (message, code) = openai::error(recording).unwrap();
        assert_eq!(
            (fault.status, &fault.message, &fault.code),
            (status, &message, &code),
            "{}",
            recording.name
        );
        replayed += 1;
    }
    assert!(!are_the_fixtures() || replayed == 8, "{replayed}");
}

#[test]
fn a_request_is_what_was_recorded_but_for_what_is_said_by_default() {
    for recording in all().iter().filter(|recording| recording.succeeded()) {
        let wire = wire(WireName::Openai).unwrap();
        let encoded = wire.encode(&call(recording), &target(recording)).unwrap();
        let mut expect = recording.request.body.clone();
        let fields = expect.as_object_mut().unwrap();
        fields.retain(|_, value| !value.is_null());
        fields.insert("model".into(), json!("recorded"));
        assert_eq!(
            serde_json::from_slice::<Value>(&encoded.body).unwrap(),
            expect,
            "{}",
            recording.name
        );
    }
}
