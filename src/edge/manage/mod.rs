//! The resources around inference: one file each.

pub mod models;
pub mod providers;
