//! The `provider` object of a request (contract 6.2): who may serve it, and in which order.
//! Every field is checked here, once; a wrong one is refused by its path. Knows no endpoint's health.

use crate::catalog::snapshot::{Endpoint, Snapshot};
use crate::domain::ids::ProviderSlug;
use crate::domain::json::{JsonObject, Raw};
use crate::domain::money::Picos;

use super::PlanError;

/// What the caller prefers. The default prefers nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Preferences {
    /// Providers to try first, in this order.
    pub order: Vec<ProviderName>,
    /// The only providers that may serve; `None` allows all.
    pub only: Option<Vec<ProviderName>>,
    /// Providers that may not serve.
    pub ignore: Vec<ProviderName>,
    /// Whether more than the first endpoint (or the ordered ones) may be tried.
    pub allow_fallbacks: bool,
    /// Whether an endpoint must understand every parameter of the request.
    pub require_parameters: bool,
    /// Whether endpoints that train on prompts are out.
    pub deny_data_collection: bool,
    /// Whether endpoints that keep prompts are out.
    pub zdr: bool,
    /// Whether only models may serve whose author allows distillation.
    pub enforce_distillable_text: bool,
    /// The quantizations that may serve; `None` allows all.
    pub quantizations: Option<Vec<&'static str>>,
    /// A strict order instead of load balancing.
    pub sort: Option<Sort>,
    /// Whether models are tried one after the other or as one list.
    pub partition: Partition,
    /// Prices that no endpoint may exceed.
    pub max_price: MaxPrice,
    /// Output tokens a second that an endpoint should reach; misses go to the back.
    pub min_throughput: Cutoffs,
    /// Seconds to the first token that an endpoint should not exceed; misses go to the back.
    pub max_latency: Cutoffs,
}

/// A strict order of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Cheapest first.
    Price,
    /// Most output tokens a second first.
    Throughput,
    /// Shortest time to the first token first.
    Latency,
    /// Best measured tool calls first.
    Exacto,
}

/// How the endpoints of several models are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partition {
    /// Model after model.
    #[default]
    Model,
    /// One list over all models.
    None,
}

/// The highest prices allowed, per unit. What is `None` is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaxPrice {
    /// An input token.
    pub prompt: Option<Picos>,
    /// An output token.
    pub completion: Option<Picos>,
    /// A request.
    pub request: Option<Picos>,
    /// An image in the prompt.
    pub image: Option<Picos>,
    /// A unit of audio.
    pub audio: Option<Picos>,
}

/// Cutoffs by percentile; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cutoffs(pub Vec<(Percentile, f64)>);

/// The percentiles that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// The median.
    P50,
    /// Three of four are better.
    P75,
    /// Nine of ten are better.
    P90,
    /// Ninety-nine of a hundred are better.
    P99,
}

/// A provider or one of its endpoints, as a caller names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderName {
    provider: ProviderSlug,
    /// What follows the slug in the endpoint's tag; `None` names all endpoints of the provider.
    suffix: Option<String>,
}

/// Every quantization of the contract.
const QUANTIZATIONS: [&str; 12] = [
    "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32",
    "unknown",
];

/// Prices of tokens are given per million of them, so in the caller's unit one pico-dollar a token
/// has six decimals.
const PER_MILLION_DECIMALS: u32 = Picos::DECIMALS - 6;

/// Fields of the object that mean something, media endpoints' `options` included.
const FIELDS: [&str; 15] = [
    "order",
    "only",
    "ignore",
    "allow_fallbacks",
    "require_parameters",
    "data_collection",
    "zdr",
    "enforce_distillable_text",
    "quantizations",
    "sort",
    "max_price",
    "preferred_min_throughput",
    "preferred_max_latency",
    "options",
    "experimental",
];

impl Default for Preferences {
    fn default() -> Self {
        Preferences {
            order: Vec::new(),
            only: None,
            ignore: Vec::new(),
            allow_fallbacks: true,
            require_parameters: false,
            deny_data_collection: false,
            zdr: false,
            enforce_distillable_text: false,
            quantizations: None,
            sort: None,
            partition: Partition::Model,
            max_price: MaxPrice::default(),
            min_throughput: Cutoffs::default(),
            max_latency: Cutoffs::default(),
        }
    }
}

impl Preferences {
    /// Reads the object. Fails with the path of the first field that is wrong.
    pub fn parse(written: &Raw, catalog: &Snapshot) -> Result<Self, PlanError> {
        let object = object("provider", written)?;
        if let Some((name, _)) = object.fields().find(|(name, _)| !FIELDS.contains(name)) {
            return Err(PlanError::wrong(
                format!("provider.{name}"),
                format!("no such field; known are {}", FIELDS[..13].join(", ")),
            ));
        }
        let field = |name: &str| {
            object
                .given(name)
                .map(|value| (format!("provider.{name}"), value))
        };
        let flag = |name: &str, default: bool| field(name).map_or(Ok(default), boolean);
        let providers = |name: &str| field(name).map(|given| names(given, catalog)).transpose();
        let (sort, partition) = field("sort").map_or(Ok((None, None)), sort)?;
        Ok(Preferences {
            order: providers("order")?.unwrap_or_default(),
            only: providers("only")?.filter(|only| !only.is_empty()),
            ignore: providers("ignore")?.unwrap_or_default(),
            allow_fallbacks: flag("allow_fallbacks", true)?,
            require_parameters: flag("require_parameters", false)?,
            deny_data_collection: field("data_collection").map_or(Ok(false), denies)?,
            zdr: flag("zdr", false)?,
            enforce_distillable_text: flag("enforce_distillable_text", false)?,
            quantizations: field("quantizations")
                .map(quantizations)
                .transpose()?
                .filter(|wanted| !wanted.is_empty()),
            sort,
            partition: partition.unwrap_or_default(),
            max_price: field("max_price").map_or(Ok(MaxPrice::default()), max_price)?,
            min_throughput: field("preferred_min_throughput")
                .map_or(Ok(Cutoffs::default()), cutoffs)?,
            max_latency: field("preferred_max_latency").map_or(Ok(Cutoffs::default()), cutoffs)?,
        })
    }

    /// Whether an endpoint of this quantization may serve. `fp4` and `fp8` stand for their families.
    pub fn accepts_quantization(&self, quantization: Option<&str>) -> bool {
        let actual = quantization.unwrap_or("unknown");
        self.quantizations.as_ref().is_none_or(|wanted| {
            wanted.iter().any(|&wanted| {
                wanted == actual
                    || matches!(
                        (wanted, actual),
                        ("fp4", "mxfp4" | "nvfp4") | ("fp8", "mxfp8")
                    )
            })
        })
    }
}

impl ProviderName {
    /// Whether the name means this endpoint.
    pub fn means(&self, endpoint: &Endpoint) -> bool {
        self.provider == endpoint.provider.slug
            && self
                .suffix
                .as_deref()
                .is_none_or(|suffix| Self::is_suffix(suffix, endpoint))
    }

    /// Whether the name means this endpoint by more than its provider, which is how a service tier
    /// is opted into.
    pub fn means_exactly(&self, endpoint: &Endpoint) -> bool {
        self.suffix.is_some() && self.means(endpoint)
    }

    /// A variant may be named without the quantization that follows it in the tag.
    fn is_suffix(suffix: &str, endpoint: &Endpoint) -> bool {
        let tag = endpoint.tag.as_str().split_once('/').map(|(_, rest)| rest);
        tag.is_some_and(|rest| rest.eq_ignore_ascii_case(suffix))
            || endpoint
                .variant
                .as_deref()
                .is_some_and(|variant| variant.eq_ignore_ascii_case(suffix))
    }

    /// Finds who is meant by a slug, a tag or a display name.
    fn find(written: &str, catalog: &Snapshot) -> Option<Self> {
        let provider = |name: &str| {
            let slug = ProviderSlug::from(name);
            if catalog.providers.contains_key(&slug) {
                return Some(slug);
            }
            catalog
                .providers
                .values()
                .find(|known| {
                    known.name.eq_ignore_ascii_case(name)
                        || known.slug.as_str().eq_ignore_ascii_case(name)
                })
                .map(|known| known.slug.clone())
        };
        if let Some(provider) = provider(written) {
            return Some(ProviderName {
                provider,
                suffix: None,
            });
        }
        let (name, suffix) = written.split_once('/')?;
        Some(ProviderName {
            provider: provider(name)?,
            suffix: Some(suffix.to_owned())
                .filter(|suffix| !suffix.is_empty())?
                .into(),
        })
    }
}

impl Cutoffs {
    /// Whether no cutoff is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

type Given<'a> = (String, &'a Raw);

fn object(path: &str, value: &Raw) -> Result<JsonObject, PlanError> {
    JsonObject::parse(bytes::Bytes::copy_from_slice(value.as_bytes()))
        .map_err(|_| PlanError::wrong(path, "expected an object"))
}

fn boolean((path, value): Given<'_>) -> Result<bool, PlanError> {
    value
        .parse()
        .map_err(|_| PlanError::wrong(path, "expected a boolean"))
}

fn names((path, value): Given<'_>, catalog: &Snapshot) -> Result<Vec<ProviderName>, PlanError> {
    let written: Vec<String> = value
        .parse()
        .map_err(|_| PlanError::wrong(path.as_str(), "expected an array of provider names"))?;
    written
        .iter()
        .map(|name| {
            ProviderName::find(name, catalog).ok_or_else(|| {
                PlanError::wrong(path.as_str(), format!("no provider is called \"{name}\""))
            })
        })
        .collect()
}

fn denies((path, value): Given<'_>) -> Result<bool, PlanError> {
    match value.as_str() {
        "\"allow\"" => Ok(false),
        "\"deny\"" => Ok(true),
        _ => Err(PlanError::wrong(path, "expected \"allow\" or \"deny\"")),
    }
}

fn quantizations((path, value): Given<'_>) -> Result<Vec<&'static str>, PlanError> {
    let expected = || {
        let words = QUANTIZATIONS.join(", ");
        PlanError::wrong(path.as_str(), format!("expected an array of {words}"))
    };
    let written: Vec<String> = value.parse().map_err(|_| expected())?;
    let known = |word: &String| QUANTIZATIONS.into_iter().find(|known| known == word);
    written
        .iter()
        .map(|word| known(word).ok_or_else(expected))
        .collect()
}

fn sort((path, value): Given<'_>) -> Result<(Option<Sort>, Option<Partition>), PlanError> {
    if value.as_bytes().first() != Some(&b'{') {
        return Ok((Some(sort_word(&path, value)?), None));
    }
    let fields = object(&path, value)?;
    let by = fields
        .given("by")
        .map(|by| sort_word(&format!("{path}.by"), by))
        .transpose()?;
    let partition = match fields.given("partition").map(Raw::as_str) {
        None => None,
        Some("\"model\"") => Some(Partition::Model),
        Some("\"none\"") => Some(Partition::None),
        Some(_) => {
            return Err(PlanError::wrong(
                format!("{path}.partition"),
                "expected \"model\" or \"none\"",
            ));
        }
    };
    Ok((by, partition))
}

fn sort_word(path: &str, value: &Raw) -> Result<Sort, PlanError> {
    match value.as_str() {
        "\"price\"" => Ok(Sort::Price),
        "\"throughput\"" => Ok(Sort::Throughput),
        "\"latency\"" => Ok(Sort::Latency),
        "\"exacto\"" => Ok(Sort::Exacto),
        _ => Err(PlanError::wrong(
            path,
            "expected one of price, throughput, latency, exacto",
        )),
    }
}

fn max_price((path, value): Given<'_>) -> Result<MaxPrice, PlanError> {
    let fields = object(&path, value)?;
    let price = |name: &str, decimals: u32| {
        let Some(value) = fields.given(name) else {
            return Ok(None);
        };
        at_most(value.as_str().trim_matches('"'), decimals)
            .map(Some)
            .ok_or_else(|| {
                PlanError::wrong(format!("{path}.{name}"), "expected a price in dollars")
            })
    };
    Ok(MaxPrice {
        prompt: price("prompt", PER_MILLION_DECIMALS)?,
        completion: price("completion", PER_MILLION_DECIMALS)?,
        request: price("request", Picos::DECIMALS)?,
        image: price("image", Picos::DECIMALS)?,
        audio: price("audio", Picos::DECIMALS)?,
    })
}

/// The largest price in whole units of 10^-`decimals` that is not above the number written. Since
/// prices are whole, comparing with it is exact whatever the number's own precision.
fn at_most(text: &str, decimals: u32) -> Option<Picos> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || mantissa.ends_with('.') {
        return None;
    }
    // How many digits stand before the point once it has moved to the unit.
    let kept = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(decimals);
    let mut units = 0_i64;
    let digits = whole.bytes().chain(fraction.bytes());
    for (position, digit) in (0_i64..).zip(digits) {
        if !digit.is_ascii_digit() {
            return None;
        }
        if position < kept {
            units = units
                .saturating_mul(10)
                .saturating_add(i64::from(digit - b'0'));
        }
    }
    let written = i64::try_from(whole.len() + fraction.len()).ok()?;
    // Nineteen further zeros fill an `i64`; more change nothing.
    for _ in 0..(kept - written).clamp(0, 19) {
        units = units.saturating_mul(10);
    }
    Some(Picos(units))
}

fn cutoffs((path, value): Given<'_>) -> Result<Cutoffs, PlanError> {
    let number = |path: &str, value: &Raw| {
        value
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite() && *number >= 0.0)
            .ok_or_else(|| {
                PlanError::wrong(
                    path,
                    "expected a number, or an object of p50, p75, p90, p99",
                )
            })
    };
    if value.as_bytes().first() != Some(&b'{') {
        return Ok(Cutoffs(vec![(Percentile::P50, number(&path, value)?)]));
    }
    let fields = object(&path, value)?;
    let mut cutoffs = Vec::with_capacity(4);
    for (name, value) in fields.fields().filter(|(_, value)| !value.is_null()) {
        let path = format!("{path}.{name}");
        let percentile = match name {
            "p50" => Percentile::P50,
            "p75" => Percentile::P75,
            "p90" => Percentile::P90,
            "p99" => Percentile::P99,
            _ => return Err(PlanError::wrong(path, "known are p50, p75, p90, p99")),
        };
        cutoffs.push((percentile, number(&path, value)?));
    }
    Ok(Cutoffs(cutoffs))
}
