//! The catalogue's files as written: one provider a line in `providers.jsonl`; in `models.jsonl` a line for each
//! model, followed by a line for each of its endpoints.
//!
//! Knows the shape of the lines; what they mean together is decided in [`super::draft`].

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::snapshot::{DataPolicy, Prices, ToolCallPrior};
use crate::domain::money::Picos;

/// A line of `providers.jsonl`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderRow {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) wire: String,
    /// May name account settings as `${NAME}`.
    pub(super) base_url: String,
    /// A second address that speaks the `openai` wire, for builds that do not speak `wire`.
    pub(super) compatible_base_url: Option<String>,
    pub(super) api_key: Option<KeyRow>,
    pub(super) headquarters: Option<String>,
    pub(super) status_page: Option<String>,
    pub(super) privacy_policy: Option<String>,
    pub(super) terms_of_service: Option<String>,
    #[serde(default)]
    pub(super) data_policy: PolicyRow,
}

/// Where a key is found, and where it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRow {
    /// Variables, the first that is set wins.
    #[serde(default)]
    pub(super) env: OneOrMany,
    /// A file that holds the key, in place of a variable.
    pub(super) file: Option<PathBuf>,
    /// A header of its own; without one, where the wire has it.
    pub(super) header: Option<String>,
    /// A parameter of the address that holds it, in place of a header.
    pub(super) query: Option<String>,
}

/// `"A"` or `["A", "B"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrManyText")]
pub(super) struct OneOrMany(pub(super) Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrManyText {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrManyText> for OneOrMany {
    fn from(text: OneOrManyText) -> Self {
        match text {
            OneOrManyText::One(name) => OneOrMany(vec![name]),
            OneOrManyText::Many(names) => OneOrMany(names),
        }
    }
}

/// What a provider may do with prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyRow {
    pub(super) training: Option<bool>,
    pub(super) retains_prompts: Option<bool>,
}

impl From<PolicyRow> for DataPolicy {
    fn from(row: PolicyRow) -> Self {
        DataPolicy {
            training: row.training,
            retains_prompts: row.retains_prompts,
        }
    }
}

/// A model's line in `models.jsonl`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelRow {
    #[serde(rename = "model")]
    pub(super) id: String,
    pub(super) canonical_slug: Option<String>,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<Kind>,
    pub(super) description: Option<String>,
    pub(super) created: Option<i64>,
    pub(super) hugging_face_id: Option<String>,
    pub(super) knowledge_cutoff: Option<String>,
    pub(super) context_length: Option<u64>,
    pub(super) max_output_tokens: Option<u64>,
    /// `["text"]` when left out.
    pub(super) input_modalities: Option<Vec<String>>,
    /// `["text"]` when left out, `["embeddings"]` for an embedding model, `["rerank"]` for a reranker.
    pub(super) output_modalities: Option<Vec<String>>,
    /// `None` when nothing is known, as of an operator's own models.
    pub(super) capabilities: Option<Capabilities>,
    pub(super) reasoning: Option<ReasoningRow>,
}

/// The word for a model's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Chat,
    Embedding,
    Rerank,
}

/// What a model can do; left out means no, but for `temperature`, which most models take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Capabilities {
    pub(super) tools: Option<bool>,
    pub(super) structured_output: Option<bool>,
    pub(super) reasoning: Option<bool>,
    pub(super) temperature: Option<bool>,
}

impl Capabilities {
    /// These, but for what `other` says.
    pub(super) fn overlaid(self, other: Capabilities) -> Self {
        Capabilities {
            tools: other.tools.or(self.tools),
            structured_output: other.structured_output.or(self.structured_output),
            reasoning: other.reasoning.or(self.reasoning),
            temperature: other.temperature.or(self.temperature),
        }
    }
}

/// How a model's reasoning is steered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReasoningRow {
    pub(super) efforts: Vec<String>,
    pub(super) budget: bool,
    pub(super) toggle: bool,
}

/// An endpoint's line in `models.jsonl`; it belongs to the model above it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointRow {
    /// `provider[/variant][/quantization]`, unique within the model.
    #[serde(rename = "endpoint")]
    pub(super) tag: String,
    pub(super) upstream_model: String,
    pub(super) variant: Option<String>,
    pub(super) quantization: Option<String>,
    pub(super) wire: Option<String>,
    pub(super) base_url: Option<String>,
    /// `responses` where the model is served by the Responses API only.
    pub(super) api: Option<String>,
    pub(super) context_length: Option<u64>,
    pub(super) max_prompt_tokens: Option<u64>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) pricing: PricesRow,
    #[serde(default)]
    pub(super) tiers: Vec<TierRow>,
    pub(super) schedule: Option<ScheduleRow>,
    /// Where it differs from the model.
    #[serde(default)]
    pub(super) capabilities: Capabilities,
    pub(super) input_modalities: Option<Vec<String>>,
    /// In place of what the capabilities tell.
    pub(super) supported_parameters: Option<Vec<String>>,
    /// In place of the provider's.
    pub(super) data_policy: Option<PolicyRow>,
    /// What is known of its tool calls beforehand.
    pub(super) tool_calls: Option<ToolCallsRow>,
    #[serde(default)]
    pub(super) deprecated: bool,
    /// Where the prices come from.
    pub(super) source: Option<String>,
}

impl EndpointRow {
    /// The slug of the provider.
    pub(super) fn provider(&self) -> &str {
        self.tag.split_once('/').map_or(&self.tag, |(slug, _)| slug)
    }
}

/// Of so many answers with tool calls, so many had one that cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolCallsRow {
    pub(super) judged: u32,
    pub(super) bad: u32,
}

impl From<ToolCallsRow> for ToolCallPrior {
    fn from(row: ToolCallsRow) -> Self {
        ToolCallPrior {
            judged: row.judged,
            bad: row.bad.min(row.judged),
        }
    }
}

/// Unit prices in dollars, as decimal strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PricesRow {
    pub(super) prompt: Option<Picos>,
    pub(super) completion: Option<Picos>,
    pub(super) cache_read: Option<Picos>,
    pub(super) cache_write: Option<Picos>,
    pub(super) cache_write_1h: Option<Picos>,
    pub(super) reasoning: Option<Picos>,
    pub(super) audio_in: Option<Picos>,
    pub(super) audio_out: Option<Picos>,
    pub(super) image: Option<Picos>,
    pub(super) request: Option<Picos>,
    pub(super) search_unit: Option<Picos>,
    pub(super) web_search: Option<Picos>,
}

impl PricesRow {
    /// The prices, with `base` where nothing is written.
    pub(super) fn over(&self, base: &Prices) -> Prices {
        Prices {
            prompt: self.prompt.unwrap_or(base.prompt),
            completion: self.completion.unwrap_or(base.completion),
            cache_read: self.cache_read.or(base.cache_read),
            cache_write: self.cache_write.or(base.cache_write),
            cache_write_1h: self.cache_write_1h.or(base.cache_write_1h),
            reasoning: self.reasoning.or(base.reasoning),
            audio_in: self.audio_in.or(base.audio_in),
            audio_out: self.audio_out.or(base.audio_out),
            image: self.image.or(base.image),
            request: self.request.or(base.request),
            search_unit: self.search_unit.or(base.search_unit),
            web_search: self.web_search.or(base.web_search),
        }
    }
}

/// Prices for prompts longer than `above` tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TierRow {
    pub(super) above: u64,
    pub(super) prompt: Option<Picos>,
    pub(super) completion: Option<Picos>,
    pub(super) cache_read: Option<Picos>,
    pub(super) cache_write: Option<Picos>,
    pub(super) cache_write_1h: Option<Picos>,
    pub(super) reasoning: Option<Picos>,
}

impl TierRow {
    /// The tier's prices alone.
    pub(super) fn prices(&self) -> PricesRow {
        PricesRow {
            prompt: self.prompt,
            completion: self.completion,
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            reasoning: self.reasoning,
            ..PricesRow::default()
        }
    }
}

/// A multiplier for some hours, UTC: `{"hours": ["01:00-04:00"], "multiplier": "2"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleRow {
    pub(super) hours: Vec<String>,
    #[serde(default)]
    pub(super) weekdays_only: bool,
    pub(super) multiplier: String,
}

/// A model and its endpoints, as the lines stand together.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelLines {
    pub(super) model: ModelRow,
    pub(super) endpoints: Vec<EndpointRow>,
}

/// Reads `providers.jsonl`.
pub(super) fn providers(source: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<ProviderRow> {
    lines(text)
        .filter_map(|(number, line)| row(source, number, line, problems))
        .collect()
}

/// Reads `models.jsonl`.
pub(super) fn models(source: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<ModelLines> {
    let mut models: Vec<ModelLines> = Vec::new();
    for (number, line) in lines(text) {
        if line.starts_with("{\"model\"") {
            let model = row(source, number, line, problems).unwrap_or_default();
            models.push(ModelLines {
                model,
                endpoints: Vec::new(),
            });
        } else if let Some(above) = models.last_mut() {
            above
                .endpoints
                .extend(row::<EndpointRow>(source, number, line, problems));
        } else {
            problems.push(Problem::of(
                format!("{source} line {number}"),
                "an endpoint before the first line that begins with {\"model\"",
            ));
        }
    }
    models
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .map(str::trim)
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.is_empty())
}

fn row<T: DeserializeOwned>(
    source: &str,
    number: usize,
    line: &str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    // The parser saw one line; its number is said by the source.
    let reason = |error: serde_json::Error| {
        error
            .to_string()
            .replace(" at line 1 column ", " at column ")
    };
    serde_json::from_str(line)
        .map_err(|error| {
            problems.push(Problem::of(
                format!("{source} line {number}"),
                reason(error),
            ))
        })
        .ok()
}
