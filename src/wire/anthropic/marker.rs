//! The marker for a whole prompt (contract 2.1 `cache_control`) in a request that is spliced: it is set on the last block
//! that can carry one, and nothing else of the request changes.

use super::body::MOST_MARKERS;
use crate::domain::json::{JsonObject, ObjectWriter, Raw};
use crate::wire::chat::CacheControl;

/// Messages hold blocks, and those that are results of tools hold further ones.
const DEEPEST: u8 = 3;

/// The field of the request that holds the last block, and what it is with the marker; `None` where no block takes one,
/// the last has its own, or all markers are used up.
pub(super) fn set(written: &JsonObject, marker: &Raw) -> Option<(&'static str, Raw)> {
    CacheControl::read(marker)?;
    let lists = ["tools", "system", "messages"];
    let lists = lists.iter().filter_map(|name| written.given(name));
    if lists.map(|list| markers(list, DEEPEST)).sum::<usize>() >= MOST_MARKERS {
        return None;
    }
    let messages = written.given("messages")?;
    let contents = messages.elements()?.into_iter().rev().filter_map(|turn| {
        let content = turn.object()?.given("content")?.clone();
        Some(("messages", messages, content))
    });
    let system = written.given("system");
    let system = system.map(|system| ("system", system, system.clone()));
    let (field, whole, (block, marked)) = contents
        .chain(system)
        .find_map(|(field, whole, content)| Some((field, whole, last(&content, marker)?)))?;
    Some((field, whole.with(&block, &marked?)))
}

/// The last block of a content that can be marked, and what it is with the marker, unless it has one.
fn last(content: &Raw, marker: &Raw) -> Option<(Raw, Option<Raw>)> {
    if let Some(text) = content.text() {
        let mut block = ObjectWriter::with_capacity(content.as_bytes().len() + 96);
        block.text("type", "text");
        block.raw("text", text.as_bytes());
        block.raw("cache_control", marker.as_bytes());
        let blocks = Raw::array([block.finish_raw().as_str()]);
        return (!text.is_empty()).then_some((content.clone(), Some(blocks)));
    }
    let blocks = content.elements()?.into_iter().rev();
    let mut blocks = blocks.filter_map(|raw| Some((raw.object()?, raw)));
    let (block, raw) = blocks.find(|(block, _)| can_be_marked(block))?;
    let marked = block.given("cache_control").is_none().then(|| {
        let mut marked = block.splice(|name| name != "cache_control");
        marked.raw("cache_control", marker.as_bytes());
        marked.finish_raw()
    });
    Some((raw, marked))
}

/// Thoughts cannot, and a text without a letter must not.
fn can_be_marked(block: &JsonObject) -> bool {
    let is = |name: &str, word: &str| {
        let value = block.given(name);
        value.is_some_and(|value| value.parse::<String>().is_ok_and(|known| known == word))
    };
    let thinks = is("type", "thinking") || is("type", "redacted_thinking");
    let is_blank = is("type", "text") && is("text", "");
    !(thinks || is_blank)
}

/// How many markers there are in a list of blocks, tools or messages, and in what they hold, so many levels deep.
fn markers(list: &Raw, levels: u8) -> usize {
    let elements = list.elements().unwrap_or_default().into_iter();
    let objects = elements.filter_map(|element| element.object());
    let in_one = |object: JsonObject| {
        let own = usize::from(object.given("cache_control").is_some());
        let held = object.given("content").filter(|_| levels > 1);
        own + held.map_or(0, |held| markers(held, levels - 1))
    };
    objects.map(in_one).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// The request with `marker` set, as far as it is another one then.
    #[track_caller]
    fn check(written: &str, expect: Option<(&str, &str)>) {
        let written = JsonObject::parse(Bytes::copy_from_slice(written.as_bytes())).unwrap();
        let marker = Raw::of(&serde_json::json!({"type": "ephemeral"})).unwrap();
        let set = set(&written, &marker);
        let set = set.as_ref().map(|(field, value)| (*field, value.as_str()));
        assert_eq!(set, expect);
    }

    #[test]
    fn the_last_block_that_takes_a_marker_gets_it_and_nothing_else_changes() {
        check(
            r#"{"messages":[{"role":"user", "content":"hi"}]}"#,
            Some((
                "messages",
                r#"[{"role":"user", "content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]"#,
            )),
        );
        check(
            r#"{"messages":[{"content":[{"type":"text","text":"a"}, {"b":1,"type":"image"}],"role":"user"}]}"#,
            Some((
                "messages",
                r#"[{"content":[{"type":"text","text":"a"}, {"b":1,"type":"image","cache_control":{"type":"ephemeral"}}],"role":"user"}]"#,
            )),
        );
        // Neither thoughts nor empty texts.
        check(
            r#"{"messages":[{"content":[{"type":"tool_use","id":"t","cache_control":null},{"type":"thinking","thinking":"b"},{"type":"text","text":""}]},{"content":""}]}"#,
            Some((
                "messages",
                r#"[{"content":[{"type":"tool_use","id":"t","cache_control":{"type":"ephemeral"}},{"type":"thinking","thinking":"b"},{"type":"text","text":""}]},{"content":""}]"#,
            )),
        );
        check(
            r#"{"system":"Be brief.","messages":[{"content":[{"type":"redacted_thinking","data":"b"}]}]}"#,
            Some((
                "system",
                r#"[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}]"#,
            )),
        );
    }

    #[test]
    fn a_marker_that_is_there_and_the_most_there_may_be_are_respected() {
        check(
            r#"{"messages":[{"content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}"#,
            None,
        );
        let one = r#""cache_control":{"type":"ephemeral"}"#;
        let used = |inner: &str| {
            let tools = format!(r#""tools":[{{"name":"f",{one}}}]"#);
            let system = format!(r#""system":[{{"type":"text","text":"a",{one}}}]"#);
            let result = format!(r#"{{"type":"tool_result","content":[{inner}],{one}}}"#);
            format!(
                r#"{{{tools},{system},"messages":[{{"content":[{result}]}},{{"content":"b"}}]}}"#
            )
        };
        let full = used(&format!(r#"{{"type":"text","text":"c",{one}}}"#));
        check(&full, None);
        let free = used(r#"{"type":"text","text":"c"}"#);
        let written = JsonObject::parse(free.into()).unwrap();
        let marker = Raw::of(&serde_json::json!({"type": "ephemeral"})).unwrap();
        assert!(set(&written, &marker).is_some());
        // A type that nobody knows marks nothing.
        let other = Raw::of(&serde_json::json!({"type": "eternal"})).unwrap();
        assert!(set(&written, &other).is_none());
    }
}
