//! Output items as they are built up, and the events that tell of it (contract 10).

use serde_json::{Value, json};

use super::logprobs;
use super::parts::{Kind, part};
use crate::domain::event::Choice;
use crate::domain::json::{JsonText, Raw, unescape};
use crate::edge::skins::blocks::{Block, Blocks, Delta, Step};

/// The items of one response. Every event has the next number of the stream.
#[derive(Debug)]
pub(super) struct Items {
    /// What the items' ids end in.
    name: String,
    blocks: Blocks,
    open: Option<Open>,
    done: Vec<Value>,
    /// Tokens whose text is yet to come: a provider may tell of half a letter.
    tokens: Vec<Value>,
    sequence: u64,
}

/// The item that is open.
#[derive(Debug)]
struct Open {
    kind: Kind,
    id: String,
    item: Value,
    /// What its deltas added up to, escaped.
    text: Vec<u8>,
    /// How likely its tokens were, where that is known.
    tokens: Vec<Value>,
}

impl Items {
    /// No items yet.
    pub(super) fn new() -> Self {
        Items {
            name: String::new(),
            blocks: Blocks::joining_hidden(),
            open: None,
            done: Vec::new(),
            tokens: Vec::new(),
            sequence: 0,
        }
    }

    /// What the items' ids shall end in.
    pub(super) fn named(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Adds a message, or a piece of one.
    pub(super) fn take(&mut self, choice: &Choice, out: &mut Vec<u8>) {
        self.tokens
            .extend(logprobs::tokens(choice.logprobs.as_ref()));
        let mut steps = Vec::new();
        self.blocks.take(&choice.message, &mut steps);
        self.tell(steps, out);
        // Of anything but a text, they have no place.
        if !self
            .open
            .as_ref()
            .is_some_and(|open| open.kind == Kind::Text)
        {
            self.tokens.clear();
        }
    }

    /// The answer is complete.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let mut steps = Vec::new();
        self.blocks.end(&mut steps);
        self.tell(steps, out);
    }

    /// The items that are complete.
    pub(super) fn done(&self) -> &[Value] {
        &self.done
    }

    /// Another event has taken the next number.
    pub(super) fn forwarded(&mut self) {
        self.sequence += 1;
    }

    /// Writes an event under the next number.
    pub(super) fn event(&mut self, kind: &str, fields: Value, out: &mut Vec<u8>) {
        let mut event = json!({ "type": kind, "sequence_number": self.sequence });
        self.sequence += 1;
        if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
            event.extend(fields);
        }
        out.extend_from_slice(format!("data: {event}\n\n").as_bytes());
    }

    fn tell(&mut self, steps: Vec<Step>, out: &mut Vec<u8>) {
        for step in steps {
            match step {
                Step::Start(index, block) => self.start(index, block, out),
                Step::Delta(index, Delta::Text(text)) => self.more(index, &text, out),
                Step::Delta(_, Delta::Signature(signature)) => {
                    if let Some(open) = &mut self.open {
                        open.item["signature"] = signature.to_text().into();
                        open.item["format"] = "anthropic-claude-v1".into();
                    }
                }
                Step::Delta(_, Delta::Hidden(detail)) => {
                    if let Some(open) = &mut self.open {
                        hide(&mut open.item, &detail);
                    }
                }
                Step::Delta(index, Delta::Citation(cited)) => self.cite(index, cited, out),
                Step::Stop(index) => self.stop(index, out),
            }
        }
    }

    fn start(&mut self, index: u32, block: Block, out: &mut Vec<u8>) {
        let id = |prefix: &str| format!("{prefix}_{}_{index}", self.name);
        let reasoning = |id: String| json!({ "type": "reasoning", "id": id, "status": "in_progress", "summary": [] });
        let (kind, id, mut item) = match block {
            Block::Text | Block::Refusal => {
                let kind = if matches!(block, Block::Text) {
                    Kind::Text
                } else {
                    Kind::Refusal
                };
                let item = json!({ "type": "message", "id": id("msg"), "status": "in_progress", "role": "assistant", "content": [] });
                (kind, id("msg"), item)
            }
            Block::Thinking(own) => {
                let id = own.unwrap_or_else(|| id("rs"));
                (Kind::Thinking, id.clone(), reasoning(id))
            }
            Block::Summary(own) => {
                let id = own.unwrap_or_else(|| id("rs"));
                (Kind::Summary, id.clone(), reasoning(id))
            }
            Block::Hidden(detail) => {
                let id = own_id(&detail).unwrap_or_else(|| id("rs"));
                let mut item = reasoning(id.clone());
                hide(&mut item, &detail);
                (Kind::Hidden, id, item)
            }
            Block::Call { id: call, name } => {
                let item = json!({
                    "type": "function_call", "id": id("fc"), "status": "in_progress", "call_id": call.to_text(),
                    "name": name.to_text(), "arguments": "",
                });
                (Kind::Call, id("fc"), item)
            }
        };
        self.event(
            "response.output_item.added",
            json!({ "output_index": index, "item": item }),
            out,
        );
        if let Some((list, part_index, kind)) = kind.told_part() {
            let mut added = json!({ "item_id": id, "output_index": index });
            added[part_index] = 0.into();
            added["part"] = part(kind, "");
            self.event(list.added(), added, out);
        }
        item["status"] = "completed".into();
        self.open = Some(Open {
            kind,
            id,
            item,
            text: Vec::new(),
            tokens: Vec::new(),
        });
    }

    /// The event of every chunk: its text is copied as the literal it came in.
    fn more(&mut self, index: u32, text: &JsonText, out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        open.text.extend_from_slice(text.escaped());
        let (name, rest) = match open.kind {
            Kind::Text => ("output_text", ",\"content_index\":0"),
            Kind::Refusal => ("refusal", ",\"content_index\":0"),
            Kind::Thinking => ("reasoning_text", ",\"content_index\":0"),
            Kind::Summary => ("reasoning_summary_text", ",\"summary_index\":0"),
            Kind::Call => ("function_call_arguments", ""),
            Kind::Hidden => return,
        };
        // An id may be the provider's own, so it is escaped.
        let id = JsonText::of(&open.id);
        let head = format!(
            "data: {{\"type\":\"response.{name}.delta\",\"sequence_number\":{},\"output_index\":{index}{rest},\"item_id\":",
            self.sequence
        );
        self.sequence += 1;
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(b",\"delta\":");
        out.extend_from_slice(text.as_bytes());
        if open.kind == Kind::Text {
            out.extend_from_slice(b",\"logprobs\":");
            let tokens = std::mem::take(&mut self.tokens);
            match tokens.as_slice() {
                [] => out.extend_from_slice(b"[]"),
                tokens => out.extend_from_slice(json!(tokens).to_string().as_bytes()),
            }
            open.tokens.extend(tokens);
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn cite(&mut self, index: u32, cited: Value, out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        // Where the provider does not say what it cites for, the place is the beginning.
        let mut annotation =
            json!({ "type": "url_citation", "title": "", "start_index": 0, "end_index": 0 });
        if let (Value::Object(annotation), Value::Object(cited)) = (&mut annotation, cited) {
            annotation.extend(cited);
        }
        let known = &mut open.item["annotations"];
        if known.is_null() {
            *known = json!([]);
        }
        let position = known.as_array().map_or(0, Vec::len);
        if let Value::Array(known) = known {
            known.push(annotation.clone());
        }
        let added = json!({
            "item_id": open.id, "output_index": index, "content_index": 0,
            "annotation_index": position, "annotation": annotation,
        });
        self.event("response.output_text.annotation.added", added, out);
    }

    fn stop(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(Open {
            kind,
            id,
            mut item,
            text,
            mut tokens,
        }) = self.open.take()
        else {
            return;
        };
        let text = unescape(&text);
        if kind == Kind::Call {
            item["arguments"] = text.as_str().into();
            let done = json!({ "item_id": id, "output_index": index, "name": item["name"], "arguments": text });
            self.event("response.function_call_arguments.done", done, out);
        } else if let Some((list, part_index, name)) = kind.part() {
            let mut part = part(name, &text);
            if let Some(annotations) = item
                .as_object_mut()
                .and_then(|item| item.remove("annotations"))
            {
                part["annotations"] = annotations;
            }
            if kind == Kind::Text {
                tokens.append(&mut self.tokens);
                part["logprobs"] = json!(tokens);
            }
            let mut done = json!({ "item_id": id, "output_index": index });
            done[part_index] = 0.into();
            let mut text_done = done.clone();
            text_done[if kind == Kind::Refusal {
                "refusal"
            } else {
                "text"
            }] = text.into();
            if kind == Kind::Text {
                text_done["logprobs"] = part["logprobs"].clone();
            }
            self.event(list.text_done(name), text_done, out);
            if kind.told_part().is_some() {
                done["part"] = part.clone();
                self.event(list.done(), done, out);
            }
            item[list.field()] = json!([part]);
        }
        self.event(
            "response.output_item.done",
            json!({ "output_index": index, "item": item }),
            out,
        );
        self.done.push(item);
    }
}

/// Puts what only the provider can read into a reasoning item.
fn hide(item: &mut Value, detail: &Raw) {
    let Ok(detail) = detail.parse::<Value>() else {
        return;
    };
    item["encrypted_content"] = detail["data"].clone();
    item["format"] = detail["format"].clone();
}

fn own_id(detail: &Raw) -> Option<String> {
    detail.parse::<Value>().ok()?["id"]
        .as_str()
        .map(str::to_owned)
}
