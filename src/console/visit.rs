//! Who looks at a page: the browser's cookies, and what every answer to a browser carries.
//!
//! One layer around all pages reads the cookies before the handler and sets them after it, since a
//! cookie must be renewed whatever the handler answers. Handlers take a [`Visit`], a [`Person`] or
//! an [`Admin`]; forms are refused here unless they carry the visit's token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

use super::refusal::Refusal;
use crate::auth::{FLOW_LIVES, People, SignedIn};
use crate::clock::now_ms;
use crate::config::Config;
use crate::domain::ids::random_text;
use crate::store::Session;

const SESSION: &str = "turnpike_session";
const VISITOR: &str = "turnpike_visitor";
/// The note of a sign-in that is under way elsewhere.
pub(super) const FLOW: &str = "turnpike_sign_in";

/// Nothing but our own style and script, no frame around us, no form to anywhere else.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How this site is reached.
#[derive(Clone, Debug)]
pub struct Site {
    /// The configured origin.
    public_url: Option<Arc<str>>,
    /// Proxies in front.
    proxies: usize,
}

impl From<&Config> for Site {
    fn from(config: &Config) -> Self {
        Site {
            public_url: config.public_url.as_ref().map(|url| url.as_str().into()),
            proxies: config.http.proxies,
        }
    }
}

/// One request of a browser.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Who is signed in.
    pub signed_in: Option<Arc<SignedIn>>,
    /// The token that the forms of the page carry.
    pub form_token: String,
    /// The network address that tries to sign in are counted by.
    pub address: String,
    /// How the site was reached, such as `https://gateway.example`.
    pub origin: String,
    subject: String,
    secure: bool,
}

/// A visit of somebody who is signed in; others are asked to sign in first.
#[derive(Clone, Debug)]
pub struct Person {
    /// The session, and whose it is.
    pub session: Session,
    /// The visit.
    pub visit: Visit,
}

/// A visit of an admin; others are refused.
#[derive(Clone, Debug)]
pub struct Admin(pub Person);

/// The layer around every page.
pub async fn layer(
    State((people, site)): State<(People, Site)>,
    mut request: Request,
    next: Next,
) -> Response {
    if comes_from_elsewhere(&request) {
        return Refusal::Forged.into_response();
    }
    let now = now_ms();
    let headers = request.headers();
    let signed_in = match cookie(headers, SESSION) {
        Some(token) => match people.session(token, now).await {
            Ok(signed_in) => signed_in,
            Err(error) => return Refusal::from(error).into_response(),
        },
        None => None,
    };
    let known = cookie(headers, VISITOR)
        .filter(|id| id.len() == 32)
        .map(str::to_owned);
    let fresh = signed_in.is_none() && known.is_none();
    let visitor = known.unwrap_or_else(|| random_text(32));
    let subject = match &signed_in {
        Some(signed_in) => format!("session {}", signed_in.session.id),
        None => format!("visitor {visitor}"),
    };
    let origin = site.origin(headers);
    let visit = Visit {
        form_token: people.form_token(&subject),
        subject,
        secure: origin.starts_with("https://"),
        origin,
        address: site.address(&request),
        signed_in: signed_in.map(Arc::new),
    };
    request.extensions_mut().insert(visit.clone());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // A handler that signs in or out has set the cookie already, and knows better.
    let decided = headers
        .get_all(SET_COOKIE)
        .iter()
        .any(|cookie| cookie.as_bytes().starts_with(SESSION.as_bytes()));
    if let Some(renewed) = visit.signed_in.as_ref().filter(|_| !decided) {
        if let Some(cookie) = &renewed.cookie {
            headers.append(
                SET_COOKIE,
                visit.session_cookie(cookie, renewed.session.expires_at - now),
            );
        }
    } else if fresh && !decided {
        headers.append(SET_COOKIE, visit.set(VISITOR, &visitor, 86_400));
    }
    protect(headers);
    response
}

impl Visit {
    /// The cookie of somebody who has just signed in.
    pub fn signs_in(&self, signed_in: &SignedIn) -> HeaderValue {
        let lives = signed_in.session.expires_at - now_ms();
        self.session_cookie(signed_in.cookie.as_deref().unwrap_or_default(), lives)
    }

    /// The cookie of somebody who has just signed out.
    pub fn signs_out(&self) -> HeaderValue {
        self.set(SESSION, "", 0)
    }

    /// Whether a form carries this visit's token.
    pub fn made(&self, people: &People, form_token: &str) -> bool {
        people.is_form_token(&self.subject, form_token)
    }

    /// The cookie of somebody who is sent elsewhere to sign in.
    pub(super) fn keep_flow(&self, note: &str) -> HeaderValue {
        self.set_at("/sign-in/", FLOW, note, FLOW_LIVES / 1_000)
    }

    /// The same, taken away: it serves once.
    pub(super) fn forget_flow(&self) -> HeaderValue {
        self.set_at("/sign-in/", FLOW, "", 0)
    }

    fn session_cookie(&self, token: &str, lives_ms: i64) -> HeaderValue {
        self.set(SESSION, token, lives_ms / 1_000)
    }

    fn set(&self, name: &str, value: &str, seconds: i64) -> HeaderValue {
        self.set_at("/", name, value, seconds)
    }

    fn set_at(&self, path: &str, name: &str, value: &str, seconds: i64) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!(
            "{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
        );
        HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""))
    }
}

impl Site {
    /// How the browser reached us: as configured, or as the request says.
    fn origin(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.public_url {
            return url.to_string();
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let https = self.proxies > 0 && text("x-forwarded-proto") == Some("https");
        let host = text(HOST.as_str())
            .filter(|host| host.parse::<http::uri::Authority>().is_ok())
            .unwrap_or("localhost");
        format!("{}://{host}", if https { "https" } else { "http" })
    }

    /// The address of the connection, or the one that the outermost of our proxies saw. What a client
    /// writes into the header itself stands further to the left and is not believed.
    fn address(&self, request: &Request) -> String {
        let forwarded = request
            .headers()
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|address| address.trim().parse::<IpAddr>().ok());
        let forwarded: Vec<IpAddr> = forwarded.collect();
        let seen = forwarded
            .len()
            .checked_sub(self.proxies)
            .filter(|_| self.proxies > 0)
            .and_then(|index| forwarded.get(index));
        match (seen, request.extensions().get::<ConnectInfo<SocketAddr>>()) {
            (Some(address), _) => network(*address),
            (None, Some(ConnectInfo(address))) => network(address.ip()),
            (None, None) => "unknown".to_owned(),
        }
    }
}

/// One customer of a network has 2⁶⁴ addresses of IPv6: they count as one.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Browsers say where a request comes from; one that changes something must come from our own pages.
fn comes_from_elsewhere(request: &Request) -> bool {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let site = request
        .headers()
        .get("sec-fetch-site")
        .and_then(|value| value.to_str().ok());
    !reads && matches!(site, Some("cross-site" | "same-site"))
}

pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name && !value.is_empty()).then_some(value))
}

/// What every page says of itself, unless its handler has said it already.
pub(super) fn protect(headers: &mut HeaderMap) {
    let defaults = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in defaults {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts
            .extensions
            .get::<Visit>()
            .cloned()
            .ok_or(Refusal::Broken)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let visit = Visit::from_request_parts(parts, state)
            .await
            .map_err(Refusal::into_response)?;
        match &visit.signed_in {
            Some(signed_in) => Ok(Person {
                session: signed_in.session.clone(),
                visit,
            }),
            None => Err(sign_in_first(parts)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let person = Person::from_request_parts(parts, state).await?;
        if person.session.account.admin {
            Ok(Admin(person))
        } else {
            Err(Refusal::AdminsOnly.into_response())
        }
    }
}

/// A page that was asked for is shown after signing in; a form that was sent is not repeated.
fn sign_in_first(parts: &Parts) -> Response {
    let page = if parts.method == Method::GET {
        parts.uri.path_and_query().map_or("/", |page| page.as_str())
    } else {
        "/"
    };
    Redirect::to(&format!(
        "/sign-in?{}",
        super::link::query(&[("next", page)])
    ))
    .into_response()
}
