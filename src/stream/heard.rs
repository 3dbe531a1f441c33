//! What is listened for in an answer, beside what it uses.

use super::citations::Citations;
use super::tools::ToolCalls;
use crate::domain::event::{Choice, Event, Reply};

/// The listeners of one answer.
#[derive(Debug, Default)]
pub struct Heard {
    /// Its tool calls, where tools were offered.
    pub calls: Option<ToolCalls>,
    /// Where it cites what was searched for it.
    pub citations: Option<Citations>,
}

impl Heard {
    /// Hears a whole answer, and writes into it what was listened for.
    pub fn reply(&mut self, reply: &mut Reply) {
        if let Some(calls) = &mut self.calls {
            calls.reply(reply);
        }
        if let Some(citations) = self.citations.take() {
            citations.annotate(reply);
        }
    }

    /// Hears one step of a stream.
    pub fn event(&mut self, event: &Event) {
        if let Some(calls) = &mut self.calls {
            calls.event(event);
        }
        if let Some(citations) = &mut self.citations {
            citations.event(event);
        }
    }

    /// What a stream ends with: what was listened for, then what was held back.
    pub fn before(&mut self, held: Vec<Choice>) -> Vec<Choice> {
        let annotated = self.citations.take().map(Citations::finish);
        annotated.into_iter().flatten().chain(held).collect()
    }
}
