//! The processes of a run: the mock provider, and nginx and Turnpike before it.

use std::fs;
use std::path::Path;
use std::process::Command;

use tokio::net::TcpStream;

use crate::Result;
use crate::database::Engine;
use crate::home::Home;
use crate::load::Client;
use crate::process::{Process, Tree};
use crate::upstream::{self, Manner};

/// Who sends this may see what Turnpike counts.
pub(crate) const METRICS_TOKEN: &str = "bench";

/// The processes of one run, ended with this value.
pub(crate) struct Bench {
    /// The floor: it forwards, and does nothing else.
    pub(crate) nginx: Target,
    /// What is measured.
    pub(crate) turnpike: Target,
    home: Home,
    _provider: Provider,
    _folder: tempfile::TempDir,
}

/// A proxy to send requests to.
pub(crate) struct Target {
    /// Its name in messages.
    pub(crate) name: &'static str,
    /// Its port on loopback.
    pub(crate) port: u16,
    /// Where it takes chat completions.
    pub(crate) path: &'static str,
    /// The caller's key.
    pub(crate) key: String,
    /// What is measured.
    pub(crate) process: Process,
    /// Whether it keeps a ledger.
    pub(crate) bills: bool,
    /// The database server that works for it, where there is one.
    pub(crate) database: Option<Tree>,
}

/// The mock provider.
pub(crate) struct Provider {
    port: u16,
    _process: Process,
}

impl Bench {
    /// Starts everything, on ports that the system chooses.
    pub(crate) async fn start(engine: Engine) -> Result<Bench> {
        let folder = tempfile::tempdir()?;
        let provider = Provider::start()?;
        let home = Home::new(engine, &provider.config()).await?;
        Ok(Bench {
            nginx: Target::nginx(folder.path(), provider.port).await?,
            turnpike: Target::turnpike(&home)?,
            home,
            _provider: provider,
            _folder: folder,
        })
    }

    /// The ledger must add up after all of this.
    pub(crate) fn verify(&self) -> Result<()> {
        self.home.verify()
    }
}

impl Provider {
    /// Starts it.
    pub(crate) fn start() -> Result<Provider> {
        let mut command = Command::new(std::env::current_exe()?);
        let (process, port) =
            Process::ready(command.arg(upstream::ROLE), |line| line.parse().ok())?;
        Ok(Provider {
            port,
            _process: process,
        })
    }

    /// What Turnpike is told of it. A model that one provider answers badly has a second, which answers well.
    pub(crate) fn config(&self) -> String {
        let provider = |slug: &str, models: String| {
            let port = self.port;
            format!(
                "[[providers]]\nslug = \"{slug}\"\nwire = \"openai\"\nbase_url = \"http://127.0.0.1:{port}/v1\"\n{models}"
            )
        };
        let model = |id: Manner, upstream: Manner| {
            let (id, upstream) = (id.model(), upstream.model());
            format!(
                "[[providers.models]]\nid = \"{id}\"\nupstream_model = \"{upstream}\"\n\
                 pricing = {{ prompt = \"0.0000001\", completion = \"0.0000004\" }}\n"
            )
        };
        let well = Manner::ALL.map(|manner| model(manner, manner.mended()));
        let ill = Manner::ALL.into_iter().filter(|manner| manner.is_broken());
        let ill: String = ill.map(|manner| model(manner, manner)).collect();
        format!(
            "[metrics]\ntoken = \"{METRICS_TOKEN}\"\n{}{}",
            provider("mock", well.concat()),
            provider(upstream::ILL, ill)
        )
    }
}

/// The commits so far: how many took at most so many seconds, as Prometheus counts them.
#[derive(Default)]
pub(crate) struct Commits(Vec<(f64, f64)>);

impl Commits {
    fn read(metrics: &str) -> Self {
        let lines = metrics.lines();
        let buckets =
            lines.filter_map(|line| line.strip_prefix("turnpike_commit_seconds_bucket{le=\""));
        let bucket = |line: &str| {
            let (most, count) = line.split_once("\"}")?;
            Some((most.parse().ok()?, count.trim().parse().ok()?))
        };
        Commits(buckets.filter_map(bucket).collect())
    }

    /// What those since then took at most, all but this share of them, in microseconds. Within a bucket they count as
    /// spread evenly.
    pub(crate) fn since(&self, before: &Commits, share: f64) -> u64 {
        let earlier = before.0.iter().map(|(_, count)| count);
        let counts = self.0.iter().zip(earlier.chain(std::iter::repeat(&0.0)));
        let counts: Vec<(f64, f64)> = counts
            .map(|((most, count), earlier)| (*most, count - earlier))
            .collect();
        let wanted = counts.last().map_or(0.0, |(_, all)| all * share);
        let (mut least, mut below) = (0.0, 0.0);
        for (most, count) in counts {
            if count >= wanted && count > below && most.is_finite() {
                let within = (wanted - below) / (count - below);
                return ((least + (most - least) * within) * 1e6) as u64;
            }
            (least, below) = (most, count);
        }
        0
    }
}

impl Target {
    /// What the server counts, as Prometheus reads it.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {METRICS_TOKEN}\r\n\r\n"
        );
        let mut client = Client::connect(self).await?;
        client.text(request.as_bytes()).await
    }

    /// The commits so far: none of what has no ledger.
    pub(crate) async fn commits(&self) -> Result<Commits> {
        if !self.bills {
            return Ok(Commits::default());
        }
        Ok(Commits::read(&self.metrics().await?))
    }

    /// Turnpike, started in its home, with a key made for it.
    pub(crate) fn turnpike(home: &Home) -> Result<Target> {
        let (process, port) = home.serve()?;
        Ok(Target {
            name: "Turnpike",
            port,
            path: "/api/v1/chat/completions",
            key: home.key()?,
            process,
            bills: true,
            database: home.database.server(),
        })
    }

    async fn nginx(folder: &Path, provider: u16) -> Result<Target> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let config = folder.join("nginx.conf");
        let place = folder.display();
        fs::write(
            &config,
            format!(
                "worker_processes 2; daemon off; pid {place}/nginx.pid; error_log stderr crit;\n\
                 worker_rlimit_nofile 65536; events {{ worker_connections 30000; }}\n\
                 http {{ access_log off; client_max_body_size 32m; client_body_buffer_size 256k;\n\
                 client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;\n\
                 uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi; keepalive_requests 100000000;\n\
                 upstream provider {{ server 127.0.0.1:{provider}; keepalive 512; keepalive_requests 100000000; }}\n\
                 server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://provider;\n\
                 proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; proxy_read_timeout 600s; }} }} }}\n"
            ),
        )?;
        let process =
            Process::start(Command::new("nginx").arg("-c").arg(&config)).map_err(|error| {
                format!("nginx, the floor of the comparison, does not start: {error}")
            })?;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
        Ok(Target {
            name: "nginx",
            port,
            path: "/v1/chat/completions",
            key: "none".to_owned(),
            process,
            bills: false,
            database: None,
        })
    }
}
