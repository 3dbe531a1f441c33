//! Frames to events: what a chunk of a streamed answer costs in the wires that carry the most traffic.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use serde_json::Value;
use turnpike::catalog::snapshot::Target;
use turnpike::domain::call::{Call, Form, Origin, Spoken, Verbatim};
use turnpike::domain::json::JsonObject;
use turnpike::wire::quirks::Quirks;
use turnpike::wire::{Frame, WireName, wire};

use crate::samples::{self, CHUNKS};

/// A thousand chunks of text in each wire.
pub(crate) fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode a stream");
    group.throughput(Throughput::Elements(CHUNKS));
    for (name, spoken, sample) in [
        ("openai", WireName::Openai, samples::openai()),
        ("anthropic", WireName::Anthropic, samples::anthropic()),
        ("responses", WireName::Responses, samples::responses()),
    ] {
        let frames: Vec<Frame> = sample
            .begin
            .iter()
            .chain(&sample.pieces)
            .map(frame)
            .collect();
        let (call, target) = (call(None), target(spoken));
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

fn frame(event: &Value) -> Frame {
    Frame {
        event: event["type"].as_str().map(str::to_owned),
        data: Bytes::from(event.to_string()),
    }
}

/// A call, which its client wrote in this form.
pub(crate) fn call(form: Option<Spoken>) -> Call {
    let body =
        r#"{"model":"acme/orca","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
    let body = JsonObject::parse(Bytes::from_static(body.as_bytes())).expect("it is JSON");
    Call {
        form: Form::Chat,
        body: body.clone(),
        model: Some("acme/orca".to_owned()),
        models: Vec::new(),
        stream: true,
        max_tokens: None,
        choices: 1,
        provider: None,
        plugins: None,
        origin: Origin::default(),
        verbatim: form.map(|form| Verbatim {
            form,
            body: Some(body),
            unsayable: None,
        }),
    }
}

/// An endpoint of this protocol.
pub(crate) fn target(wire: WireName) -> Target {
    Target {
        wire,
        upstream_model: "orca".to_owned(),
        quirks: Arc::new(Quirks::default()),
        unsupported_parameters: Vec::new(),
        max_output_tokens: None,
        reasoning: None,
    }
}
