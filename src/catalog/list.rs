//! Everything the catalogue knows and what each part lacks, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use super::Summary;
use super::snapshot::{Endpoint, Lack, Model, Snapshot};

/// The whole catalogue, with reasons.
#[derive(Debug, Serialize)]
pub struct Inventory<'a> {
    /// What can be used now.
    pub usable: Summary,
    /// By slug.
    pub providers: Vec<ProviderEntry<'a>>,
    /// By id.
    pub models: Vec<ModelEntry<'a>>,
}

/// A provider and how much of it can be used.
#[derive(Debug, Serialize)]
pub struct ProviderEntry<'a> {
    /// The slug.
    pub slug: &'a str,
    /// The display name.
    pub name: &'a str,
    /// Endpoints that can be used now.
    pub usable: usize,
    /// Endpoints that are known.
    pub known: usize,
    /// What would let more of them be used.
    pub lacks: Vec<String>,
}

/// A model and its endpoints.
#[derive(Debug, Serialize)]
pub struct ModelEntry<'a> {
    /// The id.
    pub id: &'a str,
    /// The display name.
    pub name: &'a str,
    /// Those that can be used first, each in the catalogue's order.
    pub endpoints: Vec<EndpointEntry<'a>>,
}

/// An endpoint.
#[derive(Debug, Serialize)]
pub struct EndpointEntry<'a> {
    /// `provider[/variant][/quantization]`.
    pub tag: &'a str,
    /// What keeps it from being used; `None` when it can be.
    pub lacks: Option<String>,
}

/// Lists what `snapshot` holds.
pub fn inventory(snapshot: &Snapshot) -> Inventory<'_> {
    let mut providers: BTreeMap<&str, ProviderEntry<'_>> = snapshot
        .providers
        .values()
        .map(|provider| {
            (
                provider.slug.as_str(),
                ProviderEntry::new(
                    provider.slug.as_str(),
                    &provider.name,
                    provider.lacks.as_deref(),
                ),
            )
        })
        .collect();
    for endpoint in snapshot.models.iter().flat_map(all_endpoints) {
        if let Some(entry) = providers.get_mut(endpoint.provider.slug.as_str()) {
            entry.count(endpoint.lacks.as_ref());
        }
    }
    Inventory {
        usable: Summary::of(snapshot),
        providers: providers.into_values().collect(),
        models: snapshot.models.iter().map(ModelEntry::of).collect(),
    }
}

fn all_endpoints(model: &std::sync::Arc<Model>) -> impl Iterator<Item = &Endpoint> {
    model
        .endpoints
        .iter()
        .chain(&model.disabled)
        .map(|endpoint| &**endpoint)
}

impl<'a> ProviderEntry<'a> {
    fn new(slug: &'a str, name: &'a str, variable: Option<&str>) -> Self {
        let lacks = variable.map(|name| Lack::Variable(name.to_owned()).to_string());
        ProviderEntry {
            slug,
            name,
            usable: 0,
            known: 0,
            lacks: lacks.into_iter().collect(),
        }
    }

    fn count(&mut self, lacks: Option<&Lack>) {
        self.known += 1;
        let Some(reason) = lacks.map(ToString::to_string) else {
            self.usable += 1;
            return;
        };
        if !self.lacks.contains(&reason) {
            self.lacks.push(reason);
        }
    }
}

impl<'a> ModelEntry<'a> {
    fn of(model: &'a std::sync::Arc<Model>) -> Self {
        let entry = |endpoint: &'a Endpoint| EndpointEntry {
            tag: endpoint.tag.as_str(),
            lacks: endpoint.lacks.as_ref().map(ToString::to_string),
        };
        ModelEntry {
            id: model.id.as_str(),
            name: &model.name,
            endpoints: all_endpoints(model).map(entry).collect(),
        }
    }

    /// Tags of the endpoints that can be used, or what would let one be.
    fn servers(&self) -> String {
        let usable: Vec<&str> = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.lacks.is_none())
            .map(|endpoint| endpoint.tag)
            .collect();
        if !usable.is_empty() {
            return usable.join(", ");
        }
        let mut reasons: Vec<&str> = self
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.lacks.as_deref())
            .collect();
        reasons.sort_unstable();
        reasons.dedup();
        format!("- {}", reasons.join(", or "))
    }
}

/// Two tables: providers, then models, with what each lacks.
impl fmt::Display for Inventory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Usable now: {}\n", self.usable)?;
        let rows = self.providers.iter().map(|entry| {
            let share = format!("{}/{}", entry.usable, entry.known);
            [entry.slug.to_owned(), share, entry.lacks.join("; ")]
        });
        table(f, ["PROVIDER", "ENDPOINTS", "LACKS"], rows.collect())?;
        f.write_char('\n')?;
        let rows = self.models.iter().map(|entry| {
            let usable = entry
                .endpoints
                .iter()
                .filter(|endpoint| endpoint.lacks.is_none())
                .count();
            [
                entry.id.to_owned(),
                format!("{usable}/{}", entry.endpoints.len()),
                entry.servers(),
            ]
        });
        table(f, ["MODEL", "ENDPOINTS", "SERVED BY"], rows.collect())
    }
}

fn table(f: &mut fmt::Formatter<'_>, head: [&str; 3], rows: Vec<[String; 3]>) -> fmt::Result {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].len())
            .chain([head[column].len()])
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    let mut line = |cells: [&str; 3]| {
        let [a, b, c] = cells;
        writeln!(f, "{}", format!("{a:first$}  {b:second$}  {c}").trim_end())
    };
    line(head)?;
    rows.iter().try_for_each(|[a, b, c]| line([a, b, c]))
}

#[cfg(test)]
mod tests {
    use super::super::{Catalog, CatalogSource, Environment};
    use super::*;

    #[test]
    fn everything_is_listed_with_what_it_lacks() {
        let environment =
            Environment::from_fn(|name| (name == "OPENAI_API_KEY").then(|| "value".into()));
        let catalog = Catalog::load(CatalogSource {
            environment,
            ..CatalogSource::built_in()
        })
        .unwrap();
        let snapshot = catalog.snapshot();
        let inventory = inventory(&snapshot);
        let provider = |slug| {
            inventory
                .providers
                .iter()
                .find(|entry| entry.slug == slug)
                .unwrap()
        };
        assert_eq!(provider("groq").lacks, ["GROQ_API_KEY is not set"]);
        assert_eq!(
            provider("watsonx").lacks,
            [
                "WATSONX_AI_APIKEY and WATSONX_AI_REGION are not set",
                "this build does not speak `watsonx`"
            ]
        );
        assert!(
            provider("openai").usable > 0 && provider("openai").usable == provider("openai").known
        );
        let text = inventory.to_string();
        for line in ["turnpike/echo  ", "  - CRUSOE_API_KEY is not set, or "] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(inventory.models.len(), snapshot.models.len());
        assert!(
            serde_json::to_string(&inventory)
                .unwrap()
                .contains(r#""usable":{"providers":2,"#)
        );
    }
}
