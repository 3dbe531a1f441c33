//! The model list as an RSS feed (contract 13.1), newest first as feeds are.

use std::cmp::Reverse;
use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::query::Feed;
use crate::catalog::snapshot::Model;

/// Writes the feed. `origin` is where links lead, such as `https://gateway.example`.
pub(in crate::edge) fn write(feed: Feed, mut models: Vec<&Model>, origin: &str) -> String {
    models.sort_by_key(|model| Reverse(model.created));
    let mut xml =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\"><channel>");
    element(&mut xml, "title", "Models");
    element(&mut xml, "link", &format!("{origin}/models"));
    element(&mut xml, "description", "Models this gateway serves");
    for model in models {
        xml.push_str("\n<item>");
        element(&mut xml, "title", &model.name);
        element(&mut xml, "link", &link(feed, model, origin));
        let _ = write!(
            xml,
            "<guid isPermaLink=\"false\">{}</guid>",
            escaped(model.id.as_str())
        );
        element(
            &mut xml,
            "description",
            model.description.as_deref().unwrap_or(&model.name),
        );
        if let Some(date) = model.created.and_then(|created| {
            OffsetDateTime::from_unix_timestamp(created)
                .ok()?
                .format(&Rfc2822)
                .ok()
        }) {
            element(&mut xml, "pubDate", &date);
        }
        xml.push_str("</item>");
    }
    xml.push_str("\n</channel></rss>\n");
    xml
}

fn link(feed: Feed, model: &Model, origin: &str) -> String {
    match feed {
        Feed::Models => format!("{origin}/models/{}", model.id),
        Feed::Chats => format!("{origin}/chat?models={}", model.id),
    }
}

fn element(xml: &mut String, name: &str, text: &str) {
    // Writing to a string cannot fail.
    let _ = write!(xml, "<{name}>{}</{name}>", escaped(text));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
