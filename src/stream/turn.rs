//! One step of a model that may call a tool of the gateway's: what it said, put together so that it can be said back to
//! it, and without what is not the client's to see.

use crate::domain::event::{Choice, Finish, FinishReason, ToolCall};
use crate::domain::json::{JsonText, ObjectWriter, Raw};

/// Longer arguments than this, all together, are not asked.
const LIMIT: usize = 64 << 10;

/// What was said so far.
#[derive(Debug)]
pub struct Turn {
    /// The name of the gateway's tool.
    tool: &'static str,
    content: Vec<JsonText>,
    reasoning: Vec<JsonText>,
    details: Vec<Raw>,
    calls: Vec<Call>,
    /// Calls of the gateway's tool that were told of.
    told: usize,
    finish: Option<Finish>,
}

#[derive(Debug)]
struct Call {
    index: u32,
    id: Option<JsonText>,
    name: Option<JsonText>,
    arguments: Vec<JsonText>,
    /// Whether it is of the gateway's tool.
    mine: bool,
}

/// A call of the gateway's tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The id that its result must repeat.
    pub id: JsonText,
    /// The arguments as the model wrote them.
    pub arguments: String,
}

impl Turn {
    /// Nothing yet, of a model that has this tool.
    pub fn new(tool: &'static str) -> Self {
        Turn {
            tool,
            content: Vec::new(),
            reasoning: Vec::new(),
            details: Vec::new(),
            calls: Vec::new(),
            told: 0,
            finish: None,
        }
    }

    /// Takes note of a piece, and takes out of it the calls of the gateway's tool and the reason for ending.
    pub fn take(&mut self, choice: &mut Choice) {
        let message = &mut choice.message;
        self.content.extend(message.content.clone());
        self.reasoning.extend(message.reasoning.clone());
        let details = message.reasoning_details.as_ref().and_then(Raw::elements);
        self.details.extend(details.into_iter().flatten());
        for call in std::mem::take(&mut message.tool_calls) {
            if !self.is_mine(&call) {
                let before = |known: &&Call| known.mine && known.index < call.index;
                let hidden = self.calls.iter().filter(before).count();
                let hidden = u32::try_from(hidden).unwrap_or(u32::MAX);
                message.tool_calls.push(ToolCall {
                    index: call.index.saturating_sub(hidden),
                    ..call
                });
            }
        }
        if let Some(finish) = choice.finish.take() {
            self.finish = Some(finish);
        }
    }

    /// The calls of the gateway's tool, where the model waits for their results and for nothing else.
    pub fn asked(&self) -> Option<Vec<Asked>> {
        let length = |call: &Call| call.arguments.iter().map(JsonText::len).sum::<usize>();
        let waits = !self.calls.is_empty() && self.calls.iter().all(|call| call.mine);
        if !waits || self.calls.iter().map(length).sum::<usize>() > LIMIT {
            return None;
        }
        let asked = |call: &Call| Asked {
            id: call.id.clone().unwrap_or_else(|| JsonText::of("call")),
            arguments: text(&call.arguments),
        };
        Some(self.calls.iter().map(asked).collect())
    }

    /// How many calls of the gateway's tool there are beyond those that were told before.
    pub fn newly_asked(&mut self) -> u64 {
        let calls = self.calls.iter().filter(|call| call.mine).count();
        let before = std::mem::replace(&mut self.told, calls);
        calls.saturating_sub(before) as u64
    }

    /// The names of the tools that it called.
    pub fn called(&self) -> Vec<String> {
        let names = self.calls.iter().filter_map(|call| call.name.as_ref());
        names.map(JsonText::to_text).collect()
    }

    /// Why it ended, as the provider has it.
    pub fn ended(&self) -> Option<&Finish> {
        self.finish.as_ref()
    }

    /// Why it ended. A client that sees no call is not told of one.
    pub fn finish(&mut self) -> Option<Finish> {
        let shown = self.calls.is_empty() || self.calls.iter().any(|call| !call.mine);
        self.finish.take().map(|finish| Finish {
            reason: match finish.reason {
                FinishReason::ToolCalls if !shown => FinishReason::Stop,
                reason => reason,
            },
            ..finish
        })
    }

    /// The message of the assistant, as a request repeats it.
    pub fn message(&self) -> Raw {
        let mut message = ObjectWriter::with_capacity(256);
        message.text("role", "assistant");
        let content = JsonText::joined(&self.content);
        message.raw(
            "content",
            content.as_ref().map_or(b"null", JsonText::as_bytes),
        );
        if let Some(reasoning) = JsonText::joined(&self.reasoning) {
            message.raw("reasoning", reasoning.as_bytes());
        }
        if !self.details.is_empty() {
            let details = Raw::array(self.details.iter().map(Raw::as_str));
            message.raw("reasoning_details", details.as_bytes());
        }
        let calls: Vec<Raw> = self.calls.iter().map(Call::written).collect();
        message.raw(
            "tool_calls",
            Raw::array(calls.iter().map(Raw::as_str)).as_bytes(),
        );
        message.finish_raw()
    }

    fn is_mine(&mut self, piece: &ToolCall) -> bool {
        let known = self
            .calls
            .iter()
            .rposition(|call| call.index == piece.index);
        let place = known.unwrap_or_else(|| {
            let named = piece.name.as_ref().map(JsonText::to_text);
            self.calls.push(Call {
                index: piece.index,
                id: None,
                name: None,
                arguments: Vec::new(),
                mine: named.as_deref() == Some(self.tool),
            });
            self.calls.len() - 1
        });
        let Some(call) = self.calls.get_mut(place) else {
            return false;
        };
        call.id = call.id.take().or(piece.id.clone());
        call.name = call.name.take().or(piece.name.clone());
        call.arguments.extend(piece.arguments.clone());
        call.mine
    }
}

impl Call {
    fn written(&self) -> Raw {
        let text = |text: &Option<JsonText>| text.clone().unwrap_or_else(|| JsonText::of(""));
        let mut function = ObjectWriter::with_capacity(128);
        function.raw("name", text(&self.name).as_bytes());
        let arguments = JsonText::joined(&self.arguments);
        function.raw("arguments", text(&arguments).as_bytes());
        let mut call = ObjectWriter::with_capacity(192);
        let id = self.id.clone().unwrap_or_else(|| JsonText::of("call"));
        call.raw("id", id.as_bytes());
        call.text("type", "function");
        call.raw("function", function.finish_raw().as_bytes());
        call.finish_raw()
    }
}

fn text(pieces: &[JsonText]) -> String {
    JsonText::joined(pieces).map_or_else(String::new, |text| text.to_text())
}
