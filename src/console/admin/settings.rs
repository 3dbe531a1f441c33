//! What the gateway was configured with, without its secrets.

use std::sync::Arc;

use maud::{Markup, html};

use crate::auth::SignUp;
use crate::config::Config;
use crate::store::Database;

/// The settings, each with its key in `turnpike.toml`. Secrets are not among them.
#[derive(Clone)]
pub struct Settings(Arc<[(&'static str, String)]>);

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let database = match Database::from(config) {
            Database::Postgres { .. } => "Postgres".to_owned(),
            Database::Sqlite { file } => format!("SQLite in {}", file.display()),
        };
        let sign_up = match config.people.sign_up {
            SignUp::Open => "open",
            SignUp::Invitation => "invitation",
            SignUp::Closed => "closed",
        };
        let issuers = &config.people.issuers;
        let issuers: Vec<&str> = issuers.iter().map(|issuer| issuer.url.as_str()).collect();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let public_url = config
            .public_url
            .as_ref()
            .map(|url| url.as_str().to_owned());
        let catalog_dir = config.catalog_dir.as_ref();
        let hold_cap = config.ledger.hold_cap.map(|cap| format!("${cap}"));
        Settings(Arc::from(vec![
            ("listen", config.listen.to_string()),
            ("public_url", or_none(public_url)),
            ("database", database),
            ("data_dir", config.data_dir.display().to_string()),
            (
                "catalog_dir",
                or_none(catalog_dir.map(|folder| folder.display().to_string())),
            ),
            ("default_model", or_none(config.default_model.clone())),
            ("people.sign_up", sign_up.to_owned()),
            (
                "people.issuers",
                or_none((!issuers.is_empty()).then(|| issuers.join(", "))),
            ),
            (
                "http.body_limit",
                format!("{} bytes", config.http.body_limit),
            ),
            (
                "http.max_connections",
                config.http.max_connections.to_string(),
            ),
            ("http.keep_alive", format!("{:?}", config.http.keep_alive)),
            (
                "http.drain_timeout",
                format!("{:?}", config.http.drain_timeout),
            ),
            ("http.proxies", config.http.proxies.to_string()),
            (
                "timeouts.first_token",
                format!("{:?}", config.timeouts.first_token),
            ),
            ("timeouts.idle", format!("{:?}", config.timeouts.idle)),
            ("timeouts.total", format!("{:?}", config.timeouts.total)),
            ("ledger.lease", format!("${}", config.ledger.lease)),
            ("ledger.hold_cap", or_none(hold_cap)),
            ("ledger.batch", config.ledger.batch.to_string()),
            ("ledger.queue", config.ledger.queue.to_string()),
            (
                "ledger.spool_limit",
                format!("{} bytes", config.ledger.spool_limit),
            ),
            ("log.level", config.log.level.as_str().to_owned()),
        ]))
    }
}

impl Settings {
    /// As they stand on the page.
    pub(super) fn table(&self) -> Markup {
        html! {
            section.card {
                h2 { "Settings" }
                p.muted { "They are read from " code { "turnpike.toml" } " and the environment at the start, and changed there." }
                dl.facts { @for (key, value) in self.0.iter() { dt { code { (key) } } dd { (value) } } }
            }
        }
    }
}
