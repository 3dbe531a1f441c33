//! The only orders in which the events of a stream may come: a machine for each form. Text that deltas told must be the
//! text that the end of its part repeats.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// Takes the events of a stream one by one; says which comes at the wrong place.
trait Machine: Default {
    /// The next event.
    fn step(&mut self, kind: &str, event: &Value) -> Result<(), String>;

    /// The stream is over.
    fn end(&self) -> Result<(), String>;
}

/// Holds a stream of chat completions to its order (contract 4.4, 4.6).
pub(crate) fn chat(events: &[Value]) -> Result<(), String> {
    run::<Chat>(events)
}

/// Holds a stream of text completions to the same order; nobody is greeted there.
pub(crate) fn text(events: &[Value]) -> Result<(), String> {
    let mut greeted = BTreeSet::new();
    let mut events = events.to_vec();
    let is_piece = |event: &&mut Value| event.is_object() && event["usage"].is_null();
    let pieces = events.iter_mut().filter(is_piece);
    for choice in pieces
        .filter_map(|piece| piece["choices"].as_array_mut())
        .flatten()
    {
        hold(choice["text"].is_string(), "without a text")?;
        if greeted.insert(choice["index"].as_u64()) {
            choice["delta"] = json!({"role": "assistant"});
        }
    }
    chat(&events)
}

/// Holds a stream of Anthropic's Messages to its order.
pub(crate) fn messages(events: &[Value]) -> Result<(), String> {
    run::<Messages>(events)
}

/// Holds a stream of OpenAI's Responses to its order.
pub(crate) fn responses(events: &[Value]) -> Result<(), String> {
    run::<Responses>(events)
}

/// Who gives an item another id in every event.
pub(crate) const CHANGES_IDS: &str = "github-copilot";

/// The events of such a stream, each with the id that its item began with, and the same otherwise.
pub(crate) fn with_steady_ids(mut events: Vec<Value>) -> Vec<Value> {
    let mut ids: BTreeMap<u64, Value> = BTreeMap::new();
    for event in &mut events {
        let Some(index) = event["output_index"].as_u64() else {
            continue;
        };
        let own = [&event["item"]["id"], &event["item_id"]];
        let own = own.into_iter().find(|id| id.is_string()).cloned();
        let steady = ids.entry(index).or_insert(own.unwrap_or_default());
        if event["item_id"].is_string() {
            event["item_id"] = steady.clone();
        }
    }
    events
}

fn run<M: Machine>(events: &[Value]) -> Result<(), String> {
    let mut machine = M::default();
    for (place, event) in events.iter().enumerate() {
        let kind = event["type"].as_str().or(event.as_str()).unwrap_or("");
        machine
            .step(kind, event)
            .map_err(|reason| format!("event {place}, {kind}: {reason}: {event}"))?;
    }
    machine.end()
}

fn hold(holds: bool, reason: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(reason.to_owned())
    }
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Before,
    Begun,
    /// All but the last word is said.
    Ending,
    Over,
}

#[derive(Default)]
struct Chat {
    phase: Phase,
    id: Value,
    choices: BTreeMap<u64, Choice>,
}

/// How far a choice has come.
#[derive(Default)]
struct Choice {
    greeted: bool,
    calls: u64,
    finished: bool,
}

impl Choice {
    fn piece(&mut self, piece: &Value) -> Result<(), String> {
        hold(!self.finished, "after its reason")?;
        let delta = &piece["delta"];
        hold(
            delta["role"].is_string() != self.greeted,
            "the role comes first, and once",
        )?;
        self.greeted = true;
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let is_new = call["id"].is_string();
            let index = call["index"].as_u64().ok_or("a call without a place")?;
            hold(
                (index < self.calls && !is_new) || (index == self.calls && is_new),
                "the id of a call comes first, and once",
            )?;
            self.calls += u64::from(is_new);
        }
        let finish = piece["finish_reason"].as_str();
        hold(
            finish != Some("tool_calls") || self.calls > 0,
            "calls that nobody told",
        )?;
        self.finished = finish.is_some();
        Ok(())
    }
}

impl Machine for Chat {
    fn step(&mut self, kind: &str, event: &Value) -> Result<(), String> {
        hold(self.phase != Phase::Over, "after the end")?;
        if kind == "[DONE]" {
            hold(self.phase == Phase::Ending, "before the usage")?;
            self.phase = Phase::Over;
            return Ok(());
        }
        hold(self.phase != Phase::Ending, "after the usage")?;
        let id = &event["id"];
        hold(self.id.is_null() || self.id == *id, "of another answer")?;
        self.id = id.clone();
        let choices = event["choices"].as_array().ok_or("without choices")?;
        if event["debug"].is_object() {
            let is_first = self.phase == Phase::Before && choices.is_empty();
            return hold(is_first, "what was sent is shown first");
        }
        if event["error"].is_object() {
            self.phase = Phase::Over;
            return hold(
                choices[0]["finish_reason"] == "error",
                "an error that is no reason",
            );
        }
        if event["usage"].is_object() {
            let ended = self.choices.values().all(|choice| choice.finished);
            hold(ended && !self.choices.is_empty(), "before the reason")?;
            self.phase = Phase::Ending;
            let mut reasons = choices.iter().map(|choice| &choice["finish_reason"]);
            return hold(reasons.all(Value::is_null), "with a reason");
        }
        self.phase = Phase::Begun;
        for choice in choices {
            let index = choice["index"].as_u64().ok_or("of no choice")?;
            self.choices.entry(index).or_default().piece(choice)?;
        }
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        hold(self.phase == Phase::Over, "the stream has no end")
    }
}

#[derive(Default)]
struct Messages {
    phase: Phase,
    /// The open block: its type.
    open: Option<String>,
    next: u64,
}

impl Machine for Messages {
    fn step(&mut self, kind: &str, event: &Value) -> Result<(), String> {
        hold(self.phase != Phase::Over, "after the end")?;
        let at = event["index"].as_u64();
        match kind {
            "ping" => hold(self.phase != Phase::Before, "before the beginning"),
            "error" => {
                self.phase = Phase::Over;
                self.open = None;
                Ok(())
            }
            "message_start" => {
                hold(self.phase == Phase::Before, "a second beginning")?;
                self.phase = Phase::Begun;
                Ok(())
            }
            "content_block_start" => {
                hold(self.phase == Phase::Begun, "not in the middle")?;
                hold(self.open.is_none(), "a block in a block")?;
                hold(at == Some(self.next), "not the next index")?;
                self.open = event["content_block"]["type"].as_str().map(str::to_owned);
                hold(self.open.is_some(), "a block of no type")
            }
            "content_block_delta" => {
                hold(at == Some(self.next), "of another block")?;
                let open = self.open.as_deref().ok_or("of no block")?;
                let delta = event["delta"]["type"].as_str().unwrap_or("");
                let fits = match open {
                    "text" => ["text_delta", "citations_delta"].contains(&delta),
                    "thinking" => ["thinking_delta", "signature_delta"].contains(&delta),
                    "tool_use" | "server_tool_use" | "mcp_tool_use" => delta == "input_json_delta",
                    "redacted_thinking" => false,
                    _ => true,
                };
                hold(fits, "of another type")
            }
            "content_block_stop" => {
                hold(self.open.take().is_some(), "of no block")?;
                hold(at == Some(self.next), "of another block")?;
                self.next += 1;
                Ok(())
            }
            "message_delta" => {
                hold(self.phase == Phase::Begun, "not in the middle")?;
                hold(self.open.is_none(), "in a block")?;
                hold(
                    event["delta"]["stop_reason"].is_string(),
                    "without a reason",
                )?;
                self.phase = Phase::Ending;
                Ok(())
            }
            "message_stop" => {
                hold(self.phase == Phase::Ending, "before the reason")?;
                self.phase = Phase::Over;
                Ok(())
            }
            _ => Err("an event of no form".to_owned()),
        }
    }

    fn end(&self) -> Result<(), String> {
        hold(self.phase == Phase::Over, "the stream has no end")
    }
}

/// Texts by the kind of a part and its place.
type Told = BTreeMap<(String, u64), String>;

#[derive(Default)]
struct Responses {
    phase: Phase,
    next: u64,
    /// The open items by their index: their id, and what their parts have told so far.
    open: BTreeMap<u64, (Value, Told)>,
    items: u64,
}

impl Responses {
    /// The text of the part that an event is about.
    fn part(&mut self, of: &str, event: &Value) -> Result<&mut String, String> {
        let index = event["output_index"].as_u64().ok_or("of no item")?;
        let (id, parts) = self.open.get_mut(&index).ok_or("of no open item")?;
        hold(id.is_null() || *id == event["item_id"], "of another id")?;
        let place = [&event["content_index"], &event["summary_index"]];
        let place = place.into_iter().find_map(Value::as_u64).unwrap_or(0);
        Ok(parts.entry((of.to_owned(), place)).or_default())
    }

    fn last(&mut self, event: &Value, whole: bool) -> Result<(), String> {
        hold(!whole || self.open.is_empty(), "with an item open")?;
        hold(event["response"].is_object(), "without a response")?;
        self.open.clear();
        self.phase = Phase::Ending;
        Ok(())
    }
}

impl Machine for Responses {
    fn step(&mut self, kind: &str, event: &Value) -> Result<(), String> {
        if kind == "[DONE]" {
            hold(self.phase == Phase::Ending, "before the last event")?;
            self.phase = Phase::Over;
            return Ok(());
        }
        hold(self.phase < Phase::Ending, "after the last event")?;
        let number = event["sequence_number"].as_u64();
        hold(number == Some(self.next), "not the next number")?;
        self.next += 1;
        hold(
            kind == "response.created" || self.phase == Phase::Begun,
            "before the beginning",
        )?;
        match kind {
            "response.created" => {
                hold(self.phase == Phase::Before, "a second beginning")?;
                self.phase = Phase::Begun;
                Ok(())
            }
            "response.queued" | "response.in_progress" | "response.debug" => {
                hold(self.phase == Phase::Begun && self.items == 0, "too late")
            }
            "response.output_item.added" => {
                let index = event["output_index"].as_u64();
                hold(index == Some(self.items), "not the next index")?;
                let id = event["item"]["id"].clone();
                self.open.insert(self.items, (id, BTreeMap::new()));
                self.items += 1;
                Ok(())
            }
            "response.output_item.done" => {
                let index = event["output_index"].as_u64().ok_or("of no item")?;
                let open = self.open.remove(&index);
                hold(open.is_some(), "of no open item")
            }
            "response.completed" => self.last(event, true),
            "response.incomplete" | "response.failed" => self.last(event, false),
            _ => {
                let (of, is_delta, is_done) = match kind.rsplit_once('.') {
                    Some((of, "delta")) => (of, true, false),
                    Some((of, "done")) => (of, false, true),
                    Some((of, _)) => (of, false, false),
                    None => return Err("an event of no form".to_owned()),
                };
                let told = self.part(of, event)?;
                if is_delta {
                    told.push_str(event["delta"].as_str().unwrap_or(""));
                }
                let texts = [&event["text"], &event["arguments"], &event["refusal"]];
                match texts.into_iter().find_map(Value::as_str) {
                    Some(whole) if is_done => {
                        hold(told.is_empty() || told == whole, "not what its pieces told")
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn end(&self) -> Result<(), String> {
        hold(self.phase == Phase::Over, "the stream has no end")
    }
}

mod tests {
    use super::*;

    /// Any one event left out, told twice or told too early must be noticed.
    fn every_other_order_is_refused(check: fn(&[Value]) -> Result<(), String>, events: &[Value]) {
        assert_eq!(check(events), Ok(()));
        for at in 0..events.len() {
            let mut twice = events.to_vec();
            twice.insert(at, events[at].clone());
            assert!(
                check(&twice).is_err() || is_delta(&events[at]),
                "twice: {at}"
            );
            let mut less = events.to_vec();
            less.remove(at);
            assert!(
                check(&less).is_err() || is_delta(&events[at]),
                "without {at}"
            );
            if at > 0 {
                let mut early = events.to_vec();
                early.swap(at - 1, at);
                assert!(check(&early).is_err(), "{at} before its time");
            }
        }
    }

    /// A piece may be left out or told twice without a trace, where nothing repeats it.
    fn is_delta(event: &Value) -> bool {
        event["type"] == "content_block_delta"
    }

    #[test]
    fn chats_have_one_order() {
        let chunk = |delta: Value, finish: Option<&str>| json!({"id": "gen-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        let call = |call: Value| chunk(json!({"tool_calls": [call]}), None);
        let mut usage = chunk(json!({"role": "assistant", "content": ""}), None);
        usage["usage"] = json!({});
        let events = [
            chunk(json!({"role": "assistant", "content": "a"}), None),
            call(json!({"index": 0, "id": "c", "function": {"name": "f"}})),
            chunk(json!({}), Some("tool_calls")),
            usage,
            json!("[DONE]"),
        ];
        every_other_order_is_refused(chat, &events);
        let shown = json!({"id": "gen-1", "choices": [], "debug": {}});
        let first = [std::slice::from_ref(&shown), &events[..]].concat();
        assert_eq!(chat(&first), Ok(()));
        let late = [&events[..1], &[shown], &events[1..]].concat();
        assert!(chat(&late).is_err());
        let mut other = events.to_vec();
        other[1]["id"] = json!("gen-2");
        assert!(chat(&other).is_err());
        let mut error = chunk(json!({"content": ""}), Some("error"));
        error["error"] = json!({});
        let broken = [events[0].clone(), error.clone()];
        assert_eq!(chat(&broken), Ok(()));
        assert!(chat(&[error, events[0].clone()]).is_err());
    }

    #[test]
    fn messages_have_one_order() {
        let delta = |kind: &str, field: &str| json!({"type": kind, field: "x"});
        let events = [
            json!({"type": "message_start", "message": {}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}}),
            json!({"type": "content_block_delta", "index": 0, "delta": delta("thinking_delta", "thinking")}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": delta("text_delta", "text")}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            json!({"type": "message_stop"}),
        ];
        every_other_order_is_refused(messages, &events);
    }

    #[test]
    fn responses_have_one_order() {
        let part = json!({"item_id": "m", "output_index": 0, "content_index": 0});
        let event = |number: u64, kind: &str, more: Value| {
            let mut event = part.clone();
            event["type"] = json!(format!("response.{kind}"));
            event["sequence_number"] = json!(number);
            event
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            event
        };
        let events = [
            event(0, "created", json!({"response": {}})),
            event(1, "in_progress", json!({"response": {}})),
            event(2, "output_item.added", json!({"item": {"id": "m"}})),
            event(3, "output_text.delta", json!({"delta": "a"})),
            event(4, "output_text.delta", json!({"delta": "b"})),
            event(5, "output_text.done", json!({"text": "ab"})),
            event(6, "output_item.done", json!({"item": {"id": "m"}})),
            event(7, "completed", json!({"response": {}})),
            json!("[DONE]"),
        ];
        every_other_order_is_refused(responses, &events);
        let mut other = events.to_vec();
        other[4]["delta"] = json!("c");
        assert!(responses(&other).is_err());
        let mut open = events.to_vec();
        open.remove(6);
        open[6]["sequence_number"] = json!(6);
        assert!(responses(&open).is_err());
    }
}
