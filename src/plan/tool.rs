//! The server tool `openrouter:web_search` (contract 8.3), with which the model decides what to search for and how often.

use serde::Deserialize;

use super::web::{Options, parse, read};
use super::{PlanError, stop};
use crate::domain::call::{Call, Form, Spoken};
use crate::domain::json::{JsonObject, Raw};
use crate::domain::search::{SearchTool, Wish};

/// Steps of a request that has server tools, unless it says fewer (contract 2.1 `max_tool_calls`).
const MOST_STEPS: u64 = 30;
/// Searches of a request that says nothing of how many: the hold is for as many.
const USES: u64 = 5;
/// Results of all searches together (contract 8.3).
const TOTAL_RESULTS: usize = 50;
/// Longer excerpts are not asked for.
const MOST_CHARACTERS: usize = 100_000;

/// The tool's parameters, where they stand and in the words that they have beyond the plugin's.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    allowed_domains: Option<Vec<String>>,
    excluded_domains: Option<Vec<String>>,
    filters: Option<Filters>,
    max_total_results: Option<usize>,
    max_characters: Option<usize>,
    search_context_size: Option<Size>,
}

/// The lists as OpenAI's tools have them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Filters {
    allowed_domains: Option<Vec<String>>,
    excluded_domains: Option<Vec<String>>,
}

/// How much of each page (contract 8.3).
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Size {
    Low,
    Medium,
    High,
}

impl Size {
    fn characters(self) -> usize {
        match self {
            Size::Low => 5_000,
            Size::Medium => 15_000,
            Size::High => 30_000,
        }
    }
}

/// The call's search tool; `None` when it has none.
pub(super) fn search_tool(call: &Call) -> Result<Option<SearchTool>, PlanError> {
    let elements = call.body.given("tools").and_then(Raw::elements);
    for (position, raw) in elements.iter().flatten().enumerate() {
        let object = raw.object();
        let kind = object.as_ref().and_then(kind);
        if let (Some(object), true) = (object, kind.is_some_and(|kind| SearchTool::is_kind(&kind)))
        {
            let read = tool(call, &format!("tools[{position}]"), &object)?;
            let among_others = elements.iter().flatten().nth(1).is_some();
            return Ok(Some(SearchTool {
                among_others,
                ..read
            }));
        }
    }
    Ok(None)
}

fn kind(object: &JsonObject) -> Option<String> {
    object.given("type")?.parse().ok()
}

fn tool(call: &Call, place: &str, object: &JsonObject) -> Result<SearchTool, PlanError> {
    if call.form != Form::Chat || call.choices > 1 {
        return Err(PlanError::wrong(
            place,
            "a web search is for a chat with one answer; `n` must be 1",
        ));
    }
    let wrong = |field: &str, reason: String| PlanError::wrong(format!("{place}.{field}"), reason);
    let parameters = object.given("parameters").and_then(Raw::object);
    let parameters = parameters.as_ref().unwrap_or(object);
    let written: Written = parse(place, parameters.bytes())?;
    let options: Options = parse(place, parameters.bytes())?;
    let characters = match written.max_characters {
        Some(characters) if !(1..=MOST_CHARACTERS).contains(&characters) => {
            let expected = format!("must be 1 to {MOST_CHARACTERS}");
            return Err(wrong("max_characters", expected));
        }
        Some(characters) => characters,
        None => written
            .search_context_size
            .map_or(Wish::EXCERPT, Size::characters),
    };
    let filters = written.filters.unwrap_or_default();
    let options = Options {
        include_domains: written.allowed_domains.or(filters.allowed_domains),
        exclude_domains: written.excluded_domains.or(filters.excluded_domains),
        ..options
    };
    let wish = Wish {
        excerpt: characters,
        ..read(place, options)?
    };
    let stops = stop::conditions(call)?;
    let steps = match (&stops, call.body.given("max_tool_calls")) {
        // Conditions come in the place of the limit.
        (Some(_), _) | (None, None) => MOST_STEPS,
        (None, Some(given)) => given
            .parse()
            .ok()
            .filter(|steps| (1..=MOST_STEPS).contains(steps))
            .ok_or_else(|| {
                PlanError::wrong("max_tool_calls", format!("must be 1 to {MOST_STEPS}"))
            })?,
    };
    Ok(SearchTool {
        among_others: false,
        max_uses: wish.max_uses.unwrap_or(USES).min(steps),
        max_total_results: written.max_total_results.unwrap_or(TOTAL_RESULTS),
        written_in: written_in(call),
        stops: stops.unwrap_or_default(),
        wish,
    })
}

/// The form that the request was written in, where providers that speak it understand all of it.
fn written_in(call: &Call) -> Option<Spoken> {
    let verbatim = call.verbatim.as_ref()?;
    verbatim.body.is_some().then_some(verbatim.form)
}
