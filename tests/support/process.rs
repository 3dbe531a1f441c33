//! The binary itself, as an operator runs it: started, killed, started again, asked by its command line.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::task::spawn_blocking;
use turnpike::store::Database;

use super::db::TestDb;

/// A server process and what it was started with. Ends with this value.
pub(crate) struct Process {
    pub(crate) base: String,
    child: Child,
    folder: tempfile::TempDir,
    database_url: Option<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts the server with this configuration. With SQLite its data folder holds the database.
    pub(crate) async fn start(db: &TestDb, config: &str) -> Process {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let head = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = \"{}\"",
            data_dir.display()
        );
        let text = format!("{head}\n[log]\nlevel = \"warn\"\n{config}");
        std::fs::write(folder.path().join("turnpike.toml"), text).unwrap();
        let database_url = match &db.database {
            Database::Postgres { url, .. } => Some(url.expose().to_owned()),
            Database::Sqlite { .. } => None,
        };
        let (child, base) = spawn(&folder, database_url.as_deref()).await;
        Process {
            base,
            child,
            folder,
            database_url,
        }
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub(crate) async fn restart(&mut self) {
        (self.child, self.base) = spawn(&self.folder, self.database_url.as_deref()).await;
    }

    /// Stops it as `kill` does; it must drain and exit with 0.
    pub(crate) async fn terminate(mut self) {
        let id = self.child.id().to_string();
        let kill = move || Command::new("kill").args(["-TERM", &id]).status();
        assert!(spawn_blocking(kill).await.unwrap().unwrap().success());
        let ended = spawn_blocking(move || self.child.wait());
        assert!(ended.await.unwrap().unwrap().success());
    }

    /// Runs a command of the binary beside the server; it must succeed and print JSON.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Value {
        let mut command = command(&self.folder, self.database_url.as_deref());
        command.args(arguments);
        let output = spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }
}

async fn spawn(folder: &tempfile::TempDir, database_url: Option<&str>) -> (Child, String) {
    let mut child = command(folder, database_url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listening = move || {
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            line.split_once("listening on ")
                .map(|(_, address)| address.trim().to_owned())
        });
        // Read on, so that the server never waits for room in the pipe; ends with the server.
        std::thread::spawn(move || lines.for_each(drop));
        address.expect("the server ended before it listened")
    };
    let base = spawn_blocking(listening).await.unwrap();
    (child, base)
}

fn command(folder: &tempfile::TempDir, database_url: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnpike"));
    command
        .env_clear()
        .current_dir(folder.path())
        .arg("--config")
        .arg(folder.path().join("turnpike.toml"));
    if let Some(url) = database_url {
        command.env("DATABASE_URL", url);
    }
    command
}
