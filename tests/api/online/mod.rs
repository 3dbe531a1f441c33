//! `:online` and the `web` plugin: one search before the model, quoted, cited and charged once.

mod answer;
mod failure;
mod hostile;
mod models;
mod money;
mod native;
mod refused;
