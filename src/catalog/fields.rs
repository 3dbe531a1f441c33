//! Reads a TOML table field by field, so that every wrong value and every unknown key is reported, not the first alone.

use serde::de::DeserializeOwned;

use super::problem::{Problem, hint};

/// A table being read, and where it stands in the configuration.
pub(super) struct Fields<'a> {
    path: String,
    table: toml::Table,
    known: Vec<&'static str>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Reads `value`, which must be a table, with `read`; afterwards reports the keys that `read` did not ask for.
    pub(super) fn read<T>(
        path: String,
        value: toml::Value,
        problems: &'a mut Vec<Problem>,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        let toml::Value::Table(table) = value else {
            problems.push(Problem::at(
                path,
                format!("a table is wanted, not a {}", value.type_str()),
            ));
            return None;
        };
        let mut fields = Fields {
            path,
            table,
            known: Vec::new(),
            problems,
        };
        let result = read(&mut fields);
        fields.report_unknown();
        Some(result)
    }

    /// Reads a value that may be there.
    pub(super) fn take<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        let value = self.value(key)?;
        value
            .try_into()
            .map_err(|error: toml::de::Error| self.problem(key, error.message().to_owned()))
            .ok()
    }

    /// Reads a value and makes something of it, or reports why that cannot be.
    pub(super) fn map<T: DeserializeOwned, U, E: ToString>(
        &mut self,
        key: &'static str,
        make: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        let written = self.take(key)?;
        make(written)
            .map_err(|error| self.problem(key, error.to_string()))
            .ok()
    }

    /// Reads a value that must be there, as [`Fields::map`] does.
    pub(super) fn need<T: DeserializeOwned, U, E: ToString>(
        &mut self,
        key: &'static str,
        make: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        if !self.has(key) {
            self.problem(key, "is missing");
        }
        self.map(key, make)
    }

    /// Reads all that is left, whatever its keys, and makes something of each.
    pub(super) fn rest<T: DeserializeOwned, U, E: ToString>(
        &mut self,
        make: impl Fn(&str, T) -> Result<U, E>,
    ) -> Vec<U> {
        let written = std::mem::take(&mut self.table);
        let read = |value: toml::Value| {
            value
                .try_into::<T>()
                .map_err(|error| error.message().to_owned())
        };
        let make_one = |(key, value): (String, toml::Value)| {
            let made =
                read(value).and_then(|value| make(&key, value).map_err(|error| error.to_string()));
            made.map_err(|reason| self.problem(&key, reason)).ok()
        };
        written.into_iter().filter_map(make_one).collect()
    }

    /// Reads a table inside this one.
    pub(super) fn nested<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        let value = self.value(key)?;
        Fields::read(self.path_of(key), value, self.problems, read)
    }

    /// Reads an array of tables inside this one.
    pub(super) fn each<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Fields<'_>) -> T,
    ) -> Vec<T> {
        let items = match self.value(key) {
            None => return Vec::new(),
            Some(toml::Value::Array(items)) => items,
            Some(_) => {
                self.problem(key, "an array of tables is wanted");
                return Vec::new();
            }
        };
        let path = self.path_of(key);
        let read_item = |(index, item)| {
            Fields::read(format!("{path}[{index}]"), item, self.problems, &mut read)
        };
        items
            .into_iter()
            .enumerate()
            .filter_map(read_item)
            .collect()
    }

    /// Whether `key` is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reports something about `key`; about the table itself when it is empty.
    pub(super) fn problem(&mut self, key: &str, reason: impl Into<String>) {
        self.problems.push(Problem::at(self.path_of(key), reason));
    }

    fn value(&mut self, key: &'static str) -> Option<toml::Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn path_of(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{key}", self.path),
        }
    }

    fn report_unknown(mut self) {
        for key in std::mem::take(&mut self.table).keys() {
            let reason = format!("unknown key{}", hint(key, self.known.iter().copied()));
            self.problem(key, reason);
        }
    }
}
