//! Tools on offer, the choice among them, and the provider's own search of the web.

use serde::Serialize;
use serde_json::json;

use super::{is_later, schema};
use crate::catalog::snapshot::Target;
use crate::domain::json::{JsonText, ObjectWriter, Raw};
use crate::wire::chat::search::hosts;
use crate::wire::chat::{Chat, Function, Search, Tool, ToolChoice};
use crate::wire::{EncodeError, WireName};

/// Tools on offer: all functions together, or one of the provider's own.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Offer<'a> {
    #[serde(rename_all = "camelCase")]
    Functions {
        function_declarations: Vec<Declaration<'a>>,
    },
    Native(Raw),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Declaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<Raw>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    function_calling_config: Option<Choice<'a>>,
    /// Whether the provider's own tools are told of; functions may stand beside them only then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_server_side_tool_invocations: bool,
}

/// How the model may choose among the functions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Choice<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

/// What is on offer to the model.
pub(super) fn offers<'a>(chat: &'a Chat, target: &Target) -> Result<Vec<Offer<'a>>, EncodeError> {
    let declarations: Vec<Declaration<'_>> = chat.functions().map(declaration).collect();
    let functions = (!declarations.is_empty()).then_some(Offer::Functions {
        function_declarations: declarations,
    });
    let natives = chat.tools.iter().filter_map(|tool| match tool {
        Tool::Native(raw) => native(raw).map(Offer::Native),
        Tool::Function(_) => None,
    });
    let search = chat.search.as_ref();
    let search = search.map(|search| google_search(search, chat, target));
    let search = search.transpose()?.map(Offer::Native);
    Ok(functions.into_iter().chain(natives).chain(search).collect())
}

/// The provider's own search of the web; an error where it cannot be limited as the caller wants it.
fn google_search(search: &Search, chat: &Chat, target: &Target) -> Result<Raw, EncodeError> {
    let unsupported = |reason: &str| Err(EncodeError::Unsupported(reason.to_owned()));
    if chat.functions().next().is_some() && !is_later(target) {
        return unsupported("this model does not search beside functions");
    }
    let excludes = target.wire == WireName::Vertex;
    if !search.allowed.is_empty() || !(search.blocked.is_empty() || excludes) {
        return unsupported("this endpoint's search takes no list of domains");
    }
    let blocked: Vec<&str> = hosts(&search.blocked).collect();
    let tool = if blocked.is_empty() {
        json!({"googleSearch": {}})
    } else {
        json!({"googleSearch": {"excludeDomains": blocked}})
    };
    Raw::of(&tool).map_err(|error| EncodeError::Unsupported(error.to_string()))
}

fn declaration(function: &Function) -> Declaration<'_> {
    Declaration {
        name: &function.name,
        description: function
            .description
            .as_ref()
            .filter(|text| !text.is_empty()),
        parameters_json_schema: function.parameters.as_ref().map(schema::of),
    }
}

/// A tool of the provider's own, `{"type": "google_search", …}`, as an object under its type.
fn native(raw: &Raw) -> Option<Raw> {
    let object = raw.object()?;
    let kind: String = object.given("type")?.parse().ok()?;
    let mut tool = ObjectWriter::with_capacity(raw.as_bytes().len());
    tool.raw(&kind, &object.splice(|name| name != "type").finish());
    Some(tool.finish_raw())
}

impl<'a> ToolConfig<'a> {
    /// How `chat` wants the tools used, as far as there is more to say than that they may be.
    pub(super) fn of(chat: &'a Chat, target: &Target) -> Option<Self> {
        let own = chat.search.is_some()
            || chat
                .tools
                .iter()
                .any(|tool| matches!(tool, Tool::Native(_)));
        let config = ToolConfig {
            function_calling_config: choice(chat),
            include_server_side_tool_invocations: own
                && is_later(target)
                && chat.functions().next().is_some(),
        };
        let says_something =
            config.function_calling_config.is_some() || config.include_server_side_tool_invocations;
        says_something.then_some(config)
    }
}

/// How to choose. There is no word for one call at a time; one for arguments that hold to their schema there is.
fn choice(chat: &Chat) -> Option<Choice<'_>> {
    let strict = chat
        .functions()
        .any(|function| function.strict == Some(true));
    let (mode, only) = match &chat.tool_choice {
        _ if chat.functions().next().is_none() => return None,
        None | Some(ToolChoice::Auto) if strict => ("VALIDATED", None),
        None => return None,
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Function(name)) => ("ANY", Some([name.as_str()])),
    };
    Some(Choice {
        mode,
        allowed_function_names: only,
    })
}
