//! The catalogue as requests see it: immutable, looked up by id, swapped whole.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::domain::ids::{EndpointTag, ModelId, ProviderSlug};
use crate::domain::money::Picos;
use crate::domain::secret::Secret;
use crate::wire::WireName;
use crate::wire::assertion::ServiceAccount;
use crate::wire::quirks::Quirks;
use crate::wire::sign::AwsKey;

/// Everything that can be served now, and what is known but lacks a key.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Names the prices: the beginning of a hash of every endpoint's, so that it changes when any of them does.
    pub version: Arc<str>,
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
    /// `text`, `image`, `audio`, `embeddings`, `rerank`.
    pub output_modalities: Vec<String>,
    /// `YYYY-MM-DD` or `YYYY-MM`.
    pub knowledge_cutoff: Option<String>,
    /// What is known of its reasoning; `None` when it does not reason.
    pub reasoning: Option<Reasoning>,
    /// Who serves it, enabled endpoints only, in the catalogue's order.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Who could serve it but for what [`Endpoint::lacks`] says.
    pub disabled: Vec<Arc<Endpoint>>,
}

/// Kinds of models by the calls they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// Chat and text completions.
    Chat,
    /// Embeddings.
    Embedding,
    /// Orders of documents.
    Rerank,
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
    /// [`Endpoint::key_of`] the model and the tag.
    pub key: u64,
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
    /// What is known of its tool calls before anything was measured here.
    pub tool_calls: Option<ToolCallPrior>,
    /// Announced for removal.
    pub deprecated: bool,
    /// What keeps it from being used; `None` when it is enabled.
    pub lacks: Option<Lack>,
}

impl Endpoint {
    /// An endpoint's identity across reloads of the catalogue: the FNV-1a hash of both its names.
    pub fn key_of(model: &ModelId, tag: &EndpointTag) -> u64 {
        let names = [model.as_str(), "\n", tag.as_str()];
        names
            .iter()
            .flat_map(|name| name.bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }

    /// Whether its provider searches the web for it: it is known how to be asked to, and what a search costs.
    pub fn searches(&self) -> bool {
        self.target.quirks.web_search.is_some() && self.pricing.base.web_search.is_some()
    }
}

/// What is known of an endpoint's tool calls beforehand: counted as if it had been measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolCallPrior {
    /// So many answers with tool calls were looked at.
    pub judged: u32,
    /// So many of them had a call that cannot be run.
    pub bad: u32,
}

/// What keeps an endpoint from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// An environment variable that is not set, or several, joined by ` and `.
    Variable(String),
    /// A protocol, or a part of one, that this build does not speak.
    Wire(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Variable(names) if names.contains(" and ") => write!(f, "{names} are not set"),
            Lack::Variable(name) => write!(f, "{name} is not set"),
            Lack::Wire(name) => write!(f, "this build does not speak `{name}`"),
        }
    }
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
    /// The longest answer, in tokens, for protocols that want a cap in every request.
    pub max_output_tokens: Option<u64>,
    /// What is known of the model's reasoning; `None` when it does not reason, or nothing is known.
    pub reasoning: Option<Reasoning>,
}

impl Target {
    /// Whether the endpoint does not refuse `parameter`.
    pub fn takes(&self, parameter: &str) -> bool {
        let refuses = |list: &[String]| list.iter().any(|refused| refused == parameter);
        !refuses(&self.quirks.refuses) && !refuses(&self.unsupported_parameters)
    }
}

/// A company with an API.
#[derive(Debug)]
pub struct Provider {
    /// The slug, such as `together`.
    pub slug: ProviderSlug,
    /// The display name.
    pub name: Arc<str>,
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
    /// Requests that may be with it at a time; `None` for as many as usual.
    pub concurrency: Option<usize>,
    /// Requests that may wait for their turn; `None` for as many as usual.
    pub queue: Option<usize>,
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
    /// The key in the query of the address, such as `?key=…`.
    Query(String, Secret),
    /// A signature of each request.
    Aws(AwsKey),
    /// `Authorization: Bearer …` with a token that the key is traded for, again and again.
    Google(Arc<ServiceAccount>),
}

impl Auth {
    /// A provider's words without the key, should they repeat it.
    pub fn redact<'a>(&self, said: &'a [u8]) -> Cow<'a, [u8]> {
        let key = match self {
            Auth::Bearer(key) | Auth::Header(_, key) | Auth::Query(_, key) => key.expose(),
            // What is sent is made from the key and does not have it.
            _ => return Cow::Borrowed(said),
        };
        let mut rest = said;
        let mut clean = Vec::new();
        while !key.is_empty()
            && let Some(at) = memchr::memmem::find(rest, key.as_bytes())
        {
            clean.extend_from_slice(&rest[..at]);
            clean.extend_from_slice(b"[redacted]");
            rest = &rest[at + key.len()..];
        }
        if clean.is_empty() {
            return Cow::Borrowed(said);
        }
        clean.extend_from_slice(rest);
        Cow::Owned(clean)
    }
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
    pub source: Arc<str>,
}

impl Pricing {
    /// Whether nothing that is counted costs anything, at any hour and for any prompt.
    pub fn is_free(&self) -> bool {
        let tiers = self.tiers.iter().map(|tier| &tier.prices);
        std::iter::once(&self.base)
            .chain(tiers)
            .all(Prices::are_free)
    }

    /// The unit prices that hold for a prompt of so many tokens: those of the highest tier it reaches.
    pub fn for_prompt(&self, prompt_tokens: u64) -> &Prices {
        self.tiers
            .iter()
            .rev()
            .find(|tier| prompt_tokens > tier.above)
            .map_or(&self.base, |tier| &tier.prices)
    }
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
    /// A unit of a search: a query over up to a hundred documents.
    pub search_unit: Option<Picos>,
    /// A web search run by the provider.
    pub web_search: Option<Picos>,
}

impl Prices {
    fn are_free(&self) -> bool {
        let Prices {
            prompt,
            completion,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
            audio_in,
            audio_out,
            image,
            request,
            search_unit,
            web_search,
        } = *self;
        let apart = [
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
            audio_in,
            audio_out,
            image,
            request,
            search_unit,
            web_search,
        ];
        let apart = apart.into_iter().flatten();
        apart
            .chain([prompt, completion])
            .all(|price| price <= Picos::ZERO)
    }

    /// Whether input tokens read from a cache are cheaper than others.
    pub fn caches(&self) -> bool {
        self.cache_read.is_some_and(|read| read < self.prompt)
    }
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
    pub hours: Vec<(u16, u16)>,
    /// Whether they hold from Monday to Friday only.
    pub weekdays_only: bool,
    /// The multiplier inside them, in parts per million.
    pub multiplier_ppm: i64,
}

impl Schedule {
    /// A multiplier that changes nothing, in parts per million.
    pub const WHOLE: i64 = 1_000_000;

    /// The multiplier at a moment, Unix milliseconds, in parts per million.
    pub fn multiplier_at(&self, unix_ms: i64) -> i64 {
        let minutes = unix_ms.div_euclid(60_000);
        let minute = minutes.rem_euclid(1_440);
        // 1 January 1970 was a Thursday; Monday is 0.
        let weekday = (minutes.div_euclid(1_440) + 3).rem_euclid(7);
        let inside = |&(from, until): &(u16, u16)| {
            let (from, until) = (i64::from(from), i64::from(until));
            if from <= until {
                (from..until).contains(&minute)
            } else {
                minute >= from || minute < until
            }
        };
        let holds = !(self.weekdays_only && weekday >= 5) && self.hours.iter().any(inside);
        if holds {
            self.multiplier_ppm
        } else {
            Self::WHOLE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_holds_in_its_hours_and_on_its_days() {
        let night = Schedule {
            hours: vec![(840, 0)],
            weekdays_only: false,
            multiplier_ppm: 500_000,
        };
        let peak = Schedule {
            hours: vec![(60, 240), (360, 600)],
            weekdays_only: true,
            multiplier_ppm: 2_000_000,
        };
        let at = |day: i64, minute: i64| (day * 1_440 + minute) * 60_000;
        let (thursday, saturday, monday) = (0, 2, 4);
        for (schedule, moment, expect) in [
            (&night, at(thursday, 839), Schedule::WHOLE),
            (&night, at(thursday, 840), 500_000),
            (&night, at(saturday, 1_439), 500_000),
            (&night, at(saturday, 0), Schedule::WHOLE),
            (&peak, at(thursday, 60), 2_000_000),
            (&peak, at(thursday, 240), Schedule::WHOLE),
            (&peak, at(saturday, 60), Schedule::WHOLE),
            (&peak, at(monday, 599), 2_000_000),
            (&peak, at(-3, 60), 2_000_000),
        ] {
            assert_eq!(schedule.multiplier_at(moment), expect, "{moment}");
        }
    }
}
