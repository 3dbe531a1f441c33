//! From the command to the first answer, and what a server that does nothing holds.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::Result;
use crate::database::Engine;
use crate::home::Home;
use crate::load::Times;
use crate::wire::Reader;

/// A start on a database that is there already.
pub(crate) struct Start {
    /// From exec to the first answer, the median of the starts.
    pub(crate) first_answer: Duration,
    /// Resident memory after that answer, in kB.
    pub(crate) memory: u64,
    /// The binary's size in bytes.
    pub(crate) binary: u64,
}

/// Starts the server a few times.
pub(crate) async fn measure() -> Result<Start> {
    const STARTS: usize = 5;
    let home = Home::new(Engine::Sqlite, "").await?;
    let (mut times, mut memory) = (Vec::new(), 0);
    // The first start makes the database, and does not count.
    for start in 0..=STARTS {
        let begun = Instant::now();
        let (server, port) = home.serve()?;
        let mut reader = Reader::new(TcpStream::connect(("127.0.0.1", port)).await?);
        let request = b"GET /api/v1/models/count HTTP/1.1\r\nhost: bench\r\n\r\n";
        reader.stream().write_all(request).await?;
        let answer = reader.answer().await?;
        if answer.status != 200 {
            return Err(format!("the first answer is {}: {}", answer.status, answer.text).into());
        }
        if start > 0 {
            times.push(crate::load::micros(begun.elapsed()));
        }
        memory = server.tree().memory();
    }
    Ok(Start {
        first_answer: Duration::from_micros(Times::percentile(&times, 50)),
        memory,
        binary: std::fs::metadata(env!("CARGO_BIN_EXE_turnpike"))?.len(),
    })
}
