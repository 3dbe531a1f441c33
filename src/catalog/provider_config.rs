//! The `[[providers]]` tables of the configuration: a provider of the operator's own, or changes to one of the
//! catalogue. Read whole, every problem with its key, and laid over the [`Drafts`].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::behaviour::Behaviour;
use super::check;
use super::draft::{Drafts, ProviderDraft};
use super::fields::Fields;
use super::problem::Problem;
use super::rows::{
    EndpointRow, KeyRow, Kind, ModelLines, ModelRow, PolicyRow, PricesRow, TierRow, ToolCallsRow,
};
use super::snapshot::Timeouts;

/// A `[[providers]]` table as written.
pub type ProviderConfig = toml::Table;

/// Lays the tables over the drafts, in the order written.
pub(super) fn lay(
    tables: &[ProviderConfig],
    timeouts: Timeouts,
    drafts: &mut Drafts,
    problems: &mut Vec<Problem>,
) {
    let mut endpoints: BTreeMap<String, Vec<EndpointRow>> = BTreeMap::new();
    let mut slugs: HashMap<String, usize> = HashMap::new();
    for (index, table) in tables.iter().enumerate() {
        let path = format!("providers[{index}]");
        let read = |fields: &mut Fields<'_>| {
            let slug = fields.need("slug", check::slug)?;
            if let Some(earlier) = slugs.insert(slug.clone(), index) {
                fields.problem("slug", format!("`{slug}` is written in providers[{earlier}] already; put its models together"));
            }
            read_provider(&slug, timeouts, fields, drafts);
            let models = fields
                .each("models", |fields| read_model(&slug, fields, drafts))
                .into_iter()
                .flatten()
                .collect();
            lay_models(&slug, models, drafts, &mut endpoints);
            Some(())
        };
        Fields::read(path, toml::Value::Table(table.clone()), problems, read);
    }
    endpoints
        .into_iter()
        .for_each(|(id, endpoints)| drafts.put_first(&id, endpoints));
}

/// Changes the catalogue's provider of that slug, or adds one.
fn read_provider(slug: &str, timeouts: Timeouts, fields: &mut Fields<'_>, drafts: &mut Drafts) {
    let mut draft = drafts
        .providers
        .remove(slug)
        .unwrap_or_else(|| new_provider(slug, timeouts));
    let row = &mut draft.row;
    set(&mut row.name, fields.take("name"));
    if let Some(wire) = fields.map("wire", check::wire) {
        // A wire of one's own choice is meant, not the second address of the catalogue's.
        (row.wire, row.compatible_base_url) = (wire, None);
    }
    let base_url = if row.base_url.is_empty() {
        fields.need("base_url", check::address)
    } else {
        fields.map("base_url", check::address)
    };
    if let Some(base_url) = base_url {
        (row.base_url, row.compatible_base_url) = (base_url, None);
    }
    row.api_key = fields.nested("api_key", read_key).or(row.api_key.take());
    row.headquarters = fields.take("headquarters").or(row.headquarters.take());
    row.status_page = fields.take("status_page").or(row.status_page.take());
    row.privacy_policy = fields.take("privacy_policy").or(row.privacy_policy.take());
    row.terms_of_service = fields
        .take("terms_of_service")
        .or(row.terms_of_service.take());
    set(
        &mut row.data_policy,
        fields.nested("data_policy", read_policy),
    );
    set(&mut draft.headers, fields.nested("headers", read_headers));
    set(
        &mut draft.timeouts,
        fields.nested("timeouts", |fields| read_timeouts(timeouts, fields)),
    );
    draft.concurrency = fields.map("concurrency", places).or(draft.concurrency);
    draft.queue = fields.map("queue", Ok::<_, String>).or(draft.queue);
    if let Some(quirks) = fields.nested("quirks", Behaviour::read) {
        draft.behaviour = draft.behaviour.overlaid(&quirks);
    }
    draft.behaviour.cancels = fields.take("cancels").or(draft.behaviour.cancels);
    drafts.providers.insert(slug.to_owned(), draft);
}

fn new_provider(slug: &str, timeouts: Timeouts) -> ProviderDraft {
    let mut draft = ProviderDraft {
        behaviour: Behaviour::of_operator(),
        timeouts,
        ..ProviderDraft::default()
    };
    (draft.row.slug, draft.row.name, draft.row.wire) =
        (slug.to_owned(), slug.to_owned(), "openai".to_owned());
    draft
}

/// A model of a table: what is said of the model itself, and the endpoint.
struct ModelTable {
    model: ModelRow,
    endpoint: EndpointRow,
}

/// Reads a model. What is not said of an endpoint that the catalogue has too stays as it is there.
fn read_model(slug: &str, fields: &mut Fields<'_>, drafts: &Drafts) -> Option<ModelTable> {
    let id = fields.need("id", check::model_id);
    let known = id.as_ref().and_then(|id| drafts.models.get(id));
    let new = || EndpointRow {
        upstream_model: id.clone().unwrap_or_default(),
        ..EndpointRow::default()
    };
    let mut endpoint = known
        .and_then(|lines| {
            lines
                .endpoints
                .iter()
                .find(|row| row.provider() == slug)
                .cloned()
        })
        .unwrap_or_else(new);
    endpoint.source = Some("config".to_owned());
    set(&mut endpoint.upstream_model, fields.take("upstream_model"));
    endpoint.variant = fields.take("variant").or(endpoint.variant);
    if let Some(quantization) = fields.map("quantization", check::quantization) {
        endpoint.quantization = quantization;
    }
    endpoint.wire = fields.map("wire", check::wire).or(endpoint.wire);
    endpoint.base_url = fields.map("base_url", check::address).or(endpoint.base_url);
    endpoint.context_length = fields.take("context_length").or(endpoint.context_length);
    endpoint.max_prompt_tokens = fields
        .take("max_prompt_tokens")
        .or(endpoint.max_prompt_tokens);
    endpoint.max_output_tokens = fields
        .take("max_output_tokens")
        .or(endpoint.max_output_tokens);
    if let Some(pricing) = fields.nested("pricing", read_prices) {
        // New prices are meant to be the whole price: long-prompt tiers and hours of the old ones go.
        (endpoint.pricing, endpoint.tiers, endpoint.schedule) = (pricing, Vec::new(), None);
    }
    if fields.has("tiers") {
        endpoint.tiers = fields.each("tiers", read_tier);
    }
    endpoint.supported_parameters = fields
        .map("supported_parameters", check::parameters)
        .or(endpoint.supported_parameters);
    endpoint.data_policy = fields
        .nested("data_policy", read_policy)
        .or(endpoint.data_policy);
    endpoint.tool_calls = fields
        .nested("tool_calls", read_tool_calls)
        .flatten()
        .or(endpoint.tool_calls);
    endpoint.input_modalities = fields
        .map("input_modalities", |words| {
            check::among(words, &check::INPUTS)
        })
        .or(endpoint.input_modalities);
    let tag = [
        Some(slug),
        endpoint.variant.as_deref(),
        endpoint.quantization.as_deref(),
    ];
    endpoint.tag = tag.into_iter().flatten().collect::<Vec<_>>().join("/");

    let name = fields.take("name");
    let model = ModelRow {
        name: name
            .or(known.map(|lines| lines.model.name.clone()))
            .or(id.clone())
            .unwrap_or_default(),
        kind: fields.take::<Kind>("type"),
        description: fields.take("description"),
        created: fields.take("created"),
        hugging_face_id: fields.take("hugging_face_id"),
        knowledge_cutoff: fields.take("knowledge_cutoff"),
        context_length: endpoint.context_length,
        max_output_tokens: endpoint.max_output_tokens,
        input_modalities: endpoint.input_modalities.clone(),
        output_modalities: fields.map("output_modalities", |words| {
            check::among(words, &check::OUTPUTS)
        }),
        id: id?,
        ..ModelRow::default()
    };
    Some(ModelTable { model, endpoint })
}

/// Replaces the provider's endpoints of these models, and adds the models nobody had.
fn lay_models(
    slug: &str,
    tables: Vec<ModelTable>,
    drafts: &mut Drafts,
    endpoints: &mut BTreeMap<String, Vec<EndpointRow>>,
) {
    for ModelTable { model, .. } in &tables {
        if let Some(lines) = drafts.models.get_mut(&model.id) {
            lines.endpoints.retain(|row| row.provider() != slug);
        }
    }
    for ModelTable { model, endpoint } in tables {
        endpoints
            .entry(model.id.clone())
            .or_default()
            .push(endpoint);
        match drafts.models.get_mut(&model.id) {
            Some(lines) => fill(&mut lines.model, model),
            None => drop(drafts.models.insert(
                model.id.clone(),
                ModelLines {
                    model,
                    endpoints: Vec::new(),
                },
            )),
        }
    }
}

/// Says of a model what nobody said before, and what only people say: its name and description.
fn fill(known: &mut ModelRow, said: ModelRow) {
    known.name = said.name;
    known.description = said.description.or(known.description.take());
    known.kind = known.kind.or(said.kind);
    known.created = known.created.or(said.created);
    known.hugging_face_id = known.hugging_face_id.take().or(said.hugging_face_id);
    known.knowledge_cutoff = known.knowledge_cutoff.take().or(said.knowledge_cutoff);
    known.context_length = known.context_length.or(said.context_length);
    known.max_output_tokens = known.max_output_tokens.or(said.max_output_tokens);
    known.input_modalities = known.input_modalities.take().or(said.input_modalities);
    known.output_modalities = known.output_modalities.take().or(said.output_modalities);
}

fn read_key(fields: &mut Fields<'_>) -> KeyRow {
    let key = KeyRow {
        env: fields.take("env").unwrap_or_default(),
        file: fields.take("file"),
        header: fields.map("header", |name: String| {
            HeaderName::try_from(&name).map(|_| name)
        }),
        query: fields.take("query"),
    };
    if key.env.0.is_empty() == key.file.is_none() {
        fields.problem("", "names either a variable (`env`) or a file (`file`)");
    }
    key
}

fn read_headers(fields: &mut Fields<'_>) -> Vec<(HeaderName, HeaderValue)> {
    fields.rest(|name: &str, value: String| {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
        Ok::<_, String>((name, value))
    })
}

fn read_policy(fields: &mut Fields<'_>) -> PolicyRow {
    PolicyRow {
        training: fields.take("training"),
        retains_prompts: fields.take("retains_prompts"),
    }
}

fn read_tool_calls(fields: &mut Fields<'_>) -> Option<ToolCallsRow> {
    let judged = fields.need("judged", Ok::<_, String>);
    let bad = fields.need("bad", Ok::<_, String>);
    Some(ToolCallsRow {
        judged: judged?,
        bad: bad?,
    })
}

fn read_timeouts(usual: Timeouts, fields: &mut Fields<'_>) -> Timeouts {
    let mut seconds = |key, usual| {
        fields
            .map(key, Duration::try_from_secs_f64)
            .unwrap_or(usual)
    };
    Timeouts {
        connect: seconds("connect", usual.connect),
        first_token: seconds("first_token", usual.first_token),
        idle: seconds("idle", usual.idle),
        total: seconds("total", usual.total),
    }
}

/// A provider that may not be asked at all is better left out.
fn places(count: usize) -> Result<usize, &'static str> {
    if count == 0 {
        Err("must be at least 1")
    } else {
        Ok(count)
    }
}

fn read_prices(fields: &mut Fields<'_>) -> PricesRow {
    let mut price = |key| fields.map(key, check::price);
    PricesRow {
        prompt: price("prompt"),
        completion: price("completion"),
        cache_read: price("cache_read"),
        cache_write: price("cache_write"),
        cache_write_1h: price("cache_write_1h"),
        reasoning: price("reasoning"),
        audio_in: price("audio_in"),
        audio_out: price("audio_out"),
        image: price("image"),
        request: price("request"),
        search_unit: price("search_unit"),
        web_search: price("web_search"),
    }
}

fn read_tier(fields: &mut Fields<'_>) -> TierRow {
    let above = fields.need("above", Ok::<u64, String>).unwrap_or_default();
    let mut price = |key| fields.map(key, check::price);
    TierRow {
        above,
        prompt: price("prompt"),
        completion: price("completion"),
        cache_read: price("cache_read"),
        cache_write: price("cache_write"),
        cache_write_1h: price("cache_write_1h"),
        reasoning: price("reasoning"),
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
