//! Where answers cite what was found: the passage that an annotation names is the one that the provider names.

use serde_json::{Value, json};
use turnpike::domain::event::Message;
use turnpike::domain::json::JsonText;
use turnpike::wire::{WireName, wire};

use super::recordings::{are_the_fixtures, recordings};
use super::requests::{call, target};

/// The passages that a message cites, with the addresses of their sources.
fn passages(message: &Message) -> Vec<(String, String)> {
    let text = message.content.as_ref().map(JsonText::to_text);
    let text: Vec<char> = text.unwrap_or_default().chars().collect();
    let annotations: Vec<Value> = message
        .annotations
        .as_ref()
        .map_or_else(Vec::new, |raw| raw.parse().unwrap());
    let placed = annotations.iter().filter_map(|annotation| {
        let cited = &annotation["url_citation"];
        let index = |name: &str| usize::try_from(cited[name].as_u64()?).ok();
        let passage = &text[index("start_index")?..index("end_index")?];
        Some((passage.iter().collect(), cited["url"].as_str()?.to_owned()))
    });
    placed.collect()
}

#[test]
fn googles_passages_are_found_though_it_counts_bytes() {
    let question = call(&json!({"messages": []}));
    let endpoint = target(WireName::Gemini, "gemini-2.5-flash");
    let (mut seen, mut beyond_ascii) = (0, 0);
    for recording in recordings("gemini-generate") {
        let answer = &recording.response.body["candidates"][0];
        let grounding = &answer["groundingMetadata"];
        let Some(supports) = grounding["groundingSupports"].as_array() else {
            continue;
        };
        let mut expect: Vec<(String, String)> = Vec::new();
        for support in supports {
            for chunk in support["groundingChunkIndices"].as_array().unwrap() {
                let chunk = usize::try_from(chunk.as_u64().unwrap()).unwrap();
                let web = &grounding["groundingChunks"][chunk]["web"];
                if let Some(url) = web["uri"].as_str() {
                    let passage = support["segment"]["text"].as_str().unwrap();
                    expect.push((passage.to_owned(), url.to_owned()));
                    beyond_ascii += usize::from(!answer.to_string().is_ascii());
                }
            }
        }
        let wire = wire(WireName::Gemini).unwrap();
        let reply = wire
            .decode(&question, &endpoint, &recording.body().into())
            .unwrap();
        assert_eq!(
            passages(&reply.choices[0].message),
            expect,
            "{}",
            recording.name
        );
        seen += expect.len();
    }
    assert!(!are_the_fixtures() || (seen > 0 && beyond_ascii > 0));
}
