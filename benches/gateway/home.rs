//! Where one Turnpike lives: its configuration, its data and its database, which outlive its process.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::Result;
use crate::database::{Database, Engine};
use crate::process::Process;

/// The home of one Turnpike, removed with this value.
pub(crate) struct Home {
    /// What it settles in.
    pub(crate) database: Database,
    folder: TempDir,
}

impl Home {
    /// A new one; `rest` is its configuration beside what every home has.
    pub(crate) async fn new(engine: Engine, rest: &str) -> Result<Home> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let database = Database::make(engine, &data).await?;
        let home = Home { database, folder };
        let head = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = \"{}\"\n[log]\nlevel = \"error\"\n[database]\nurl = \"{}\"\n",
            data.display(),
            home.database.url()
        );
        fs::write(home.config_file(), head + rest)?;
        Ok(home)
    }

    /// Starts the server, and says on which port it listens.
    pub(crate) fn serve(&self) -> Result<(Process, u16)> {
        Process::ready(&mut self.command(), listening)
    }

    /// A key with far more credit than a run spends.
    pub(crate) fn key(&self) -> Result<String> {
        self.run(&["credits", "grant", "--amount", "100000"])?;
        let key = self.run(&["keys", "create", "--name", "bench"])?;
        Ok(key["key"].as_str().unwrap_or_default().to_owned())
    }

    /// The ledger must add up after whatever happened here.
    pub(crate) fn verify(&self) -> Result<()> {
        let mut verify = self.command();
        verify.args(["ledger", "verify"]).stdout(Stdio::null());
        match verify.status()?.success() {
            true => Ok(()),
            false => Err("the ledger does not add up after the run".into()),
        }
    }

    fn run(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.command().args(arguments).arg("--json").output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{arguments:?}: {said}").into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The binary, reading this configuration.
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_turnpike"));
        command.env_clear().current_dir(self.folder.path());
        command.arg("--config").arg(self.config_file());
        command
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("turnpike.toml")
    }
}

/// The port in the line that says where Turnpike listens.
fn listening(line: &str) -> Option<u16> {
    let (_, address) = line.split_once("listening on http://")?;
    address.trim().rsplit_once(':')?.1.parse().ok()
}
