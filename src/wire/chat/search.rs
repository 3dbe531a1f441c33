//! A web search that the provider is to make: `web_search_options` (contract 2.1, 8.2), where it knows of one.

use serde::{Deserialize, Serialize};

use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::json::Raw;

/// The field of a request.
pub(in crate::wire) const FIELD: &str = "web_search_options";

/// A search, as far as providers can be told of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Search {
    /// `low`, `medium` or `high`: how much of what is found the model reads.
    #[serde(rename = "search_context_size")]
    pub context_size: Option<String>,
    /// Where the person is who asks.
    #[serde(rename = "user_location")]
    pub location: Option<Location>,
    /// Results are from these places alone.
    #[serde(rename = "allowed_domains")]
    pub allowed: Vec<String>,
    /// Results are not from these.
    #[serde(rename = "blocked_domains")]
    pub blocked: Vec<String>,
    /// At most so many searches.
    pub max_uses: Option<u64>,
}

/// Where somebody is, roughly: in two forms, flat and with a level between.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Location {
    approximate: Option<Box<Location>>,
    city: Option<String>,
    region: Option<String>,
    country: Option<String>,
    timezone: Option<String>,
}

/// A location, flat.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Flat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'a str>,
}

impl Search {
    /// The search that a call wants of a provider that can be asked for one.
    pub fn of(call: &Call, target: &Target) -> Option<Self> {
        target.quirks.web_search?;
        let given = call.body.given(FIELD)?;
        // What cannot be read is no reason not to search.
        Some(given.parse().unwrap_or_default())
    }

    /// The location, flat; `None` where nothing is said of it.
    pub fn location(&self) -> Option<Flat<'_>> {
        self.location.as_ref().map(|location| {
            let told = location.approximate.as_deref().unwrap_or(location);
            Flat {
                kind: "approximate",
                city: told.city.as_deref(),
                region: told.region.as_deref(),
                country: told.country.as_deref(),
                timezone: told.timezone.as_deref(),
            }
        })
    }
}

/// Domains without their paths, for those who filter by no more.
pub fn hosts(places: &[String]) -> impl Iterator<Item = &str> {
    places.iter().filter_map(|place| place.split('/').next())
}

/// What OpenAI takes in the field: the caller's words, without what other providers are told by it.
pub(in crate::wire) fn standard(given: &Raw) -> Option<Raw> {
    const STANDARD: [&str; 2] = ["search_context_size", "user_location"];
    let options = given.object()?;
    Some(options.splice(|name| STANDARD.contains(&name)).finish_raw())
}
