//! The console's pages, as a browser without script sees them, and in a real one.

mod activity;
mod admin;
mod apps;
mod browser;
mod credits;
mod keys;
mod models;
mod playground;
mod roles;
mod screens;
mod start;
