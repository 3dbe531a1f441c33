//! An answer as blocks, told one at a time: what the forms have in common that do not speak in chunks of a message.
//!
//! Numbered in order, each closed before the next begins.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::domain::event::{Message, ToolCall};
use crate::domain::json::{JsonText, Raw, unescape};

/// One step of an answer.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A block begins.
    Start(u32, Block),
    /// More of the open block.
    Delta(u32, Delta),
    /// The block is complete.
    Stop(u32),
}

/// What a block is when it begins.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// Visible text.
    Text,
    /// A refusal in words.
    Refusal,
    /// Reasoning in the model's own words, under the provider's id where it has one.
    Thinking(Option<String>),
    /// Reasoning in summary, likewise.
    Summary(Option<String>),
    /// Reasoning that only its provider can read: the whole detail. Complete from its beginning.
    Hidden(Raw),
    /// A call of one of the client's tools.
    Call {
        /// The id that its result must repeat.
        id: JsonText,
        /// The function's name.
        name: JsonText,
    },
}

/// More of a block.
#[derive(Clone, Debug)]
pub(super) enum Delta {
    /// Of a text, a refusal, reasoning or a call's arguments.
    Text(JsonText),
    /// The provider's proof that the reasoning is its own. Ends the block.
    Signature(JsonText),
    /// What only the provider can read of the reasoning. Ends the block.
    Hidden(Raw),
    /// A cited page, as chat form has it.
    Citation(Value),
}

/// The block that is open, and the calls that wait for it.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    next: u32,
    open: Option<Open>,
    waiting: Vec<Waiting>,
    /// Hidden reasoning belongs to the reasoning before it, and is no block of its own.
    joins_hidden: bool,
    /// Reasoning was told as plain text: details that come after it say the same words again.
    told_plainly: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Open {
    Text,
    Refusal,
    Thinking,
    Summary,
    /// A tool call: its index, and its arguments so far, escaped.
    Call(u32, Vec<u8>),
}

/// Pieces of a call that came while another was open: blocks cannot be told side by side.
#[derive(Debug)]
struct Waiting {
    index: u32,
    pieces: Vec<ToolCall>,
}

/// What is read of a reasoning detail (contract 3.5).
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Detail {
    #[serde(rename = "reasoning.text")]
    Text {
        id: Option<String>,
        text: Option<String>,
        signature: Option<String>,
    },
    #[serde(rename = "reasoning.summary")]
    Summary { id: Option<String>, summary: String },
    #[serde(rename = "reasoning.encrypted")]
    Encrypted,
    #[serde(other)]
    Other,
}

impl Blocks {
    /// Blocks of a form where hidden reasoning is a part of the reasoning before it.
    pub(super) fn joining_hidden() -> Self {
        Blocks {
            joins_hidden: true,
            ..Blocks::default()
        }
    }

    /// Adds a message, or a piece of one.
    pub(super) fn take(&mut self, message: &Message, steps: &mut Vec<Step>) {
        self.reasoning(message, steps);
        for (text, open, block) in [
            (&message.content, Open::Text, Block::Text),
            (&message.refusal, Open::Refusal, Block::Refusal),
        ] {
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                self.more(open, block, Delta::Text(text.clone()), steps);
            }
        }
        // A citation belongs to the text before it; without any there is nothing to cite for.
        if self.open == Some(Open::Text) {
            let cited = citations(message).into_iter();
            steps.extend(cited.map(|citation| Step::Delta(self.next, Delta::Citation(citation))));
        }
        for call in &message.tool_calls {
            self.call(call.clone(), steps);
        }
    }

    /// The answer is complete: what waited is told, and the last block closed.
    pub(super) fn end(&mut self, steps: &mut Vec<Step>) {
        self.close(steps);
        for waiting in std::mem::take(&mut self.waiting) {
            for piece in waiting.pieces {
                self.tell(piece, steps);
            }
            self.close(steps);
        }
    }

    /// Details say more than the plain text beside them; the text stands in where they have none.
    fn reasoning(&mut self, message: &Message, steps: &mut Vec<Step>) {
        let details = message.reasoning_details.as_ref().and_then(Raw::elements);
        let details: Vec<(Detail, Raw)> = details
            .into_iter()
            .flatten()
            .filter_map(|raw| Some((raw.parse().ok()?, raw)))
            .collect();
        let in_words = |detail: &(Detail, Raw)| {
            matches!(
                detail.0,
                Detail::Text { text: Some(_), .. } | Detail::Summary { .. }
            )
        };
        if let (Some(text), false) = (&message.reasoning, details.iter().any(in_words)) {
            let delta = Delta::Text(text.clone());
            self.more(Open::Thinking, Block::Thinking(None), delta, steps);
            self.told_plainly = true;
        }
        let again = self.told_plainly && message.reasoning.is_none() && !details.is_empty();
        self.told_plainly &= !again;
        for (detail, raw) in details {
            match detail {
                Detail::Text {
                    id,
                    text,
                    signature,
                } => {
                    let news = text.filter(|_| !again);
                    let texts = news.map(|text| Delta::Text(JsonText::of(&text)));
                    let signed = signature.filter(|signature| !signature.is_empty());
                    let signed = signed.map(|signature| Delta::Signature(JsonText::of(&signature)));
                    for delta in texts.into_iter().chain(signed) {
                        self.more(Open::Thinking, Block::Thinking(id.clone()), delta, steps);
                    }
                }
                Detail::Summary { .. } if again => {}
                Detail::Summary { id, summary } => {
                    let delta = Delta::Text(JsonText::of(&summary));
                    self.more(Open::Summary, Block::Summary(id), delta, steps);
                }
                Detail::Encrypted => self.hidden(raw, steps),
                Detail::Other => {}
            }
        }
    }

    /// More of the open block if it is of that kind, and of a new one if not.
    fn more(&mut self, open: Open, block: Block, delta: Delta, steps: &mut Vec<Step>) {
        if self.open.as_ref() != Some(&open) {
            self.begin(open, block, steps);
        }
        // What is reasoned after a signature is signed anew.
        let ends = matches!(delta, Delta::Signature(_));
        steps.push(Step::Delta(self.next, delta));
        if ends && !self.joins_hidden {
            self.close(steps);
        }
    }

    fn hidden(&mut self, detail: Raw, steps: &mut Vec<Step>) {
        if self.joins_hidden && matches!(self.open, Some(Open::Thinking | Open::Summary)) {
            steps.push(Step::Delta(self.next, Delta::Hidden(detail)));
            self.close(steps);
            return;
        }
        self.close(steps);
        steps.push(Step::Start(self.next, Block::Hidden(detail)));
        steps.push(Step::Stop(self.next));
        self.next += 1;
    }

    fn call(&mut self, call: ToolCall, steps: &mut Vec<Step>) {
        let waiting = self
            .waiting
            .iter_mut()
            .find(|waiting| waiting.index == call.index);
        if let Some(waiting) = waiting {
            waiting.pieces.push(call);
        } else if self.must_wait(call.index) {
            self.waiting.push(Waiting {
                index: call.index,
                pieces: vec![call],
            });
        } else {
            self.tell(call, steps);
        }
    }

    /// Whether another call is open that may still get more: its arguments are not a whole value yet.
    fn must_wait(&self, index: u32) -> bool {
        match &self.open {
            Some(Open::Call(open, arguments)) if *open != index => {
                serde_json::from_str::<IgnoredAny>(&unescape(arguments)).is_err()
            }
            _ => false,
        }
    }

    fn tell(&mut self, call: ToolCall, steps: &mut Vec<Step>) {
        if !matches!(&self.open, Some(Open::Call(open, _)) if *open == call.index) {
            let made_up = || JsonText::of(&format!("call_{}", call.index));
            let block = Block::Call {
                id: call.id.clone().unwrap_or_else(made_up),
                name: call.name.clone().unwrap_or_else(|| JsonText::of("")),
            };
            self.begin(Open::Call(call.index, Vec::new()), block, steps);
        }
        let arguments = call.arguments.filter(|arguments| !arguments.is_empty());
        if let (Some(Open::Call(_, so_far)), Some(arguments)) = (&mut self.open, arguments) {
            so_far.extend_from_slice(arguments.escaped());
            steps.push(Step::Delta(self.next, Delta::Text(arguments)));
        }
    }

    fn begin(&mut self, open: Open, block: Block, steps: &mut Vec<Step>) {
        self.close(steps);
        steps.push(Step::Start(self.next, block));
        self.open = Some(open);
    }

    fn close(&mut self, steps: &mut Vec<Step>) {
        if self.open.take().is_some() {
            steps.push(Step::Stop(self.next));
            self.next += 1;
        }
    }
}

/// The pages that a message cites: `url_citation` of each annotation (contract 3.6).
fn citations(message: &Message) -> Vec<Value> {
    let annotations: Option<Vec<Value>> = message
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.parse().ok());
    let annotations = annotations.into_iter().flatten();
    annotations
        .filter_map(|mut annotation| annotation.get_mut("url_citation").map(Value::take))
        .collect()
}
