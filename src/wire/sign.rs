//! Amazon's request signatures (Signature Version 4). Pure: the moment and the key are told.

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ring::hmac;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::domain::secret::Secret;

const DATE: &str = "x-amz-date";
const TOKEN: &str = "x-amz-security-token";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A key of an Amazon account.
#[derive(Clone, Debug)]
pub struct AwsKey {
    /// The public half, `AKIA…`.
    pub id: String,
    /// The secret half.
    pub secret: Secret,
    /// What comes with a temporary key.
    pub session_token: Option<Secret>,
    /// Where requests go, such as `us-east-1`.
    pub region: String,
}

/// The headers that sign a POST of `body` to `uri` at `now_ms`, Unix milliseconds. Fails with the reason when the
/// address has no host, or the key cannot stand in a header.
pub fn signature(
    key: &AwsKey,
    uri: &Uri,
    body: &[u8],
    now_ms: i64,
) -> Result<HeaderMap, &'static str> {
    let host = uri.authority().ok_or("the address has no host")?.as_str();
    let (day, moment) = stamps(now_ms).ok_or("the clock is out of range")?;
    let token = key.session_token.as_ref().map(Secret::expose);

    let mut signed = vec![(HOST.as_str(), host), (DATE, moment.as_str())];
    signed.extend(token.map(|token| (TOKEN, token)));
    let names = signed
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(";");
    let mut canonical = format!("POST\n{}\n{}\n", path(uri), uri.query().unwrap_or_default());
    for (name, value) in &signed {
        canonical.push_str(&format!("{name}:{value}\n"));
    }
    canonical.push_str(&format!("\n{names}\n{}", hash(body)));

    let scope = format!("{day}/{}/{}/aws4_request", key.region, service(host));
    let text = format!(
        "{ALGORITHM}\n{moment}\n{scope}\n{}",
        hash(canonical.as_bytes())
    );
    let mut signer = hmac_of(format!("AWS4{}", key.secret.expose()).as_bytes(), &day);
    for part in [&*key.region, service(host), "aws4_request"] {
        signer = hmac_of(signer.as_ref(), part);
    }
    let signature = hex::encode(hmac_of(signer.as_ref(), &text));
    let proof = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        key.id
    );

    let unfit = |_| "the key has characters that no header can carry";
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(AUTHORIZATION, secret_value(&proof).map_err(unfit)?);
    headers.insert(
        HeaderName::from_static(DATE),
        HeaderValue::from_str(&moment).map_err(unfit)?,
    );
    if let Some(token) = token {
        headers.insert(
            HeaderName::from_static(TOKEN),
            secret_value(token).map_err(unfit)?,
        );
    }
    Ok(headers)
}

/// The path as it is signed: each segment escaped once more than it is sent.
fn path(uri: &Uri) -> String {
    let segments: Vec<String> = uri.path().split('/').map(super::path::segment).collect();
    segments.join("/")
}

/// The service that a host belongs to.
fn service(host: &str) -> &'static str {
    if host.starts_with("bedrock-mantle") {
        "bedrock-mantle"
    } else {
        "bedrock"
    }
}

/// `20150830` and `20150830T123600Z`.
fn stamps(now_ms: i64) -> Option<(String, String)> {
    let now = OffsetDateTime::from_unix_timestamp(now_ms.div_euclid(1_000)).ok()?;
    let moment = now
        .format(format_description!(
            "[year][month][day]T[hour][minute][second]Z"
        ))
        .ok()?;
    let day = moment.get(..8)?.to_owned();
    Some((day, moment))
}

fn secret_value(text: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac_of(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(session_token: Option<&str>) -> AwsKey {
        AwsKey {
            id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: session_token.map(Secret::new),
            region: "us-east-1".to_owned(),
        }
    }

    fn sign(key: &AwsKey, uri: &str) -> HeaderMap {
        // 30 August 2015, 12:36:00 UTC: the moment of Amazon's own examples.
        signature(key, &uri.parse().unwrap(), b"{}", 1_440_938_160_000).unwrap()
    }

    #[test]
    fn a_request_is_signed_as_the_reference_signs_it() {
        let headers = sign(
            &key(None),
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-v2%3A1/converse",
        );
        assert_eq!(headers["x-amz-date"], "20150830T123600Z");
        assert_eq!(
            headers["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, \
            SignedHeaders=host;x-amz-date, \
            Signature=2398f5dbf5ee7047902d5e21800081840d98be651455854f8acda4d48de8475e"
        );
        assert!(headers["authorization"].is_sensitive());
    }

    #[test]
    fn a_temporary_key_brings_its_token() {
        let headers = sign(
            &key(Some("TOKEN")),
            "https://bedrock-mantle.us-east-1.api.aws/openai/v1/responses",
        );
        assert_eq!(headers["x-amz-security-token"], "TOKEN");
        assert_eq!(
            headers["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock-mantle/aws4_request, \
            SignedHeaders=host;x-amz-date;x-amz-security-token, \
            Signature=178c508991da675e2cb8e2c1c8d51e63cc1be3dc9b66b075a4669565562b937a"
        );
    }
}
