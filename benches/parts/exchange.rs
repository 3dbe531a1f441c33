//! A chunk's whole way but the sockets: the provider's bytes → frames → events → meter → queue → the client's bytes, for
//! clients of chat completions and for those whose form is the provider's own.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use http::StatusCode;
use http_body::Body as _;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use turnpike::domain::call::{Form, Spoken};
use turnpike::domain::generation::Charge;
use turnpike::domain::ids::{GenerationId, ModelId};
use turnpike::domain::usage::{Tokens, Usage, UsageSource};
use turnpike::echo::{Chunks, EchoResponse};
use turnpike::edge::error::Links;
use turnpike::edge::skins::StreamStyle;
use turnpike::edge::skins::chat::OpenAi;
use turnpike::edge::skins::messages::Messages;
use turnpike::edge::skins::responses::Responses;
use turnpike::edge::sse::{SseBody, StreamSkin};
use turnpike::stream::client::{self, Begun, Delivery, Head, Receipt};
use turnpike::stream::heard::Heard;
use turnpike::stream::meter::Meter;
use turnpike::stream::relay::{self, Ending};
use turnpike::stream::source::EventStream;
use turnpike::transport::{Body, Response};
use turnpike::wire::{WireName, wire};

use crate::decode::{call, target};
use crate::samples::{self, CHUNKS, Sample};

const LONG: Duration = Duration::from_secs(3_600);

/// A thousand chunks, read one at a time.
pub(crate) fn exchange(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exchange");
    group.throughput(Throughput::Elements(CHUNKS));
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime starts");
    let mut measure = Measure {
        group: &mut group,
        runtime: &runtime,
    };
    let (openai, anthropic, responses) = (
        pieces(&samples::openai()),
        pieces(&samples::anthropic()),
        pieces(&samples::responses()),
    );
    let chat = || OpenAi::new(Form::Chat);
    measure.one("chat over openai", WireName::Openai, None, &openai, chat);
    measure.one(
        "chat over anthropic",
        WireName::Anthropic,
        None,
        &anthropic,
        chat,
    );
    measure.one(
        "chat over responses",
        WireName::Responses,
        None,
        &responses,
        chat,
    );
    let own = Some(Spoken::Messages);
    let messages = Messages::default;
    measure.one(
        "messages over anthropic",
        WireName::Anthropic,
        own,
        &anthropic,
        messages,
    );
    let own = Some(Spoken::Responses);
    let echoing = || Responses::to(&call(None).body);
    measure.one(
        "responses over responses",
        WireName::Responses,
        own,
        &responses,
        echoing,
    );
    group.finish();
}

struct Measure<'a, 'b> {
    group: &'a mut BenchmarkGroup<'b, WallTime>,
    runtime: &'a Runtime,
}

impl Measure<'_, '_> {
    fn one<S: StreamSkin + Unpin>(
        &mut self,
        name: &str,
        spoken: WireName,
        form: Option<Spoken>,
        pieces: &[Bytes],
        skin: impl Fn() -> S,
    ) {
        let (call, target) = (call(form), target(spoken));
        let wire = wire(spoken).expect("it is spoken");
        self.group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let stream = || {
                    let decoder = wire.decoder(&call, &target);
                    EventStream::new(body(pieces), decoder, LONG, Instant::now() + LONG)
                };
                let told = self
                    .runtime
                    .block_on(async { answered(stream(), skin()).await });
                assert!(told > CHUNKS as usize * 60, "the whole stream arrives");
                black_box(told)
            });
        });
    }
}

/// Each event in a read of its own, as it comes from a provider that is slower than the network.
fn pieces(sample: &Sample) -> Vec<Bytes> {
    let piece = |event: &Value| match (event, event["type"].as_str()) {
        (Value::String(mark), _) => format!("data: {mark}\n\n"),
        (event, Some(kind)) => format!("event: {kind}\ndata: {event}\n\n"),
        (event, None) => format!("data: {event}\n\n"),
    };
    sample.events().map(|event| piece(event).into()).collect()
}

fn body(pieces: &[Bytes]) -> Body {
    let pieces = pieces.to_vec();
    let answer = EchoResponse {
        status: StatusCode::OK,
        content_type: "text/event-stream",
        chunks: Chunks::of(pieces.into_iter()),
    };
    Response::from(answer).body
}

/// Carries an answer from its provider to its client; gives the number of bytes that the client got.
async fn answered<S: StreamSkin + Unpin>(mut stream: EventStream, skin: S) -> usize {
    let (mut client, begun) = client::pair::<()>(false);
    client.stream(head());
    let Ok(Ok(Begun::Stream(head, deliveries))) = begun.await else {
        return 0;
    };
    let journey = async move {
        let (mut meter, mut heard) = (Meter::new(25), Heard::default());
        let relayed = relay::relay(&mut stream, &mut meter, &mut heard, &mut client).await;
        if let Ending::Complete(held) = relayed.ending {
            let last = Delivery::Settled(held, Box::new(receipt()));
            client.deliver(last).await.expect("the client listens");
        }
    };
    let reader = async move {
        let style = StreamStyle {
            keep_alive: LONG,
            links: Links::default(),
        };
        let mut body = SseBody::streaming(skin, head, deliveries, style);
        let mut told = 0;
        while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            told += frame.data_ref().map_or(0, Bytes::len);
        }
        told
    };
    let ((), told) = tokio::join!(journey, reader);
    told
}

fn head() -> Head {
    Head {
        id: GenerationId::new(1_764_000_000_000),
        created: 1_764_000_000,
        model: ModelId::from("acme/orca"),
        provider: "NorthHost".into(),
    }
}

fn receipt() -> Receipt {
    Receipt {
        usage: Usage {
            tokens: Tokens::default(),
            source: UsageSource::Reported,
        },
        searches: 0,
        tool_calls: None,
        charge: Charge::default(),
        system_fingerprint: None,
        service_tier: None,
        report: None,
    }
}
