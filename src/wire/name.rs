//! The protocols by name: what a catalogue or a configuration may write, and where each has its key.

use super::wire;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireName {
    /// OpenAI's chat completions and completions.
    Openai,
    /// The same at Azure's deployments, by API version.
    Azure,
    /// OpenAI's Responses API.
    Responses,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// The same at Vertex AI.
    Vertex,
    /// Anthropic's models at Vertex AI.
    VertexAnthropic,
    /// Chat completions at Vertex AI.
    VertexOpenai,
    /// Amazon Bedrock's Converse API.
    Bedrock,
    /// Cohere's second API.
    Cohere,
    /// IBM's.
    Watsonx,
    /// Replicate's.
    Replicate,
}

/// Where a request carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of its own.
    Header(&'static str),
    /// A signature, or `Authorization: Bearer …` where the key is a token.
    Amazon,
    /// `Authorization: Bearer …` with a token, or with one that the key of a service account is traded for.
    Google,
}

/// Name, protocol, and where the key goes unless the catalogue says otherwise.
const TABLE: [(&str, WireName, KeyPlace); 12] = [
    ("openai", WireName::Openai, KeyPlace::Bearer),
    ("azure", WireName::Azure, KeyPlace::Header("api-key")),
    ("responses", WireName::Responses, KeyPlace::Bearer),
    (
        "anthropic",
        WireName::Anthropic,
        KeyPlace::Header("x-api-key"),
    ),
    (
        "gemini",
        WireName::Gemini,
        KeyPlace::Header("x-goog-api-key"),
    ),
    ("vertex", WireName::Vertex, KeyPlace::Google),
    (
        "vertex-anthropic",
        WireName::VertexAnthropic,
        KeyPlace::Google,
    ),
    ("vertex-openai", WireName::VertexOpenai, KeyPlace::Google),
    ("bedrock", WireName::Bedrock, KeyPlace::Amazon),
    ("cohere", WireName::Cohere, KeyPlace::Bearer),
    ("watsonx", WireName::Watsonx, KeyPlace::Bearer),
    ("replicate", WireName::Replicate, KeyPlace::Bearer),
];

impl WireName {
    /// The protocol that `name` is; `None` for a name nobody has.
    pub fn named(name: &str) -> Option<Self> {
        let entry = TABLE.iter().find(|(known, ..)| *known == name);
        entry.map(|(_, wire, _)| *wire)
    }

    /// Every name that a catalogue may use.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(name, ..)| *name)
    }

    /// Whether this build speaks it.
    pub fn is_spoken(self) -> bool {
        wire(self).is_some()
    }

    /// Where the key goes unless the catalogue says otherwise.
    pub fn key_place(self) -> KeyPlace {
        let entry = TABLE.iter().find(|(_, wire, _)| *wire == self);
        entry.map_or(KeyPlace::Bearer, |(.., place)| *place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_one_name() {
        for (name, wire, place) in TABLE {
            assert_eq!(WireName::named(name), Some(wire));
            assert_eq!(wire.key_place(), place, "{name}");
        }
        assert_eq!(WireName::named("openal"), None);
    }
}
