//! The catalogue as written, before keys and variables are looked up: the built-in files, the overlay directory's laid
//! over them by slug and id, and room for what the configuration adds.
//!
//! Knows files and lines; knows no environment and makes no [`super::snapshot::Snapshot`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use http::{HeaderName, HeaderValue};

use super::behaviour::{self, Behaviour};
use super::problem::{Problem, hint};
use super::rows::{self, EndpointRow, ModelLines, ProviderRow};
use super::snapshot::Timeouts;

const PROVIDERS: &str = "providers.jsonl";
const MODELS: &str = "models.jsonl";
const QUIRKS: &str = "quirks.toml";
/// The table of `quirks.toml` that holds for every provider.
const DEFAULT: &str = "default";

/// Everything that is written about providers and models.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) providers: BTreeMap<String, ProviderDraft>,
    pub(super) models: BTreeMap<String, ModelLines>,
}

/// What is written about a provider.
#[derive(Debug, Default)]
pub(super) struct ProviderDraft {
    pub(super) row: ProviderRow,
    pub(super) behaviour: Behaviour,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) timeouts: Timeouts,
    pub(super) concurrency: Option<usize>,
    pub(super) queue: Option<usize>,
}

/// One set of catalogue files.
struct Files<'a> {
    folder: &'a str,
    providers: &'a str,
    models: &'a str,
    quirks: &'a str,
}

/// The files that are part of the binary.
const BUILT_IN: Files<'static> = Files {
    folder: "built-in ",
    providers: include_str!("../../config/catalog/providers.jsonl"),
    models: include_str!("../../config/catalog/models.jsonl"),
    quirks: include_str!("../../config/catalog/quirks.toml"),
};

/// Reads the built-in files and, over them, those of the `overlay` directory.
pub(super) fn read(
    overlay: Option<&Path>,
    timeouts: Timeouts,
    problems: &mut Vec<Problem>,
) -> Drafts {
    let mut written = Written::default();
    written.lay(&BUILT_IN, problems);
    if let Some(folder) = overlay {
        written.lay_folder(folder, problems);
    }
    written.into_drafts(timeouts, problems)
}

/// The rows of all files, the later over the earlier.
#[derive(Default)]
struct Written {
    providers: BTreeMap<String, ProviderRow>,
    models: BTreeMap<String, ModelLines>,
    behaviours: BTreeMap<String, Behaviour>,
}

impl Written {
    fn lay(&mut self, files: &Files<'_>, problems: &mut Vec<Problem>) {
        let name = |file: &str| format!("{}{file}", files.folder);
        let providers = rows::providers(&name(PROVIDERS), files.providers, problems);
        self.providers
            .extend(providers.into_iter().map(|row| (row.slug.clone(), row)));
        let models = rows::models(&name(MODELS), files.models, problems);
        self.models.extend(
            models
                .into_iter()
                .map(|lines| (lines.model.id.clone(), lines)),
        );
        self.behaviours
            .append(&mut behaviour::table(&name(QUIRKS), files.quirks, problems));
    }

    fn lay_folder(&mut self, folder: &Path, problems: &mut Vec<Problem>) {
        report_strangers(folder, problems);
        let mut text = |file: &str| match fs::read_to_string(folder.join(file)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                problems.push(Problem::of(
                    folder.join(file).display().to_string(),
                    error.to_string(),
                ));
                String::new()
            }
        };
        let (providers, models, quirks) = (text(PROVIDERS), text(MODELS), text(QUIRKS));
        let prefix = format!("{}/", folder.display());
        self.lay(
            &Files {
                folder: &prefix,
                providers: &providers,
                models: &models,
                quirks: &quirks,
            },
            problems,
        );
    }

    fn into_drafts(self, timeouts: Timeouts, problems: &mut Vec<Problem>) -> Drafts {
        for slug in self
            .behaviours
            .keys()
            .filter(|slug| *slug != DEFAULT && !self.providers.contains_key(*slug))
        {
            problems.push(Problem::of(
                QUIRKS,
                format!("unknown provider `{slug}`{}", self.nearest_provider(slug)),
            ));
        }
        for lines in self.models.values() {
            for endpoint in lines
                .endpoints
                .iter()
                .filter(|row| !self.providers.contains_key(row.provider()))
            {
                let (id, slug) = (&lines.model.id, endpoint.provider());
                problems.push(Problem::of(
                    MODELS,
                    format!(
                        "{id}: unknown provider `{slug}`{}",
                        self.nearest_provider(slug)
                    ),
                ));
            }
        }
        let usual = self.behaviours.get(DEFAULT).cloned().unwrap_or_default();
        let draft = |row: ProviderRow| ProviderDraft {
            behaviour: self
                .behaviours
                .get(&row.slug)
                .map_or_else(|| usual.clone(), |own| usual.overlaid(own)),
            row,
            headers: Vec::new(),
            timeouts,
            concurrency: None,
            queue: None,
        };
        let providers = self
            .providers
            .iter()
            .map(|(slug, row)| (slug.clone(), draft(row.clone())))
            .collect();
        Drafts {
            providers,
            models: self.models,
        }
    }

    fn nearest_provider(&self, slug: &str) -> String {
        hint(slug, self.providers.keys().map(String::as_str))
    }
}

impl Drafts {
    /// Puts an operator's endpoints before the catalogue's own, in the order written.
    pub(super) fn put_first(&mut self, id: &str, mut endpoints: Vec<EndpointRow>) {
        if let Some(lines) = self.models.get_mut(id) {
            endpoints.append(&mut lines.endpoints);
            lines.endpoints = endpoints;
        }
    }
}

/// Names the files of the directory that would be overlooked because of a slip in their name.
fn report_strangers(folder: &Path, problems: &mut Vec<Problem>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            return problems.push(Problem::at(
                "catalog_dir",
                format!("{}: {error}", folder.display()),
            ));
        }
    };
    let known = [PROVIDERS, MODELS, QUIRKS];
    for name in entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
    {
        let data = name.ends_with(".jsonl") || name.ends_with(".json") || name.ends_with(".toml");
        if data && !known.contains(&name.as_str()) {
            problems.push(Problem::of(
                format!("{}/{name}", folder.display()),
                format!("not a catalogue file{}", hint(&name, known)),
            ));
        }
    }
}
