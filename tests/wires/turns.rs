//! A conversation goes on: what a provider answered goes back with the next turn as it came, with the ids of calls and
//! with whatever proves thoughts genuine. Anthropic's and Google's are among their requests.

use std::sync::Arc;

use serde_json::{Value, json};
use turnpike::catalog::snapshot::Target;
use turnpike::domain::event::{Choice, Event};
use turnpike::stream::decoding::Decoding;
use turnpike::stream::turn::Turn;
use turnpike::wire::quirks::{Quirks, ReasoningForm, ReasoningHistory};
use turnpike::wire::{WireName, wire};

use super::expected::{documents, first_text, list};
use super::recordings::{Recording, are_the_fixtures, recordings};
use super::requests::{call, encoded, reasoning, target, without_nulls};

/// The answer as a client keeps it.
fn answered(recording: &Recording, target: &Target) -> Value {
    let question = call(&json!({"messages": [{"role": "user", "content": "go"}]}));
    let wire = wire(target.wire).unwrap();
    let choices: Vec<Choice> = if recording.streamed() {
        let (mut decoding, mut events) =
            (Decoding::new(wire.decoder(&question, target)), Vec::new());
        decoding
            .feed(&recording.body().into(), &mut events)
            .unwrap();
        decoding.end(&mut events).unwrap();
        let choice = |event| match event {
            Event::Choice(choice) => Some(*choice),
            _ => None,
        };
        events.into_iter().filter_map(choice).collect()
    } else {
        let reply = wire.decode(&question, target, &recording.body().into());
        reply.unwrap().choices
    };
    let mut turn = Turn::new("");
    for mut choice in choices.into_iter().filter(|choice| choice.index == 0) {
        turn.take(&mut choice);
    }
    turn.message().parse().unwrap()
}

/// The request of the next turn: results for the calls, or another question.
fn next(answer: &Value, target: &Target) -> Value {
    let calls = list(&answer["tool_calls"]);
    let result =
        |call: &Value| json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"});
    let mut messages = vec![json!({"role": "user", "content": "go"}), answer.clone()];
    messages.extend(calls.iter().map(result));
    if calls.is_empty() {
        messages.push(json!({"role": "user", "content": "and then?"}));
    }
    encoded(&json!({"messages": messages}), target)
}

#[test]
fn openais_encrypted_thoughts_and_calls_go_back_as_they_came() {
    let (mut thoughts, mut calls) = (0, 0);
    let answers = recordings("openai-responses");
    for recording in answers.iter().filter(|one| one.succeeded()) {
        let Some(output) = output(recording) else {
            continue;
        };
        let encrypted = |item: &&Value| item["encrypted_content"].is_string();
        if !output.iter().any(|item| encrypted(&item)) {
            continue;
        }
        let target = reasoning(
            ReasoningForm::Adaptive,
            target(WireName::Responses, "o-model"),
        );
        let sent = next(&answered(recording, &target), &target);
        let own = |item: &&Value| {
            encrypted(item) && item["type"] == "reasoning" || item["type"] == "function_call"
        };
        let of = |items: &[Value]| -> Vec<Value> { items.iter().filter(own).map(bare).collect() };
        let (came, back) = (of(&output), of(list(&sent["input"])));
        assert_eq!(back, came, "{}", recording.name);
        let results = list(&sent["input"]).iter();
        let answers: Vec<&Value> = results
            .filter(|item| item["type"] == "function_call_output")
            .map(|item| &item["call_id"])
            .collect();
        let asked: Vec<&Value> = came
            .iter()
            .filter(|item| item["type"] == "function_call")
            .map(|item| &item["call_id"])
            .collect();
        assert_eq!(answers, asked, "{}", recording.name);
        thoughts += came.len() - asked.len();
        calls += asked.len();
    }
    assert!(
        !are_the_fixtures() || (thoughts > 3 && calls > 1),
        "{thoughts} {calls}"
    );
}

/// The items of an answer, plain or streamed; `None` of one that was cut off.
fn output(recording: &Recording) -> Option<Vec<Value>> {
    let documents = documents(recording);
    if !recording.streamed() {
        return Some(list(&documents[0]["output"]).to_vec());
    }
    let is = |document: &&Value, kind: &str| document["type"] == kind;
    documents
        .iter()
        .find(|document| is(document, "response.completed"))?;
    let done = documents
        .iter()
        .filter(|document| is(document, "response.output_item.done"));
    Some(done.map(|document| document["item"].clone()).collect())
}

/// An item without its state, without the ids that mean nothing where nothing is stored, and without what OpenRouter adds.
fn bare(item: &Value) -> Value {
    let mut item = without_nulls(item);
    let is_call = item["type"] == "function_call";
    let fields = item.as_object_mut().unwrap();
    fields.remove("status");
    fields.remove("format");
    if is_call {
        fields.retain(|name, _| ["type", "call_id", "name", "arguments"].contains(&&**name));
    } else if fields
        .get("content")
        .is_some_and(|content| list(content).is_empty())
    {
        fields.remove("content");
    }
    item
}

fn openai_like(history: ReasoningHistory) -> Target {
    Target {
        quirks: Arc::new(Quirks {
            reasoning_history: history,
            ..Quirks::default()
        }),
        ..target(WireName::Openai, "recorded")
    }
}

/// DeepSeek refuses the results of calls without the thoughts that led to them.
#[test]
fn deepseeks_thoughts_go_back_with_the_calls_that_they_led_to() {
    let target = openai_like(ReasoningHistory::ReasoningContent);
    let mut shown = 0;
    for recording in recordings("openai-chat") {
        if recording.provider != "deepseek" || !recording.succeeded() {
            continue;
        }
        let documents = documents(&recording);
        let part = if recording.streamed() {
            "delta"
        } else {
            "message"
        };
        let pieces = || {
            documents
                .iter()
                .map(|document| &document["choices"][0][part])
        };
        let thought: String = pieces()
            .map(|piece| first_text([&piece["reasoning_content"]]))
            .collect();
        let ids: Vec<&str> = pieces()
            .flat_map(|piece| list(&piece["tool_calls"]))
            .filter_map(|call| call["id"].as_str())
            .collect();
        if thought.is_empty() || ids.is_empty() {
            continue;
        }
        let sent = next(&answered(&recording, &target), &target);
        let back = &sent["messages"][1];
        assert_eq!(back["reasoning_content"], thought, "{}", recording.name);
        let calls = list(&back["tool_calls"]).iter();
        let back: Vec<&str> = calls.filter_map(|call| call["id"].as_str()).collect();
        assert_eq!(back, ids, "{}", recording.name);
        let results = list(&sent["messages"])[2..].iter();
        let results: Vec<&str> = results
            .filter_map(|message| message["tool_call_id"].as_str())
            .collect();
        assert_eq!(results, ids, "{}", recording.name);
        shown += 1;
    }
    assert!(!are_the_fixtures() || shown > 1, "{shown}");
}

#[test]
fn mistrals_thoughts_go_back_as_the_part_of_the_content_that_they_were() {
    let target = openai_like(ReasoningHistory::Parts);
    let mut shown = 0;
    for recording in recordings("mistral-chat") {
        if !recording.succeeded() {
            continue;
        }
        let documents = documents(&recording);
        let part = if recording.streamed() {
            "delta"
        } else {
            "message"
        };
        let contents = documents
            .iter()
            .map(|document| &document["choices"][0][part]["content"]);
        let (mut thought, mut said) = (String::new(), String::new());
        for content in contents {
            said += first_text([content]);
            for part in list(content) {
                let thoughts = list(&part["thinking"]).iter();
                thought.extend(thoughts.map(|part| first_text([&part["text"]])));
                said += first_text([&part["text"]]);
            }
        }
        if thought.is_empty() {
            continue;
        }
        let sent = next(&answered(&recording, &target), &target);
        assert_eq!(
            sent["messages"][1]["content"],
            json!([{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}, {"type": "text", "text": said}]),
            "{}",
            recording.name
        );
        shown += 1;
    }
    assert!(!are_the_fixtures() || shown > 1, "{shown}");
}
