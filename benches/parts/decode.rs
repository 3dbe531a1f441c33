//! Frames to events: what a chunk of a streamed answer costs in the wires that carry the most traffic.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use serde_json::{Value, json};
use turnpike::catalog::snapshot::Target;
use turnpike::domain::call::{Call, Form, Origin};
use turnpike::domain::json::JsonObject;
use turnpike::wire::quirks::Quirks;
use turnpike::wire::{Frame, WireName, wire};

const CHUNKS: u64 = 1000;

/// A thousand chunks of text in the `openai` and the `anthropic` wire.
pub(crate) fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode a stream");
    group.throughput(Throughput::Elements(CHUNKS));
    for (name, spoken, frames) in [
        ("openai", WireName::Openai, openai()),
        ("anthropic", WireName::Anthropic, anthropic()),
    ] {
        let (call, target) = (call(), target(spoken));
        let wire = wire(spoken).expect("it is spoken");
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || wire.decoder(&call, &target),
                |decoder| {
                    let mut events = Vec::new();
                    for frame in &frames {
                        decoder
                            .frame(frame, &mut events)
                            .expect("the stream is sound");
                        black_box(&events);
                        events.clear();
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Chunks as OpenAI sends them, each with a word of its own.
fn openai() -> Vec<Frame> {
    let chunk = |number| {
        json!({
            "id": "chatcmpl-CcR7sVJfZV5JJ9Kd3nUxNqmPn0qYd", "object": "chat.completion.chunk",
            "created": 1_764_000_000, "model": "gpt-5-mini-2025-08-07", "service_tier": "default",
            "system_fingerprint": null, "obfuscation": "kNq0Xw8",
            "choices": [{"index": 0, "delta": {"content": format!(" word{number}")}, "finish_reason": null}],
            "usage": null,
        })
    };
    (0..CHUNKS)
        .map(|number| frame(None, &chunk(number)))
        .collect()
}

/// Deltas of one text block as Anthropic sends them, after the two events that begin it.
fn anthropic() -> Vec<Frame> {
    let begin = [
        json!({"type": "message_start", "message": {
            "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 25, "output_tokens": 1},
        }}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    let delta = |number| {
        let delta = json!({"type": "text_delta", "text": format!(" word{number}")});
        json!({"type": "content_block_delta", "index": 0, "delta": delta})
    };
    let events = begin.into_iter().chain((0..CHUNKS).map(delta));
    events
        .map(|event| frame(event["type"].as_str(), &event))
        .collect()
}

fn frame(event: Option<&str>, data: &Value) -> Frame {
    Frame {
        event: event.map(str::to_owned),
        data: Bytes::from(data.to_string()),
    }
}

fn call() -> Call {
    let body =
        r#"{"model":"acme/orca","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
    Call {
        form: Form::Chat,
        body: JsonObject::parse(Bytes::from_static(body.as_bytes())).expect("it is JSON"),
        model: Some("acme/orca".to_owned()),
        models: Vec::new(),
        stream: true,
        max_tokens: None,
        choices: 1,
        provider: None,
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
    }
}

fn target(wire: WireName) -> Target {
    Target {
        wire,
        upstream_model: "orca".to_owned(),
        quirks: Arc::new(Quirks::default()),
        unsupported_parameters: Vec::new(),
        max_output_tokens: None,
        reasoning: None,
    }
}
