//! The tool calls of one choice, put in order: dense indexes, one id and one name each, whatever
//! the provider leaves out, repeats or numbers differently.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::piece::{CallShape, FunctionShape};
use crate::domain::event::ToolCall;
use crate::domain::json::JsonText;
use crate::wire::call_id::{Seed, no_arguments};
use crate::wire::shape::{Given, count, is_text, text};

/// The calls of one choice so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    slots: Vec<Slot>,
}

/// What is known of one call.
#[derive(Debug, Default)]
struct Slot {
    /// The provider's number, which need not be ours.
    number: Option<u64>,
    /// The provider's id; a made up one is not remembered, as nothing will repeat it.
    id: Option<JsonText>,
    named: bool,
    /// Whether any argument has come.
    argued: bool,
}

impl Calls {
    /// A piece of a call: new, or more of one that is known.
    pub(super) fn piece(
        &mut self,
        buffer: &Bytes,
        seed: Seed<'_>,
        shape: &CallShape<'_>,
    ) -> ToolCall {
        let (number, id, name) = (
            count(shape.index),
            text(buffer, shape.id),
            text(buffer, shape.function.name),
        );
        match self.known(number, id.as_ref(), name.as_ref()) {
            Some(at) => self.more(at, name, arguments(buffer, shape.function.arguments)),
            None => self.open(buffer, seed, number, id, &shape.function),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// A call that is whole, as in an unstreamed answer.
    pub(super) fn whole(
        &mut self,
        buffer: &Bytes,
        seed: Seed<'_>,
        shape: &CallShape<'_>,
    ) -> ToolCall {
        let call = self.open(buffer, seed, None, text(buffer, shape.id), &shape.function);
        ToolCall {
            arguments: call.arguments.or_else(no_arguments),
            ..call
        }
    }

    /// The choice has ended: calls that got no arguments get the empty object, which every client can parse.
    pub(super) fn close(&mut self, calls: &mut Vec<ToolCall>) {
        for (index, slot) in (0..).zip(&mut self.slots) {
            if std::mem::replace(&mut slot.argued, true) {
                continue;
            }
            match calls.iter_mut().find(|call| call.index == index) {
                Some(call) => call.arguments = no_arguments(),
                None => calls.push(ToolCall {
                    index,
                    arguments: no_arguments(),
                    ..ToolCall::default()
                }),
            }
        }
    }

    /// Which call a piece belongs to; `None` when it begins one. Providers that number every call 0 are told apart
    /// by a new id together with a name, as some send a new id with every piece.
    fn known(
        &self,
        number: Option<u64>,
        id: Option<&JsonText>,
        name: Option<&JsonText>,
    ) -> Option<usize> {
        let same_id = || {
            id.and_then(|id| {
                self.slots
                    .iter()
                    .rposition(|slot| slot.id.as_ref() == Some(id))
            })
        };
        let begins = name.is_some() && id.is_some();
        match number {
            Some(number) => {
                let at = self
                    .slots
                    .iter()
                    .rposition(|slot| slot.number == Some(number))?;
                let other = begins && self.slots[at].named && self.slots[at].id.as_ref() != id;
                if other { same_id() } else { Some(at) }
            }
            None => same_id().or_else(|| {
                if name.is_some() {
                    None
                } else {
                    self.slots.len().checked_sub(1)
                }
            }),
        }
    }

    fn open(
        &mut self,
        buffer: &Bytes,
        seed: Seed<'_>,
        number: Option<u64>,
        id: Option<JsonText>,
        function: &FunctionShape<'_>,
    ) -> ToolCall {
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let (name, arguments) = (
            text(buffer, function.name),
            arguments(buffer, function.arguments),
        );
        self.slots.push(Slot {
            number,
            id: id.clone(),
            named: name.is_some(),
            argued: arguments.is_some(),
        });
        ToolCall {
            index,
            id: Some(id.unwrap_or_else(|| seed.id(index, name.as_ref()))),
            name,
            arguments,
        }
    }

    fn more(&mut self, at: usize, name: Option<JsonText>, arguments: Option<JsonText>) -> ToolCall {
        let slot = &mut self.slots[at];
        slot.argued |= arguments.is_some();
        // Some repeat the name with every piece; clients would append it.
        let name = name.filter(|_| !std::mem::replace(&mut slot.named, true));
        ToolCall {
            index: u32::try_from(at).unwrap_or(u32::MAX),
            id: None,
            name,
            arguments,
        }
    }
}

/// Arguments as the JSON inside a string that they should be; some send the object itself.
fn arguments(buffer: &Bytes, arguments: Given<'_>) -> Option<JsonText> {
    match arguments? {
        value if is_text(value) => text(buffer, Some(value)),
        value => Some(JsonText::of(RawValue::get(value))),
    }
}
