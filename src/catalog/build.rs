//! Turns what is written into what can be served: looks up keys and variables, decides what each endpoint lacks, and
//! makes the [`Snapshot`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::behaviour::Behaviour;
use super::draft::{Drafts, ProviderDraft};
use super::environment::{Environment, expand};
use super::key::{Place, auth};
use super::parameters;
use super::pricing::pricing;
use super::problem::{Problem, hint};
use super::rows::{EndpointRow, Kind, ModelLines, ModelRow, ReasoningRow};
use super::snapshot::{
    Auth, Endpoint, Lack, Model, ModelKind, Provider, Reasoning, Snapshot, Target,
};
use crate::domain::ids::{EndpointTag, ModelId, ProviderSlug};
use crate::wire::WireName;
use crate::wire::quirks::Quirks;

/// Builds the snapshot of everything in `drafts`.
pub(super) fn snapshot(
    drafts: &Drafts,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Snapshot {
    let providers: BTreeMap<&str, Built<'_>> = drafts
        .providers
        .iter()
        .map(|(slug, draft)| (slug.as_str(), provider(draft, environment, problems)))
        .collect();
    let models: Vec<Arc<Model>> = drafts
        .models
        .values()
        .filter_map(|lines| model(lines, &providers, environment, problems))
        .map(Arc::new)
        .collect();
    let mut by_slug: HashMap<Box<str>, usize> = models
        .iter()
        .enumerate()
        .map(|(position, model)| (Box::from(model.canonical_slug.as_str()), position))
        .collect();
    // An id wins over another model's canonical slug.
    by_slug.extend(
        models
            .iter()
            .enumerate()
            .map(|(position, model)| (Box::from(model.id.as_str()), position)),
    );
    let providers = providers
        .into_values()
        .map(|built| (built.provider.slug.clone(), built.provider))
        .collect();
    Snapshot {
        version: version(&models).into(),
        models,
        providers,
        by_slug,
    }
}

/// Twelve digits of the hash of every endpoint and its prices, enabled or not.
fn version(models: &[Arc<Model>]) -> String {
    let mut hash = Sha256::new();
    for endpoint in models
        .iter()
        .flat_map(|model| model.endpoints.iter().chain(&model.disabled))
    {
        let (model, tag) = (endpoint.model.as_str(), endpoint.tag.as_str());
        hash.update(format!("{model}\n{tag}\n{:?}\n", endpoint.pricing));
    }
    hex::encode(&hash.finalize()[..6])
}

/// A provider ready to serve, with what its endpoints need.
struct Built<'a> {
    provider: Arc<Provider>,
    /// Its wire as written, for the reason why it cannot be used.
    wire: &'a str,
    behaviour: &'a Behaviour,
    quirks: Arc<Quirks>,
}

fn provider<'a>(
    draft: &'a ProviderDraft,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Built<'a> {
    let row = &draft.row;
    let native = wire_named(&row.wire, &row.slug, problems);
    // The second address is the next best thing while this build does not speak the provider's own wire.
    let compatible = row
        .compatible_base_url
        .as_ref()
        .filter(|_| !native.is_spoken());
    let (wire, written) = compatible.map_or((native, &row.base_url), |url| (WireName::Openai, url));
    let mut missing = Vec::new();
    // What is said of the key's place is meant for the provider's own wire.
    let own_place = compatible.is_none();
    let auth = row.api_key.as_ref().map_or(Auth::None, |key| {
        let place = Place::of(key, own_place, wire);
        auth(&row.slug, key, &place, environment, &mut missing, problems)
    });
    let base_url = expand(written, environment, &mut missing);
    let provider = Provider {
        slug: ProviderSlug::from(row.slug.as_str()),
        name: row.name.as_str().into(),
        wire,
        base_url,
        auth,
        headers: draft.headers.clone(),
        timeouts: draft.timeouts,
        concurrency: draft.concurrency,
        queue: draft.queue,
        cancels: draft.behaviour.cancels.unwrap_or(true),
        data_policy: row.data_policy.into(),
        headquarters: row.headquarters.clone(),
        status_page: row.status_page.clone(),
        privacy_policy: row.privacy_policy.clone(),
        terms_of_service: row.terms_of_service.clone(),
        lacks: (!missing.is_empty()).then(|| missing.join(" and ")),
    };
    Built {
        provider: Arc::new(provider),
        wire: &row.wire,
        quirks: Arc::new(draft.behaviour.quirks()),
        behaviour: &draft.behaviour,
    }
}

fn model(
    lines: &ModelLines,
    providers: &BTreeMap<&str, Built<'_>>,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Option<Model> {
    let row = &lines.model;
    let mut tags: Vec<&str> = Vec::with_capacity(lines.endpoints.len());
    let (mut endpoints, mut disabled) = (Vec::new(), Vec::new());
    for written in &lines.endpoints {
        // A provider nobody knows is a problem already.
        let Some(built) = providers.get(written.provider()) else {
            continue;
        };
        if tags.contains(&written.tag.as_str()) {
            let reason = format!(
                "{} has the endpoint `{}` twice; give one a `variant` or a `quantization`",
                row.id, written.tag
            );
            problems.push(Problem::of(String::new(), reason));
        }
        tags.push(&written.tag);
        let endpoint = Arc::new(endpoint(row, written, built, environment, problems));
        if endpoint.lacks.is_none() {
            endpoints.push(endpoint)
        } else {
            disabled.push(endpoint)
        }
    }
    if endpoints.is_empty() && disabled.is_empty() {
        return None;
    }
    let kind = match row.kind {
        None | Some(Kind::Chat) => ModelKind::Chat,
        Some(Kind::Embedding) => ModelKind::Embedding,
        Some(Kind::Rerank) => ModelKind::Rerank,
    };
    Some(Model {
        id: ModelId::from(row.id.as_str()),
        canonical_slug: row.canonical_slug.clone().unwrap_or_else(|| row.id.clone()),
        name: row.name.clone(),
        author: row
            .id
            .split_once('/')
            .map_or(row.id.as_str(), |(author, _)| author)
            .to_owned(),
        kind,
        created: row.created,
        description: row.description.clone(),
        hugging_face_id: row.hugging_face_id.clone(),
        context_length: row.context_length,
        max_output_tokens: row.max_output_tokens,
        input_modalities: row
            .input_modalities
            .clone()
            .unwrap_or_else(|| vec!["text".to_owned()]),
        output_modalities: output_modalities(row, kind),
        knowledge_cutoff: row.knowledge_cutoff.clone(),
        reasoning: reasoning_of(row),
        endpoints,
        disabled,
    })
}

fn output_modalities(row: &ModelRow, kind: ModelKind) -> Vec<String> {
    let usual = match kind {
        ModelKind::Chat => "text",
        ModelKind::Embedding => "embeddings",
        ModelKind::Rerank => "rerank",
    };
    row.output_modalities
        .clone()
        .unwrap_or_else(|| vec![usual.to_owned()])
}

/// The protocol that a row of `owner` names; a name nobody has is a problem, and any protocol does then.
fn wire_named(name: &str, owner: &str, problems: &mut Vec<Problem>) -> WireName {
    WireName::named(name).unwrap_or_else(|| {
        let reason = format!(
            "{owner}: `{name}` is no wire{}",
            hint(name, WireName::names())
        );
        problems.push(Problem::of(String::new(), reason));
        WireName::Openai
    })
}

/// What is known of a model's reasoning, if it reasons.
fn reasoning_of(row: &ModelRow) -> Option<Reasoning> {
    let reasons = row.capabilities.and_then(|can| can.reasoning) == Some(true);
    reasons.then(|| reasoning(row.reasoning.as_ref()))
}

fn reasoning(row: Option<&ReasoningRow>) -> Reasoning {
    let Some(row) = row else {
        return Reasoning::default();
    };
    // One that has neither a switch, nor an effort of none, nor a budget, cannot be turned off.
    let mandatory =
        !row.toggle && !row.budget && !row.efforts.iter().any(|effort| effort == "none");
    Reasoning {
        mandatory,
        efforts: row.efforts.clone(),
        budget: row.budget,
    }
}

fn endpoint(
    model: &ModelRow,
    row: &EndpointRow,
    built: &Built<'_>,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Endpoint {
    let own = built.behaviour.for_model(&model.id);
    let behaviour = own.as_ref().unwrap_or(built.behaviour);
    let named = match &row.wire {
        Some(name) => wire_named(name, &model.id, problems),
        None => built.provider.wire,
    };
    // Some models of a provider answer by OpenAI's other protocol only.
    let (wire, other_api) = match (named, row.api.as_deref()) {
        (WireName::Openai, Some("responses")) => (WireName::Responses, None),
        (wire, api) => (wire, api),
    };
    let parameters = match (model.kind, &row.supported_parameters) {
        (_, Some(written)) => parameters::Parameters {
            supported: written.clone(),
            unsupported: Vec::new(),
        },
        (Some(Kind::Embedding | Kind::Rerank), None) => parameters::Parameters::default(),
        (_, None) => parameters::derive(
            model.capabilities.map(|can| can.overlaid(row.capabilities)),
            behaviour,
        ),
    };
    let mut missing = Vec::new();
    let base_url = row
        .base_url
        .as_ref()
        .map(|written| expand(written, environment, &mut missing));
    let unspoken = (!wire.is_spoken())
        .then(|| row.wire.as_deref().unwrap_or(built.wire))
        .or(other_api);
    let (id, tag) = (
        ModelId::from(model.id.as_str()),
        EndpointTag::from(row.tag.as_str()),
    );
    Endpoint {
        key: Endpoint::key_of(&id, &tag),
        model: id,
        provider: Arc::clone(&built.provider),
        tag,
        target: Target {
            wire,
            upstream_model: row.upstream_model.clone(),
            quirks: own
                .as_ref()
                .map_or_else(|| Arc::clone(&built.quirks), |own| Arc::new(own.quirks())),
            unsupported_parameters: parameters.unsupported,
            max_output_tokens: row.max_output_tokens.or(model.max_output_tokens),
            reasoning: reasoning_of(model),
        },
        base_url,
        context_length: row.context_length,
        max_prompt_tokens: row.max_prompt_tokens,
        max_output_tokens: row.max_output_tokens,
        quantization: row.quantization.clone(),
        variant: row.variant.clone(),
        pricing: pricing(&model.id, row, problems),
        supported_parameters: parameters.supported,
        input_modalities: row
            .input_modalities
            .clone()
            .or_else(|| model.input_modalities.clone())
            .unwrap_or_else(|| vec!["text".to_owned()]),
        data_policy: row
            .data_policy
            .map_or(built.provider.data_policy, Into::into),
        tool_calls: row.tool_calls.map(Into::into),
        deprecated: row.deprecated,
        lacks: lack(unspoken, built.provider.lacks.as_deref(), &missing),
    }
}

/// A wire that is not spoken comes first: no variable would help.
fn lack(unspoken: Option<&str>, provider: Option<&str>, missing: &[String]) -> Option<Lack> {
    unspoken
        .map(|name| Lack::Wire(name.to_owned()))
        .or_else(|| provider.map(|name| Lack::Variable(name.to_owned())))
        .or_else(|| (!missing.is_empty()).then(|| Lack::Variable(missing.join(" and "))))
}
