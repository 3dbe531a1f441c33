//! The filters, orders and pages of the model list (contract 13.1). Pure: the time is passed in.
//!
//! What is not known of a model (benchmarks, measured success, distillation rights, its age) fits no filter that asks
//! for it, and goes last in an order by it. Popularity within a category is not measured: `category` is checked, and
//! keeps every model.

use std::cmp::Reverse;

use super::given::{Given, QueryError, one_of, words};
use super::view::{supported_parameters, tokenizer};
use crate::catalog::snapshot::{Endpoint, Model};
use crate::domain::money::{Nanos, Picos};

/// What a client wants to see of the list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    words: Vec<String>,
    supported_parameters: Vec<String>,
    input_modalities: Vec<String>,
    /// `None` for all of them.
    output_modalities: Option<Vec<String>>,
    authors: Vec<String>,
    providers: Vec<String>,
    arch: Option<String>,
    context: Option<u64>,
    prompt_price: Range<Nanos>,
    output_price: Range<Nanos>,
    age_days: Range<u64>,
    zdr: bool,
    region: Option<Region>,
    /// A filter on something that is not known of any model.
    unknown: bool,
    sort: Option<Sort>,
    pub(in crate::edge) page: Option<Page>,
    pub(in crate::edge) feed: Option<Feed>,
}

/// Both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Range<T> {
    min: Option<T>,
    max: Option<T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    Eu,
    Us,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Newest,
    PriceUp,
    PriceDown,
    ContextDown,
    /// By something that is not measured: every model goes last, in the order of ids.
    Unmeasured,
}

/// A part of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) struct Page {
    pub(in crate::edge) offset: usize,
    pub(in crate::edge) limit: usize,
}

/// The list as an RSS feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Feed {
    /// Items lead to the model's page.
    Models,
    /// Items lead to a chat with the model.
    Chats,
}

const CATEGORIES: [&str; 12] = [
    "programming",
    "roleplay",
    "marketing",
    "marketing/seo",
    "technology",
    "science",
    "translation",
    "legal",
    "finance",
    "health",
    "trivia",
    "academia",
];

const SORTS: [(&str, Sort); 12] = [
    ("most-popular", Sort::Unmeasured),
    ("newest", Sort::Newest),
    ("top-weekly", Sort::Unmeasured),
    ("pricing-low-to-high", Sort::PriceUp),
    ("pricing-high-to-low", Sort::PriceDown),
    ("context-high-to-low", Sort::ContextDown),
    ("throughput-high-to-low", Sort::Unmeasured),
    ("latency-low-to-high", Sort::Unmeasured),
    ("intelligence-high-to-low", Sort::Unmeasured),
    ("coding-high-to-low", Sort::Unmeasured),
    ("agentic-high-to-low", Sort::Unmeasured),
    ("design-arena-elo-high-to-low", Sort::Unmeasured),
];

/// Ranges over what no model of the catalogue is known for.
const UNKNOWN_RANGES: [&str; 8] = [
    "min_intelligence_index",
    "max_intelligence_index",
    "min_coding_index",
    "max_coding_index",
    "min_agentic_index",
    "max_agentic_index",
    "min_tool_success_rate",
    "max_tool_success_rate",
];

/// Member states of the European Union.
const EU: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT",
    "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

impl Query {
    /// Reads the parameters of a query string. Empty values are as good as none; unknown names are nobody's business.
    pub(crate) fn parse(pairs: &[(String, String)]) -> Result<Self, QueryError> {
        let given = Given::of(pairs);
        if let Some(category) = given.text("category") {
            one_of("category", category, &CATEGORIES)?;
        }
        let mut unknown = given.choice("distillable", &["true", "false"])? == Some("true");
        for name in UNKNOWN_RANGES {
            unknown |= given.price(name)?.is_some();
        }
        Ok(Query {
            words: given
                .text("q")
                .map(|text| text.split_whitespace().map(str::to_lowercase).collect())
                .unwrap_or_default(),
            supported_parameters: given.list("supported_parameters"),
            input_modalities: given.list("input_modalities"),
            output_modalities: output_modalities(given.text("output_modalities")),
            authors: given.list("model_authors"),
            providers: given.list("providers"),
            arch: given.text("arch").map(str::to_lowercase),
            context: given.number("context")?,
            prompt_price: Range {
                min: given.price("min_price")?,
                max: given.price("max_price")?,
            },
            output_price: Range {
                min: given.price("min_output_price")?,
                max: given.price("max_output_price")?,
            },
            age_days: Range {
                min: given.number("min_age_days")?,
                max: given.number("max_age_days")?,
            },
            zdr: given.choice("zdr", &["true", "false"])? == Some("true"),
            region: given
                .choice("region", &["eu", "us"])?
                .map(|word| if word == "eu" { Region::Eu } else { Region::Us }),
            unknown,
            sort: given.text("sort").map(sort).transpose()?,
            page: given.page()?,
            feed: given.feed(),
        })
    }

    /// The list of embedding models, whole or a page of it.
    pub(in crate::edge) fn embeddings(page: Option<Page>) -> Self {
        Query {
            output_modalities: Some(vec!["embeddings".to_owned()]),
            page,
            ..Query::default()
        }
    }

    /// Whether this asks for the whole usual list, which is kept ready.
    pub(in crate::edge) fn is_plain(&self) -> bool {
        *self
            == Query {
                output_modalities: output_modalities(None),
                ..Query::default()
            }
    }

    /// The models that fit, in the order wanted; `models` are in the order of their ids.
    pub(crate) fn select<'a, T>(
        &self,
        models: &'a [T],
        model: impl Fn(&T) -> &Model,
        now_ms: i64,
    ) -> Vec<&'a T> {
        let mut fitting: Vec<&T> = models
            .iter()
            .filter(|item| self.fits(model(item), now_ms))
            .collect();
        let price = |item: &&T| {
            model(item).endpoints.first().map(|endpoint| {
                endpoint
                    .pricing
                    .base
                    .prompt
                    .0
                    .saturating_add(endpoint.pricing.base.completion.0)
            })
        };
        match self.sort {
            None | Some(Sort::Unmeasured) => {}
            Some(Sort::Newest) => fitting.sort_by_key(|item| Reverse(model(item).created)),
            Some(Sort::PriceUp) => fitting.sort_by_key(|item| price(item).unwrap_or(i64::MAX)),
            Some(Sort::PriceDown) => fitting.sort_by_key(|item| Reverse(price(item))),
            Some(Sort::ContextDown) => {
                fitting.sort_by_key(|item| Reverse(model(item).context_length))
            }
        }
        fitting
    }

    fn fits(&self, model: &Model, now_ms: i64) -> bool {
        let prices = model
            .endpoints
            .first()
            .map(|endpoint| &endpoint.pricing.base);
        let any_endpoint = |test: &dyn Fn(&Endpoint) -> bool| {
            model.endpoints.iter().any(|endpoint| test(endpoint))
        };
        !self.unknown
            && self.output_modalities.as_ref().is_none_or(|wanted| {
                wanted
                    .iter()
                    .any(|word| model.output_modalities.contains(word))
            })
            && self
                .input_modalities
                .iter()
                .all(|word| model.input_modalities.contains(word))
            && self.words.iter().all(|word| mentions(model, word))
            && (self.supported_parameters.is_empty()
                || understands(model, &self.supported_parameters))
            && (self.authors.is_empty() || self.authors.contains(&model.author))
            && (self.providers.is_empty()
                || any_endpoint(&|endpoint| named(endpoint, &self.providers)))
            && self
                .arch
                .as_ref()
                .is_none_or(|arch| tokenizer(model.id.as_str()).eq_ignore_ascii_case(arch))
            && self
                .context
                .is_none_or(|least| model.context_length.is_some_and(|length| length >= least))
            && prices.is_none_or(|prices| {
                within(prices.prompt, self.prompt_price)
                    && within(prices.completion, self.output_price)
            })
            && (self.age_days == Range::default()
                || age_days(model, now_ms).is_some_and(|age| self.age_days.holds(age)))
            && (!self.zdr
                || any_endpoint(&|endpoint| endpoint.data_policy.retains_prompts == Some(false)))
            && self.region.is_none_or(|region| {
                any_endpoint(&|endpoint| region.has(endpoint.provider.headquarters.as_deref()))
            })
    }
}

fn mentions(model: &Model, word: &str) -> bool {
    [model.id.as_str(), &model.name, &model.canonical_slug]
        .iter()
        .any(|text| text.to_lowercase().contains(word))
        || model
            .description
            .as_ref()
            .is_some_and(|text| text.to_lowercase().contains(word))
}

fn understands(model: &Model, wanted: &[String]) -> bool {
    let known = supported_parameters(model);
    wanted
        .iter()
        .all(|name| known.binary_search(&name.as_str()).is_ok())
}

/// By slug or by display name (contract 6.2).
fn named(endpoint: &Endpoint, names: &[String]) -> bool {
    let provider = &endpoint.provider;
    names
        .iter()
        .any(|name| name == provider.slug.as_str() || name.eq_ignore_ascii_case(&provider.name))
}

/// A price per token against dollars per million: a nano-dollar per million is a thousandth of a pico-dollar per token.
fn within(price: Picos, range: Range<Nanos>) -> bool {
    let price = i128::from(price.0) * 1_000;
    range.min.is_none_or(|least| price >= i128::from(least.0))
        && range.max.is_none_or(|most| price <= i128::from(most.0))
}

fn age_days(model: &Model, now_ms: i64) -> Option<u64> {
    let age_seconds = now_ms / 1_000 - model.created?;
    u64::try_from(age_seconds.max(0) / 86_400).ok()
}

impl<T: PartialOrd + Copy> Range<T> {
    fn holds(self, value: T) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

impl Region {
    /// Where the provider is at home; where its servers stand is not known.
    fn has(self, headquarters: Option<&str>) -> bool {
        headquarters.is_some_and(|country| match self {
            Region::Eu => EU.contains(&country),
            Region::Us => country == "US",
        })
    }
}

impl Page {
    /// The largest page.
    pub(super) const LARGEST: usize = 1_000;
    /// The page of a client that names only an offset.
    pub(super) const USUAL: usize = 500;

    /// The part of `items` on this page, and where the next one begins.
    pub(in crate::edge) fn cut<T>(self, items: &[T]) -> (&[T], Option<Page>) {
        let start = self.offset.min(items.len());
        let end = start.saturating_add(self.limit).min(items.len());
        (
            &items[start..end],
            (end < items.len()).then_some(Page {
                offset: end,
                limit: self.limit,
            }),
        )
    }
}

fn output_modalities(written: Option<&str>) -> Option<Vec<String>> {
    let wanted = written.map_or_else(|| vec!["text".to_owned()], words);
    (!wanted.iter().any(|word| word == "all")).then_some(wanted)
}

fn sort(word: &str) -> Result<Sort, QueryError> {
    let known = SORTS.iter().find(|(name, _)| *name == word);
    known.map(|(_, sort)| *sort).ok_or_else(|| QueryError {
        name: "sort",
        reason: format!(
            "`{word}` is none of {}",
            SORTS.map(|(name, _)| name).join(", ")
        ),
    })
}
