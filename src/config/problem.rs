//! What is wrong with a configuration, gathered so that one report names everything.

use std::fmt;

/// Every problem of one configuration; never empty.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// One thing that is wrong, where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or the variable that says it.
    pub source: String,
    /// The full path of the key, such as `http.body_limit`; empty when the whole source is meant.
    pub key: String,
    /// What is wrong, for people.
    pub reason: String,
}

impl Problems {
    /// The report, or `Ok` when there is nothing to report.
    pub fn check(problems: Vec<Problem>) -> Result<(), Problems> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems(problems))
        }
    }

    /// The problems, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 problem in the configuration")?,
            many => write!(f, "{many} problems in the configuration")?,
        }
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            source,
            key,
            reason,
        } = self;
        match (source.is_empty(), key.is_empty()) {
            (_, true) => write!(f, "{source}: {reason}"),
            (true, false) => write!(f, "{key}: {reason}"),
            (false, false) => write!(f, "{source}: {key}: {reason}"),
        }
    }
}

/// The name among `known` that `written` was most likely meant to be, if any is near enough to be worth saying.
///
/// A key in the wrong section is as likely a slip as a wrong letter, so last segments are compared too.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |name: &str| {
        let moved = strsim::damerau_levenshtein(&last(written), &last(name)) + 1;
        strsim::damerau_levenshtein(written, name).min(moved)
    };
    let near_enough = 2.max(last(written).len() / 3);
    known
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(far, _)| *far <= near_enough)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_a_misspelt_or_misplaced_name_and_nothing_far() {
        let known = [
            "listen",
            "data_dir",
            "database",
            "database.url",
            "http.body_limit",
            "http.drain_timeout",
        ];
        let check = |written, expect| assert_eq!(nearest(written, known), expect, "{written}");
        check("lisen", Some("listen"));
        check("databse", Some("database"));
        check("database.ulr", Some("database.url"));
        check("drain_timeout", Some("http.drain_timeout"));
        check("http.bodylimit", Some("http.body_limit"));
        check("colour", None);
    }
}
