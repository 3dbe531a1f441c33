//! The echo model's answers in OpenAI's shapes, whole and streamed.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::request::{Request, Says};
use super::words;
use crate::domain::ids::random_text;

/// An answer, ready to be written.
pub(super) struct Answer {
    form: Form,
    id: String,
    request: Request,
    choices: Vec<Choice>,
}

#[derive(Clone, Copy)]
enum Form {
    Chat,
    Text,
}

struct Choice {
    says: Says,
    finish_reason: &'static str,
    tokens: u64,
}

impl Answer {
    /// The answer to a chat completion.
    pub(super) fn chat(request: Request) -> Self {
        Answer::new(Form::Chat, request)
    }

    /// The answer to a text completion.
    pub(super) fn text(request: Request) -> Self {
        Answer::new(Form::Text, request)
    }

    /// Whether it was asked for as a stream.
    pub(super) fn streamed(&self) -> bool {
        self.request.stream
    }

    /// The whole answer.
    pub(super) fn into_body(self) -> Bytes {
        let choices = self
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| self.whole_choice(index, choice))
            .collect();
        let mut body = self.envelope(self.form.object(), choices);
        body.insert("usage".to_owned(), self.usage());
        Value::Object(body).to_string().into()
    }

    /// The server-sent events of the answer: one token each, a finish for each choice, the usage if asked for, `[DONE]`.
    pub(super) fn into_stream(self) -> impl Iterator<Item = Bytes> + Send {
        let mut at = Position::Choice { index: 0, from: 0 };
        std::iter::from_fn(move || {
            let (event, next) = self.event(at)?;
            at = next;
            Some(event)
        })
    }

    fn new(form: Form, request: Request) -> Self {
        let repeated = request
            .says
            .iter()
            .flat_map(|says| std::iter::repeat_n(says, request.choices));
        let choices = repeated
            .map(|says| Choice::new(says, request.max_tokens))
            .collect();
        Answer {
            form,
            id: format!("{}-{}", form.id_prefix(), random_text(24)),
            request,
            choices,
        }
    }

    fn whole_choice(&self, index: usize, choice: &Choice) -> Value {
        let finish_reason = choice.finish_reason;
        match (self.form, &choice.says) {
            (Form::Chat, Says::Text(text)) => {
                let message = json!({ "role": "assistant", "content": text, "refusal": null });
                json!({ "index": index, "message": message, "logprobs": null, "finish_reason": finish_reason })
            }
            (Form::Chat, Says::Tool { name, arguments }) => {
                let call = json!({ "id": self.call_id(index), "type": "function", "function": { "name": name, "arguments": arguments } });
                let message = json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": [call] });
                json!({ "index": index, "message": message, "logprobs": null, "finish_reason": finish_reason })
            }
            (Form::Text, says) => {
                json!({ "index": index, "text": says.text(), "logprobs": null, "finish_reason": finish_reason })
            }
        }
    }

    /// The event at a position, and the position after it.
    fn event(&self, at: Position) -> Option<(Bytes, Position)> {
        match at {
            Position::Choice { index, from } => match self.choices.get(index) {
                Some(choice) => {
                    let (piece, next) = self.piece(choice, index, from);
                    Some((self.chunk(vec![piece], None), next))
                }
                None if self.request.include_usage => {
                    Some((self.chunk(Vec::new(), Some(self.usage())), Position::Done))
                }
                None => self.event(Position::Done),
            },
            Position::Done => Some((Bytes::from_static(b"data: [DONE]\n\n"), Position::End)),
            Position::End => None,
        }
    }

    /// The piece of a choice that begins at byte `from` of its text; past the end of it, its finish.
    fn piece(&self, choice: &Choice, index: usize, from: usize) -> (Value, Position) {
        let text = choice.says.text();
        let rest = text.get(from..).unwrap_or_default();
        match words::tokens(rest).next() {
            Some(token) => (
                self.delta(choice, index, from == 0, Some(token)),
                Position::Choice {
                    index,
                    from: from + token.len(),
                },
            ),
            None => (
                self.delta(choice, index, from == 0, None),
                Position::Choice {
                    index: index + 1,
                    from: 0,
                },
            ),
        }
    }

    fn delta(&self, choice: &Choice, index: usize, first: bool, token: Option<&str>) -> Value {
        let finish_reason = if token.is_none() {
            Some(choice.finish_reason)
        } else {
            None
        };
        if let Form::Text = self.form {
            return json!({ "index": index, "text": token.unwrap_or_default(), "logprobs": null, "finish_reason": finish_reason });
        }
        let mut delta = Map::new();
        if first {
            delta.insert("role".to_owned(), json!("assistant"));
        }
        match (&choice.says, token) {
            (Says::Text(_), Some(token)) => drop(delta.insert("content".to_owned(), json!(token))),
            (Says::Tool { name, .. }, Some(token)) if first => {
                let function = json!({ "name": name, "arguments": token });
                let call = json!({ "index": 0, "id": self.call_id(index), "type": "function", "function": function });
                delta.insert("tool_calls".to_owned(), json!([call]));
            }
            (Says::Tool { .. }, Some(token)) => {
                delta.insert(
                    "tool_calls".to_owned(),
                    json!([{ "index": 0, "function": { "arguments": token } }]),
                );
            }
            (_, None) => {}
        }
        json!({ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason })
    }

    fn chunk(&self, choices: Vec<Value>, usage: Option<Value>) -> Bytes {
        let mut chunk = self.envelope(self.form.chunk_object(), choices);
        if let Some(usage) = usage {
            chunk.insert("usage".to_owned(), usage);
        }
        format!("data: {}\n\n", Value::Object(chunk)).into()
    }

    fn envelope(&self, object: &str, choices: Vec<Value>) -> Map<String, Value> {
        let mut envelope = Map::new();
        envelope.insert("id".to_owned(), json!(self.id));
        envelope.insert("object".to_owned(), json!(object));
        // The gateway dates its answers itself; a model that is a function of its input has no clock.
        envelope.insert("created".to_owned(), json!(0));
        envelope.insert("model".to_owned(), json!(self.request.model));
        envelope.insert("choices".to_owned(), Value::Array(choices));
        envelope
    }

    fn usage(&self) -> Value {
        let prompt = self.request.prompt_tokens;
        let completion: u64 = self.choices.iter().map(|choice| choice.tokens).sum();
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }

    fn call_id(&self, index: usize) -> String {
        format!(
            "call_{}_{index}",
            self.id.rsplit('-').next().unwrap_or_default()
        )
    }
}

/// Where a stream has got to.
#[derive(Clone, Copy)]
enum Position {
    Choice { index: usize, from: usize },
    Done,
    End,
}

impl Choice {
    fn new(says: &Says, max_tokens: u64) -> Self {
        let (kept, cut_off) = words::cut(says.text(), max_tokens);
        let tokens = words::count(kept);
        let (says, finished) = match says {
            Says::Text(_) => (Says::Text(kept.to_owned()), "stop"),
            Says::Tool { name, .. } => (
                Says::Tool {
                    name: name.clone(),
                    arguments: kept.to_owned(),
                },
                "tool_calls",
            ),
        };
        Choice {
            says,
            finish_reason: if cut_off { "length" } else { finished },
            tokens,
        }
    }
}

impl Says {
    fn text(&self) -> &str {
        match self {
            Says::Text(text)
            | Says::Tool {
                arguments: text, ..
            } => text,
        }
    }
}

impl Form {
    fn object(self) -> &'static str {
        match self {
            Form::Chat => "chat.completion",
            Form::Text => "text_completion",
        }
    }

    fn chunk_object(self) -> &'static str {
        match self {
            Form::Chat => "chat.completion.chunk",
            Form::Text => "text_completion",
        }
    }

    fn id_prefix(self) -> &'static str {
        match self {
            Form::Chat => "chatcmpl",
            Form::Text => "cmpl",
        }
    }
}
