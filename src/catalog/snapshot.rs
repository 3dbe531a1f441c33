//! The catalogue as requests see it: immutable, looked up by id, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::domain::ids::{EndpointTag, ModelId, ProviderSlug};
use crate::domain::money::Picos;
use crate::domain::secret::Secret;
use crate::wire::WireName;
use crate::wire::quirks::Quirks;

/// Everything that can be served now, and what is known but lacks a key.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Every model with at least one endpoint, enabled or not, sorted by id.
    pub models: Vec<Arc<Model>>,
    /// Providers by slug, enabled or not.
    pub providers: HashMap<ProviderSlug, Arc<Provider>>,
    /// Position in `models` by id, canonical slug and alias.
    pub by_slug: HashMap<Box<str>, usize>,
}

impl Snapshot {
    /// The model that `slug` names, by id, canonical slug or alias.
    pub fn model(&self, slug: &str) -> Option<&Arc<Model>> {
        self.models.get(*self.by_slug.get(slug)?)
    }
}

/// A model and the endpoints that serve it, in the catalogue's order.
#[derive(Debug)]
pub struct Model {
    /// `author/slug`.
    pub id: ModelId,
    /// The slug that never changes (contract 7.1).
    pub canonical_slug: String,
    /// The display name.
    pub name: String,
    /// The author: the part of the id before the slash.
    pub author: String,
    /// What kind of calls it takes.
    pub kind: ModelKind,
    /// Unix seconds; `None` when not known.
    pub created: Option<i64>,
    /// Free text, where the operator wrote some.
    pub description: Option<String>,
    /// The id of the weights on Hugging Face.
    pub hugging_face_id: Option<String>,
    /// The largest prompt and answer together, in tokens.
    pub context_length: Option<u64>,
    /// The longest answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// `text`, `image`, `file`, `audio`, `video`.
    pub input_modalities: Vec<String>,
    /// `text`, `image`, `audio`, `embeddings`.
    pub output_modalities: Vec<String>,
    /// `YYYY-MM-DD` or `YYYY-MM`.
    pub knowledge_cutoff: Option<String>,
    /// What is known of its reasoning; `None` when it does not reason.
    pub reasoning: Option<Reasoning>,
    /// Who serves it, enabled endpoints only, in the catalogue's order.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Who could serve it if their key were set.
    pub disabled: Vec<Arc<Endpoint>>,
}

/// Kinds of models by the calls they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// Chat and text completions.
    Chat,
    /// Embeddings.
    Embedding,
}

/// A model's reasoning, as contract 13.2 shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// Whether it cannot be turned off.
    pub mandatory: bool,
    /// The efforts it accepts.
    pub efforts: Vec<String>,
    /// Whether it takes a budget in tokens.
    pub budget: bool,
}

/// One model served by one provider.
#[derive(Debug)]
pub struct Endpoint {
    /// The model it serves.
    pub model: ModelId,
    /// Who serves it.
    pub provider: Arc<Provider>,
    /// `provider[/variant][/quantization]`.
    pub tag: EndpointTag,
    /// What a wire needs to know.
    pub target: Target,
    /// Replaces the provider's base URL for this endpoint.
    pub base_url: Option<String>,
    /// The largest prompt and answer together, in tokens.
    pub context_length: Option<u64>,
    /// The longest prompt, in tokens.
    pub max_prompt_tokens: Option<u64>,
    /// The longest answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// `fp8`, `bf16`, …; `None` when not known.
    pub quantization: Option<String>,
    /// A serving tier of the same weights (`turbo`, `flex`, …), part of the tag.
    pub variant: Option<String>,
    /// What it costs.
    pub pricing: Pricing,
    /// Parameters it understands, in the contract's vocabulary (13.2), sorted.
    pub supported_parameters: Vec<String>,
    /// `text`, `image`, …
    pub input_modalities: Vec<String>,
    /// What the provider may do with prompts.
    pub data_policy: DataPolicy,
    /// Announced for removal.
    pub deprecated: bool,
}

/// What a wire needs to know of an endpoint: no plan, no owner, no price.
#[derive(Clone, Debug)]
pub struct Target {
    /// The protocol.
    pub wire: WireName,
    /// The provider's own id of the model, sent as is.
    pub upstream_model: String,
    /// Where the provider departs from the protocol.
    pub quirks: Arc<Quirks>,
    /// Parameters to drop when the request has them, because the endpoint refuses them.
    pub unsupported_parameters: Vec<String>,
}

/// A company with an API.
#[derive(Debug)]
pub struct Provider {
    /// The slug, such as `together`.
    pub slug: ProviderSlug,
    /// The display name.
    pub name: String,
    /// Its protocol, unless an endpoint says otherwise.
    pub wire: WireName,
    /// The address of its API, version segment included, no trailing slash.
    pub base_url: String,
    /// How requests prove who pays.
    pub auth: Auth,
    /// Further headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long to wait for it.
    pub timeouts: Timeouts,
    /// Whether it stops generating (and billing) when the connection is closed (contract 4.7).
    pub cancels: bool,
    /// What it may do with prompts.
    pub data_policy: DataPolicy,
    /// ISO 3166 code.
    pub headquarters: Option<String>,
    /// Where it reports outages.
    pub status_page: Option<String>,
    /// Its privacy policy, where known.
    pub privacy_policy: Option<String>,
    /// Its terms, where known.
    pub terms_of_service: Option<String>,
    /// What keeps it from being used: a variable to set. `None` when it is enabled.
    pub lacks: Option<String>,
}

/// How a provider's requests carry its key.
#[derive(Clone, Debug)]
pub enum Auth {
    /// No key is sent.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// The key in a header of its own, such as `x-api-key`.
    Header(HeaderName, Secret),
}

/// How long to wait for a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TCP and TLS connection.
    pub connect: Duration,
    /// For the first content after the request was sent. A reasoning model may think for minutes.
    pub first_token: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// For the whole answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(300),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(1_800),
        }
    }
}

/// What a provider may do with prompts; unknown is treated as "may".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataPolicy {
    /// Whether it trains on them.
    pub training: Option<bool>,
    /// Whether it keeps them.
    pub retains_prompts: Option<bool>,
}

/// The prices of an endpoint.
#[derive(Clone, Debug, Default)]
pub struct Pricing {
    /// The list prices.
    pub base: Prices,
    /// Prices for long prompts, in ascending order of their threshold.
    pub tiers: Vec<Tier>,
    /// A time-of-day schedule.
    pub schedule: Option<Schedule>,
    /// Where the prices come from: `models.dev`, `list-prices`, `litellm`, `config`.
    pub source: String,
}

/// Unit prices. `None` means not priced apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// An input token.
    pub prompt: Picos,
    /// An output token.
    pub completion: Picos,
    /// An input token read from cache; billed as `prompt` when `None`.
    pub cache_read: Option<Picos>,
    /// An input token written to a five-minute cache.
    pub cache_write: Option<Picos>,
    /// An input token written to a one-hour cache.
    pub cache_write_1h: Option<Picos>,
    /// A reasoning token; billed as `completion` when `None`.
    pub reasoning: Option<Picos>,
    /// An audio input token.
    pub audio_in: Option<Picos>,
    /// An audio output token.
    pub audio_out: Option<Picos>,
    /// An image in the prompt.
    pub image: Option<Picos>,
    /// A request.
    pub request: Option<Picos>,
    /// A web search run by the provider.
    pub web_search: Option<Picos>,
}

/// Prices that hold for the whole request when its prompt is longer than `above` tokens; what a
/// tier leaves out stays as in the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The prompt must have more tokens than this.
    pub above: u64,
    /// Prices of the tier, merged over the base.
    pub prices: Prices,
}

/// A multiplier for some hours of the day, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Half-open ranges of minutes since midnight UTC; a range may wrap around midnight.
    pub off_peak: Vec<(u16, u16)>,
    /// The multiplier inside them, in parts per million.
    pub multiplier_ppm: i64,
}
