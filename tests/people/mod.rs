//! People and their applications: accounts, sessions, consent, pages, and who may use which route.

mod accounts;
mod elsewhere;
mod oauth;
mod security;
