//! The tool calls of an answer, put together from their pieces, to be looked at once it has ended.

use crate::domain::event::{Choice, Event, Reply, ToolCall};
use crate::domain::json::JsonText;

/// Longer calls than this, all together, are not looked at.
const LIMIT: usize = 256 << 10;

/// More calls than this are not looked at.
const MOST: usize = 128;

/// The tool calls of an answer so far.
#[derive(Debug, Default)]
pub struct ToolCalls {
    calls: Vec<Piecemeal>,
    bytes: usize,
    too_long: bool,
}

/// A call of a tool, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them.
    pub arguments: String,
}

#[derive(Debug)]
struct Piecemeal {
    choice: u32,
    index: u32,
    /// JSON literals without their quotes: pieces of them can be joined.
    name: Vec<u8>,
    arguments: Vec<u8>,
}

impl ToolCalls {
    /// Takes note of a whole answer.
    pub fn reply(&mut self, reply: &Reply) {
        reply.choices.iter().for_each(|choice| self.choice(choice));
    }

    /// Takes note of one step of a stream.
    pub fn event(&mut self, event: &Event) {
        if let Event::Choice(choice) = event {
            self.choice(choice);
        }
    }

    /// The calls; `None` when there are none, or more than is looked at.
    pub fn finish(self) -> Option<Vec<Called>> {
        (!self.calls.is_empty() && !self.too_long)
            .then(|| self.calls.iter().map(Piecemeal::whole).collect())
    }

    fn choice(&mut self, choice: &Choice) {
        for call in &choice.message.tool_calls {
            self.piece(choice.index, call);
        }
    }

    fn piece(&mut self, choice: u32, piece: &ToolCall) {
        let length = |text: &Option<JsonText>| text.as_ref().map_or(0, JsonText::len);
        self.bytes += length(&piece.name) + length(&piece.arguments);
        self.too_long |= self.bytes > LIMIT || self.calls.len() > MOST;
        if self.too_long {
            self.calls.clear();
            return;
        }
        let same = |call: &Piecemeal| call.choice == choice && call.index == piece.index;
        let known = self.calls.iter().rposition(same);
        let place = known.unwrap_or_else(|| {
            self.calls.push(Piecemeal {
                choice,
                index: piece.index,
                name: Vec::new(),
                arguments: Vec::new(),
            });
            self.calls.len() - 1
        });
        if let Some(call) = self.calls.get_mut(place) {
            append(&mut call.name, piece.name.as_ref());
            append(&mut call.arguments, piece.arguments.as_ref());
        }
    }
}

impl Piecemeal {
    fn whole(&self) -> Called {
        Called {
            name: text(&self.name),
            arguments: text(&self.arguments),
        }
    }
}

fn append(whole: &mut Vec<u8>, piece: Option<&JsonText>) {
    if let Some(literal) = piece.map(JsonText::as_bytes)
        && let Some(inner) = literal.get(1..literal.len().saturating_sub(1))
    {
        whole.extend_from_slice(inner);
    }
}

fn text(literal: &[u8]) -> String {
    let quoted = [b"\"", literal, b"\""].concat();
    serde_json::from_slice(&quoted).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Message;

    fn piece(index: u32, name: Option<&str>, arguments: &str) -> Event {
        let call = ToolCall {
            index,
            id: None,
            name: name.map(JsonText::of),
            arguments: Some(JsonText::of(arguments)),
        };
        let message = Message {
            tool_calls: vec![call],
            ..Message::default()
        };
        Event::from(Choice {
            message,
            ..Choice::default()
        })
    }

    #[test]
    fn pieces_of_parallel_calls_are_put_together() {
        let mut calls = ToolCalls::default();
        for event in [
            piece(0, Some("find"), "{\"q\":"),
            piece(1, Some("add"), "{"),
            piece(0, None, "\"a \\\"b\\\"\"}"),
            piece(1, None, "}"),
        ] {
            calls.event(&event);
        }
        let called = |name: &str, arguments: &str| Called {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        assert_eq!(
            calls.finish(),
            Some(vec![
                called("find", r#"{"q":"a \"b\""}"#),
                called("add", "{}")
            ])
        );
        assert_eq!(ToolCalls::default().finish(), None);
    }

    #[test]
    fn what_is_too_long_is_not_looked_at() {
        let mut calls = ToolCalls::default();
        calls.event(&piece(0, Some("find"), &"x".repeat(LIMIT)));
        calls.event(&piece(0, None, "}"));
        assert_eq!(calls.finish(), None);
    }
}
