//! A call into the body of `generateContent`, which is that of `streamGenerateContent` too.

use serde::Serialize;
use serde_json::json;

use super::contents::{self, Content, Conversation};
use super::part::Part;
use super::thinking::{self, Thinking};
use super::tools::{Offer, ToolConfig, offers};
use super::{is_later, schema};
use crate::catalog::snapshot::Target;
use crate::domain::call::Call;
use crate::domain::json::{JsonText, ObjectWriter, Raw};
use crate::wire::EncodeError;
use crate::wire::anthropic;
use crate::wire::chat::{Chat, ResponseFormat};

const JSON: &str = "application/json";

/// The body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Instruction<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Config::is_empty")]
    generation_config: Config<'a>,
    // Of the provider's own, for callers who know them.
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_settings: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content: Option<&'a Raw>,
    #[serde(rename = "service_tier", skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Instruction<'a> {
    parts: Vec<Part<'a>>,
}

/// How to generate.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<Raw>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<Raw>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    response_modalities: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_config: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speech_config: Option<Raw>,
}

impl<'a> Body<'a> {
    /// What `call` asks of `target`.
    pub(super) fn of(chat: &'a Chat, call: &'a Call, target: &Target) -> Result<Self, EncodeError> {
        let Conversation {
            mut system,
            contents,
        } = contents::of(chat, target);
        let generation_config = Config::of(chat, call, target);
        if chat.response_format.is_some() && generation_config.response_mime_type.is_none() {
            system.extend(anthropic::json_in_words(chat).map(Part::text));
        }
        let own = |names: [&str; 2]| names.into_iter().find_map(|name| call.body.given(name));
        Ok(Body {
            contents,
            system_instruction: (!system.is_empty()).then_some(Instruction { parts: system }),
            tools: offers(chat, target)?,
            tool_config: ToolConfig::of(chat, target),
            generation_config,
            safety_settings: own(["safety_settings", "safetySettings"]),
            cached_content: own(["cached_content", "cachedContent"]),
            service_tier: None,
        })
    }

    /// The body as JSON.
    pub(super) fn written(&self) -> Result<Vec<u8>, EncodeError> {
        serde_json::to_vec(self).map_err(|error| EncodeError::Unsupported(error.to_string()))
    }
}

impl<'a> Config<'a> {
    fn of(chat: &'a Chat, call: &Call, target: &Target) -> Self {
        let sampling = &chat.sampling;
        let (response_mime_type, response_json_schema) = form(chat, target);
        let speaks = chat.modalities.iter().any(|modality| modality == "audio");
        let voice = call.body.given("audio").filter(|_| speaks);
        Config {
            candidate_count: (call.choices > 1).then_some(call.choices),
            max_output_tokens: chat.max_tokens,
            temperature: sampling.temperature.as_ref(),
            top_p: sampling.top_p.as_ref(),
            top_k: sampling.top_k.as_ref(),
            frequency_penalty: sampling.frequency_penalty.as_ref(),
            presence_penalty: sampling.presence_penalty.as_ref(),
            seed: sampling.seed.as_ref().map(seed),
            stop_sequences: chat.stop.iter().collect(),
            response_logprobs: sampling.logprobs.as_ref(),
            logprobs: sampling.top_logprobs.as_ref(),
            response_mime_type,
            response_json_schema,
            response_modalities: chat
                .modalities
                .iter()
                .map(|modality| modality.to_ascii_uppercase())
                .collect(),
            thinking_config: thinking::of(chat, target),
            image_config: call.body.given("image_config").and_then(image_config),
            speech_config: voice.and_then(speech_config),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Config::default()
    }
}

/// The form of the answer, as far as there are fields for it: not for models that hold to no schema, nor beside the
/// functions of the earlier ones, which refuse the two together.
fn form(chat: &Chat, target: &Target) -> (Option<&'static str>, Option<Raw>) {
    let Some(wanted) = &chat.response_format else {
        return (None, None);
    };
    if chat.functions().next().is_some() && !is_later(target) {
        return (None, None);
    }
    match wanted {
        ResponseFormat::JsonObject => (Some(JSON), None),
        ResponseFormat::JsonSchema(_) if !anthropic::holds_to_schemas(target) => (None, None),
        ResponseFormat::JsonSchema(wanted) => (Some(JSON), wanted.schema.as_ref().map(schema::of)),
    }
}

/// A seed has 32 bits there; of a longer one, the lower are taken.
fn seed(given: &Raw) -> Raw {
    match given.parse::<i64>() {
        Ok(seed) if i32::try_from(seed).is_err() => {
            Raw::of(&(seed & i64::from(i32::MAX))).unwrap_or_else(|_| given.clone())
        }
        _ => given.clone(),
    }
}

/// The shape and size of generated images (contract 2.1 `image_config`).
fn image_config(given: &Raw) -> Option<Raw> {
    let object = given.object()?;
    let mut config = ObjectWriter::with_capacity(64);
    for (ours, theirs) in [("aspect_ratio", "aspectRatio"), ("image_size", "imageSize")] {
        if let Some(value) = object.given(ours) {
            config.raw(theirs, value.as_bytes());
        }
    }
    Some(config.finish_raw())
}

/// The voice of generated speech, as OpenAI's callers name it.
fn speech_config(given: &Raw) -> Option<Raw> {
    let voice: String = given.object()?.given("voice")?.parse().ok()?;
    Raw::of(&json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}})).ok()
}
