//! Configuration in two stages: what was written (`RawConfig`: file, environment, flags) becomes what is true
//! ([`Config`]), or one report of everything that is wrong with it.
//!
//! Defaults stand here and nowhere else; `config/turnpike.toml` shows them, and a test holds the two equal.
//! Reads files and variables; opens no socket and no database.

mod issuers;
mod problem;
mod raw;
mod setting;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::attempt::Width;
use crate::attempt::health::Patience;
use crate::attempt::policy::Policy;
use crate::auth::{Exempt, SignUp};
use crate::catalog::snapshot::Timeouts;
use crate::domain::money::Nanos;
use crate::domain::quota::Quota;
use crate::domain::secret::Secret;
use crate::domain::terms::Ppm;
use crate::oidc::IssuerSettings;
use crate::plugin::web::Settings as WebSettings;

pub use problem::{Problem, Problems};
use raw::RawConfig;
pub use raw::Sources;
use setting::{Networks, Proxies, Size};

/// Everything an operator can decide, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the embedded database and the spool live.
    pub data_dir: PathBuf,
    /// How clients reach this server, when it is not by the address it listens on.
    pub public_url: Option<PublicUrl>,
    /// A directory of catalogue files laid over the built-in ones.
    pub catalog_dir: Option<PathBuf>,
    /// The model of a request that names none.
    pub default_model: Option<String>,
    /// Where the ledger and the keys are stored.
    pub database: DatabaseConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The HTTP server.
    pub http: HttpConfig,
    /// How long to wait for a provider that says nothing else of itself.
    pub timeouts: Timeouts,
    /// How attempts at providers are made.
    pub routing: Policy,
    /// Accounts of people.
    pub people: PeopleConfig,
    /// Holds, leases and settlement.
    pub ledger: LedgerConfig,
    /// Limits on models that cost nothing.
    pub free_models: FreeModelConfig,
    /// What proves that whoever asks for metrics may see them; nobody may without one.
    pub metrics_token: Option<Secret>,
    /// How the web may be searched.
    pub web: WebSettings,
    /// Files that requests name by address.
    pub media: MediaConfig,
    /// Providers that are added or overridden.
    pub providers: Vec<toml::Table>,
}

/// Where the ledger and the keys are stored.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// A Postgres server; without one, SQLite under the data directory.
    pub url: Option<Secret>,
    /// The most connections this process keeps to it.
    pub pool_size: u32,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// Which events.
    pub level: LogFilter,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// A checked filter of `tracing`, such as `info,turnpike=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The origin clients use, such as `https://gateway.example`: no path, no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// The largest request head, in bytes.
    pub header_limit: usize,
    /// How long a client may take to send a request's head, and how long an idle connection is kept.
    pub header_timeout: Duration,
    /// The most connections open at once; further ones wait.
    pub max_connections: usize,
    /// How long requests may still run after the order to stop.
    pub drain_timeout: Duration,
    /// The longest silence of a stream before a comment is sent to keep it open.
    pub keep_alive: Duration,
    /// How late work may be that is ready before calls of models are refused.
    pub overload_after: Duration,
    /// How many proxies stand in front, each adding the address it was called from to `X-Forwarded-For`.
    pub proxies: usize,
}

/// Accounts of people.
#[derive(Clone, Debug)]
pub struct PeopleConfig {
    /// Who may make an account.
    pub sign_up: SignUp,
    /// With whose accounts people may sign in.
    pub issuers: Vec<IssuerSettings>,
}

/// Holds, leases and settlement.
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    /// The least credit borrowed for a key at a time.
    pub lease: Nanos,
    /// The most that is held for one request; `None` holds the most it can cost.
    pub hold_cap: Option<Nanos>,
    /// What the operator takes on top of the list price.
    pub markup: Ppm,
    /// The most settlements in one transaction.
    pub batch: usize,
    /// The most settlements that wait for a transaction.
    pub queue: usize,
    /// The largest spool of settlements that the database could not take, in bytes.
    pub spool_limit: usize,
    /// Credit borrowed for a key that rests this long is given back.
    pub idle: Duration,
    /// A replica that was not heard of for this long is dead.
    pub lapse: Duration,
    /// How many days runs are kept; `None` keeps them for good.
    pub keep_generations_days: Option<u32>,
}

/// Limits on models that cost nothing (contract 18.1).
#[derive(Clone, Debug)]
pub struct FreeModelConfig {
    /// How many requests an account may make.
    pub quota: Quota,
    /// Models that are not limited.
    pub exempt: Exempt,
}

/// Files that requests name by address, and that are fetched for providers which take bytes only.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Where they may be besides the public internet.
    pub networks: Vec<IpNet>,
}

impl Config {
    /// Reads and checks everything that was written. Fails with every problem there is.
    pub fn load(sources: &Sources) -> Result<Config, Problems> {
        let (config, problems) = Config::read(sources);
        Problems::check(problems)?;
        Ok(config)
    }

    /// Like [`Config::load`], for those who have more to say before the report is made: what is wrong is as by default.
    pub fn read(sources: &Sources) -> (Config, Vec<Problem>) {
        let mut raw = RawConfig::read(sources);
        let config = Config::convert(&mut raw);
        (config, raw.finish())
    }

    /// The file of the embedded database.
    pub fn sqlite_file(&self) -> PathBuf {
        self.data_dir.join("turnpike.db")
    }

    fn convert(raw: &mut RawConfig<'_>) -> Config {
        Config {
            listen: raw.value("listen", SocketAddr::from(([127, 0, 0, 1], 8080))),
            data_dir: raw.value("data_dir", PathBuf::from("data")),
            public_url: raw.value("public_url", None),
            catalog_dir: raw.value("catalog_dir", None),
            default_model: raw.value("default_model", None),
            database: DatabaseConfig::convert(raw),
            log: LogConfig {
                format: raw.value("log.format", LogFormat::Auto),
                level: raw.value("log.level", LogFilter("info".to_owned())),
            },
            http: HttpConfig::convert(raw),
            timeouts: convert_timeouts(raw),
            routing: convert_routing(raw),
            people: PeopleConfig::convert(raw),
            ledger: LedgerConfig::convert(raw),
            free_models: FreeModelConfig::convert(raw),
            metrics_token: raw.value("metrics.token", None),
            web: web::convert(raw),
            media: MediaConfig {
                networks: raw.value("media.networks", Networks(Vec::new())).0,
            },
            providers: convert_providers(raw),
        }
    }
}

/// A provider's key variable may bear any name, ours included.
fn convert_providers(raw: &mut RawConfig<'_>) -> Vec<toml::Table> {
    let providers = raw.tables("providers");
    for provider in &providers {
        if let Some(name) = provider
            .get("api_key")
            .and_then(|key| key.get("env"))
            .and_then(toml::Value::as_str)
        {
            raw.accept_variable(name);
        }
    }
    providers
}

impl DatabaseConfig {
    fn convert(raw: &mut RawConfig<'_>) -> Self {
        DatabaseConfig {
            url: raw
                .value_or_variable::<Option<PostgresUrl>>("database.url", "DATABASE_URL", None)
                .map(|url| url.0),
            pool_size: raw.value("database.pool_size", 10),
        }
    }
}

impl HttpConfig {
    /// The smallest head that HTTP servers must be ready to take.
    const LEAST_HEADER_LIMIT: usize = 8 << 10;

    fn convert(raw: &mut RawConfig<'_>) -> Self {
        let header_limit = raw.value("http.header_limit", Size(16 << 10)).0;
        raw.require(
            header_limit >= Self::LEAST_HEADER_LIMIT,
            "http.header_limit",
            "must be at least 8KiB",
        );
        HttpConfig {
            body_limit: raw.value("http.body_limit", Size(32_000_000)).0,
            header_limit,
            header_timeout: raw.value("http.header_timeout", Duration::from_secs(75)),
            max_connections: raw.value("http.max_connections", 20_000),
            drain_timeout: raw.value("http.drain_timeout", Duration::from_secs(30)),
            keep_alive: raw.value("http.keep_alive", Duration::from_secs(10)),
            overload_after: raw.value("http.overload_after", Duration::from_millis(300)),
            proxies: raw.value("http.proxies", Proxies(0)).0,
        }
    }
}

impl PeopleConfig {
    fn convert(raw: &mut RawConfig<'_>) -> Self {
        let sign_up = raw.value("people.sign_up", SignUp::Closed);
        PeopleConfig {
            sign_up,
            issuers: issuers::convert(raw, sign_up),
        }
    }
}

impl LedgerConfig {
    /// A replica needs some time to beat, and to be heard, before it is taken for dead.
    const LEAST_LAPSE: Duration = Duration::from_secs(3);
    /// A month and a day: until then a key's usage of the month can be proved from its runs.
    const LEAST_DAYS: u32 = 32;

    fn convert(raw: &mut RawConfig<'_>) -> Self {
        let lapse = raw.value("ledger.lapse", Duration::from_secs(45));
        raw.require(
            lapse >= Self::LEAST_LAPSE,
            "ledger.lapse",
            "must be at least 3s",
        );
        let keep_generations_days: Option<u32> = raw.value("ledger.keep_generations_days", None);
        raw.require(
            keep_generations_days.is_none_or(|days| days >= Self::LEAST_DAYS),
            "ledger.keep_generations_days",
            "must be at least 32",
        );
        LedgerConfig {
            lease: raw.value("ledger.lease", Nanos::from_dollars(1)),
            hold_cap: raw.value("ledger.hold_cap", None),
            markup: raw.value("ledger.markup", Ppm::ZERO),
            batch: raw.value("ledger.batch", 256),
            queue: raw.value("ledger.queue", 32_768),
            spool_limit: raw.value("ledger.spool_limit", Size(256_000_000)).0,
            idle: raw.value("ledger.idle", Duration::from_secs(5)),
            lapse,
            keep_generations_days,
        }
    }
}

impl FreeModelConfig {
    fn convert(raw: &mut RawConfig<'_>) -> Self {
        FreeModelConfig {
            quota: Quota {
                per_minute: raw.value("free_models.per_minute", Some(20)),
                per_day: raw.value("free_models.per_day", Some(50)),
                per_day_paid: raw.value("free_models.per_day_paid", Some(1_000)),
                paid_from: raw.value("free_models.paid_from", Nanos::from_dollars(10)),
            },
            exempt: raw.value("free_models.exempt", Exempt::parse("turnpike/echo")),
        }
    }
}

fn convert_timeouts(raw: &mut RawConfig<'_>) -> Timeouts {
    let default = Timeouts::default();
    Timeouts {
        connect: raw.value("timeouts.connect", default.connect),
        first_token: raw.value("timeouts.first_token", default.first_token),
        idle: raw.value("timeouts.idle", default.idle),
        total: raw.value("timeouts.total", default.total),
    }
}

fn convert_routing(raw: &mut RawConfig<'_>) -> Policy {
    let Policy {
        patience,
        width,
        least_first_token,
        hedge_percent,
    } = Policy::default();
    let policy = Policy {
        patience: Patience {
            failures: raw.value("routing.failures", patience.failures),
            pause: raw.value("routing.pause", patience.pause),
            longest_pause: raw.value("routing.longest_pause", patience.longest_pause),
        },
        width: Width {
            concurrency: raw.value("routing.concurrency", width.concurrency),
            queue: raw.value("routing.queue", width.queue),
            wait: raw.value("routing.queue_wait", width.wait),
        },
        least_first_token: raw.value("routing.least_first_token", least_first_token),
        hedge_percent: raw.value("routing.hedge_percent", hedge_percent),
    };
    raw.require(
        policy.hedge_percent.is_none_or(|percent| percent <= 100),
        "routing.hedge_percent",
        "must be at most 100",
    );
    policy
}

/// The address of a Postgres server. Holds a password, so it is never quoted.
struct PostgresUrl(Secret);

impl setting::Setting for PostgresUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        match scheme {
            Some("postgres" | "postgresql") => Ok(PostgresUrl(Secret::new(text))),
            _ => Err("expected postgres://USER:PASSWORD@HOST/DATABASE; leave it out for the embedded database".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
