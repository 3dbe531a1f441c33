//! Runs the binary in a place of its own, with no variable of ours set.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A working directory.
pub(super) struct Place(TempDir);

/// What a command did.
pub(super) struct Done {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

/// A server that runs until it is dropped or stopped.
pub(super) struct Server {
    child: Child,
    out: String,
    rest: BufReader<ChildStdout>,
}

impl Place {
    pub(super) fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Where the data directory is by default.
    pub(super) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Done {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Starts a server on a port of the system's choice, and waits until it says that it listens.
    pub(super) fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = self.command(&["--listen", "127.0.0.1:0"]);
        let mut child = command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut rest = BufReader::new(child.stdout.take().unwrap());
        let mut out = String::new();
        while !out.contains("listening on http://") {
            assert_ne!(
                rest.read_line(&mut out).unwrap(),
                0,
                "the server ended: {out}"
            );
        }
        Server { child, out, rest }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_turnpike"));
        command
            .current_dir(self.0.path())
            .args(arguments)
            .stdin(Stdio::null());
        let ours = |name: &str| {
            name.starts_with("TURNPIKE_") || name.ends_with("_API_KEY") || name == "DATABASE_URL"
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command
    }
}

impl Done {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|_| panic!("exit code {}: {}{}", self.code, self.out, self.err))
    }
}

impl Server {
    /// Everything printed up to the line that says where it listens.
    pub(super) fn out(&self) -> &str {
        &self.out
    }

    /// What was printed after `before`.
    pub(super) fn printed(&self, before: &str) -> &str {
        self.out.split_once(before).unwrap().1
    }

    pub(super) fn address(&self) -> String {
        self.printed("listening on http://").trim().to_owned()
    }

    pub(super) fn chat_url(&self) -> String {
        format!("http://{}/api/v1/chat/completions", self.address())
    }

    /// Asks the server to stop and waits for its exit code.
    pub(super) fn stop(mut self) -> i32 {
        let stopped = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(stopped.success());
        let mut after = String::new();
        self.rest.read_to_string(&mut after).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Posts JSON as curl would, and returns status and body.
pub(super) fn post(url: &str, key: &str, body: &str) -> (u16, String) {
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /{path} HTTP/1.0\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

/// Whether something comes true within a few seconds.
pub(super) fn until(mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}
