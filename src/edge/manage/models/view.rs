//! Models and endpoints as clients see them (contract 13.2, 13.5).
//! Knows the catalogue's values; knows no request.

use serde::Serialize;

use super::prices::PricingView;
use crate::attempt::health::{Published, View};
use crate::catalog::snapshot::{Endpoint, Model};
use crate::rank;
use crate::rank::health::{HealthView as _, Standing};

/// A model (contract 13.2). Price, limits and the rest that one endpoint decides are those of the endpoint tried first.
#[derive(Serialize)]
pub(in crate::edge) struct ModelView<'a> {
    id: &'a str,
    canonical_slug: &'a str,
    name: &'a str,
    /// Unix seconds; 0 when not known.
    created: i64,
    description: &'a str,
    hugging_face_id: Option<&'a str>,
    context_length: Option<u64>,
    architecture: Architecture<'a>,
    pricing: PricingView,
    top_provider: TopProvider,
    per_request_limits: Option<()>,
    supported_parameters: Vec<&'a str>,
    default_parameters: Option<()>,
    supported_voices: Option<()>,
    knowledge_cutoff: Option<&'a str>,
    expiration_date: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<ReasoningView<'a>>,
    links: Links,
}

/// What goes in and what comes out.
#[derive(Serialize)]
pub(in crate::edge) struct Architecture<'a> {
    modality: String,
    input_modalities: &'a [String],
    output_modalities: &'a [String],
    tokenizer: &'static str,
    instruct_type: Option<()>,
}

#[derive(Serialize)]
struct TopProvider {
    context_length: Option<u64>,
    max_completion_tokens: Option<u64>,
    is_moderated: bool,
}

#[derive(Serialize)]
struct ReasoningView<'a> {
    mandatory: bool,
    supported_efforts: Option<&'a [String]>,
    supports_max_tokens: bool,
}

#[derive(Serialize)]
struct Links {
    details: String,
}

/// A model with everyone who serves it (contract 13.5).
#[derive(Serialize)]
pub(in crate::edge) struct ModelEndpoints<'a> {
    id: &'a str,
    name: &'a str,
    created: i64,
    description: &'a str,
    architecture: Architecture<'a>,
    endpoints: Vec<EndpointView<'a>>,
}

/// One model at one provider (contract 13.5).
#[derive(Serialize)]
pub(in crate::edge) struct EndpointView<'a> {
    name: String,
    model_id: &'a str,
    model_name: &'a str,
    provider_name: &'a str,
    tag: &'a str,
    context_length: u64,
    max_completion_tokens: Option<u64>,
    max_prompt_tokens: Option<u64>,
    pricing: PricingView,
    quantization: Option<&'a str>,
    supported_parameters: &'a [String],
    supports_implicit_caching: bool,
    #[serde(flatten)]
    measured: Measured,
}

/// What traffic tells of an endpoint; the default says that nothing was measured.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(in crate::edge) struct Measured {
    /// 0 is healthy.
    status: i8,
    uptime_last_5m: Option<f64>,
    uptime_last_30m: Option<f64>,
    uptime_last_1d: Option<f64>,
    latency_last_30m: Option<Percentiles>,
    throughput_last_30m: Option<Percentiles>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Percentiles {
    p50: f64,
    p75: f64,
    p90: f64,
    p99: f64,
}

impl Measured {
    /// What was measured of an endpoint.
    pub(in crate::edge) fn of(healths: &View, endpoint: &Endpoint) -> Self {
        let Some(Published {
            uptime,
            latency_ms,
            throughput,
        }) = healths.summary(endpoint).map(|summary| summary.published)
        else {
            return Measured::default();
        };
        let [uptime_last_5m, uptime_last_30m, uptime_last_1d] =
            uptime.map(|percent| percent.map(|percent| rounded(percent, 100.0)));
        Measured {
            status: status(healths.health(endpoint).standing),
            uptime_last_5m,
            uptime_last_30m,
            uptime_last_1d,
            latency_last_30m: latency_ms.map(|millis| Percentiles::of(&millis, 1.0)),
            throughput_last_30m: throughput.map(|tokens| Percentiles::of(&tokens, 10.0)),
        }
    }

    /// The same without latency and throughput.
    pub(in crate::edge) fn without_speed(self) -> Self {
        Measured {
            latency_last_30m: None,
            throughput_last_30m: None,
            ..self
        }
    }
}

/// 0 is healthy, the rest is worse the lower; the contract (13.5) names the numbers and not their meanings.
fn status(standing: Standing) -> i8 {
    match standing {
        Standing::Well => 0,
        Standing::Degraded => -1,
        Standing::Outage => -2,
        Standing::Down => -5,
        Standing::Resting => -10,
    }
}

impl Percentiles {
    fn of(measured: &rank::health::Percentiles, decimals: f64) -> Self {
        Percentiles {
            p50: rounded(measured.p50, decimals),
            p75: rounded(measured.p75, decimals),
            p90: rounded(measured.p90, decimals),
            p99: rounded(measured.p99, decimals),
        }
    }
}

fn rounded(value: f64, decimals: f64) -> f64 {
    (value * decimals).round() / decimals
}

impl<'a> ModelView<'a> {
    /// `None` for a model that nobody can serve now.
    pub(in crate::edge) fn of(model: &'a Model) -> Option<Self> {
        let first = model.endpoints.first()?;
        let longest = || {
            model
                .endpoints
                .iter()
                .filter_map(|endpoint| endpoint.context_length)
                .max()
        };
        Some(ModelView {
            id: model.id.as_str(),
            canonical_slug: &model.canonical_slug,
            name: &model.name,
            created: model.created.unwrap_or_default(),
            description: model.description.as_deref().unwrap_or_default(),
            hugging_face_id: model.hugging_face_id.as_deref(),
            context_length: model.context_length.or_else(longest),
            architecture: Architecture::of(model),
            pricing: PricingView::of(&first.pricing),
            top_provider: TopProvider {
                context_length: first.context_length,
                max_completion_tokens: first.max_output_tokens,
                is_moderated: false,
            },
            per_request_limits: None,
            supported_parameters: supported_parameters(model),
            default_parameters: None,
            supported_voices: None,
            knowledge_cutoff: model.knowledge_cutoff.as_deref(),
            expiration_date: None,
            reasoning: model.reasoning.as_ref().map(|reasoning| ReasoningView {
                mandatory: reasoning.mandatory,
                supported_efforts: (!reasoning.efforts.is_empty()).then_some(&reasoning.efforts),
                supports_max_tokens: reasoning.budget,
            }),
            links: Links {
                details: format!("/api/v1/models/{}/endpoints", model.id),
            },
        })
    }
}

/// What some endpoint of the model understands, sorted.
pub(crate) fn supported_parameters(model: &Model) -> Vec<&str> {
    let mut names: Vec<&str> = model
        .endpoints
        .iter()
        .flat_map(|endpoint| &endpoint.supported_parameters)
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl<'a> Architecture<'a> {
    fn of(model: &'a Model) -> Self {
        Architecture {
            modality: format!(
                "{}->{}",
                model.input_modalities.join("+"),
                model.output_modalities.join("+")
            ),
            input_modalities: &model.input_modalities,
            output_modalities: &model.output_modalities,
            tokenizer: tokenizer(model.id.as_str()),
            instruct_type: None,
        }
    }
}

/// The contract's word for a family of tokenizers, told from the id.
pub(in crate::edge) fn tokenizer(id: &str) -> &'static str {
    const FAMILIES: [(&str, &str); 16] = [
        ("anthropic/", "Claude"),
        ("google/gemini", "Gemini"),
        ("google/gemma", "Gemma"),
        ("google/palm", "PaLM"),
        ("openai/gpt", "GPT"),
        ("openai/o", "GPT"),
        ("openai/text-embedding", "GPT"),
        ("x-ai/", "Grok"),
        ("cohere/", "Cohere"),
        ("amazon/nova", "Nova"),
        ("qwen/qwen3", "Qwen3"),
        ("qwen/", "Qwen"),
        ("deepseek/", "DeepSeek"),
        ("mistralai/", "Mistral"),
        ("meta-llama/llama-3", "Llama3"),
        ("meta-llama/llama-4", "Llama4"),
    ];
    FAMILIES
        .iter()
        .find(|(start, _)| id.starts_with(start))
        .map_or("Other", |(_, family)| family)
}

impl<'a> ModelEndpoints<'a> {
    /// The model and its endpoints that can be used now, each with what is measured of it.
    pub(in crate::edge) fn of(model: &'a Model, measured: impl Fn(&Endpoint) -> Measured) -> Self {
        ModelEndpoints {
            id: model.id.as_str(),
            name: &model.name,
            created: model.created.unwrap_or_default(),
            description: model.description.as_deref().unwrap_or_default(),
            architecture: Architecture::of(model),
            endpoints: model
                .endpoints
                .iter()
                .map(|endpoint| EndpointView::of(model, endpoint, measured(endpoint)))
                .collect(),
        }
    }
}

impl<'a> EndpointView<'a> {
    /// An endpoint of `model`, with what is measured of it.
    pub(in crate::edge) fn of(
        model: &'a Model,
        endpoint: &'a Endpoint,
        measured: Measured,
    ) -> Self {
        let prices = &endpoint.pricing.base;
        EndpointView {
            name: format!("{} | {}", endpoint.provider.name, model.id),
            model_id: &model.canonical_slug,
            model_name: &model.name,
            provider_name: &endpoint.provider.name,
            tag: endpoint.tag.as_str(),
            context_length: endpoint
                .context_length
                .or(model.context_length)
                .unwrap_or_default(),
            max_completion_tokens: endpoint.max_output_tokens,
            max_prompt_tokens: endpoint.max_prompt_tokens,
            pricing: PricingView::of(&endpoint.pricing).with_discount(),
            quantization: endpoint.quantization.as_deref(),
            supported_parameters: &endpoint.supported_parameters,
            // A price for reading without one for writing: the provider caches without being asked.
            supports_implicit_caching: prices.cache_read.is_some() && prices.cache_write.is_none(),
            measured,
        }
    }
}
