//! A search that the model's provider makes itself: the wish, as wires read it. Pure.
//!
//! It travels as `web_search_options`, the contract's field for it (2.1): what OpenAI takes there, and beside it what
//! other providers can be told.

use serde_json::{Map, Value, json};

use crate::domain::call::Call;
use crate::domain::json::{JsonError, JsonObject};
use crate::domain::search::{Location, Place, Wish};

/// Searches that a provider is allowed, unless the caller says how many.
pub(super) const SEARCHES: u64 = 5;

const FIELD: &str = "web_search_options";

/// The call with its wish for the provider. What the caller wrote there itself stays, unless the plugin says otherwise.
pub fn asked(call: &Call, wish: &Wish) -> Result<Call, JsonError> {
    let given = call.body.given(FIELD).and_then(|given| given.parse().ok());
    let mut options: Map<String, Value> = given.unwrap_or_default();
    if let Some(location) = &wish.location {
        options.insert("user_location".to_owned(), approximate(location));
    }
    for (field, places) in [
        ("allowed_domains", &wish.include),
        ("blocked_domains", &wish.exclude),
    ] {
        if !places.is_empty() {
            options.insert(field.to_owned(), places.iter().map(Place::site).collect());
        }
    }
    let max_uses = wish.max_uses.unwrap_or(SEARCHES);
    options.insert("max_uses".to_owned(), max_uses.into());
    let mut body = call.body.splice(|name| name != FIELD && name != "plugins");
    body.raw(FIELD, Value::Object(options).to_string().as_bytes());
    Ok(Call {
        body: JsonObject::parse(body.finish())?,
        ..call.clone()
    })
}

/// As OpenAI's chat completions write it.
fn approximate(location: &Location) -> Value {
    let Location {
        city,
        region,
        country,
        timezone,
    } = location;
    let fields = [
        ("city", city),
        ("region", region),
        ("country", country),
        ("timezone", timezone),
    ];
    let told = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())));
    json!({ "type": "approximate", "approximate": told.collect::<Map<String, Value>>() })
}
