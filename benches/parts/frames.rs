//! Bytes to server-sent events: a stream of a thousand chunks in reads of the sizes a network gives.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use turnpike::stream::frames::SseFramer;

const CHUNKS: u64 = 1000;
const CHUNK: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1764000000,"model":"m","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#;

/// The framer over whole events and over reads that cut them.
pub(crate) fn frames(criterion: &mut Criterion) {
    let stream = Bytes::from(format!("{CHUNK}\n\n").repeat(CHUNKS as usize));
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(CHUNKS));
    for read in [100, 1460, 16 << 10] {
        group.bench_function(format!("reads of {read} bytes"), |bencher| {
            bencher.iter(|| {
                let mut framer = SseFramer::new();
                let mut frames = Vec::new();
                for start in (0..stream.len()).step_by(read) {
                    let bytes = stream.slice(start..stream.len().min(start + read));
                    assert!(framer.feed(&bytes, &mut frames).is_ok());
                    black_box(&frames);
                    frames.clear();
                }
            });
        });
    }
    group.finish();
}
