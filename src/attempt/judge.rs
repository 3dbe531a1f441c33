//! Whether an answer's tool calls can be run (contract 6.9): arguments that are JSON, a name that was
//! offered, arguments that the tool's schema accepts. Looked at behind the answer, one at a time, by a
//! task that drops what it cannot keep up with: a sample is enough.

use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, Validator};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::health::Vitals;
use crate::clock::now_ms;
use crate::domain::json::Raw;
use crate::stream::tools::Called;

/// Answers that wait to be looked at.
const WAITING: usize = 256;

/// Schemas that are kept compiled; with more, keeping starts anew.
const COMPILED: usize = 512;

/// Longer schemas are taken for accepting everything.
const LONGEST_SCHEMA: usize = 64 << 10;

/// Hands answers to the task that looks at them. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Judge {
    inbox: mpsc::Sender<Case>,
}

/// An answer with tool calls.
#[derive(Debug)]
pub struct Case {
    /// The endpoint that answered.
    pub vitals: Arc<Vitals>,
    /// The request's `tools`.
    pub tools: Raw,
    /// The answer's calls.
    pub calls: Vec<Called>,
}

/// What is wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bad {
    InvalidJson,
    UnknownName,
    SchemaMismatch,
}

impl Judge {
    /// Starts the task, which belongs to `tasks` and ends with `stop`.
    pub fn start(tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let (inbox, cases) = mpsc::channel(WAITING);
        tasks.spawn(stop.run_until_cancelled_owned(judge(cases)));
        Judge { inbox }
    }

    /// Has an answer looked at, unless too many wait already.
    pub fn consider(&self, case: Case) {
        // Full or stopped: the answer is not part of the sample.
        let _ = self.inbox.try_send(case);
    }
}

async fn judge(mut cases: mpsc::Receiver<Case>) {
    let schemas = Arc::new(Mutex::new(Schemas::default()));
    while let Some(case) = cases.recv().await {
        let schemas = Arc::clone(&schemas);
        // A schema may be slow to compile or to check; that must not hold up a thread of the server.
        let judged = spawn_blocking(move || {
            let bad = schemas.lock().first_bad(&case.tools, &case.calls);
            case.vitals.tool_calls(bad.is_some(), now_ms());
        });
        if let Err(error) = judged.await {
            tracing::error!(%error, "an answer's tool calls could not be looked at");
        }
    }
}

/// Compiled schemas, by their text. `None` for one that cannot be used.
#[derive(Default)]
struct Schemas(HashMap<Box<str>, Option<Arc<Validator>>>);

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

impl Schemas {
    /// The first thing that is wrong with the calls.
    fn first_bad(&mut self, tools: &Raw, calls: &[Called]) -> Option<Bad> {
        let tools: Vec<Tool<'_>> = serde_json::from_slice(tools.as_bytes()).ok()?;
        let functions: Vec<&Function<'_>> = tools
            .iter()
            .filter_map(|tool| tool.function.as_ref())
            .collect();
        calls.iter().find_map(|call| self.bad(&functions, call))
    }

    fn bad(&mut self, functions: &[&Function<'_>], call: &Called) -> Option<Bad> {
        // No arguments at all is how many models call a tool that takes none.
        let written = if call.arguments.trim().is_empty() {
            "{}"
        } else {
            &call.arguments
        };
        let Ok(arguments) = serde_json::from_str::<Value>(written) else {
            return Some(Bad::InvalidJson);
        };
        let named = |function: &&&Function<'_>| function.name == call.name;
        let Some(function) = functions.iter().find(named) else {
            return Some(Bad::UnknownName);
        };
        let validator = self.compiled(function.parameters?.get())?;
        (!validator.is_valid(&arguments)).then_some(Bad::SchemaMismatch)
    }

    fn compiled(&mut self, schema: &str) -> Option<Arc<Validator>> {
        if schema.len() > LONGEST_SCHEMA {
            return None;
        }
        if let Some(known) = self.0.get(schema) {
            return known.clone();
        }
        if self.0.len() >= COMPILED {
            self.0.clear();
        }
        let compiled = compile(schema);
        self.0.insert(schema.into(), compiled.clone());
        compiled
    }
}

/// Draft 7, with patterns that need linear time: a caller's schema must not be able to stall the task.
fn compile(schema: &str) -> Option<Arc<Validator>> {
    let schema: Value = serde_json::from_str(schema).ok()?;
    let options = jsonschema::options()
        .with_draft(Draft::Draft7)
        .with_pattern_options(PatternOptions::regex());
    options.build(&schema).ok().map(Arc::new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(name: &str, arguments: &str, expect: Option<Bad>) {
        let tools = json!([
            {"type": "function", "function": {"name": "find", "parameters": {
                "type": "object", "required": ["q"], "additionalProperties": false,
                "properties": {"q": {"type": "string", "pattern": "^[a-z]+$"}, "n": {"type": "integer", "minimum": 1}}}}},
            {"type": "function", "function": {"name": "now"}},
            {"type": "function", "function": {"name": "odd", "parameters": {"type": "no such type"}}},
            {"type": "function", "function": {"name": "far", "parameters": {"$ref": "http://example.test/schema"}}},
            {"type": "openrouter:web_search"},
        ]);
        let call = Called {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        let mut schemas = Schemas::default();
        let tools = Raw::of(&tools).unwrap();
        for _ in 0..2 {
            assert_eq!(
                schemas.first_bad(&tools, std::slice::from_ref(&call)),
                expect,
                "{name} {arguments}"
            );
        }
        assert!(schemas.0.len() <= 1);
    }

    #[test]
    fn a_call_is_bad_by_its_json_its_name_or_its_schema() {
        check("find", r#"{"q":"cats"}"#, None);
        check("find", r#"{"q":"cats","n":2}"#, None);
        check("find", r#"{"q":"cats""#, Some(Bad::InvalidJson));
        check("find", "", Some(Bad::SchemaMismatch));
        check("find", r#"{"q":"CATS"}"#, Some(Bad::SchemaMismatch));
        check("find", r#"{"q":"cats","n":0}"#, Some(Bad::SchemaMismatch));
        check("find", r#"["q"]"#, Some(Bad::SchemaMismatch));
        check("fond", r#"{"q":"cats"}"#, Some(Bad::UnknownName));
        check("now", "", None);
        check("now", r#"{"anything":1}"#, None);
        check("now", "nonsense", Some(Bad::InvalidJson));
        // A schema that cannot be used accepts everything.
        check("odd", "{}", None);
        check("far", "{}", None);
    }

    #[test]
    fn compiled_schemas_are_bounded() {
        let mut schemas = Schemas::default();
        for number in 0..=COMPILED {
            let schema = format!(r#"{{"type":"object","minProperties":{number}}}"#);
            assert!(schemas.compiled(&schema).is_some());
        }
        assert!(schemas.0.len() <= COMPILED);
    }
}
