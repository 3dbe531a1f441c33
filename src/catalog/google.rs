//! Keys and addresses of Vertex AI: the key of a service account as JSON or in a file, or a token; and the host that
//! follows from a location.

use std::fs;
use std::sync::Arc;

use serde::Deserialize;

use super::environment::Environment;
use super::snapshot::Auth;
use crate::domain::secret::Secret;
use crate::wire::assertion::ServiceAccount;

/// The variable of the host, and the one that it follows from where it is not set.
const ENDPOINT: &str = "GOOGLE_VERTEX_ENDPOINT";
const LOCATION: &str = "GOOGLE_VERTEX_LOCATION";
/// Where tokens are given out unless the key says otherwise.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// A key as Google writes it to a file, as far as it matters.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

/// How requests are authorised with `found`: the JSON of a key, the path of a file that holds it, as Google's own tools
/// have it, or else a token. `None` for a key that is no service account's, such as that of a person who has signed in
/// on this machine. Fails with the reason when it cannot be read.
pub(super) fn auth(found: &Secret) -> Result<Option<Auth>, String> {
    let text = found.expose();
    if text.starts_with('{') {
        return account(text);
    }
    if text.contains(['/', '\\']) || text.ends_with(".json") {
        let json = fs::read_to_string(text).map_err(|error| format!("{text}: {error}"))?;
        return account(&json);
    }
    Ok(Some(Auth::Bearer(found.clone())))
}

fn account(json: &str) -> Result<Option<Auth>, String> {
    let written: Written = serde_json::from_str(json).map_err(|error| {
        // The error itself could show a part of the key.
        format!(
            "is no key in JSON: line {}, column {}",
            error.line(),
            error.column()
        )
    })?;
    if written.kind.is_some_and(|kind| kind != "service_account") {
        return Ok(None);
    }
    let (Some(email), Some(key)) = (written.client_email, written.private_key) else {
        return Err("lacks `client_email` or `private_key`".to_owned());
    };
    let token_uri = written.token_uri.unwrap_or_else(|| TOKEN_URI.to_owned());
    let account = ServiceAccount::new(
        &email,
        written.private_key_id,
        &Secret::new(&key),
        &token_uri,
    )?;
    Ok(Some(Auth::Google(Arc::new(account))))
}

/// A setting that follows from another one.
pub(super) fn setting(name: &str, environment: &Environment) -> Option<String> {
    if name != ENDPOINT {
        return None;
    }
    let location = environment.get(LOCATION)?;
    Some(match location.as_str() {
        "global" => "aiplatform.googleapis.com".to_owned(),
        "eu" | "us" => format!("aiplatform.{location}.rep.googleapis.com"),
        region => format!("{region}-aiplatform.googleapis.com"),
    })
}

/// The setting to ask for where `name` is not known.
pub(super) fn asked_for(name: &str) -> &str {
    if name == ENDPOINT { LOCATION } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::assertion::tests::private_key;

    fn told(text: &str) -> String {
        match auth(&Secret::new(text)) {
            Ok(Some(Auth::Bearer(token))) => format!("bearer {}", token.expose()),
            Ok(Some(Auth::Google(account))) => format!("{} {}", account.email, account.token_uri),
            Ok(other) => format!("{other:?}"),
            Err(reason) => reason,
        }
    }

    #[test]
    fn a_key_is_found_in_each_of_its_forms() {
        let key =
            json!({"type": "service_account", "client_email": "a@b", "private_key": private_key()});
        assert_eq!(
            told(&key.to_string()),
            "a@b https://oauth2.googleapis.com/token"
        );
        let mut elsewhere = key.clone();
        elsewhere["token_uri"] = json!("http://127.0.0.1:1/token");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, elsewhere.to_string()).unwrap();
        assert_eq!(told(file.to_str().unwrap()), "a@b http://127.0.0.1:1/token");
        assert_eq!(told("ya29.token"), "bearer ya29.token");
    }

    #[test]
    fn what_is_no_key_is_told_without_showing_it() {
        assert_eq!(
            told(r#"{"type": "authorized_user", "refresh_token": "s3cret"}"#),
            "None"
        );
        for (text, reason) in [
            (
                r#"{"private_key": "s3cret"#,
                "is no key in JSON: line 1, column 23",
            ),
            (
                r#"{"private_key": "s3cret"}"#,
                "lacks `client_email` or `private_key`",
            ),
            (
                r#"{"client_email": "a", "private_key": "s3cret"}"#,
                "its `private_key` is no RSA key in PEM",
            ),
        ] {
            assert_eq!(told(text), reason);
        }
        assert!(told("/no/such/file.json").starts_with("/no/such/file.json: "));
    }

    #[test]
    fn the_host_follows_from_the_location() {
        let host = |location: &'static str| {
            let environment =
                Environment::from_fn(move |name| (name == LOCATION).then(|| location.to_owned()));
            setting(ENDPOINT, &environment)
        };
        for (location, expect) in [
            ("us-east5", "us-east5-aiplatform.googleapis.com"),
            ("global", "aiplatform.googleapis.com"),
            ("eu", "aiplatform.eu.rep.googleapis.com"),
        ] {
            assert_eq!(host(location).as_deref(), Some(expect));
        }
    }
}
