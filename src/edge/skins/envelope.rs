//! The envelope of a request in OpenAI's form: top-level fields checked and typed, messages raw.
//! Says what is wrong with its path, as `messages[2].role`.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;

use crate::domain::call::{Call, Form, Origin};
use crate::domain::json::{JsonObject, Raw, walk};
use crate::edge::error::ApiError;

/// A JSON type, with the range the contract (2.1) allows.
pub(super) enum Kind {
    Number(f64, f64),
    Integer(i64, i64),
    Boolean,
    Text,
    Object,
    Array,
    /// A string, or an array of at most so many.
    TextOrTexts(usize),
    OneOf(&'static [&'static str]),
}

use Kind::{Array, Boolean, Integer, Number, Object, OneOf, Text, TextOrTexts};

/// Fields whose wrong types are worth naming here; what is not listed is the provider's to judge.
const FIELDS: &[(&str, Kind)] = &[
    ("model", Text),
    ("models", Array),
    ("stream", Boolean),
    ("stream_options", Object),
    ("max_tokens", Integer(1, i64::MAX)),
    ("max_completion_tokens", Integer(1, i64::MAX)),
    ("temperature", Number(0.0, 2.0)),
    ("top_p", Number(0.0, 1.0)),
    ("top_k", Integer(0, i64::MAX)),
    ("min_p", Number(0.0, 1.0)),
    ("top_a", Number(0.0, 1.0)),
    ("frequency_penalty", Number(-2.0, 2.0)),
    ("presence_penalty", Number(-2.0, 2.0)),
    ("repetition_penalty", Number(0.0, 2.0)),
    ("seed", Integer(i64::MIN, i64::MAX)),
    ("stop", TextOrTexts(4)),
    ("n", Integer(1, 128)),
    ("best_of", Integer(1, 20)),
    ("logit_bias", Object),
    ("top_logprobs", Integer(0, 20)),
    ("response_format", Object),
    ("tools", Array),
    ("parallel_tool_calls", Boolean),
    ("reasoning", Object),
    (
        "reasoning_effort",
        OneOf(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    ),
    ("include_reasoning", Boolean),
    ("modalities", Array),
    ("plugins", Array),
    ("provider", Object),
    ("route", OneOf(&["fallback", "sort"])),
    ("user", Text),
    ("session_id", Text),
    ("metadata", Object),
    ("trace", Object),
];

/// Reads a request. `form` is fixed by the route, or told by which of `messages` and `prompt` is there.
pub(super) fn call(bytes: Bytes, origin: Origin, form: Option<Form>) -> Result<Call, ApiError> {
    let body = JsonObject::parse(bytes)?;
    check_fields(&body, FIELDS)?;
    let form = form.unwrap_or(
        if body.given("messages").is_none() && body.given("prompt").is_some() {
            Form::Text
        } else {
            Form::Chat
        },
    );
    match form {
        Form::Text => check_prompt(&body)?,
        _ => check_messages(&body)?,
    }
    let max_tokens = integer(&body, "max_completion_tokens").or(integer(&body, "max_tokens"));
    Ok(Call {
        form,
        model: text(&body, "model"),
        models: models(&body)?,
        stream: body
            .given("stream")
            .is_some_and(|value| value.as_str() == "true"),
        max_tokens,
        choices: integer(&body, "n")
            .unwrap_or(1)
            .max(integer(&body, "best_of").unwrap_or(1)),
        provider: body.given("provider").cloned(),
        plugins: body.given("plugins").cloned(),
        origin: Origin {
            session_id: text(&body, "session_id").or(origin.session_id),
            external_user: text(&body, "user"),
            ..origin
        },
        verbatim: None,
        body,
    })
}

/// Refuses the first of the fields that has a wrong type.
pub(super) fn check_fields(body: &JsonObject, fields: &[(&str, Kind)]) -> Result<(), ApiError> {
    for (name, kind) in fields {
        if body.given(name).is_some_and(|value| !kind.holds(value)) {
            return Err(wrong(name, &kind.expected()));
        }
    }
    Ok(())
}

impl Kind {
    fn holds(&self, value: &Raw) -> bool {
        let starts = |byte: u8| value.as_bytes().first() == Some(&byte);
        match self {
            Number(low, high) => {
                let number = value.as_str().parse::<f64>();
                number.is_ok_and(|number| (*low..=*high).contains(&number))
            }
            Integer(low, high) => is_integer(value, *low, *high),
            Boolean => matches!(value.as_str(), "true" | "false"),
            Text => starts(b'"'),
            Object => starts(b'{'),
            Array => starts(b'['),
            TextOrTexts(most) => {
                let texts = || value.parse::<Vec<String>>();
                starts(b'"') || texts().is_ok_and(|texts| texts.len() <= *most)
            }
            OneOf(words) => {
                let word = value.parse::<String>();
                word.is_ok_and(|word| words.contains(&word.as_str()))
            }
        }
    }

    fn expected(&self) -> Cow<'static, str> {
        match self {
            Number(low, high) => format!("a number from {low} to {high}").into(),
            Integer(low, high) => integer_range(*low, *high).into(),
            Boolean => "a boolean".into(),
            Text => "a string".into(),
            Object => "an object".into(),
            Array => "an array".into(),
            TextOrTexts(most) => format!("a string or an array of up to {most} strings").into(),
            OneOf(words) => format!("one of {}", words.join(", ")).into(),
        }
    }
}

/// Whole numbers may be written `64` or `64.0`, as some clients do.
fn is_integer(value: &Raw, low: i64, high: i64) -> bool {
    whole_number(value).is_some_and(|number| (low..=high).contains(&number))
}

fn whole_number(value: &Raw) -> Option<i64> {
    let text = value.as_str();
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

fn integer_range(low: i64, high: i64) -> String {
    match (low, high) {
        (i64::MIN, _) => "an integer".to_owned(),
        (low, i64::MAX) => format!("an integer of at least {low}"),
        (low, high) => format!("an integer from {low} to {high}"),
    }
}

fn check_messages(body: &JsonObject) -> Result<(), ApiError> {
    let messages = body
        .given("messages")
        .ok_or_else(|| ApiError::invalid("Input required: specify \"prompt\" or \"messages\""))?;
    let messages =
        walk::elements(messages.as_bytes()).ok_or_else(|| wrong("messages", "an array"))?;
    let mut count = 0;
    for message in messages {
        check_message(message)
            .map_err(|(field, expected)| wrong(&format!("messages[{count}]{field}"), expected))?;
        count += 1;
    }
    if count == 0 {
        return Err(wrong("messages", "an array with at least one message"));
    }
    Ok(())
}

fn check_message(message: &[u8]) -> Result<(), (&'static str, &'static str)> {
    const ROLES: [&str; 6] = [
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
        "function",
    ];
    let fields = walk::fields(message).ok_or(("", "a message object with a role"))?;
    let (mut role, mut content) = (None, None);
    for (name, value) in fields {
        match &*name {
            "role" => role = walk::text(value),
            "content" => content = value.first(),
            _ => {}
        }
    }
    if !role.is_some_and(|role| ROLES.contains(&&*role)) {
        return Err((".role", "one of system, developer, user, assistant, tool"));
    }
    match content {
        None | Some(b'"' | b'[' | b'n') => Ok(()),
        Some(_) => Err((".content", "a string or an array of parts")),
    }
}

fn check_prompt(body: &JsonObject) -> Result<(), ApiError> {
    let prompt = body
        .given("prompt")
        .ok_or_else(|| ApiError::invalid("Input required: specify \"prompt\""))?;
    match prompt.as_bytes().first() {
        Some(b'"' | b'[') => Ok(()),
        _ => Err(wrong("prompt", "a string or an array")),
    }
}

pub(super) fn models(body: &JsonObject) -> Result<Vec<String>, ApiError> {
    let Some(models) = body.given("models") else {
        return Ok(Vec::new());
    };
    models
        .parse()
        .map_err(|_| wrong("models", "an array of strings"))
}

pub(super) fn text(body: &JsonObject, name: &str) -> Option<String> {
    body.given(name)?.parse().ok()
}

fn integer(body: &JsonObject, name: &str) -> Option<u64> {
    u64::try_from(whole_number(body.given(name)?)?).ok()
}

pub(super) fn wrong(path: &str, expected: &str) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        format!("{path}: expected {expected}"),
    )
}

/// A call that nothing is generated for; `expected` says what kind of model must be named.
pub(super) fn generating_nothing(
    form: Form,
    expected: &str,
    body: JsonObject,
    origin: Origin,
) -> Result<Call, ApiError> {
    let (model, models) = (text(&body, "model"), models(&body)?);
    if model.is_none() && models.is_empty() {
        return Err(wrong("model", expected));
    }
    Ok(Call {
        form,
        model,
        models,
        stream: false,
        max_tokens: Some(0),
        choices: 1,
        provider: body.given("provider").cloned(),
        plugins: None,
        origin: Origin {
            external_user: text(&body, "user"),
            ..origin
        },
        verbatim: None,
        body,
    })
}

/// Whether the value is a string with something in it.
pub(super) fn is_filled_text(value: &Raw) -> bool {
    value.text().is_some_and(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> String {
        match call(
            Bytes::copy_from_slice(body.as_bytes()),
            Origin::default(),
            None,
        ) {
            Ok(call) => format!("{:?} {:?} {:?}", call.form, call.max_tokens, call.stream),
            Err(error) => error.envelope()["error"]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    #[test]
    fn reads_the_envelope() {
        let check = |body: &str, expect: &str| assert_eq!(message(body), expect, "{body}");
        check(
            r#"{"messages":[{"role":"user","content":"hi"}],"max_tokens":5,"stream":true}"#,
            "Chat Some(5) true",
        );
        check(
            r#"{"prompt":"hi","max_completion_tokens":7.0,"stream":null}"#,
            "Text Some(7) false",
        );
        check(
            r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[]}]}"#,
            "Chat None false",
        );
    }

    #[test]
    fn names_the_path_that_is_wrong() {
        let check = |body: &str, expect: &str| assert_eq!(message(body), expect, "{body}");
        check("{}", "Input required: specify \"prompt\" or \"messages\"");
        check(
            r#"{"messages":[]}"#,
            "messages: expected an array with at least one message",
        );
        check(r#"{"messages":"hi"}"#, "messages: expected an array");
        check(
            r#"{"messages":["hi"]}"#,
            "messages[0]: expected a message object with a role",
        );
        check(
            r#"{"messages":[{"role":"user","content":"a"},{"role":"wizard"}]}"#,
            "messages[1].role: expected one of system, developer, user, assistant, tool",
        );
        check(
            r#"{"messages":[{"role":"user","content":5}]}"#,
            "messages[0].content: expected a string or an array of parts",
        );
        check(r#"{"model":5,"messages":[]}"#, "model: expected a string");
        check(
            r#"{"stream":"yes","messages":[]}"#,
            "stream: expected a boolean",
        );
        check(
            r#"{"max_tokens":0,"messages":[]}"#,
            "max_tokens: expected an integer of at least 1",
        );
        check(
            r#"{"max_tokens":1e400,"messages":[]}"#,
            "max_tokens: expected an integer of at least 1",
        );
        check(
            r#"{"temperature":3,"messages":[]}"#,
            "temperature: expected a number from 0 to 2",
        );
        check(
            r#"{"models":[1],"messages":[{"role":"user","content":"a"}]}"#,
            "models: expected an array of strings",
        );
        check(
            r#"{"stop":["a","b","c","d","e"],"messages":[]}"#,
            "stop: expected a string or an array of up to 4 strings",
        );
    }
}
