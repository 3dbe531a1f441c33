//! The console's pages, as a browser without script sees them.

mod activity;
mod admin;
mod apps;
mod credits;
mod keys;
mod models;
mod playground;
mod roles;
mod start;
