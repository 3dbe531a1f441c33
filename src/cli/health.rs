//! `health`: asks the server whether it is alive, for images that have no other program to ask with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Failure;
use super::output::Output;
use super::setup::Setup;

const PATIENCE: Duration = Duration::from_secs(4);

pub(super) async fn health(setup: &Setup, out: &Output) -> Result<(), Failure> {
    let address = reachable(setup.config.listen);
    let asked = timeout(PATIENCE, ask(address)).await;
    match asked {
        Ok(Ok(200)) => out.print(&json!({ "healthy": true, "address": address }), |_| {
            format!("http://{address} is alive")
        }),
        Ok(Ok(status)) => Err(Failure::Other(format!("http://{address} answers {status}"))),
        Ok(Err(error)) => Err(Failure::Other(format!(
            "http://{address} does not answer: {error}"
        ))),
        Err(_) => Err(Failure::Other(format!(
            "http://{address} did not answer in {} s",
            PATIENCE.as_secs()
        ))),
    }
}

/// An address that means every interface is one to listen on, not one to connect to.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

/// The status of `GET /healthz`. One line of HTTP is less than an HTTP client.
async fn ask(address: SocketAddr) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(
            format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        )
        .await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    let status = head
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("this is not an HTTP server"))
}
