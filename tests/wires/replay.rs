//! Every recorded answer goes through its wire, and what comes out must say what the recording says:
//! text, reasoning, tool calls, finish reasons and counts of tokens, however its bytes are cut.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use turnpike::catalog::snapshot::Target;
use turnpike::domain::call::{Call, Origin};
use turnpike::domain::event::Event;
use turnpike::domain::json::JsonObject;
use turnpike::stream::decoding::Decoding;
use turnpike::wire::quirks::Quirks;
use turnpike::wire::{DecodeError, Wire, wire};

use super::api::{APIS, Api};
use super::meaning::{Meaning, Said};
use super::recordings::{Recording, are_the_fixtures, recordings};

#[test]
fn plain_answers_say_what_was_recorded() {
    for_each(
        |_, r| r.succeeded() && !r.streamed(),
        |api| api.known.plain,
        |replay| {
            let reply = replay
                .wire
                .decode(&replay.call, &replay.target, &replay.body)
                .unwrap();
            agree(
                Meaning::of_reply(reply),
                (replay.api.meaning)(replay.recording),
            );
        },
    );
}

#[test]
fn streams_say_what_was_recorded_however_they_are_cut() {
    for_each(
        sound_stream,
        |api| api.known.streams,
        |replay| {
            for pieces in cuts(&replay.body) {
                let events = replay.stream(&pieces).unwrap();
                agree(
                    Meaning::of_events(events),
                    (replay.api.meaning)(replay.recording),
                );
            }
        },
    );
}

#[test]
fn errors_are_told_as_the_provider_words_them() {
    for_each(
        |_, r| !r.succeeded(),
        |api| api.known.errors,
        |replay| {
            let status = replay.recording.response.status;
            let headers = replay.recording.headers();
            let fault = replay.wire.fault(status, &headers, &replay.body);
            let (message, code) = (replay.api.error)(replay.recording).unwrap();
            assert_eq!(
                (fault.status, &fault.message, &fault.code),
                (status, &message, &code)
            );
        },
    );
}

#[test]
fn errors_inside_a_stream_end_it() {
    for_each(
        error_in_stream,
        |api| api.known.stream_errors,
        |replay| {
            let (message, code) = (replay.api.error)(replay.recording).unwrap();
            for pieces in cuts(&replay.body) {
                match replay.stream(&pieces) {
                    Err(DecodeError::Upstream(fault)) => {
                        assert_eq!((&fault.message, &fault.code), (&message, &code))
                    }
                    other => panic!("{other:?}"),
                }
            }
        },
    );
}

#[test]
fn streams_that_break_off_are_errors() {
    let mut random = StdRng::seed_from_u64(4);
    for_each(
        sound_stream,
        |api| api.known.streams,
        |replay| {
            let end = (replay.api.last_words_at)(replay.recording);
            for _ in 0..20 {
                let broken = replay.body.slice(..random.random_range(0..=end));
                let outcome = replay.stream(&[broken]);
                assert!(outcome.is_err(), "{outcome:?}");
            }
        },
    );
}

/// Holds that both say the same, where the provider says anything: of a call that it gave no id the
/// gateway may make one up.
#[track_caller]
fn agree(mut actual: Meaning, mut expected: Meaning) {
    actual.choices.retain(|_, said| *said != Said::default());
    expected.choices.retain(|_, said| *said != Said::default());
    actual
        .choices
        .values_mut()
        .chain(expected.choices.values_mut())
        .for_each(Said::join_thoughts);
    if let (Some(actual), Some(expected)) = (&mut actual.tokens, &expected.tokens) {
        actual.written = actual.written.filter(|_| expected.written.is_some());
        actual.searches = actual.searches.filter(|_| expected.searches.is_some());
    }
    for (choice, said) in &mut expected.choices {
        if let Some(twin) = actual.choices.get_mut(choice) {
            twin.cited = twin.cited.take().filter(|_| said.cited.is_some());
        }
        for (at, call) in said.calls.iter_mut().filter(|(_, call)| call.id.is_none()) {
            let Some(twin) = actual.choices.get_mut(choice) else {
                continue;
            };
            call.id = twin.calls.get(at).and_then(|call| call.id.clone());
            // Its thoughts name the call by the same id.
            for detail in &mut twin.reasoning_details {
                let made_up = detail["id"]
                    .as_str()
                    .is_some_and(|id| Some(id) == call.id.as_deref());
                if made_up {
                    detail.as_object_mut().unwrap().remove("id");
                }
            }
        }
    }
    assert_eq!(actual, expected);
}

/// One recording, ready to go through its wire.
struct Replay<'a> {
    api: &'a Api,
    recording: &'a Recording,
    wire: &'static dyn Wire,
    call: Call,
    target: Target,
    body: Bytes,
}

/// Runs `check` on each recording that `keep` accepts, and prints how many pass. Of the fixtures it is `known` how many
/// there are.
#[expect(clippy::print_stdout, reason = "the runner shows it when asked to")]
fn for_each(
    keep: fn(&Api, &Recording) -> bool,
    known: fn(&Api) -> usize,
    mut check: impl FnMut(&Replay<'_>),
) {
    let mut different = Vec::new();
    for api in APIS {
        let (mut replayed, before) = (0, different.len());
        let recordings = recordings(api.folder);
        for recording in recordings.iter().filter(|recording| keep(api, recording)) {
            let replay = Replay::new(api, recording);
            // All that differ are told in one run.
            if catch_unwind(AssertUnwindSafe(|| check(&replay))).is_err() {
                different.push(recording.name.clone());
            }
            replayed += 1;
        }
        let passed = replayed - (different.len() - before);
        println!("{}: {passed} of {replayed}", api.folder);
        if are_the_fixtures() {
            assert_eq!(replayed, known(api), "{}", api.folder);
        }
    }
    assert!(different.is_empty(), "{different:#?}");
}

fn sound_stream(api: &Api, recording: &Recording) -> bool {
    recording.succeeded() && recording.streamed() && (api.error)(recording).is_none()
}

fn error_in_stream(api: &Api, recording: &Recording) -> bool {
    recording.streamed() && (api.error)(recording).is_some()
}

impl<'a> Replay<'a> {
    fn new(api: &'a Api, recording: &'a Recording) -> Self {
        Replay {
            api,
            recording,
            wire: wire(api.wire).unwrap(),
            call: call(api, recording),
            target: target(api, &recording.provider),
            body: recording.body().into(),
        }
    }

    /// What the stream's decoder makes of a body that arrives in these pieces.
    fn stream(&self, pieces: &[Bytes]) -> Result<Vec<Event>, DecodeError> {
        let decoder = self.wire.decoder(&self.call, &self.target);
        let (mut decoding, mut events) = (Decoding::new(decoder), Vec::new());
        for piece in pieces {
            decoding.feed(piece, &mut events)?;
        }
        decoding.end(&mut events)?;
        Ok(events)
    }
}

fn call(api: &Api, recording: &Recording) -> Call {
    let body = match &recording.request.body {
        // The gateway's callers speak OpenAI's protocol.
        body if body.is_object() && api.is_spoken_by_callers => body.clone(),
        _ => json!({"messages": [{"role": "user", "content": "Hello"}]}),
    };
    Call {
        form: api.form,
        body: JsonObject::parse(body.to_string().into()).unwrap(),
        model: None,
        models: Vec::new(),
        stream: recording.stream,
        max_tokens: None,
        choices: body["n"].as_u64().unwrap_or(1),
        provider: None,
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
    }
}

fn target(api: &Api, provider: &str) -> Target {
    let quirks = Quirks {
        reasoning_apart: provider == "xai",
        ..Quirks::default()
    };
    Target {
        wire: api.wire,
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
