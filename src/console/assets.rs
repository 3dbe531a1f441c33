//! The style, the script and the icon: in the binary, named by their content so that browsers may keep
//! them for good.

use std::sync::OnceLock;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use sha2::{Digest as _, Sha256};

/// A file that pages refer to.
pub struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    address: OnceLock<String>,
}

/// How pages look.
pub static STYLE: Asset = Asset::new(
    "turnpike.css",
    "text/css; charset=utf-8",
    include_str!("../../assets/turnpike.css"),
);
/// What pages do.
pub static SCRIPT: Asset = Asset::new(
    "turnpike.js",
    "text/javascript; charset=utf-8",
    include_str!("../../assets/turnpike.js"),
);
/// The sign of the tab.
pub static ICON: Asset = Asset::new(
    "icon.svg",
    "image/svg+xml",
    include_str!("../../assets/icon.svg"),
);

impl Asset {
    const fn new(name: &'static str, kind: &'static str, text: &'static str) -> Self {
        Asset {
            name,
            kind,
            text,
            address: OnceLock::new(),
        }
    }

    /// Where it is served: another address for other content.
    pub fn address(&self) -> &str {
        self.address.get_or_init(|| {
            let digest = Sha256::digest(self.text.as_bytes());
            format!("/assets/{}-{}", hex::encode(&digest[..6]), self.name)
        })
    }
}

/// `GET /assets/{file}`.
pub async fn serve(Path(file): Path<String>) -> Response {
    let path = format!("/assets/{file}");
    match [&STYLE, &SCRIPT, &ICON]
        .into_iter()
        .find(|asset| asset.address() == path)
    {
        Some(asset) => {
            let headers = [
                (CONTENT_TYPE, asset.kind),
                (CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, asset.text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
