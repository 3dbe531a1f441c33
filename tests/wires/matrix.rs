//! Every form that clients speak over every protocol that providers speak: what was recorded of a provider reaches the
//! client, plain and streamed, whichever form it asks in. A cell of the table that no recording fills has a reason.

use serde_json::{Value, json};
use turnpike::domain::call::Form;

use super::api::{APIS, Api};
use super::meaning::Said;
use super::recordings::{Recording, are_the_fixtures, recordings};
use super::served::serving_with;
use super::skins::{SKINS, Skin};
use super::vertex::{service_account, tokens};
use crate::support::client::Answer;
use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Step, Upstream};

/// A protocol of providers.
struct Row {
    wire: &'static str,
    key: &'static str,
    /// Whose answers, where others speak the protocol too.
    provider: Option<&'static str>,
    apis: &'static [&'static str],
    /// Cells without a recording: feature, plain or streamed, reason.
    empty: &'static [(Feature, Way, &'static str)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    Text,
    Tool,
    ParallelTools,
    Reasoning,
    Image,
    Schema,
    Length,
    Refusal,
    ErrorBefore,
    ErrorInside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Plain,
    Streamed,
    Both,
}

use Feature::{
    ErrorBefore, ErrorInside, Image, Length, ParallelTools, Reasoning, Refusal, Schema, Text, Tool,
};

const FEATURES: [Feature; 10] = [
    Text,
    Tool,
    ParallelTools,
    Reasoning,
    Image,
    Schema,
    Length,
    Refusal,
    ErrorBefore,
    ErrorInside,
];

/// Stands for the key of a service account, which names the address that gives tokens for it.
const SERVICE_ACCOUNT: &str = "";

const AMAZON: &str = r#"{"accessKeyId": "AKID", "secretAccessKey": "hush", "region": "eu-west-1"}"#;

const ROWS: &[Row] = &[
    Row {
        wire: "openai",
        key: "sk-1",
        provider: None,
        apis: &["openai-chat"],
        empty: &[],
    },
    Row {
        wire: "azure",
        key: "az-1",
        provider: Some("azure"),
        apis: &["openai-chat"],
        empty: &[
            (Tool, Way::Plain, "none was recorded at Azure"),
            (ParallelTools, Way::Streamed, "none was recorded at Azure"),
            (
                Reasoning,
                Way::Streamed,
                "one too long for the fixtures was recorded",
            ),
            (Length, Way::Both, "none was recorded at Azure"),
            (Refusal, Way::Both, "none was recorded at Azure"),
        ],
    },
    Row {
        wire: "anthropic",
        key: "sk-ant-1",
        provider: None,
        apis: &["anthropic-messages"],
        empty: &[(Refusal, Way::Both, "none was recorded at Anthropic")],
    },
    Row {
        wire: "responses",
        key: "sk-1",
        provider: None,
        apis: &["openai-responses"],
        empty: &[
            (Length, Way::Plain, "none was recorded of Responses"),
            (Refusal, Way::Both, "none was recorded of Responses"),
        ],
    },
    Row {
        wire: "bedrock",
        key: AMAZON,
        provider: None,
        apis: &["bedrock-converse", "bedrock-converse-stream"],
        empty: &[
            (ParallelTools, Way::Plain, "none was recorded at Amazon"),
            (Reasoning, Way::Streamed, "none was recorded at Amazon"),
            (Length, Way::Streamed, "none was recorded at Amazon"),
            (Refusal, Way::Streamed, "none was recorded at Amazon"),
        ],
    },
    Row {
        wire: "cohere",
        key: "co-1",
        provider: None,
        apis: &["cohere-v2-chat"],
        empty: &[(Refusal, Way::Both, "Cohere refuses in plain words")],
    },
    Row {
        wire: "gemini",
        key: "AIza-1",
        provider: None,
        apis: GEMINIS,
        empty: NONE_OF_GEMINI,
    },
    // Vertex AI answers as the maker of the model does, whose recordings serve here too.
    Row {
        wire: "vertex",
        key: SERVICE_ACCOUNT,
        provider: None,
        apis: GEMINIS,
        empty: NONE_OF_GEMINI,
    },
    Row {
        wire: "vertex-anthropic",
        key: SERVICE_ACCOUNT,
        provider: None,
        apis: &["anthropic-messages"],
        empty: &[(Refusal, Way::Both, "none was recorded at Anthropic")],
    },
    Row {
        wire: "vertex-openai",
        key: SERVICE_ACCOUNT,
        provider: None,
        apis: &["openai-chat"],
        empty: &[],
    },
];

const GEMINIS: &[&str] = &["gemini-generate", "gemini-stream"];

const NONE_OF_GEMINI: &[(Feature, Way, &str)] = &[
    (
        Reasoning,
        Way::Streamed,
        "none without a call was recorded at Google",
    ),
    (Refusal, Way::Streamed, "none was recorded at Google"),
];

/// What the upstream answers, and what that says.
struct Case {
    status: u16,
    media_type: String,
    body: Vec<u8>,
    says: Option<Said>,
}

impl Row {
    fn recordings(&self) -> Vec<(&'static Api, Recording)> {
        let apis = APIS
            .iter()
            .filter(|api| self.apis.contains(&api.folder) && api.form == Form::Chat);
        let of = |api: &'static Api| {
            recordings(api.folder)
                .into_iter()
                .map(move |one| (api, one))
        };
        let all = apis.flat_map(of);
        let theirs = |one: &Recording| self.provider.is_none_or(|name| name == one.provider);
        all.filter(|(_, one)| theirs(one)).collect()
    }

    /// A recording that shows the feature; `None` for an empty cell.
    fn case(&self, all: &[(&Api, Recording)], feature: Feature, streamed: bool) -> Option<Case> {
        all.iter().find_map(|(api, one)| {
            let fails = feature == ErrorBefore;
            if one.succeeded() == fails || (!fails && one.streamed() != streamed) {
                return None;
            }
            if fails {
                let told = (api.error)(one)?;
                // A prompt that is too long is no error in Responses (contract 5.6).
                return (!told.0.contains("context")).then(|| Case::of(one, None));
            }
            // What is said in one breath has no inside either.
            let inside_of_none =
                feature == ErrorInside && (!streamed || (api.last_words_at)(one) == 0);
            if (api.error)(one).is_some() || inside_of_none {
                return None;
            }
            let said = (api.meaning)(one).choices.remove(&0)?;
            shows(&said, feature).then(|| match feature {
                ErrorInside => {
                    let mut cut = Case::of(one, None);
                    cut.body.truncate((api.last_words_at)(one));
                    cut
                }
                _ => Case::of(one, Some(said)),
            })
        })
    }

    fn reason(&self, feature: Feature, streamed: bool) -> Option<&'static str> {
        let way = if streamed { Way::Streamed } else { Way::Plain };
        if feature == ErrorInside && !streamed {
            return Some("a plain answer has no inside");
        }
        let named = self.empty.iter().find(|(known, known_way, _)| {
            *known == feature && [way, Way::Both].contains(known_way)
        });
        named.map(|(.., reason)| *reason)
    }
}

impl Case {
    fn of(recording: &Recording, says: Option<Said>) -> Self {
        let headers = &recording.response.headers;
        Case {
            status: recording.response.status,
            media_type: headers.get("content-type").cloned().unwrap_or_default(),
            body: recording.body(),
            says,
        }
    }

    fn script(&self) -> Script {
        let (status, media_type, length) = (self.status, &self.media_type, self.body.len());
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        vec![
            Step::Write(head.into_bytes()),
            Step::Write(self.body.clone()),
        ]
    }
}

/// Whether an answer shows a feature. Pictures and schemas are the request's.
fn shows(said: &Said, feature: Feature) -> bool {
    let finish = said.finish.as_ref().map(|(word, _)| word.as_str());
    let is_text = !said.text.is_empty() && said.calls.is_empty() && finish == Some("stop");
    match feature {
        Text | Image | Schema | ErrorInside => is_text && said.reasoning.is_empty(),
        Tool => said.calls.len() == 1 && finish == Some("tool_calls"),
        ParallelTools => said.calls.len() > 1,
        Reasoning => !said.reasoning.is_empty() && said.calls.is_empty(),
        Length => finish == Some("length") && said.calls.is_empty(),
        Refusal => finish == Some("content_filter") || !said.refusal.is_empty(),
        ErrorBefore => false,
    }
}

/// The number between the marks in whatever the gateway made of the request.
fn number(seen: &Seen) -> usize {
    let text = seen.body.to_string();
    let mut pieces = text.split('#').skip(1);
    pieces.find_map(|piece| piece.parse().ok()).unwrap()
}

#[tokio::test]
async fn every_form_is_answered_over_every_protocol() {
    let mut wrong = Vec::new();
    for row in ROWS {
        check(row, &mut wrong).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn check(row: &Row, wrong: &mut Vec<String>) {
    let all = row.recordings();
    let (mut cases, mut cells) = (Vec::new(), Vec::new());
    for feature in FEATURES {
        for streamed in [false, true] {
            match (
                row.case(&all, feature, streamed),
                row.reason(feature, streamed),
            ) {
                (Some(case), None) => {
                    cells.push((feature, streamed, cases.len()));
                    cases.push(case);
                }
                (None, Some(_)) => {}
                // Of more recordings than the fixtures more may be known.
                (Some(_), Some(_)) if !are_the_fixtures() => {}
                (Some(_), Some(reason)) => wrong.push(format!(
                    "{} {feature:?}, streamed {streamed}: is recorded, yet said to be empty: {reason}",
                    row.wire
                )),
                (None, None) => wrong.push(format!(
                    "{} {feature:?}, streamed {streamed}: is empty without a reason",
                    row.wire
                )),
            }
        }
    }
    let says: Vec<Option<Said>> = cases.iter_mut().map(|case| case.says.take()).collect();
    let upstream = Upstream::start(move |seen| cases[number(seen)].script()).await;
    let sees = "input_modalities = [\"text\", \"image\"]";
    let tokens = tokens(3_600).await;
    let key = match row.key {
        SERVICE_ACCOUNT => service_account(&tokens).to_string(),
        key => key.to_owned(),
    };
    let (server, _folder) = serving_with(row.wire, &upstream, &key, sees).await;
    for (feature, streamed, case) in cells {
        for skin in &SKINS {
            let outcome = ask(&server, skin, feature, streamed, case).await;
            let seen = upstream.seen().pop();
            let checked = outcome.and_then(|answer| {
                compare(
                    skin,
                    feature,
                    streamed,
                    &answer,
                    says[case].as_ref(),
                    seen.as_ref(),
                )
            });
            if let Err(reason) = checked {
                wrong.push(format!(
                    "{} over {}, {feature:?}, streamed {streamed}: {reason}",
                    skin.name, row.wire
                ));
            }
        }
    }
    server.stop().await;
}

/// A property that no answer has by chance, and the bytes of a picture.
const MARKER: &str = "plankton_count";
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

async fn ask(
    server: &Server,
    skin: &Skin,
    feature: Feature,
    streamed: bool,
    case: usize,
) -> Result<Answer, String> {
    let text = format!("#{case}#");
    let mut body = match feature {
        Image => (skin.ask_about)(&text, &format!("data:image/png;base64,{PICTURE}")),
        Schema => {
            let properties = json!({MARKER: {"type": "integer"}});
            let schema = json!({"type": "object", "properties": properties, "required": [MARKER], "additionalProperties": false});
            (skin.ask_for)(&text, &schema)
        }
        _ => (skin.ask)(&text),
    };
    body["stream"] = json!(streamed);
    let answer = server.http.post(skin.path, &body).await;
    let fails = feature == ErrorBefore;
    if answer.status.is_success() == fails {
        return Err(format!("{} {}", answer.status, answer.text()));
    }
    Ok(answer)
}

fn compare(
    skin: &Skin,
    feature: Feature,
    streamed: bool,
    answer: &Answer,
    expected: Option<&Said>,
    seen: Option<&Seen>,
) -> Result<(), String> {
    let hold = |holds: bool, reason: String| if holds { Ok(()) } else { Err(reason) };
    if feature == ErrorBefore {
        return hold((skin.is_error)(&answer.json()), answer.text());
    }
    let sent = seen.map(|seen| seen.body.to_string()).unwrap_or_default();
    match feature {
        Image => hold(
            sent.contains(PICTURE),
            format!("the picture is lost: {sent}"),
        )?,
        Schema => hold(sent.contains(MARKER), format!("the schema is lost: {sent}"))?,
        _ => {}
    }
    let events = if streamed {
        answer.events()
    } else {
        Vec::new()
    };
    if streamed {
        (skin.ordered)(&events)?;
    }
    if feature == ErrorInside {
        return hold((skin.is_broken)(&events), answer.text());
    }
    hold(!(skin.is_broken)(&events), "tells an error".to_owned())?;
    let told = if streamed {
        (skin.streamed)(&events)
    } else {
        (skin.plain)(&answer.json())
    };
    let (told, expected) = (plainly(&told), plainly(expected.unwrap()));
    hold(
        told == expected,
        format!("\n  {told}\n  is not\n  {expected}"),
    )
}

/// What forms have in common: a refusal is text where there is no word for it, blanks between paragraphs of thought
/// come and go, and so do ids that nobody gave.
fn plainly(said: &Said) -> Value {
    let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
    let calls = said.calls.values().map(|call| {
        let arguments = &call.arguments.0;
        let arguments = if arguments.is_empty() {
            "{}"
        } else {
            arguments
        };
        let parsed: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments));
        json!([call.name, parsed])
    });
    json!({
        "text": without_blanks(&format!("{}{}", said.text, said.refusal)),
        "reasoning": without_blanks(&said.reasoning),
        "calls": calls.collect::<Vec<_>>(),
        "finish": said.finish.as_ref().map(|(word, _)| word),
    })
}
