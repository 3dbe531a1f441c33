//! Arguments of a call that come value by value, each with the path of its place. They are put together until the call
//! is whole, as a piece of them is no piece of the JSON that clients expect.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::domain::json::JsonText;
use crate::wire::shape::{Given, List, shape, word};

/// A list of arguments is not longer than this.
const LONGEST_LIST: usize = 10_000;
/// Nor are they nested deeper.
const DEEPEST: usize = 64;

shape! {
    /// A value, or the next piece of a text.
    ArgumentShape {
        path = "jsonPath": Given<'a>,
        text = "stringValue": Given<'a>,
        number = "numberValue": Given<'a>,
        boolean = "boolValue": Given<'a>,
    }
}

/// Arguments so far.
#[derive(Debug)]
pub(super) struct Partial(Value);

impl Default for Partial {
    fn default() -> Self {
        Partial(Value::Object(Map::new()))
    }
}

impl Partial {
    /// Takes values in; one whose place cannot be is left out.
    pub(super) fn learn(&mut self, arguments: &List<ArgumentShape<'_>>) {
        for argument in &arguments.0 {
            let path = word(argument.path).unwrap_or_default();
            let steps = steps(&path).filter(|steps| steps.len() <= DEEPEST);
            if let Some(place) = steps.and_then(|steps| place(&mut self.0, &steps)) {
                argument.put(place);
            }
        }
    }

    /// The arguments as a call has them.
    pub(super) fn whole(self) -> JsonText {
        JsonText::of(&self.0.to_string())
    }
}

impl ArgumentShape<'_> {
    /// A text goes on; anything else is whole.
    fn put(&self, place: &mut Value) {
        let parsed = |value: Option<&RawValue>| serde_json::from_str::<Value>(value?.get()).ok();
        match (parsed(self.text), place) {
            (Some(Value::String(more)), Value::String(text)) => text.push_str(&more),
            (Some(text), place) => *place = text,
            (None, place) => {
                let other = parsed(self.number).or_else(|| parsed(self.boolean));
                *place = other.unwrap_or(Value::Null);
            }
        }
    }
}

/// A step of a path.
enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

/// The steps of `$.operations[0].price` or `$['a b']`; `None` for what is no path.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            steps.push(Step::Field(&named[..end]));
            rest = &named[end..];
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = |quote: char| inside.strip_prefix(quote)?.strip_suffix(quote);
            steps.push(match quoted('\'').or_else(|| quoted('"')) {
                Some(name) => Step::Field(name),
                None => Step::Item(inside.parse().ok()?),
            });
            rest = after;
        }
    }
    Some(steps)
}

/// The value at the end of the path, made on the way where there is none yet.
fn place<'a>(root: &'a mut Value, steps: &[Step<'_>]) -> Option<&'a mut Value> {
    steps.iter().try_fold(root, |value, step| match step {
        Step::Field(name) => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            Some(value.as_object_mut()?.entry(*name).or_insert(Value::Null))
        }
        Step::Item(at) => {
            if value.is_null() {
                *value = Value::Array(Vec::new());
            }
            let items = value.as_array_mut()?;
            if *at >= items.len() && *at < LONGEST_LIST {
                items.resize(at + 1, Value::Null);
            }
            items.get_mut(*at)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_put_in_their_places() {
        let mut partial = Partial::default();
        let pieces = json!([
            {"jsonPath": "$.list[0].name", "stringValue": "re", "willContinue": true},
            {"jsonPath": "$.list[0].name", "stringValue": "d"},
            {"jsonPath": "$.list[1]['a b']", "numberValue": 0.5},
            {"jsonPath": "$.on", "boolValue": false},
            {"jsonPath": "$.none", "nullValue": "NULL_VALUE"},
            {"jsonPath": "$.list[99999]", "numberValue": 1},
            {"jsonPath": "$.on.deeper", "numberValue": 1},
            {"jsonPath": "list", "numberValue": 1},
            {"jsonPath": "$[", "numberValue": 1},
        ])
        .to_string();
        partial.learn(&serde_json::from_str(&pieces).unwrap());
        let whole: Value = serde_json::from_str(&partial.whole().to_text()).unwrap();
        assert_eq!(
            whole,
            json!({"list": [{"name": "red"}, {"a b": 0.5}], "on": false, "none": null})
        );
    }
}
