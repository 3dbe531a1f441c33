//! `serve`: opens everything in the order that fails earliest, says where it is, serves, and drains.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::first_start::{self, Admin};
use super::health::reachable;
use super::output::say;
use super::setup::{self, Setup};
use crate::app::App;
use crate::catalog::{Catalog, Summary};
use crate::clock::now_ms;
use crate::config::Config;
use crate::cores::Cores;
use crate::edge::listen::{Limits, Listener};
use crate::edge::router::router;
use crate::store::Database;
use crate::telemetry::log;

/// What the ledger may take to commit after the last connection was closed or cut.
const LAST_COMMIT: Duration = Duration::from_secs(5);

pub(super) async fn serve(Setup { config, catalog }: Setup) -> Result<(), Failure> {
    log::start(&config.log).map_err(Failure::other)?;
    let mut signals = Signals::take().map_err(Failure::other)?;
    // The address first: a second server must not touch the data of the one that has it.
    let listener = Listener::bind(config.listen).map_err(Failure::other)?;
    first_start::make(&config.data_dir)?;
    let database = Database::from(&config);
    let store = setup::open(&database).await?;
    let cores = Cores::start().map_err(Failure::other)?;
    let app = App::build(&config, store.clone(), catalog.clone(), &cores)
        .await
        .map_err(Failure::other)?;
    // The last thing that can fail, so that no key is made that nobody gets to see.
    let admin = first_start::admin(&store).await.map_err(Failure::other)?;
    greet(
        &config,
        &database,
        listener.address(),
        &catalog,
        admin.as_ref(),
    )?;
    if admin.is_some() {
        say(way_in(&app, &config, listener.address()).await?)?;
    }
    say(format_args!("listening on http://{}", listener.address()))?;

    let stop = CancellationToken::new();
    let serving = listener.serve(router(app.clone()), limits(&config), &cores, stop.clone());
    let stopped = async {
        signals.obey(&catalog).await;
        stop.cancel();
        Instant::now()
    };
    let (cut, stopped) = tokio::join!(serving, stopped);
    if cut > 0 {
        tracing::warn!(
            connections = cut,
            "connections were cut because the drain timeout passed"
        );
    }
    app.stop((config.http.drain_timeout + LAST_COMMIT).saturating_sub(stopped.elapsed()))
        .await;
    cores.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// The signals that the server obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn take() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads the catalogue as often as asked, and returns when told to stop.
    async fn obey(&mut self, catalog: &Catalog) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => reload(catalog),
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
            }
        }
        tracing::info!("stopping: no new connections, those that are open may finish");
    }
}

fn reload(catalog: &Catalog) {
    match catalog.reload() {
        Ok(summary) => tracing::info!("the catalogue was read again: {summary}"),
        Err(error) => tracing::error!("the catalogue stays as it was: {error}"),
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        header_bytes: config.http.header_limit,
        header_timeout: config.http.header_timeout,
        connections: config.http.max_connections,
        drain_timeout: config.http.drain_timeout,
    }
}

/// Says where everything is, and the key if there is a new one. This is the only time that anybody sees it.
fn greet(
    config: &Config,
    database: &Database,
    address: SocketAddr,
    catalog: &Catalog,
    admin: Option<&Admin>,
) -> Result<(), Failure> {
    let origin = origin(config, address);
    say(format_args!("Turnpike {}\n", env!("CARGO_PKG_VERSION")))?;
    say(format_args!("  base URL   {origin}/api/v1"))?;
    say(format_args!("  database   {}", setup::place(database)))?;
    say(format_args!(
        "  catalogue  {}",
        Summary::of(&catalog.snapshot())
    ))?;
    match admin {
        Some(admin) => greet_admin(&origin, admin)?,
        None => say("\nAnother key: turnpike keys create --name NAME\n")?,
    }
    Ok(())
}

/// The link with which the first admin sets a password: the account has none yet.
async fn way_in(app: &App, config: &Config, address: SocketAddr) -> Result<String, Failure> {
    let admin = app.store.first_admin().await.map_err(Failure::other)?;
    let Some(admin) = admin else {
        return Ok(String::new());
    };
    let link = app.people.password_link(&admin.id, now_ms()).await;
    let secret = link.map_err(Failure::other)?;
    let origin = origin(config, address);
    Ok(format!(
        "Set a password for the console, within a day (later: turnpike users link):\n\n  {origin}/password/{}\n",
        secret.expose()
    ))
}

fn origin(config: &Config, address: SocketAddr) -> String {
    config.public_url.as_ref().map_or_else(
        || format!("http://{}", reachable(address)),
        |url| url.as_str().to_owned(),
    )
}

fn greet_admin(origin: &str, Admin { email, credit, key }: &Admin) -> Result<(), Failure> {
    let key = key.text.expose();
    say(format_args!(
        "  account    {email}, with ${credit} of credit"
    ))?;
    say(format_args!("  key        {key}  (shown this once)"))?;
    say("\nTry it:\n")?;
    say(format_args!("  curl {origin}/api/v1/chat/completions \\"))?;
    say(format_args!("    -H 'Authorization: Bearer {key}' \\"))?;
    say("    -H 'Content-Type: application/json' \\")?;
    say(
        "    -d '{\"model\": \"turnpike/echo\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello from the road\"}]}'\n",
    )
}
