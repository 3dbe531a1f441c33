//! The API as clients meet it: a real server, real HTTP, both databases. Files mirror the routes.

mod chat;
mod completions;
mod embeddings;
mod errors;
mod failover;
mod media;
mod messages;
mod metrics;
mod money;
mod online;
mod rerank;
mod responses;
mod search_tool;
