//! The recorded exchanges of `tests/fixtures/recordings`, read as its README describes them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

/// One exchange with a provider.
#[derive(Debug, Deserialize)]
pub(crate) struct Recording {
    /// Unique; what a failing test prints.
    pub(crate) name: String,
    /// Whose server answered.
    pub(crate) provider: String,
    /// Whether a stream was asked for.
    pub(crate) stream: bool,
    /// The model, as the request named it.
    pub(crate) model: Option<String>,
    /// What it shows; an index found by a program.
    #[serde(default)]
    pub(crate) features: Vec<String>,
    pub(crate) request: Request,
    pub(crate) response: Response,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    /// On the provider's host, with the query.
    pub(crate) path: String,
    /// `null` where only the answer was recorded.
    pub(crate) body: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: HashMap<String, String>,
    /// A JSON value, or the text of an event stream, or a binary one in base64.
    pub(crate) body: Value,
    pub(crate) body_encoding: Option<String>,
}

/// The folder of recordings: the fixtures, or the one that `TURNPIKE_RECORDINGS` names, for more of them.
pub(crate) fn folder() -> PathBuf {
    let fixtures = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings");
    env::var_os("TURNPIKE_RECORDINGS").map_or_else(fixtures, PathBuf::from)
}

/// Whether the recordings are those of the fixtures, of which the tests know how many there are.
pub(crate) fn are_the_fixtures() -> bool {
    env::var_os("TURNPIKE_RECORDINGS").is_none()
}

impl Recording {
    /// The answer's bytes.
    pub(crate) fn body(&self) -> Vec<u8> {
        match &self.response.body {
            Value::String(text) if self.response.body_encoding.is_some() => {
                STANDARD.decode(text).unwrap()
            }
            Value::String(text) => text.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        }
    }

    /// The answer's headers.
    pub(crate) fn headers(&self) -> HeaderMap {
        HeaderMap::try_from(&self.response.headers).unwrap()
    }

    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.response.status)
    }

    /// Whether the answer came as an event stream: an error may come as JSON to a request for one.
    pub(crate) fn streamed(&self) -> bool {
        self.response.body.is_string()
    }
}

/// All recordings of an api, by provider and name.
pub(crate) fn recordings(api: &str) -> Vec<Recording> {
    let mut files: Vec<_> = fs::read_dir(folder().join(api))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts
        .flat_map(|text| {
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}
