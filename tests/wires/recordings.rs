//! The recorded exchanges of `tests/fixtures/recordings`, read as its README describes them.

use std::fs;
use std::path::Path;

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
    pub(crate) request: Request,
    pub(crate) response: Response,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    /// `null` where only the answer was recorded.
    pub(crate) body: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// A JSON value, or the text of an event stream.
    pub(crate) body: Value,
}

impl Recording {
    /// The answer's bytes.
    pub(crate) fn body(&self) -> Vec<u8> {
        match &self.response.body {
            Value::String(text) => text.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        }
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/recordings")
        .join(api);
    let mut files: Vec<_> = fs::read_dir(&folder)
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
