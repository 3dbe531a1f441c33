//! A browser as far as a server can tell: it keeps cookies and fills in the forms it was shown.

use bytes::Bytes;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{Method, StatusCode};
use parking_lot::Mutex;
use url::form_urlencoded;

use super::client::{Answer, Http};

/// One browser with its cookies, without script.
pub(crate) struct Browser {
    http: Http,
    cookies: Mutex<Vec<(String, String)>>,
}

impl Browser {
    /// A browser that has never been here.
    pub(crate) fn new(base: &str) -> Self {
        Browser {
            http: Http::new(base),
            cookies: Mutex::default(),
        }
    }

    /// Looks at a page.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Bytes::new(), &[]).await
    }

    /// Fills in the form of `page` and sends it to `path`, with the token the page had.
    pub(crate) async fn submit(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let shown = self.get(page).await;
        let token = form_token(&shown.text());
        self.post(path, &token, fields).await
    }

    /// Sends a form with this token.
    pub(crate) async fn post(&self, path: &str, token: &str, fields: &[(&str, &str)]) -> Answer {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("form_token", token)
            .extend_pairs(fields.iter().copied());
        self.send(Method::POST, path, body.finish().into(), &[])
            .await
    }

    /// Any request, with the cookies, whose cookies are kept.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> Answer {
        let cookies = self.cookie_header();
        let mut all = vec![
            ("accept", "text/html"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        if !cookies.is_empty() {
            all.push((COOKIE.as_str(), &cookies));
        }
        all.extend_from_slice(headers);
        let answer = self.http.send(method, path, body, &all).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            self.keep(cookie.to_str().unwrap());
        }
        answer
    }

    /// Signs in; panics when it does not work.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) {
        let fields = [("email", email), ("password", password)];
        let answer = self.submit("/sign-in", "/sign-in", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.cookies.lock();
        cookies
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    /// Plants a cookie.
    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.lock();
        cookies.retain(|(key, _)| key != name);
        cookies.push((name.to_owned(), value.to_owned()));
    }

    fn keep(&self, cookie: &str) {
        let (name, rest) = cookie.split_once('=').unwrap();
        let value = rest.split(';').next().unwrap();
        self.set_cookie(name, value);
        self.cookies.lock().retain(|(_, value)| !value.is_empty());
    }

    fn cookie_header(&self) -> String {
        let cookies = self.cookies.lock();
        let pairs: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }
}

impl Answer {
    /// Where the answer sends the browser.
    #[track_caller]
    pub(crate) fn location(&self) -> String {
        let location = self.headers.get(LOCATION);
        let location = location.unwrap_or_else(|| panic!("{}: {}", self.status, self.text()));
        location.to_str().unwrap().to_owned()
    }
}

/// The token in the first form of a page.
#[track_caller]
pub(crate) fn form_token(page: &str) -> String {
    let marker = "name=\"form_token\" value=\"";
    let start = page
        .find(marker)
        .unwrap_or_else(|| panic!("no form: {page}"))
        + marker.len();
    page[start..].split('"').next().unwrap().to_owned()
}
