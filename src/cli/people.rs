//! `users password`, `users link` and `users invite`: ways in for people who cannot sign in yet.

use std::io::{self, IsTerminal as _};

use serde::Serialize;

use super::Failure;
use super::health::reachable;
use super::output::Output;
use super::setup::{Setup, account};
use crate::auth::People;
use crate::clock::now_ms;
use crate::config::Config;
use crate::domain::secret::Secret;
use crate::store::Store;

#[derive(Serialize)]
struct Link {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    url: String,
}

#[derive(Serialize)]
struct Changed {
    email: String,
}

/// Sets an account's password to a line of standard input, and signs it out everywhere.
pub(super) async fn password(
    email: Option<&str>,
    setup: &Setup,
    out: &Output,
) -> Result<(), Failure> {
    let store = setup.open().await?;
    let account = account(&store, email).await?;
    let password = read_password(&account.email)?;
    let people = people(&store, setup).await?;
    people
        .set_password(&account.id, &password)
        .await
        .map_err(Failure::other)?;
    let email = account.email;
    out.print(&Changed { email }, |changed| {
        format!(
            "{} has a new password and is signed out everywhere",
            changed.email
        )
    })
}

/// Prints a link with which an account's password can be set, once.
pub(super) async fn link(email: Option<&str>, setup: &Setup, out: &Output) -> Result<(), Failure> {
    let store = setup.open().await?;
    let account = account(&store, email).await?;
    let people = people(&store, setup).await?;
    let secret = people
        .password_link(&account.id, now_ms())
        .await
        .map_err(Failure::other)?;
    let url = format!("{}/password/{}", origin(&setup.config), secret.expose());
    let email = Some(account.email);
    out.print(&Link { email, url }, |link| {
        format!("{}  (works once, for a day)", link.url)
    })
}

/// Prints a link with which somebody can make an account, once.
pub(super) async fn invite(setup: &Setup, out: &Output) -> Result<(), Failure> {
    let store = setup.open().await?;
    let people = people(&store, setup).await?;
    let secret = people.invitation(now_ms()).await.map_err(Failure::other)?;
    let url = format!(
        "{}/sign-up?invitation={}",
        origin(&setup.config),
        secret.expose()
    );
    out.print(&Link { email: None, url }, |link| {
        format!("{}  (works once, for a week)", link.url)
    })
}

async fn people(store: &Store, setup: &Setup) -> Result<People, Failure> {
    People::start(store.clone(), setup.config.people.sign_up, now_ms())
        .await
        .map_err(Failure::other)
}

/// How people reach the server, as far as the configuration says.
fn origin(config: &Config) -> String {
    config.public_url.as_ref().map_or_else(
        || format!("http://{}", reachable(config.listen)),
        |url| url.as_str().to_owned(),
    )
}

/// A password on the command line would stay in the shell's history, so it is read from standard input.
fn read_password(email: &str) -> Result<Secret, Failure> {
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        return Err(Failure::Other(format!(
            "pipe the password for {email} in, or print a link to set it in a browser: turnpike users link --account {email}"
        )));
    }
    let mut line = String::new();
    io::BufRead::read_line(&mut input, &mut line).map_err(Failure::other)?;
    Ok(Secret::verbatim(line.trim_end_matches(['\n', '\r'])))
}
