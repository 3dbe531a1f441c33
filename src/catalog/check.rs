//! The forms that values of `[[providers]]` must have. Each check gives the value back, or the reason why it cannot be.

use super::parameters::VOCABULARY;
use super::problem::{distance, hint};
use crate::domain::money::Picos;
use crate::wire::WireName;

const QUANTIZATIONS: [&str; 11] = [
    "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32",
];
/// What may go in.
pub(super) const INPUTS: [&str; 5] = ["text", "image", "file", "audio", "video"];
/// What may come out.
pub(super) const OUTPUTS: [&str; 5] = ["text", "image", "audio", "embeddings", "rerank"];

/// A slug can stand in a tag, a path and a list.
pub(super) fn slug(slug: String) -> Result<String, String> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if !slug.is_empty() && slug.bytes().all(plain) {
        Ok(slug)
    } else {
        Err(format!(
            "`{slug}` is not made of a-z, 0-9, `-`, `_` and `.`"
        ))
    }
}

/// `author/slug`, static variants included.
pub(super) fn model_id(id: String) -> Result<String, String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "@~?#".contains(c);
    match id.split_once('/') {
        Some((author, slug))
            if !author.is_empty()
                && !slug.is_empty()
                && !slug.contains('/')
                && !id.contains(odd) =>
        {
            Ok(id)
        }
        _ => Err(format!("`{id}` is not of the form author/slug")),
    }
}

/// A protocol that some build speaks.
pub(super) fn wire(name: String) -> Result<String, String> {
    match WireName::named(&name) {
        Some(_) => Ok(name),
        None => Err(format!(
            "`{name}` is no wire{}",
            hint(&name, WireName::names())
        )),
    }
}

/// An address without its trailing slash; account settings may stand in it as `${NAME}`.
pub(super) fn address(url: String) -> Result<String, String> {
    let url = url.trim_end_matches('/');
    let parses = || {
        url.replace("${", "")
            .replace('}', "")
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.host().is_some())
    };
    let web = (url.starts_with("http://") || url.starts_with("https://")) && parses();
    if web || url.starts_with("internal:") || url.starts_with("${") {
        Ok(url.to_owned())
    } else {
        Err(format!("`{url}` is no http or https address"))
    }
}

/// One of the contract's words; `unknown` is none.
pub(super) fn quantization(word: String) -> Result<Option<String>, String> {
    match word.as_str() {
        "unknown" => Ok(None),
        known if QUANTIZATIONS.contains(&known) => Ok(Some(word)),
        other => Err(format!(
            "`{other}` is no quantization{}",
            hint(other, QUANTIZATIONS)
        )),
    }
}

/// Words of a list, such as modalities.
pub(super) fn among(words: Vec<String>, known: &[&str]) -> Result<Vec<String>, String> {
    match words.iter().find(|word| !known.contains(&word.as_str())) {
        Some(other) => Err(format!(
            "`{other}` is none of {}{}",
            known.join(", "),
            hint(other, known.iter().copied())
        )),
        None => Ok(words),
    }
}

/// Parameters beyond the contract's vocabulary are the operator's business, unless one letter makes them a known one.
pub(super) fn parameters(mut words: Vec<String>) -> Result<Vec<String>, String> {
    words.sort_unstable();
    words.dedup();
    let meant = |word: &String| {
        let near = |known: &&str| word.len() > 5 && distance(word, known) == 1;
        VOCABULARY.into_iter().find(near)
    };
    let slip = words
        .iter()
        .filter(|word| !VOCABULARY.contains(&word.as_str()))
        .find_map(|word| Some((word, meant(word)?)));
    match slip {
        Some((word, known)) => Err(format!(
            "unknown parameter `{word}`; did you mean `{known}`?"
        )),
        None => Ok(words),
    }
}

/// A price that is not negative.
pub(super) fn price(price: Picos) -> Result<Picos, &'static str> {
    if price >= Picos::ZERO {
        Ok(price)
    } else {
        Err("a price cannot be negative")
    }
}
