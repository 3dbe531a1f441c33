//! Keys of an Amazon account: a token, or the two halves of an access key, in one variable or in the usual three.

use serde::Deserialize;

use super::environment::Environment;
use super::snapshot::Auth;
use crate::domain::secret::Secret;
use crate::wire::sign::AwsKey;

/// Where requests are taken to go when nothing says so.
const USUAL_REGION: &str = "us-east-1";

/// An access key as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(alias = "access_key_id")]
    access_key_id: String,
    #[serde(alias = "secret_access_key")]
    secret_access_key: String,
    #[serde(alias = "session_token")]
    session_token: Option<String>,
    region: Option<String>,
}

/// How requests are signed, with `found`, the provider's key, or else with the variables of Amazon's own tools; `None`
/// without either. Fails with the reason when JSON does not have the form of an access key.
pub(super) fn auth(
    found: Option<&Secret>,
    environment: &Environment,
) -> Result<Option<Auth>, String> {
    let written = match found.map(Secret::expose) {
        Some(json) if json.starts_with('{') => serde_json::from_str(json).map_err(|error| {
            // The error itself could show a part of the key.
            format!(
                "is no access key in JSON: line {}, column {}",
                error.line(),
                error.column()
            )
        })?,
        Some(token) => return Ok(Some(Auth::Bearer(Secret::new(token)))),
        None => match of_variables(environment) {
            Some(written) => written,
            None => return Ok(None),
        },
    };
    let region = written.region.or_else(|| environment.get("AWS_REGION"));
    Ok(Some(Auth::Aws(AwsKey {
        id: written.access_key_id,
        secret: Secret::new(&written.secret_access_key),
        session_token: written.session_token.as_deref().map(Secret::new),
        region: region
            .or_else(|| environment.get("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| USUAL_REGION.to_owned()),
    })))
}

fn of_variables(environment: &Environment) -> Option<Written> {
    Some(Written {
        access_key_id: environment.get("AWS_ACCESS_KEY_ID")?,
        secret_access_key: environment.get("AWS_SECRET_ACCESS_KEY")?,
        session_token: environment.get("AWS_SESSION_TOKEN"),
        region: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: Option<&str>, variables: &'static [(&str, &str)], expect: &str) {
        let environment = Environment::from_fn(move |name| {
            let set = variables.iter().find(|(known, _)| *known == name);
            set.map(|(_, value)| (*value).to_owned())
        });
        let told = match auth(found.map(Secret::new).as_ref(), &environment) {
            Ok(Some(Auth::Bearer(token))) => format!("bearer {}", token.expose()),
            Ok(Some(Auth::Aws(key))) => format!(
                "{} {} {:?} {}",
                key.id,
                key.secret.expose(),
                key.session_token.as_ref().map(Secret::expose),
                key.region
            ),
            Ok(other) => format!("{other:?}"),
            Err(reason) => reason,
        };
        assert_eq!(told, expect);
    }

    #[test]
    fn a_key_is_found_in_each_of_its_forms() {
        let pair = &[
            ("AWS_ACCESS_KEY_ID", "AK"),
            ("AWS_SECRET_ACCESS_KEY", "SK"),
            ("AWS_REGION", "eu-west-1"),
        ];
        check(Some("token"), pair, "bearer token");
        check(None, pair, "AK SK None eu-west-1");
        check(
            None,
            &[
                ("AWS_ACCESS_KEY_ID", "AK"),
                ("AWS_SECRET_ACCESS_KEY", "SK"),
                ("AWS_SESSION_TOKEN", "ST"),
            ],
            "AK SK Some(\"ST\") us-east-1",
        );
        check(
            Some(r#"{"accessKeyId":"A","secretAccessKey":"S","region":"us-west-2"}"#),
            pair,
            "A S None us-west-2",
        );
        check(None, &[("AWS_ACCESS_KEY_ID", "AK")], "None");
        check(
            Some("{\"accessKeyId\":\"A\"}"),
            &[],
            "is no access key in JSON: line 1, column 19",
        );
    }
}
