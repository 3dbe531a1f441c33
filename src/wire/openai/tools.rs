//! The client's tools, without what only the gateway understands.

use memchr::memmem;

use super::messages::unmarked_parts;
use crate::domain::json::Raw;
use crate::wire::shape::{Given, shape, word};

/// How the types of tools that the gateway itself runs begin (contract 8.4).
const GATEWAYS: &str = "openrouter:";

shape! {
    /// A tool, or a choice of one.
    ToolShape {
        kind = "type": Given<'a>,
    }
}

/// The tools that are offered to the model; `None` when none is left.
pub(super) fn offered(tools: &Raw, cache_control: bool) -> Option<Raw> {
    let mine = memmem::find(tools.as_bytes(), GATEWAYS.as_bytes()).is_some();
    let kept = if mine {
        without_gateways(tools)?
    } else {
        tools.clone()
    };
    let unmarked = if cache_control {
        None
    } else {
        unmarked_parts(&kept)
    };
    Some(unmarked.unwrap_or(kept)).filter(|tools| !is_empty(tools))
}

/// Whether a tool, or a tool choice, is one of the gateway's own.
pub(super) fn is_gateways(tool: &Raw) -> bool {
    serde_json::from_slice::<ToolShape<'_>>(tool.as_bytes())
        .is_ok_and(|tool| word(tool.kind).is_some_and(|kind| kind.starts_with(GATEWAYS)))
}

fn without_gateways(tools: &Raw) -> Option<Raw> {
    let tools = tools.elements()?;
    Some(Raw::array(
        tools
            .iter()
            .filter(|tool| !is_gateways(tool))
            .map(Raw::as_str),
    ))
}

fn is_empty(tools: &Raw) -> bool {
    let inside = tools.as_bytes().strip_prefix(b"[");
    inside.is_some_and(|inside| inside.trim_ascii_start().starts_with(b"]"))
}
