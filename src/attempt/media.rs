//! Media that a caller names by address, fetched for the endpoints that take bytes only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::OnceCell;

use super::failure::Failure;
use crate::domain::call::Call;
use crate::domain::json::{JsonObject, JsonText, Raw};
use crate::transport::{Fetched, Fetcher};

/// More addresses in one request are refused.
const MOST: usize = 32;
/// All files of one request together, in bytes: what is fetched is held in memory, and once more as text.
const LARGEST: usize = 50 << 20;
/// Files of one request that are fetched at a time.
const AT_ONCE: usize = 4;

/// Which files must be in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inline {
    All,
    /// All but pictures and films.
    Documents,
}

/// The files that a request names by address. They are fetched at most once, however many endpoints are tried, however
/// many steps are made, and whatever is put beside them meanwhile: until the request is answered they stay in memory.
#[derive(Default)]
pub struct Files {
    /// All of them, and the documents alone.
    fetched: [OnceCell<Result<Replacements, Failure>>; 2],
}

/// Addresses, and what stands in their place.
type Replacements = Vec<(JsonText, JsonText)>;

impl Files {
    /// A call of the request with every file in it that is wanted and was named by address.
    pub(super) async fn put_into(
        &self,
        call: &Call,
        wanted: Inline,
        fetcher: &Fetcher,
    ) -> Result<Call, Failure> {
        let Some(messages) = call.body.given("messages") else {
            return Ok(call.clone());
        };
        let named = addresses(messages, wanted);
        if named.is_empty() {
            return Ok(call.clone());
        }
        let addresses: Vec<JsonText> = named.iter().map(|(_, address)| address.clone()).collect();
        let [all, documents] = &self.fetched;
        let cell = match wanted {
            Inline::All => all,
            Inline::Documents => documents,
        };
        let fetched = cell.get_or_init(|| fetched(named, fetcher));
        let files = fetched.await.as_ref().map_err(Failure::clone)?;
        // Where an address stands differs from call to call.
        let put_in = addresses.into_iter().filter_map(|address| {
            let file = files.iter().find(|(known, _)| *known == address);
            file.map(|(_, data)| (address, data.clone()))
        });
        let put_in: Vec<_> = put_in.collect();
        let mut body = call.body.splice(|name| name != "messages");
        body.raw("messages", messages.replaced(&put_in).as_bytes());
        let body = JsonObject::parse(body.finish());
        Ok(Call {
            body: body.map_err(|error| Failure::Unsayable(error.to_string()))?,
            ..call.clone().rewritten()
        })
    }
}

/// Each address, and the file that is there.
async fn fetched(
    named: Vec<(String, JsonText)>,
    fetcher: &Fetcher,
) -> Result<Replacements, Failure> {
    if named.len() > MOST {
        let reason =
            format!("the endpoint takes files inline, and more than {MOST} are named by address");
        return Err(Failure::Unsayable(reason));
    }
    let fetches = named.into_iter().map(|(place, address)| async move {
        let fetched = fetcher.fetch(&address.to_text()).await;
        let fetched = fetched.map_err(|error| {
            Failure::Unsayable(format!("{place}: the file cannot be fetched: {error}"))
        })?;
        Ok((address, fetched))
    });
    let mut left = LARGEST;
    stream::iter(fetches)
        .buffered(AT_ONCE)
        .and_then(|(address, file)| {
            let fits = left.checked_sub(file.bytes.len());
            left = fits.unwrap_or(0);
            std::future::ready(match fits {
                Some(_) => Ok((address, data_url(&file))),
                None => Err(Failure::Unsayable(format!(
                    "the files named by address are larger than {} MB together",
                    LARGEST >> 20
                ))),
            })
        })
        .try_collect()
        .await
}

fn data_url(file: &Fetched) -> JsonText {
    let data = STANDARD.encode(&file.bytes);
    JsonText::of(&format!("data:{};base64,{data}", file.media_type))
}

/// The web addresses of the files that are wanted, in the parts of messages (contract 2.2), each with its place.
fn addresses(messages: &Raw, wanted: Inline) -> Vec<(String, JsonText)> {
    let mut found = Vec::new();
    for (at, message) in messages.elements().iter().flatten().enumerate() {
        let content = message
            .object()
            .and_then(|message| message.given("content").cloned());
        let parts = content.and_then(|content| content.elements());
        for (part_at, part) in parts.iter().flatten().enumerate() {
            let address = part.object().and_then(|part| address(&part, wanted));
            found.extend(
                address.map(|address| (format!("messages[{at}].content[{part_at}]"), address)),
            );
        }
    }
    found
}

/// The web address of a part, where it has one. The object under the part's own name may be its address alone.
fn address(part: &JsonObject, wanted: Inline) -> Option<JsonText> {
    let field = |name: &str, field: &str| {
        let value = part.given(name)?;
        value
            .text()
            .or_else(|| value.object()?.given(field)?.text())
    };
    let shown = || {
        ["image_url", "video_url", "input_video"]
            .into_iter()
            .find_map(|name| field(name, "url"))
    };
    let shown = (wanted == Inline::All).then(shown).flatten();
    let address = shown.or_else(|| field("file", "file_data"))?;
    let escaped = address.escaped();
    let starts = |scheme: &str| {
        escaped
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    (starts("http:") || starts("https:")).then_some(address)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_found_in_every_kind_of_part_and_replaced_where_they_stand() {
        let messages = json!([
            {"role": "system", "content": "https://not.a.part/"},
            {"role": "user", "content": [
                {"type": "text", "text": "https://not.a.file/"},
                {"type": "image_url", "image_url": {"url": "https://a.example/1.png"}},
                {"type": "image_url", "image_url": "HTTPS://a.example/1.png"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "video_url", "video_url": {"url": "http://a.example/2.mp4"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://a.example/a\"b.pdf"}},
                {"type": "file", "file": {"file_data": "s3://bucket/c.pdf"}},
            ]},
        ]);
        let raw = Raw::of(&messages).unwrap();
        let found = addresses(&raw, Inline::All);
        let documents = addresses(&raw, Inline::Documents);
        assert_eq!(documents, found[3..]);
        let places: Vec<&str> = found.iter().map(|(place, _)| &**place).collect();
        assert_eq!(
            places,
            [1, 2, 4, 5].map(|part| format!("messages[1].content[{part}]"))
        );
        let files: Vec<_> = (0..)
            .zip(found)
            .map(|(number, (_, address))| (address, JsonText::of(&format!("file {number}"))))
            .collect();
        let mut expected = messages;
        let parts = &mut expected[1]["content"];
        parts[1]["image_url"]["url"] = json!("file 0");
        parts[2]["image_url"] = json!("file 1");
        parts[4]["video_url"]["url"] = json!("file 2");
        parts[5]["file"]["file_data"] = json!("file 3");
        let replaced: serde_json::Value = raw.replaced(&files).parse().unwrap();
        assert_eq!(replaced, expected);
    }
}
