//! The server tool `openrouter:web_search`: the model asks, the gateway searches, one run pays for all steps.

mod answer;
mod leaving;
mod limits;
mod makers;
mod stops;
