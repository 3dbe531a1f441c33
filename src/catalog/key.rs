//! Finds providers' keys: in variables, or in files.

use std::fs;

use http::{HeaderName, HeaderValue};

use super::amazon;
use super::environment::Environment;
use super::google;
use super::problem::Problem;
use super::rows::KeyRow;
use super::snapshot::Auth;
use crate::domain::secret::Secret;
use crate::wire::{KeyPlace, WireName};

/// Where a request carries a key.
pub(super) enum Place<'a> {
    Bearer,
    Header(&'a str),
    Query(&'a str),
    Amazon,
    Google,
}

impl<'a> Place<'a> {
    /// What is `said` of the key itself counts before what its wire is used to.
    pub(super) fn of(key: &'a KeyRow, said: bool, wire: WireName) -> Self {
        match (&key.header, &key.query) {
            (Some(header), _) if said => Place::Header(header),
            (None, Some(query)) if said => Place::Query(query),
            _ => match wire.key_place() {
                KeyPlace::Bearer => Place::Bearer,
                KeyPlace::Header(name) => Place::Header(name),
                KeyPlace::Amazon => Place::Amazon,
                KeyPlace::Google => Place::Google,
            },
        }
    }
}

/// Finds the key; an unset variable is added to `missing`, an unreadable file is a problem.
pub(super) fn auth(
    slug: &str,
    key: &KeyRow,
    place: &Place<'_>,
    environment: &Environment,
    missing: &mut Vec<String>,
    problems: &mut Vec<Problem>,
) -> Auth {
    let mut problem =
        |reason: String| problems.push(Problem::at(format!("the key of provider {slug}"), reason));
    let found = match &key.file {
        Some(file) => match fs::read_to_string(file) {
            Ok(text) => Some(text),
            Err(error) => {
                problem(format!("{}: {error}", file.display()));
                return Auth::None;
            }
        },
        None => key.env.0.iter().find_map(|name| environment.get(name)),
    };
    let found = found
        .map(|text| Secret::new(&text))
        .filter(|secret| !secret.expose().is_empty());
    if let Place::Amazon = place {
        match amazon::auth(found.as_ref(), environment) {
            Ok(Some(auth)) => return auth,
            Ok(None) => {}
            Err(reason) => {
                problem(reason);
                return Auth::None;
            }
        }
    }
    let Some(secret) = found else {
        let place = |file: &std::path::PathBuf| format!("the content of {}", file.display());
        missing.extend(
            key.file
                .as_ref()
                .map(place)
                .or_else(|| key.env.0.first().cloned()),
        );
        return Auth::None;
    };
    if let Place::Google = place {
        match google::auth(&secret) {
            Ok(Some(auth)) => return auth,
            Ok(None) => {
                let name = key.env.0.first().map_or("its file", String::as_str);
                missing.push(format!("the key of a service account in {name}"));
                return Auth::None;
            }
            Err(reason) => {
                problem(reason);
                return Auth::None;
            }
        }
    }
    if HeaderValue::from_str(secret.expose()).is_err() {
        problem("has characters that no header can carry".to_owned());
    }
    match place {
        Place::Bearer | Place::Amazon | Place::Google => Auth::Bearer(secret),
        Place::Query(name) => Auth::Query((*name).to_owned(), secret),
        Place::Header(name) => match HeaderName::try_from(*name) {
            Ok(name) => Auth::Header(name, secret),
            Err(error) => {
                problem(error.to_string());
                Auth::None
            }
        },
    }
}
