//! What is wrong with catalogue files or `[[providers]]` tables, gathered so that one report names everything.

use std::fmt;

/// One thing that is wrong, where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file and line that say it; empty for the configuration.
    pub source: String,
    /// The path of the key, such as `providers[0].models[1].pricing.prompt`; empty when the whole source is meant.
    pub key: String,
    /// What is wrong, for people.
    pub reason: String,
}

impl Problem {
    /// A problem of the configuration.
    pub(super) fn at(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Problem {
            source: String::new(),
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// A problem of a catalogue file.
    pub(super) fn of(source: impl Into<String>, reason: impl Into<String>) -> Self {
        Problem {
            source: source.into(),
            key: String::new(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [&self.source, &self.key, &self.reason];
        let mut words = words.into_iter().filter(|word| !word.is_empty());
        f.write_str(words.next().map_or("", |word| word))?;
        words.try_for_each(|word| write!(f, ": {word}"))
    }
}

/// `; did you mean …?` when a name among `known` is near enough to be worth saying, otherwise nothing.
pub(super) fn hint<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = known
        .into_iter()
        .map(|name| (distance(written, name), name))
        .min();
    match nearest {
        Some((far, name)) if far <= 2.max(written.len() / 3) => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}

/// The number of letters to add, drop or change, after Levenshtein.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_a_misspelt_name_and_nothing_far() {
        let known = ["base_url", "headers", "models"];
        let check = |written, expect| assert_eq!(hint(written, known), expect);
        check("baseurl", "; did you mean `base_url`?");
        check("model", "; did you mean `models`?");
        check("colour", "");
    }
}
