//! Whether a call wants the web searched, and how: the `web` plugin (contract 8.2) and `:online`, which is short for it.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Entry, PlanError};
use crate::domain::call::Call;
use crate::domain::json::Raw;
use crate::domain::search::{Engine, Location, Mode, Place, Searcher, Wish};

/// The plugin's id.
const ID: &str = "web";
/// More places than this are not filtered by.
const MOST_PLACES: usize = 100;
/// A heading longer than this would be a prompt of its own.
const LONGEST_HEADING: usize = 8_000;
/// More searches than this are not allowed to a model in one answer.
const MOST_USES: u64 = 30;

/// The plugin's options as they are written; the server tool has most of them too.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    pub(super) enabled: Option<bool>,
    pub(super) engine: Option<String>,
    pub(super) mode: Option<Mode>,
    pub(super) max_results: Option<u64>,
    pub(super) search_prompt: Option<String>,
    pub(super) include_domains: Option<Vec<String>>,
    pub(super) exclude_domains: Option<Vec<String>>,
    pub(super) max_uses: Option<u64>,
    pub(super) user_location: Option<Location>,
}

/// What a call wants of a search; `None` for none. The plugin is for every model, `:online` for the one it stands at; a
/// plugin that is switched off says how to search all the same.
pub(super) fn search(call: &Call, entries: &mut [Entry]) -> Result<Option<Wish>, PlanError> {
    let plugin = plugin(call)?;
    if let Some((_, plugin)) = &plugin
        && plugin.enabled != Some(false)
    {
        entries.iter_mut().for_each(|entry| entry.online = true);
    }
    if !entries.iter().any(|entry| entry.online) {
        return Ok(None);
    }
    plugin.map_or_else(
        || Ok(Some(Wish::default())),
        |(place, plugin)| read(&place, plugin).map(Some),
    )
}

/// The call's `web` plugin and where it stands.
fn plugin(call: &Call) -> Result<Option<(String, Options)>, PlanError> {
    let elements = call.plugins.as_ref().and_then(Raw::elements);
    for (position, raw) in elements.iter().flatten().enumerate() {
        let place = format!("plugins[{position}]");
        let id = raw.object().and_then(|plugin| plugin.given("id").cloned());
        if id.is_some_and(|id| id.parse::<String>().is_ok_and(|id| id == ID)) {
            let plugin = parse(&place, raw.as_bytes())?;
            return Ok(Some((place, plugin)));
        }
    }
    Ok(None)
}

/// Reads what stands at a place.
pub(super) fn parse<T: DeserializeOwned>(place: &str, json: &[u8]) -> Result<T, PlanError> {
    let json = &mut serde_json::Deserializer::from_slice(json);
    serde_path_to_error::deserialize(json).map_err(|error| {
        // The position in the value says nothing of the position in the body.
        let reason = error.inner().to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        PlanError::wrong(format!("{place}.{}", error.path()), reason)
    })
}

/// What the options ask for.
pub(super) fn read(place: &str, plugin: Options) -> Result<Wish, PlanError> {
    let wrong = |field: &str, reason: String| PlanError::wrong(format!("{place}.{field}"), reason);
    let searcher = match plugin.engine.as_deref() {
        None | Some("auto") => Searcher::Any,
        Some("native") => Searcher::Native,
        Some(name) => Searcher::Engine(Engine::parse(name).ok_or_else(|| {
            let known = Engine::ALL.map(Engine::as_str).join(", ");
            wrong(
                "engine",
                format!("{name} is not offered here; there are native, {known}"),
            )
        })?),
    };
    let max_results = match plugin.max_results {
        None => Wish::RESULTS,
        Some(count) => usize::try_from(count)
            .ok()
            .filter(|count| (1..=Wish::MOST_RESULTS).contains(count))
            .ok_or_else(|| {
                wrong(
                    "max_results",
                    format!("must be 1 to {}", Wish::MOST_RESULTS),
                )
            })?,
    };
    if plugin
        .max_uses
        .is_some_and(|uses| !(1..=MOST_USES).contains(&uses))
    {
        return Err(wrong("max_uses", format!("must be 1 to {MOST_USES}")));
    }
    let heading = plugin
        .search_prompt
        .filter(|heading| !heading.trim().is_empty());
    if heading
        .as_ref()
        .is_some_and(|heading| heading.len() > LONGEST_HEADING)
    {
        return Err(wrong(
            "search_prompt",
            format!("must have at most {LONGEST_HEADING} bytes"),
        ));
    }
    let places = |field: &str, written: Option<Vec<String>>| {
        let written = written.unwrap_or_default();
        if written.len() > MOST_PLACES {
            return Err(wrong(
                field,
                format!("must have at most {MOST_PLACES} items"),
            ));
        }
        let place = |(position, text): (usize, &String)| {
            Place::parse(text).ok_or_else(|| {
                let expected =
                    "must be a domain such as example.com, *.example.com or example.com/blog";
                wrong(&format!("{field}[{position}]"), expected.to_owned())
            })
        };
        written
            .iter()
            .enumerate()
            .map(place)
            .collect::<Result<Vec<Place>, PlanError>>()
    };
    Ok(Wish {
        searcher,
        max_results,
        heading,
        include: places("include_domains", plugin.include_domains)?,
        exclude: places("exclude_domains", plugin.exclude_domains)?,
        mode: plugin.mode,
        max_uses: plugin.max_uses,
        location: plugin.user_location,
        excerpt: Wish::EXCERPT,
    })
}
