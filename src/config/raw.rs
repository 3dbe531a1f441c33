//! What was written: the file, the environment and the flags, read key by key. A flag counts more than a variable,
//! a variable more than the file. Knows how keys are looked up and reported, not which keys there are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::{Table, Value};

use super::problem::{Problem, nearest};
use super::setting::Setting;

/// The variable that names the file.
pub(super) const CONFIG_VARIABLE: &str = "TURNPIKE_CONFIG";
const PREFIX: &str = "TURNPIKE_";
const DEFAULT_FILE: &str = "turnpike.toml";

/// Where a configuration is written.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file named by a flag.
    pub file: Option<PathBuf>,
    /// Keys given by flags, such as `listen`.
    pub flags: BTreeMap<&'static str, String>,
    /// The environment.
    pub env: BTreeMap<String, String>,
}

impl Sources {
    /// The environment of this process, without flags. Variables that are not Unicode cannot be ours.
    pub fn of_process() -> Self {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Sources {
            env,
            ..Sources::default()
        }
    }

    fn env(&self, name: &str) -> Option<&str> {
        self.env
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The file to read and whether it must be there: the one that was named, or the one that lies here.
    fn config_file(&self) -> (PathBuf, bool) {
        let named = self
            .file
            .clone()
            .or_else(|| self.env(CONFIG_VARIABLE).map(PathBuf::from));
        named.map_or_else(|| (PathBuf::from(DEFAULT_FILE), false), |file| (file, true))
    }
}

/// What was written, while it is read. Everything wrong is gathered until [`RawConfig::finish`].
pub(super) struct RawConfig<'a> {
    sources: &'a Sources,
    file: String,
    table: Table,
    known: Vec<String>,
    variables: Vec<String>,
    problems: Vec<Problem>,
}

impl<'a> RawConfig<'a> {
    /// Reads the file, if there is one.
    pub(super) fn read(sources: &'a Sources) -> Self {
        let (path, required) = sources.config_file();
        let mut raw = RawConfig {
            sources,
            file: path.display().to_string(),
            table: Table::new(),
            known: Vec::new(),
            variables: vec![CONFIG_VARIABLE.to_owned()],
            problems: Vec::new(),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => match text.parse() {
                Ok(table) => raw.table = table,
                Err(error) => raw.report(&raw.file.clone(), "", describe_syntax(&text, &error)),
            },
            Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => raw.report(&raw.file.clone(), "", format!("cannot be read: {error}")),
        }
        raw
    }

    /// The value of `key` from the nearest layer that has one, otherwise `default`.
    pub(super) fn value<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        let variable = format!("{PREFIX}{}", key.replace('.', "_").to_uppercase());
        self.value_or_variable(key, &variable, default)
    }

    /// Like [`RawConfig::value`], with a variable of another name.
    pub(super) fn value_or_variable<T: Setting>(
        &mut self,
        key: &'static str,
        variable: &str,
        default: T,
    ) -> T {
        self.known.push(key.to_owned());
        self.variables.push(variable.to_owned());
        let written = self.take(key);
        let (source, read) = if let Some(text) = self.sources.flags.get(key) {
            (format!("--{}", key.replace('_', "-")), T::from_text(text))
        } else if let Some(text) = self.sources.env(variable) {
            (variable.to_owned(), T::from_text(text))
        } else {
            let Some(value) = written else { return default };
            (self.file.clone(), from_toml(&value))
        };
        read.unwrap_or_else(|reason| {
            self.report(&source, key, reason);
            default
        })
    }

    /// The tables of an array such as `[[providers]]`. Only the file can hold them.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Table> {
        self.known.push(key.to_owned());
        let file = self.file.clone();
        let mut tables = Vec::new();
        match self.take(key) {
            None => {}
            Some(Value::Array(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    match item {
                        Value::Table(table) => tables.push(table),
                        _ => self.report(&file, &format!("{key}[{index}]"), "expected a table"),
                    }
                }
            }
            Some(_) => self.report(&file, key, format!("expected tables, each under [[{key}]]")),
        }
        tables
    }

    /// Adds a problem of a value that is well written and yet wrong.
    pub(super) fn require(&mut self, holds: bool, key: &str, reason: &str) {
        if !holds {
            self.report("", key, reason);
        }
    }

    /// Adds a problem of a key in the file.
    fn report_in_file(&mut self, key: &str, reason: impl Into<String>) {
        self.report(&self.file.clone(), key, reason);
    }

    /// Accepts a variable that another part of the configuration names.
    pub(super) fn accept_variable(&mut self, name: &str) {
        self.variables.push(name.to_owned());
    }

    /// What the environment says under a name that another part of the configuration names.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.sources.env(name)
    }

    /// Every key that can be written.
    #[cfg(test)]
    pub(super) fn known(&self) -> &[String] {
        &self.known
    }

    /// What nobody asked for, and everything else that was wrong.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.report_unknown_keys();
        self.report_unknown_variables();
        self.problems
    }

    fn report(&mut self, source: &str, key: &str, reason: impl Into<String>) {
        self.problems.push(Problem {
            source: source.to_owned(),
            key: key.to_owned(),
            reason: reason.into(),
        });
    }

    /// Takes the value at a dotted path out of the file's table, so that what is left at the end is unknown.
    fn take(&mut self, key: &str) -> Option<Value> {
        let Some((section, name)) = key.split_once('.') else {
            return self.table.remove(key);
        };
        match self.table.get_mut(section) {
            Some(Value::Table(table)) => table.remove(name),
            _ => None,
        }
    }

    fn report_unknown_keys(&mut self) {
        let sections: Vec<String> = self
            .known
            .iter()
            .filter_map(|key| Some(key.split_once('.')?.0.to_owned()))
            .collect();
        for (name, value) in std::mem::take(&mut self.table) {
            match value {
                Value::Table(table) if sections.contains(&name) => {
                    table
                        .keys()
                        .for_each(|key| self.report_unknown_key(&format!("{name}.{key}"), &[]));
                }
                _ if sections.contains(&name) => {
                    self.report_in_file(&name, format!("expected a section [{name}]"))
                }
                _ => self.report_unknown_key(&name, &sections),
            }
        }
    }

    fn report_unknown_key(&mut self, key: &str, sections: &[String]) {
        let hint =
            nearest(key, self.known.iter().chain(sections).map(String::as_str)).map(did_you_mean);
        self.report_in_file(key, format!("no such key{}", hint.unwrap_or_default()));
    }

    fn report_unknown_variables(&mut self) {
        let unknown = |name: &&String| {
            name.starts_with(PREFIX) && !self.variables.contains(name) && !set_by_orchestrator(name)
        };
        let names: Vec<String> = self.sources.env.keys().filter(unknown).cloned().collect();
        for name in names {
            let hint = nearest(&name, self.variables.iter().map(String::as_str)).map(did_you_mean);
            self.report(
                &name,
                "",
                format!("no such setting{}", hint.unwrap_or_default()),
            );
        }
    }
}

fn from_toml<T: Setting>(value: &Value) -> Result<T, String> {
    match value {
        Value::String(text) => T::from_text(text),
        Value::Integer(number) => T::from_number(*number),
        other => Err(format!(
            "expected a value in quotes or a whole number, found {}",
            other.type_str()
        )),
    }
}

fn did_you_mean(name: &str) -> String {
    format!("; did you mean `{name}`?")
}

/// Kubernetes describes a service named `turnpike` to every container beside it in variables that look like ours.
fn set_by_orchestrator(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    rest == "PORT"
        || rest.starts_with("PORT_")
        || rest.starts_with("SERVICE_HOST")
        || rest.starts_with("SERVICE_PORT")
}

/// The parser's own rendering spans several lines; a report wants one.
fn describe_syntax(text: &str, error: &toml::de::Error) -> String {
    let place = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| {
            let line = before.matches('\n').count() + 1;
            let column = before
                .rsplit('\n')
                .next()
                .unwrap_or_default()
                .chars()
                .count()
                + 1;
            format!(" at line {line}, column {column}")
        });
    format!(
        "not TOML{}: {}",
        place.unwrap_or_default(),
        error.message().replace('\n', ", ")
    )
}
