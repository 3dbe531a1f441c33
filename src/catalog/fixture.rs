//! Small catalogues for tests of the pure stages.

use std::collections::HashMap;
use std::sync::Arc;

use super::snapshot::{
    Auth, DataPolicy, Endpoint, Model, ModelKind, Prices, Pricing, Provider, Snapshot, Target,
    Timeouts,
};
use crate::domain::ids::{EndpointTag, ModelId, ProviderSlug};
use crate::domain::money::Picos;
use crate::wire::WireName;
use crate::wire::quirks::Quirks;

/// An endpoint `provider[/variant][/quantization]` at dollars per million tokens, in and out.
pub(crate) fn endpoint(tag: &str, prompt: i64, completion: i64) -> Endpoint {
    let mut parts = tag.split('/');
    let slug = parts.next().unwrap_or_default();
    let (mut variant, mut quantization) = (None, None);
    for part in parts {
        match part.as_bytes() {
            [.., b'0'..=b'9'] => quantization = Some(part.to_owned()),
            _ => variant = Some(part.to_owned()),
        }
    }
    let (model, tag) = (ModelId::from("acme/orca"), EndpointTag::from(tag));
    Endpoint {
        key: Endpoint::key_of(&model, &tag),
        model,
        provider: Arc::new(provider(slug)),
        tag,
        target: Target {
            wire: WireName::Openai,
            upstream_model: "orca".to_owned(),
            quirks: Arc::new(Quirks::default()),
            unsupported_parameters: Vec::new(),
            max_output_tokens: None,
            reasoning: None,
        },
        base_url: None,
        context_length: Some(32_768),
        max_prompt_tokens: None,
        max_output_tokens: Some(4_096),
        quantization,
        variant,
        pricing: Pricing {
            base: Prices {
                prompt: Picos(prompt * 1_000_000),
                completion: Picos(completion * 1_000_000),
                ..Prices::default()
            },
            ..Pricing::default()
        },
        supported_parameters: ["max_tokens", "temperature"].map(str::to_owned).to_vec(),
        input_modalities: vec!["text".to_owned()],
        data_policy: DataPolicy::default(),
        tool_calls: None,
        deprecated: false,
        lacks: None,
    }
}

/// A provider whose display name is its slug followed by `Inc`.
pub(crate) fn provider(slug: &str) -> Provider {
    Provider {
        slug: ProviderSlug::from(slug),
        name: format!("{slug} Inc").into(),
        wire: WireName::Openai,
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        auth: Auth::None,
        headers: Vec::new(),
        timeouts: Timeouts::default(),
        concurrency: None,
        queue: None,
        cancels: true,
        data_policy: DataPolicy::default(),
        headquarters: None,
        status_page: None,
        privacy_policy: None,
        terms_of_service: None,
        lacks: None,
    }
}

/// A chat model served by `endpoints`.
pub(crate) fn model(id: &str, endpoints: Vec<Endpoint>) -> Model {
    let endpoints = endpoints
        .into_iter()
        .map(|endpoint| {
            let model = ModelId::from(id);
            Arc::new(Endpoint {
                key: Endpoint::key_of(&model, &endpoint.tag),
                model,
                ..endpoint
            })
        })
        .collect();
    Model {
        id: ModelId::from(id),
        canonical_slug: format!("{id}-20260101"),
        name: id.to_owned(),
        author: id.split('/').next().unwrap_or_default().to_owned(),
        kind: ModelKind::Chat,
        created: None,
        description: None,
        hugging_face_id: None,
        context_length: Some(32_768),
        max_output_tokens: Some(4_096),
        input_modalities: vec!["text".to_owned()],
        output_modalities: vec!["text".to_owned()],
        knowledge_cutoff: None,
        reasoning: None,
        endpoints,
        disabled: Vec::new(),
    }
}

/// A catalogue of these models.
pub(crate) fn snapshot(models: Vec<Model>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let mut by_slug = HashMap::new();
    for (position, model) in models.iter().enumerate() {
        by_slug.insert(Box::from(model.id.as_str()), position);
        by_slug.insert(Box::from(model.canonical_slug.as_str()), position);
        for endpoint in &model.endpoints {
            let provider = Arc::clone(&endpoint.provider);
            snapshot.providers.insert(provider.slug.clone(), provider);
        }
    }
    snapshot.models = models.into_iter().map(Arc::new).collect();
    snapshot.by_slug = by_slug;
    snapshot
}
