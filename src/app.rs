//! Builds each long-lived part once, hands it to who uses it, and takes it down in order.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::health::Healths;
use crate::attempt::judge::Judge;
use crate::attempt::run::Upstreams;
use crate::auth::{Auth, FreeLimits, People};
use crate::catalog::Catalog;
use crate::clock::now_ms;
use crate::config::Config;
use crate::console::admin::Settings;
use crate::console::visit::Site;
use crate::cores::Cores;
use crate::edge::error::Links;
use crate::edge::extract::BodyLimit;
use crate::edge::load::Load;
use crate::edge::manage::models::Listing;
use crate::edge::metrics::MetricsPage;
use crate::edge::skins::StreamStyle;
use crate::gateway::{Books, Gateway, HealthKeeper, Outside};
use crate::ledger::{Ledger, LedgerSettings, retention};
use crate::oidc::Issuers;
use crate::plugin::web::WebSearch;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::transport::{Transport, TransportError};

/// Everything a handler may ask for. Handlers take the slice they use. Cloning shares all of it, and costs no more than
/// that: it is done for every request.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// Who calls.
    pub auth: Auth,
    /// People, and who of them is signed in.
    pub people: People,
    /// With whose accounts people may sign in.
    pub issuers: Issuers,
    /// How browsers reach this server.
    pub site: Site,
    /// What can be served.
    pub catalog: Catalog,
    /// What can be served, ready to be shown.
    pub listing: Listing,
    /// How those who serve do.
    pub healths: Healths,
    /// The journey.
    pub gateway: Gateway,
    /// Rows.
    pub store: Store,
    /// How loaded the process is.
    pub load: Load,
    /// The largest request body.
    pub body_limit: BodyLimit,
    /// How streams are written.
    pub stream_style: StreamStyle,
    /// Where our pages are, for errors.
    pub links: Links,
    /// Counts for the operator, and who may see them.
    pub metrics: MetricsPage,
    /// What the gateway was configured with, for admins to see.
    pub settings: Settings,
    running: Running,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Lets handlers take a part by its type.
macro_rules! hand_out {
    ($($part:ident: $kind:ty),+ $(,)?) => {$(
        impl FromRef<App> for $kind {
            fn from_ref(app: &App) -> Self {
                app.$part.clone()
            }
        }
    )+};
}

hand_out!(
    auth: Auth,
    people: People,
    issuers: Issuers,
    site: Site,
    catalog: Catalog,
    listing: Listing,
    healths: Healths,
    gateway: Gateway,
    store: Store,
    load: Load,
    body_limit: BodyLimit,
    stream_style: StreamStyle,
    links: Links,
    metrics: MetricsPage,
    settings: Settings,
);

/// What goes on in the background, and how to end it.
struct Running {
    ledger: Ledger,
    /// The journeys under way.
    journeys: TaskTracker,
    /// Work that goes on without a request: the ledger's writer, the watch on key changes.
    background: TaskTracker,
    stop: CancellationToken,
    /// Ends what goes on for callers who left.
    hurry: CancellationToken,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The outbound side could not be set up.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The ledger could not be opened.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::OpenError),
    /// The secret that signs sessions, or how far the keys have changed, could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the server cannot take requests now.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// It is shutting down.
    #[error("the server is shutting down")]
    Closing,
    /// The database does not answer.
    #[error("the database does not answer")]
    Store(#[from] StoreError),
}

impl App {
    /// Builds the parts over an open store and a loaded catalogue, for requests that come on `cores`.
    pub async fn build(
        config: &Config,
        store: Store,
        catalog: Catalog,
        cores: &Cores,
    ) -> Result<App, StartError> {
        let (journeys, background) = (TaskTracker::new(), TaskTracker::new());
        let (stop, hurry) = (CancellationToken::new(), CancellationToken::new());
        let metrics = Metrics::default();
        let settings = LedgerSettings {
            commits: metrics.commits(),
            ..LedgerSettings::from(config)
        };
        let ledger = Ledger::start(store.clone(), settings, &background).await?;
        if let Some(days) = config.ledger.keep_generations_days {
            retention::start(store.clone(), days, &background, stop.clone());
        }
        let auth = Auth::start(store.clone(), &background, stop.clone()).await?;
        let people = People::start(store.clone(), config.people.sign_up, now_ms()).await?;
        let judge = Judge::start(&background, stop.clone());
        let transport = Transport::new(&config.media.networks)?;
        let web = WebSearch::new(transport.clone(), config.web.clone());
        let issuers = Issuers::new(transport.clone(), &config.people.issuers);
        let upstreams = Upstreams::new(transport, config.routing, judge);
        let healths = upstreams.healths().clone();
        HealthKeeper::start(store.clone(), healths.clone(), &background, stop.clone()).await;
        let gateway = Gateway::new(
            catalog.clone(),
            Books::new(ledger.clone(), metrics.clone()),
            FreeLimits::new(
                store.clone(),
                config.free_models.quota,
                config.free_models.exempt.clone(),
            ),
            Outside { upstreams, web },
            config.default_model.as_deref(),
            journeys.clone(),
            hurry.clone(),
        );
        Ok(App(Arc::new(Parts {
            auth,
            people,
            issuers,
            site: Site::from(config),
            listing: Listing::new(catalog.clone(), healths.clone()),
            healths,
            catalog,
            gateway,
            load: Load::watch(
                cores,
                config.http.overload_after,
                metrics.clone(),
                &background,
                &stop,
            ),
            body_limit: BodyLimit(config.http.body_limit),
            stream_style: StreamStyle {
                keep_alive: config.http.keep_alive,
                links: Links::from(config),
            },
            links: Links::from(config),
            metrics: MetricsPage {
                metrics,
                token: config.metrics_token.clone(),
                runtimes: cores
                    .runtimes()
                    .cloned()
                    .chain([Handle::current()])
                    .chain(store.settling().cloned())
                    .collect(),
            },
            settings: Settings::from(config),
            store,
            running: Running {
                ledger,
                journeys,
                background,
                stop,
                hurry,
            },
        })))
    }

    /// Whether requests can be served.
    pub async fn ready(&self) -> Result<(), NotReady> {
        if self.running.journeys.is_closed() {
            return Err(NotReady::Closing);
        }
        Ok(self.store.ping().await?)
    }

    /// Ends the parts in the order that loses nothing: journeys first, which may still settle, then
    /// the ledger, which commits what is queued, then the rest.
    pub async fn stop(&self, patience: Duration) {
        let Running {
            ledger,
            journeys,
            background,
            stop,
            hurry,
        } = &self.running;
        journeys.close();
        if tokio::time::timeout(patience, journeys.wait())
            .await
            .is_err()
        {
            tracing::warn!("requests were still running when the drain timeout passed");
        }
        // What was generated for callers who left is charged as far as it came: the ledger waits for that.
        hurry.cancel();
        ledger.close().await;
        stop.cancel();
        background.close();
        background.wait().await;
        self.store.close().await;
    }
}
