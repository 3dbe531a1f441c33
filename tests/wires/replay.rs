//! Every recorded answer goes through its wire, and what comes out must say what the recording says:
//! text, reasoning, tool calls, finish reasons and counts of tokens, however its bytes are cut.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use turnpike::catalog::snapshot::Target;
use turnpike::domain::call::{Call, Form, Origin};
use turnpike::domain::event::Event;
use turnpike::domain::json::JsonObject;
use turnpike::stream::frames::SseFramer;
use turnpike::wire::quirks::Quirks;
use turnpike::wire::{DecodeError, Wire, WireName, wire};

use super::expected;
use super::meaning::{Meaning, Said};
use super::recordings::{Recording, recordings};

const APIS: [(&str, Form); 2] = [
    ("openai-chat", Form::Chat),
    ("openai-completions", Form::Text),
];

#[test]
fn plain_answers_say_what_was_recorded() {
    let replayed = for_each(
        |r| r.succeeded() && !r.streamed(),
        |replay| {
            let reply = replay
                .wire
                .decode(&replay.call, &replay.target, &replay.body)
                .unwrap();
            agree(
                Meaning::of_reply(reply),
                expected::meaning(replay.recording),
            );
        },
    );
    assert_eq!(replayed, 202);
}

#[test]
fn streams_say_what_was_recorded_however_they_are_cut() {
    let replayed = for_each(sound_stream, |replay| {
        for pieces in cuts(&replay.body) {
            let events = replay.stream(&pieces).unwrap();
            agree(
                Meaning::of_events(events),
                expected::meaning(replay.recording),
            );
        }
    });
    assert_eq!(replayed, 152);
}

#[test]
fn errors_are_told_as_the_provider_words_them() {
    let replayed = for_each(
        |r| !r.succeeded(),
        |replay| {
            let status = replay.recording.response.status;
            let fault = replay.wire.fault(status, &HeaderMap::new(), &replay.body);
            let (message, code) = expected::error(replay.recording).unwrap();
            assert_eq!(
                (fault.status, &fault.message, &fault.code),
                (status, &message, &code)
            );
        },
    );
    assert_eq!(replayed, 34);
}

#[test]
fn errors_inside_a_stream_end_it() {
    let replayed = for_each(error_in_stream, |replay| {
        let (message, code) = expected::error(replay.recording).unwrap();
        for pieces in cuts(&replay.body) {
            match replay.stream(&pieces) {
                Err(DecodeError::Upstream(fault)) => {
                    assert_eq!((&fault.message, &fault.code), (&message, &code))
                }
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(replayed, 2);
}

#[test]
fn streams_that_break_off_are_errors() {
    let mut random = StdRng::seed_from_u64(4);
    let replayed = for_each(sound_stream, |replay| {
        let end = expected::last_words_at(replay.recording);
        for _ in 0..20 {
            let broken = replay.body.slice(..random.random_range(0..=end));
            let outcome = replay.stream(&[broken]);
            assert!(outcome.is_err(), "{outcome:?}");
        }
    });
    assert_eq!(replayed, 152);
}

/// Holds that both say the same, where the provider says anything: of a call that it gave no id the
/// gateway may make one up.
#[track_caller]
fn agree(mut actual: Meaning, mut expected: Meaning) {
    actual.choices.retain(|_, said| *said != Said::default());
    expected.choices.retain(|_, said| *said != Said::default());
    for (choice, said) in &mut expected.choices {
        for (at, call) in said.calls.iter_mut().filter(|(_, call)| call.id.is_none()) {
            let twin = actual
                .choices
                .get_mut(choice)
                .and_then(|said| said.calls.get_mut(at));
            call.id = twin.and_then(|call| call.id.clone());
        }
    }
    assert_eq!(actual, expected);
}

/// One recording, ready to go through its wire.
struct Replay<'a> {
    recording: &'a Recording,
    wire: &'static dyn Wire,
    call: Call,
    target: Target,
    body: Bytes,
}

/// Runs `check` on each recording that `keep` accepts and says how many there were.
#[expect(
    clippy::print_stdout,
    reason = "the runner shows it when the check fails"
)]
fn for_each(keep: fn(&Recording) -> bool, mut check: impl FnMut(&Replay<'_>)) -> usize {
    let mut replayed = 0;
    for (api, form) in APIS {
        for recording in recordings(api).iter().filter(|recording| keep(recording)) {
            println!("{}", recording.name);
            check(&Replay::new(recording, form));
            replayed += 1;
        }
    }
    replayed
}

fn sound_stream(recording: &Recording) -> bool {
    recording.succeeded() && recording.streamed() && expected::error(recording).is_none()
}

fn error_in_stream(recording: &Recording) -> bool {
    recording.streamed() && expected::error(recording).is_some()
}

impl<'a> Replay<'a> {
    fn new(recording: &'a Recording, form: Form) -> Self {
        Replay {
            recording,
            wire: wire(WireName::Openai).unwrap(),
            call: call(recording, form),
            target: target(&recording.provider),
            body: recording.body().into(),
        }
    }

    /// What the stream's decoder makes of a body that arrives in these pieces.
    fn stream(&self, pieces: &[Bytes]) -> Result<Vec<Event>, DecodeError> {
        let mut decoder = self.wire.decoder(&self.call, &self.target);
        let (mut framer, mut frames, mut events) = (SseFramer::new(), Vec::new(), Vec::new());
        for piece in pieces {
            framer.feed(piece, &mut frames).unwrap();
        }
        framer.end(&mut frames);
        for frame in &frames {
            decoder.frame(frame, &mut events)?;
        }
        decoder.end(&mut events)?;
        Ok(events)
    }
}

fn call(recording: &Recording, form: Form) -> Call {
    let body = match &recording.request.body {
        body if body.is_object() => body.clone(),
        _ => json!({"messages": [{"role": "user", "content": "Hello"}]}),
    };
    Call {
        form,
        body: JsonObject::parse(body.to_string().into()).unwrap(),
        model: None,
        models: Vec::new(),
        stream: recording.stream,
        max_tokens: None,
        choices: body["n"].as_u64().unwrap_or(1),
        provider: None,
        plugins: None,
        origin: Origin::default(),
    }
}

fn target(provider: &str) -> Target {
    let quirks = Quirks {
        reasoning_apart: provider == "xai",
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

/// The body whole, byte by byte, and in slices of random sizes.
fn cuts(body: &Bytes) -> Vec<Vec<Bytes>> {
    let whole = vec![body.clone()];
    let bytes = (0..body.len()).map(|at| body.slice(at..=at)).collect();
    let mut cuts = vec![whole, bytes];
    for seed in 0..3 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut rest = body.clone();
        let mut slices = Vec::new();
        while !rest.is_empty() {
            let longest = rest.len().min(700);
            slices.push(rest.split_to(random.random_range(1..=longest)));
        }
        cuts.push(slices);
    }
    cuts
}
