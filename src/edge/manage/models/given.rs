//! The parameters of a query string, read one by one; a wrong one is refused by name.

use std::collections::HashMap;
use std::str::FromStr;

use super::query::{Feed, Page};
use crate::domain::money::Nanos;

/// A parameter of the query that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub(crate) struct QueryError {
    pub(super) name: &'static str,
    pub(super) reason: String,
}

/// The parameters that have a value.
pub(super) struct Given<'a>(HashMap<&'a str, &'a str>);

impl<'a> Given<'a> {
    /// Empty values are as good as none; of several with one name the last counts.
    pub(super) fn of(pairs: &'a [(String, String)]) -> Self {
        let given = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.trim()));
        Given(given.filter(|(_, value)| !value.is_empty()).collect())
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.text(name).map(words).unwrap_or_default()
    }

    pub(super) fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, QueryError> {
        let wrong = |text: &str| QueryError {
            name,
            reason: format!("`{text}` is not a whole number"),
        };
        self.text(name)
            .map(|text| text.parse().map_err(|_| wrong(text)))
            .transpose()
    }

    pub(super) fn price(&self, name: &'static str) -> Result<Option<Nanos>, QueryError> {
        let wrong = |text: &str| QueryError {
            name,
            reason: format!("`{text}` is not a decimal number of at least 0"),
        };
        let parse = |text: &str| {
            Nanos::parse(text)
                .ok()
                .filter(|amount| *amount >= Nanos::ZERO)
                .ok_or_else(|| wrong(text))
        };
        self.text(name).map(parse).transpose()
    }

    pub(super) fn choice(
        &self,
        name: &'static str,
        words: &[&str],
    ) -> Result<Option<&'a str>, QueryError> {
        self.text(name)
            .map(|word| one_of(name, word, words).map(|()| word))
            .transpose()
    }

    pub(super) fn page(&self) -> Result<Option<Page>, QueryError> {
        let (offset, limit) = (self.number("offset")?, self.number("limit")?);
        match limit {
            None if offset.is_none() => Ok(None),
            Some(limit) if !(1..=Page::LARGEST).contains(&limit) => Err(QueryError {
                name: "limit",
                reason: format!("must be from 1 to {}", Page::LARGEST),
            }),
            limit => Ok(Some(Page {
                offset: offset.unwrap_or(0),
                limit: limit.unwrap_or(Page::USUAL),
            })),
        }
    }

    pub(super) fn feed(&self) -> Option<Feed> {
        let wants = |name: &str| {
            self.text(name)
                .is_some_and(|word| !["false", "0", "no"].contains(&word))
        };
        match (wants("use_rss"), wants("use_rss_chat_links")) {
            (_, true) => Some(Feed::Chats),
            (true, false) => Some(Feed::Models),
            (false, false) => None,
        }
    }
}

/// A comma list.
pub(super) fn words(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Checks that a word is one of those the contract has.
pub(super) fn one_of(name: &'static str, word: &str, words: &[&str]) -> Result<(), QueryError> {
    if words.contains(&word) {
        Ok(())
    } else {
        Err(QueryError {
            name,
            reason: format!("`{word}` is none of {}", words.join(", ")),
        })
    }
}
