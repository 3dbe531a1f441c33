//! Anthropic's counts. Its input leaves out what a cache answered or took, which the gateway's prompt counts in.

use crate::domain::usage::Tokens;
use crate::wire::shape::{Given, List, count, shape};
use crate::wire::usage::{CacheApart, Written};

shape! {
    /// A `usage` object. In a stream it comes twice, the second time with what has changed.
    UsageShape {
        input = "input_tokens": Given<'a>,
        output = "output_tokens": Given<'a>,
        cache_read = "cache_read_input_tokens": Given<'a>,
        cache_written = "cache_creation_input_tokens": Given<'a>,
        cache_creation = "cache_creation": Option<Written<'a>>,
        output_details = "output_tokens_details": DetailsShape<'a>,
        server_tools = "server_tool_use": ServerToolsShape<'a>,
        // One for each time the model was run: compaction and advisors are runs of their own, which the sums above
        // leave out and the bill does not.
        iterations = "iterations": List<RunShape<'a>>,
        service_tier = "service_tier": Given<'a>,
    }
    /// One run of the model.
    RunShape {
        input = "input_tokens": Given<'a>,
        output = "output_tokens": Given<'a>,
        cache_read = "cache_read_input_tokens": Given<'a>,
        cache_written = "cache_creation_input_tokens": Given<'a>,
        cache_creation = "cache_creation": Option<Written<'a>>,
    }
    /// What the output is made of.
    DetailsShape {
        thinking = "thinking_tokens": Given<'a>,
    }
    /// What tools on the provider's side did.
    ServerToolsShape {
        searches = "web_search_requests": Given<'a>,
    }
}

/// The counts as far as they are known: later reports replace what they mention.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    one_hour: Option<u64>,
    thinking: Option<u64>,
    searches: Option<u64>,
}

impl Counted {
    /// Takes a report in.
    pub(super) fn learn(&mut self, usage: &UsageShape<'_>) {
        let one_hour = |written: &Option<Written<'_>>| count(written.as_ref()?.one_hour);
        let told = Counted {
            input: count(usage.input),
            output: count(usage.output),
            cache_read: count(usage.cache_read),
            cache_written: written(usage.cache_written, usage.cache_creation.as_ref()),
            one_hour: one_hour(&usage.cache_creation),
            thinking: count(usage.output_details.thinking),
            searches: count(usage.server_tools.searches),
        };
        *self = told.or(*self);
        let runs = &usage.iterations.0;
        if !runs.is_empty() {
            let sum = |of: fn(&RunShape<'_>) -> Option<u64>| {
                let counts = runs.iter().filter_map(of);
                Some(counts.fold(0, u64::saturating_add))
            };
            let whole = Counted {
                input: sum(|run| count(run.input)),
                output: sum(|run| count(run.output)),
                cache_read: sum(|run| count(run.cache_read)),
                cache_written: sum(|run| written(run.cache_written, run.cache_creation.as_ref())),
                one_hour: sum(|run| count(run.cache_creation.as_ref()?.one_hour)),
                ..Counted::default()
            };
            *self = whole.or(*self);
        }
    }

    /// The counts in the domain's classes; `None` when nothing was reported.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        self.input.or(self.output)?;
        let known = |count: Option<u64>| count.unwrap_or(0);
        let counted = CacheApart {
            input: known(self.input),
            output: known(self.output),
            cached: known(self.cache_read),
            written: known(self.cache_written),
            one_hour: known(self.one_hour),
        };
        Some(Tokens {
            reasoning: known(self.thinking),
            web_searches: known(self.searches),
            ..counted.tokens()
        })
    }

    fn or(self, other: Self) -> Self {
        Counted {
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            cache_read: self.cache_read.or(other.cache_read),
            cache_written: self.cache_written.or(other.cache_written),
            one_hour: self.one_hour.or(other.one_hour),
            thinking: self.thinking.or(other.thinking),
            searches: self.searches.or(other.searches),
        }
    }
}

/// All that was written to a cache, of which some tell only the parts.
fn written(sum: Given<'_>, parts: Option<&Written<'_>>) -> Option<u64> {
    let parts = parts.map(|parts| {
        let known = |value| count(value).unwrap_or(0);
        known(parts.five_minutes).saturating_add(known(parts.one_hour))
    });
    count(sum).max(parts)
}
