//! Answers held to the contract, and what is found on the way.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::foreign::Foreigners;
use super::schemas::Validators;
use crate::support::client::Answer;

/// The one route whose events are named, after their type (contract 11).
const MESSAGES: &str = "POST /messages";

/// Takes every answer of a test; the end says what deviates, and which routes were never answered well.
#[derive(Default)]
pub(super) struct Held {
    validators: Validators,
    answered: BTreeSet<&'static str>,
    deviations: Vec<String>,
}

impl Held {
    /// Holds the answer of a route (`POST /keys`) to the contract and hands it back.
    pub(super) fn hold(&mut self, route: &'static str, status: u16, answer: Answer) -> Answer {
        assert_eq!(answer.status, status, "{route}: {}", answer.text());
        let media_type = media_type(&answer);
        match media_type.as_str() {
            "application/json" if status < 400 => self.check(route, &answer, &media_type),
            "application/json" => self.check_error(route, &answer),
            "text/event-stream" => self.check_events(route, &answer),
            // The schema of a feed says no more than that it is text.
            "application/rss+xml" => {}
            other => self.deviates(route, &answer, &format!("it is {other}")),
        }
        if status < 300 {
            self.answered.insert(route);
        }
        answer
    }

    /// Holds a forwarded answer of a provider to the contract, but for what is known of such.
    pub(super) fn hold_forwarded(
        &mut self,
        route: &'static str,
        (provider, foreigners): (&str, &mut Foreigners),
        answer: Answer,
    ) -> Answer {
        let media_type = media_type(&answer);
        let told = match media_type.as_str() {
            "text/event-stream" => answer.events(),
            _ => vec![answer.json()],
        };
        for told in told.iter().filter(|told| told.is_object()) {
            let check = |value: &Value| {
                let wrapped = match media_type.as_str() {
                    "text/event-stream" => wrapped(route, value),
                    _ => value.clone(),
                };
                self.validators
                    .deviations(route, 200, &media_type, &wrapped)
            };
            let found = foreigners.deviations(provider, told, check);
            if !found.is_empty() {
                let mut text = told.to_string();
                text.truncate(text.floor_char_boundary(2_000));
                let found = found.join("\n  ");
                self.deviations
                    .push(format!("{route}, {provider}:\n  {found}\n    {text}"));
            }
        }
        self.answered.insert(route);
        answer
    }

    /// Stops the test where anything deviated.
    #[track_caller]
    pub(super) fn finish(self) {
        assert!(self.deviations.is_empty(), "{}", self.deviations.join("\n"));
    }

    /// Stops the test where anything deviated, or a route was not answered well.
    #[track_caller]
    pub(super) fn finish_having_answered(self, routes: &[&'static str]) {
        assert_eq!(self.answered, routes.iter().copied().collect());
        self.finish();
    }

    fn check(&mut self, route: &str, answer: &Answer, media_type: &str) {
        let status = answer.status.as_u16();
        for found in self
            .validators
            .deviations(route, status, media_type, &answer.json())
        {
            self.deviates(route, answer, &found);
        }
    }

    /// Contract 5.1: `code` equals the status.
    fn check_error(&mut self, route: &str, answer: &Answer) {
        self.check(route, answer, "application/json");
        let error = answer.json();
        // Anthropic's form has words instead (contract 5.6).
        if error["type"] != "error" && error["error"]["code"] != answer.status.as_u16() {
            self.deviates(route, answer, "error.code is not the status");
        }
    }

    fn check_events(&mut self, route: &str, answer: &Answer) {
        let events = answer.events();
        if events.is_empty() {
            self.deviates(route, answer, "no event");
        }
        for event in events.iter().filter(|event| *event != "[DONE]") {
            let wrapped = wrapped(route, event);
            for found in self
                .validators
                .deviations(route, 200, "text/event-stream", &wrapped)
            {
                self.deviations
                    .push(format!("{route}: {found}\n    {event}"));
            }
        }
    }

    fn deviates(&mut self, route: &str, answer: &Answer, found: &str) {
        let (status, mut text) = (answer.status, answer.text());
        text.truncate(text.floor_char_boundary(2_000));
        self.deviations
            .push(format!("{route}, {status}: {found}\n    {text}"));
    }
}

/// An event as the reference has it: an object with its `data`.
fn wrapped(route: &str, event: &Value) -> Value {
    let mut wrapped = json!({ "data": event });
    if route == MESSAGES {
        wrapped["event"] = event["type"].clone();
    }
    wrapped
}

fn media_type(answer: &Answer) -> String {
    let value = answer
        .headers
        .get("content-type")
        .map(|value| value.to_str().unwrap());
    let (media_type, _) = value
        .unwrap_or_default()
        .split_once(';')
        .unwrap_or((value.unwrap_or_default(), ""));
    media_type.to_owned()
}
