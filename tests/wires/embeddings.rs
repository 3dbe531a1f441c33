//! Recorded embeddings through the wires that make them: each vector as it was recorded, in the encoding that was asked
//! for.

use std::sync::Arc;

use serde_json::{Value, json};
use turnpike::catalog::snapshot::Target;
use turnpike::domain::call::{Call, Form, Origin};
use turnpike::domain::json::JsonObject;
use turnpike::wire::quirks::Quirks;
use turnpike::wire::{WireName, wire};

use super::expected::openai;
use super::recordings::{Recording, are_the_fixtures, recordings};
use super::requests::data_url;
use super::requests::gemini::camel;

const APIS: [&str; 3] = [
    "openai-embeddings",
    "mistral-embeddings",
    "voyage-embeddings",
];

fn all() -> Vec<Recording> {
    APIS.iter().flat_map(|api| recordings(api)).collect()
}

fn call(recording: &Recording) -> Call {
    call_of(&recording.request.body)
}

fn call_of(body: &Value) -> Call {
    Call {
        form: Form::Embeddings,
        body: JsonObject::parse(body.to_string().into()).unwrap(),
        model: None,
        models: Vec::new(),
        stream: false,
        max_tokens: Some(0),
        choices: 1,
        provider: None,
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
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

/// A recording of Google's, with its request told as callers tell it.
struct Googles {
    recording: Recording,
    call: Call,
    target: Target,
}

fn googles() -> Vec<Googles> {
    let told = |recording: Recording| {
        let body = camel(&recording.request.body);
        let requests = body["requests"].as_array().cloned();
        let requests = requests.unwrap_or_else(|| vec![body]);
        let inputs: Vec<Value> = requests.iter().map(input).collect();
        let told = json!({
            "input": inputs, "dimensions": requests[0]["outputDimensionality"],
            "input_type": (requests[0]["taskType"] == "RETRIEVAL_QUERY").then_some("search_query"),
        });
        let wire = match recording.provider.as_str() {
            "vertex" => WireName::Vertex,
            _ => WireName::Gemini,
        };
        Googles {
            call: Call {
                body: JsonObject::parse(told.to_string().into()).unwrap(),
                ..call(&recording)
            },
            target: Target {
                wire,
                upstream_model: recording.model.clone().unwrap(),
                ..target(&recording)
            },
            recording,
        }
    };
    recordings("gemini-embed").into_iter().map(told).collect()
}

/// A text alone, or parts.
fn input(request: &Value) -> Value {
    let parts = request["content"]["parts"].as_array().unwrap();
    if let [only] = &parts[..] {
        return only["text"].clone();
    }
    let part = |part: &Value| match part["text"].as_str() {
        Some(text) => json!({"type": "text", "text": text}),
        None => {
            let blob = &part["inlineData"];
            json!({"type": "image_url", "image_url": {"url": data_url(&blob["mimeType"], &blob["data"])}})
        }
    };
    json!({"content": parts.iter().map(part).collect::<Vec<_>>()})
}

#[test]
fn googles_are_asked_as_their_own_clients_ask_and_answer_what_was_recorded() {
    let mut replayed = 0;
    for Googles {
        recording,
        call,
        target,
    } in googles()
    {
        let wire = wire(target.wire).unwrap();
        let sent = wire.encode(&call, &target).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&sent.body).unwrap(),
            camel(&recording.request.body),
            "{}",
            recording.name
        );
        let path = recording.request.path.as_str();
        assert!(path.ends_with(&sent.path), "{path} {}", sent.path);
        if !recording.succeeded() {
            let status = recording.response.status;
            let fault = wire.fault(status, &http::HeaderMap::new(), &recording.body());
            let error = &recording.response.body["error"];
            assert_eq!(
                (json!(fault.message), json!(fault.code)),
                (error["message"].clone(), error["status"].clone())
            );
            continue;
        }
        let reply = wire
            .decode(&call, &target, &recording.body().into())
            .unwrap();
        let answer = &recording.response.body;
        let one = std::slice::from_ref(&answer["embedding"]);
        let expect = answer["embeddings"].as_array().map_or(one, Vec::as_slice);
        let vectors: Vec<Value> = reply
            .vectors
            .iter()
            .map(|raw| raw.parse().unwrap())
            .collect();
        let expect: Vec<Value> = expect
            .iter()
            .map(|vector| vector["values"].clone())
            .collect();
        assert_eq!(vectors, expect, "{}", recording.name);
        assert_eq!(
            reply.usage.map(|tokens| tokens.prompt),
            answer["usageMetadata"]["promptTokenCount"].as_u64(),
        );
        replayed += 1;
    }
    assert!(!are_the_fixtures() || replayed == 4, "{replayed}");
}

/// The older models at Vertex AI take many texts at once, under other names.
#[test]
fn vertex_predicts_for_its_older_models() {
    let recording = recordings("openai-embeddings").remove(0);
    let told = json!({"input": ["a", {"content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}],
        "dimensions": 8, "input_type": "document", "encoding_format": "base64"});
    let call = Call {
        body: JsonObject::parse(told.to_string().into()).unwrap(),
        ..call(&recording)
    };
    let target = Target {
        wire: WireName::Vertex,
        upstream_model: "text-embedding-005".to_owned(),
        ..target(&recording)
    };
    let wire = wire(target.wire).unwrap();
    let sent = wire.encode(&call, &target).unwrap();
    assert_eq!(
        sent.path,
        "/publishers/google/models/text-embedding-005:predict"
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&sent.body).unwrap(),
        json!({"instances": [{"content": "a", "task_type": "RETRIEVAL_DOCUMENT"}, {"content": "b\nc", "task_type": "RETRIEVAL_DOCUMENT"}],
            "parameters": {"outputDimensionality": 8}})
    );
    let vector = |tokens: u64| json!({"embeddings": {"values": [0.5, -2.0], "statistics": {"token_count": tokens, "truncated": false}}});
    let answer = json!({"predictions": [vector(3), vector(4)]});
    let reply = wire
        .decode(&call, &target, &answer.to_string().into())
        .unwrap();
    assert_eq!(reply.usage.map(|tokens| tokens.prompt), Some(7));
    let vectors: Vec<&str> = reply.vectors.iter().map(|raw| raw.as_str()).collect();
    assert_eq!(vectors, ["\"AAAAPwAAAMA=\"", "\"AAAAPwAAAMA=\""]);
    let refused = |input: Value, model: &str| {
        let told = json!({"input": input});
        let call = Call {
            body: JsonObject::parse(told.to_string().into()).unwrap(),
            ..call.clone()
        };
        let target = Target {
            upstream_model: model.to_owned(),
            ..target.clone()
        };
        wire.encode(&call, &target).unwrap_err().to_string()
    };
    assert_eq!(
        refused(json!([1, 2]), "text-embedding-005"),
        "this endpoint embeds no token ids"
    );
    assert_eq!(
        refused(json!(["a", "b"]), "gemini-embedding-2"),
        "this endpoint embeds one input at a time"
    );
}

/// A request of Cohere's in the form that the gateway takes.
fn told(recorded: &Value) -> Value {
    let image =
        |url: &Value| json!({"content": [{"type": "image_url", "image_url": {"url": url}}]});
    let input = match &recorded["images"] {
        Value::Array(urls) => urls.iter().map(image).collect(),
        _ => recorded["texts"].clone(),
    };
    json!({
        "input": input, "dimensions": recorded["output_dimension"], "input_type": recorded["input_type"],
    })
}

#[test]
fn coheres_requests_and_vectors_are_those_that_were_recorded() {
    let wire = wire(WireName::Cohere).unwrap();
    let mut replayed = 0;
    for recording in &recordings("cohere-embed") {
        let (recorded, body) = (&recording.request.body, recording.body());
        let call = call_of(&told(recorded));
        let mut target = target(recording);
        target.upstream_model = recorded["model"].as_str().unwrap().to_owned();
        if !recording.succeeded() {
            let fault = wire.fault(recording.response.status, &http::HeaderMap::new(), &body);
            assert_eq!(recording.response.body["message"], fault.message);
            continue;
        }
        let encoded = wire.encode(&call, &target).unwrap();
        assert_eq!(encoded.path, "/embed");
        let sent: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!(&sent, recorded, "{}", recording.name);
        let reply = wire.decode(&call, &target, &body.into()).unwrap();
        let answer = &recording.response.body;
        let vectors = reply.vectors.iter().map(|vector| vector.parse().unwrap());
        let vectors: Vec<Value> = vectors.collect();
        assert_eq!(answer["embeddings"]["float"], json!(vectors));
        let billed = &answer["meta"]["billed_units"]["input_tokens"];
        assert_eq!(reply.usage.map(|tokens| tokens.prompt), billed.as_u64());
        replayed += 1;
    }
    assert!(!are_the_fixtures() || replayed == 2, "{replayed}");
}
