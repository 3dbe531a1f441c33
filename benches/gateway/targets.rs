//! The processes of a run: the mock provider, and nginx and Turnpike before it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tokio::net::TcpStream;

use crate::Result;
use crate::process::Process;
use crate::upstream::{self, Manner};

/// The processes of one run, ended with this value.
pub(crate) struct Bench {
    /// The floor: it forwards, and does nothing else.
    pub(crate) nginx: Target,
    /// What is measured.
    pub(crate) turnpike: Target,
    folder: tempfile::TempDir,
    _provider: Process,
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
}

impl Bench {
    /// Starts everything, on ports that the system chooses.
    pub(crate) async fn start() -> Result<Bench> {
        let folder = tempfile::tempdir()?;
        let mut provider = Command::new(std::env::current_exe()?);
        let (provider, port) =
            Process::ready(provider.arg(upstream::ROLE), |line| line.parse().ok())?;
        Ok(Bench {
            nginx: nginx(folder.path(), port).await?,
            turnpike: turnpike(folder.path(), port)?,
            folder,
            _provider: provider,
        })
    }

    /// The ledger must add up after all of this.
    pub(crate) fn verify(&self) -> Result<()> {
        let mut verify = command(self.folder.path());
        verify.args(["ledger", "verify"]).stdout(Stdio::null());
        match verify.status()?.success() {
            true => Ok(()),
            false => Err("the ledger does not add up after the run".into()),
        }
    }
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
    let process = Process::start(Command::new("nginx").arg("-c").arg(&config))
        .map_err(|error| format!("nginx, the floor of the comparison, does not start: {error}"))?;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::task::yield_now().await;
    }
    Ok(Target {
        name: "nginx",
        port,
        path: "/v1/chat/completions",
        key: "none".to_owned(),
        process,
    })
}

fn turnpike(folder: &Path, provider: u16) -> Result<Target> {
    let model = |manner: &Manner| {
        format!(
            "[[providers.models]]\nid = \"{0}\"\nupstream_model = \"{0}\"\n\
             pricing = {{ prompt = \"0.0000001\", completion = \"0.0000004\" }}\n",
            manner.model()
        )
    };
    let models: String = Manner::ALL.iter().map(model).collect();
    let provider = format!(
        "[log]\nlevel = \"warn\"\n[[providers]]\nslug = \"mock\"\nwire = \"openai\"\n\
         base_url = \"http://127.0.0.1:{provider}/v1\"\n{models}"
    );
    configure(folder, &provider)?;
    let (process, port) = Process::ready(&mut command(folder), listening)?;
    run(folder, &["credits", "grant", "--amount", "100000"])?;
    let key = run(folder, &["keys", "create", "--name", "bench"])?;
    Ok(Target {
        name: "Turnpike",
        port,
        path: "/api/v1/chat/completions",
        key: key["key"].as_str().unwrap_or_default().to_owned(),
        process,
    })
}

/// Writes the configuration of a server whose data lies in the folder.
pub(crate) fn configure(folder: &Path, rest: &str) -> Result<()> {
    let data = folder.join("data");
    let head = format!(
        "listen = \"127.0.0.1:0\"\ndata_dir = \"{}\"\n",
        data.display()
    );
    Ok(fs::write(config_file(folder), head + rest)?)
}

/// The binary, reading the folder's configuration.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnpike"));
    command.env_clear().current_dir(folder);
    command.arg("--config").arg(config_file(folder));
    command
}

/// The port in the line that says where Turnpike listens.
pub(crate) fn listening(line: &str) -> Option<u16> {
    let (_, address) = line.split_once("listening on http://")?;
    address.trim().rsplit_once(':')?.1.parse().ok()
}

fn config_file(folder: &Path) -> PathBuf {
    folder.join("turnpike.toml")
}

fn run(folder: &Path, arguments: &[&str]) -> Result<Value> {
    let output = command(folder).args(arguments).arg("--json").output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{arguments:?}: {said}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
