//! `[[people.issuers]]`: with whose accounts people may sign in.

use std::collections::BTreeSet;
use std::fs;

use serde::Deserialize;
use url::Url;

use super::raw::RawConfig;
use crate::auth::{AddressTrust, SignUp};
use crate::domain::secret::Secret;
use crate::oidc::IssuerSettings;

const KEY: &str = "people.issuers";

/// An issuer as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    slug: String,
    name: Option<String>,
    issuer: String,
    client_id: String,
    client_secret: Option<SecretRow>,
    scopes: Option<Vec<String>>,
    #[serde(default)]
    trust_email: bool,
}

/// Where a secret is. Never in the file itself, which is read by many and kept in version control.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretRow {
    env: Option<String>,
    file: Option<String>,
}

/// Reads the issuers. One that is wrong is reported and left out.
pub(super) fn convert(raw: &mut RawConfig<'_>, sign_up: SignUp) -> Vec<IssuerSettings> {
    let (mut issuers, mut slugs) = (Vec::new(), BTreeSet::new());
    for (index, table) in raw.tables(KEY).into_iter().enumerate() {
        let key = format!("{KEY}[{index}]");
        // A key that is named is known, whatever else is wrong.
        let variable = table
            .get("client_secret")
            .and_then(|secret| secret.get("env"));
        if let Some(name) = variable.and_then(toml::Value::as_str) {
            raw.accept_variable(name);
        }
        let checked = table
            .try_into()
            .map_err(|error: toml::de::Error| error.message().replace('\n', ", "))
            .and_then(|row| check(raw, row, sign_up));
        match checked {
            Ok(issuer) if slugs.insert(issuer.slug.clone()) => issuers.push(issuer),
            Ok(_) => raw.require(false, &key, "another issuer has this slug"),
            Err(reason) => raw.require(false, &key, &reason),
        }
    }
    issuers
}

fn check(raw: &RawConfig<'_>, row: Row, sign_up: SignUp) -> Result<IssuerSettings, String> {
    let plain = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
    };
    if row.slug.is_empty() || row.slug.len() > 40 || !row.slug.chars().all(plain) {
        return Err(
            "slug: expected small letters, digits and hyphens such as \"google\"".to_owned(),
        );
    }
    let url = Url::parse(&row.issuer).ok();
    let fits = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    if !url.as_ref().is_some_and(fits) {
        return Err("issuer: expected an address such as https://accounts.google.com".to_owned());
    }
    if row.client_id.is_empty() {
        return Err("client_id: expected what the issuer calls this gateway".to_owned());
    }
    // Nobody proved that an address was theirs when they signed up with it and a password.
    if row.trust_email && sign_up == SignUp::Open {
        return Err(
            "trust_email: not while people.sign_up is open, as anybody may have made an account with another's address"
                .to_owned(),
        );
    }
    Ok(IssuerSettings {
        name: row.name.unwrap_or_else(|| row.slug.clone()),
        slug: row.slug,
        url: row.issuer,
        client_id: row.client_id,
        client_secret: row
            .client_secret
            .map(|secret| find(raw, &secret))
            .transpose()?,
        scopes: row
            .scopes
            .unwrap_or_else(|| vec!["email".to_owned(), "profile".to_owned()]),
        trust: if row.trust_email {
            AddressTrust::Verified
        } else {
            AddressTrust::None
        },
    })
}

fn find(raw: &RawConfig<'_>, secret: &SecretRow) -> Result<Secret, String> {
    let text = match (&secret.env, &secret.file) {
        (Some(name), None) => raw
            .variable(name)
            .map(str::to_owned)
            .ok_or_else(|| format!("client_secret: {name} is not set"))?,
        (None, Some(file)) => {
            fs::read_to_string(file).map_err(|error| format!("client_secret: {file}: {error}"))?
        }
        _ => return Err("client_secret: expected { env = \"…\" } or { file = \"…\" }".to_owned()),
    };
    let found = Secret::new(&text);
    if found.expose().is_empty() {
        return Err("client_secret: it is empty".to_owned());
    }
    Ok(found)
}
