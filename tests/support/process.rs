//! The binary itself, as an operator runs it: started, killed, started again, asked by its command line.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::task::spawn_blocking;
use turnpike::domain::ids::KeyHash;
use turnpike::domain::secret::Secret;
use turnpike::store::{Database, Key, Store};

use super::db::TestDb;

/// Where a talking server logs, in its folder.
const LOG: &str = "log";

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
        Process::start_on(&db.database, config).await
    }

    /// As [`Process::start`], and says everything there is to say in a log that [`Process::log`] reads.
    pub(crate) async fn start_talking(db: &TestDb, config: &str) -> Process {
        Process::start_as(&db.database, "trace", config).await
    }

    /// As [`Process::start`], on a database that is no test's own.
    pub(crate) async fn start_on(database: &Database, config: &str) -> Process {
        Process::start_as(database, "warn", config).await
    }

    async fn start_as(database: &Database, level: &str, config: &str) -> Process {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let head = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = \"{}\"",
            data_dir.display()
        );
        let text = format!("{head}\n[log]\nlevel = \"{level}\"\n{config}");
        std::fs::write(folder.path().join("turnpike.toml"), text).unwrap();
        let database_url = match database {
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

    /// What a server that was started to talk has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap()
    }

    /// Every file of the data folder, one after the other.
    pub(crate) fn data(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path().join("data")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        paths
            .filter(|path| path.is_file())
            .flat_map(|path| std::fs::read(path).unwrap())
            .collect()
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

    /// How many bytes of settlements wait for the database.
    pub(crate) fn spooled(&self) -> u64 {
        let spool = self.folder.path().join("data/settlements.spool");
        std::fs::metadata(spool).unwrap().len()
    }

    /// The database that the server works on.
    pub(crate) async fn store(&self) -> Store {
        let database = match &self.database_url {
            Some(url) => Database::Postgres {
                url: Secret::new(url),
                connections: 2,
            },
            None => Database::Sqlite {
                file: self.folder.path().join("data/turnpike.db"),
            },
        };
        Store::open(&database).await.unwrap()
    }

    /// Replaces a part of the configuration, for the next start and for commands.
    pub(crate) fn reconfigure(&self, part: &str, by: &str) {
        let file = self.folder.path().join("turnpike.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(part), "{text}");
        std::fs::write(file, text.replace(part, by)).unwrap();
    }

    /// Runs a command of the binary beside the server; it must succeed and print JSON.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Value {
        let out = self.print(arguments).await;
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }

    /// Runs a command of the binary beside the server; it must succeed.
    pub(crate) async fn print(&self, arguments: &[&str]) -> String {
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
        out.into_owned()
    }
}

/// A key as it is stored, by its text.
pub(crate) async fn stored_key(store: &Store, key: &str) -> Key {
    let hash = KeyHash::of(key);
    let known = store.known_key(&hash).await.unwrap().unwrap();
    let account = &known.principal.account;
    store.key(account, &hash).await.unwrap().unwrap()
}

async fn spawn(folder: &tempfile::TempDir, database_url: Option<&str>) -> (Child, String) {
    let mut command = command(folder, database_url);
    let config = std::fs::read_to_string(folder.path().join("turnpike.toml")).unwrap();
    if config.contains("level = \"trace\"") {
        command.stderr(std::fs::File::create(folder.path().join(LOG)).unwrap());
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
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
