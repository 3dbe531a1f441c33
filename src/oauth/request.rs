//! What an application may ask for, and where it may be sent back to (contract 17.1). Pure.
//!
//! Knows no HTTP and no database. Nothing that fails here is ever redirected to: a wrong callback is
//! shown to the person, not followed.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use url::{Host, Url};

use crate::domain::ids::AccountId;
use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;
use crate::store::Grant;

const LONGEST_CALLBACK: usize = 2_000;
const LONGEST_CHALLENGE: usize = 128;
const LONGEST_LABEL: usize = 100;
/// A SHA-256 in base64url.
const S256_LENGTH: usize = 43;

/// The parameters as they were written, by the page's query or the API's body.
#[derive(Clone, Debug, Default)]
pub struct Asked<'a> {
    /// Where to send the browser.
    pub callback_url: Option<&'a str>,
    /// What the exchange must answer.
    pub code_challenge: Option<&'a str>,
    /// How: `S256` or `plain`.
    pub code_challenge_method: Option<&'a str>,
    /// What to call the key.
    pub key_label: Option<&'a str>,
    /// The cap, in dollars.
    pub limit: Option<Nanos>,
    /// When the cap starts anew.
    pub usage_limit_type: Option<&'a str>,
    /// When the key stops working.
    pub expires_at: Option<&'a str>,
}

/// What an application asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRequest {
    /// Who asks.
    pub app: App,
    /// Where to send the browser; `None` shows the code instead.
    pub callback: Option<Url>,
    /// What the exchange must answer.
    pub challenge: Option<Challenge>,
    /// What to call the key.
    pub key_name: String,
    /// The cap.
    pub limit: Option<Nanos>,
    /// When the cap starts anew.
    pub limit_reset: LimitReset,
    /// When the key stops working, Unix milliseconds.
    pub expires_at: Option<i64>,
}

/// An application is known by where it is sent back to, since nothing else about it can be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The origin, or `headless`.
    pub id: String,
    /// What people call it: the host, with its port on this machine.
    pub name: String,
    /// Whether it runs on the person's own machine.
    pub local: bool,
}

/// What the exchange must answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// As the application sent it.
    pub text: String,
    /// How it was made from the verifier.
    pub method: Method,
}

/// How a challenge is made from a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The SHA-256 of the verifier.
    S256,
    /// The verifier itself.
    Plain,
}

/// What is wrong with a request, in words for the application's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not an address, or one that the rules refuse.
    #[error(
        "callback_url must be an https address, or http on localhost or 127.0.0.1, without user name, password or fragment"
    )]
    Callback,
    /// Too long.
    #[error("callback_url must have at most {LONGEST_CALLBACK} characters")]
    LongCallback,
    /// Without a callback, the challenge is all that protects the code.
    #[error("code_challenge is required when there is no callback_url")]
    HeadlessWithoutChallenge,
    /// Not of the right form.
    #[error(
        "code_challenge must be 1 to {LONGEST_CHALLENGE} letters, digits and -._~, for S256 the base64url of a SHA-256"
    )]
    Challenge,
    /// A method for nothing.
    #[error("code_challenge_method needs a code_challenge")]
    MethodWithoutChallenge,
    /// Unknown.
    #[error("code_challenge_method must be S256 or plain")]
    Method,
    /// Too long.
    #[error("key_label must have at most {LONGEST_LABEL} characters")]
    Label,
    /// Not a cap.
    #[error("limit must be more than nothing")]
    Limit,
    /// Unknown.
    #[error("usage_limit_type must be daily, weekly or monthly")]
    Reset,
    /// Not a time, or past.
    #[error("expires_at must be an ISO 8601 time in UTC that lies ahead")]
    Expiry,
}

impl Method {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::S256 => "S256",
            Method::Plain => "plain",
        }
    }

    /// Reads the contract's word.
    pub fn parse(word: &str) -> Result<Self, RequestError> {
        match word {
            "S256" => Ok(Method::S256),
            "plain" => Ok(Method::Plain),
            _ => Err(RequestError::Method),
        }
    }
}

impl AuthRequest {
    /// Checks what was asked for. Fails with the first thing that is wrong.
    pub fn check(asked: &Asked<'_>, now: i64) -> Result<Self, RequestError> {
        let callback = given(asked.callback_url).map(parse_callback).transpose()?;
        let challenge = parse_challenge(
            given(asked.code_challenge),
            given(asked.code_challenge_method),
        )?;
        if callback.is_none() && challenge.is_none() {
            return Err(RequestError::HeadlessWithoutChallenge);
        }
        let app = App::of(callback.as_ref());
        Ok(AuthRequest {
            key_name: parse_label(asked.key_label, &app.name)?,
            app,
            callback,
            challenge,
            limit: asked
                .limit
                .map(|limit| {
                    if limit > Nanos::ZERO {
                        Ok(limit)
                    } else {
                        Err(RequestError::Limit)
                    }
                })
                .transpose()?,
            limit_reset: LimitReset::parse(given(asked.usage_limit_type))
                .ok_or(RequestError::Reset)?,
            expires_at: given(asked.expires_at)
                .map(|text| parse_expiry(text, now))
                .transpose()?,
        })
    }

    /// What `account` agrees to.
    pub fn grant(&self, account: &AccountId) -> Grant {
        Grant {
            account: account.clone(),
            app: self.app.id.clone(),
            app_name: self.app.name.clone(),
            challenge: self
                .challenge
                .as_ref()
                .map(|challenge| challenge.text.clone()),
            method: self
                .challenge
                .as_ref()
                .map(|challenge| challenge.method.as_str().to_owned()),
            key_name: self.key_name.clone(),
            limit: self.limit,
            limit_reset: self.limit_reset,
            key_expires_at: self.expires_at,
        }
    }

    /// The callback with one more parameter; what it had is kept as it was.
    pub fn answer(&self, name: &str, value: &str) -> Option<Url> {
        let mut url = self.callback.clone()?;
        url.query_pairs_mut().append_pair(name, value);
        Some(url)
    }
}

impl App {
    fn of(callback: Option<&Url>) -> Self {
        let Some(url) = callback else {
            return App {
                id: "headless".to_owned(),
                name: "A command-line app".to_owned(),
                local: true,
            };
        };
        let host = url.host_str().unwrap_or_default();
        let local = is_local(url);
        let name = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        App {
            id: url.origin().ascii_serialization(),
            name,
            local,
        }
    }
}

/// A form's empty field means that nothing was given.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn parse_callback(text: &str) -> Result<Url, RequestError> {
    if text.len() > LONGEST_CALLBACK {
        return Err(RequestError::LongCallback);
    }
    // Parsers disagree about these, which is how `https://good.example\@evil.example` gets past one of them.
    let odd =
        |character: char| character.is_control() || character.is_whitespace() || character == '\\';
    if text.chars().any(odd) {
        return Err(RequestError::Callback);
    }
    let url = Url::parse(text).map_err(|_| RequestError::Callback)?;
    let allowed = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_local(&url),
        _ => false,
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if allowed && plain {
        Ok(url)
    } else {
        Err(RequestError::Callback)
    }
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.octets() == [127, 0, 0, 1],
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A challenge without a method is taken as `plain` (RFC 7636, 4.3).
fn parse_challenge(
    text: Option<&str>,
    method: Option<&str>,
) -> Result<Option<Challenge>, RequestError> {
    let method = method.map(Method::parse).transpose()?;
    let Some(text) = text else {
        return match method {
            Some(_) => Err(RequestError::MethodWithoutChallenge),
            None => Ok(None),
        };
    };
    let method = method.unwrap_or(Method::Plain);
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let right_length = match method {
        // Some libraries leave the padding on.
        Method::S256 => text.trim_end_matches('=').len() == S256_LENGTH,
        Method::Plain => text.len() <= LONGEST_CHALLENGE,
    };
    if right_length && text.len() <= LONGEST_CHALLENGE && text.bytes().all(unreserved) {
        Ok(Some(Challenge {
            text: text.to_owned(),
            method,
        }))
    } else {
        Err(RequestError::Challenge)
    }
}

fn parse_label(label: Option<&str>, app: &str) -> Result<String, RequestError> {
    let label: String = label
        .unwrap_or_default()
        .chars()
        .filter(|character| !character.is_control())
        .collect();
    match label.trim() {
        "" => Ok(app.chars().take(LONGEST_LABEL).collect()),
        label if label.chars().count() > LONGEST_LABEL => Err(RequestError::Label),
        label => Ok(label.to_owned()),
    }
}

fn parse_expiry(text: &str, now: i64) -> Result<i64, RequestError> {
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| RequestError::Expiry)?;
    let ms =
        i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(|_| RequestError::Expiry)?;
    if at.offset() == UtcOffset::UTC && ms > now {
        Ok(ms)
    } else {
        Err(RequestError::Expiry)
    }
}

#[cfg(test)]
mod tests;
