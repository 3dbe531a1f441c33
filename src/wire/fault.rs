//! What an error body says, in any of the spellings that providers use. Shared by all wires.

use std::time::Duration;

use serde_json::value::RawValue;

use super::Fault;
use super::shape::{Given, List, count, is_text, shape, word};

/// So much of an error body is kept.
const RAW_LIMIT: usize = 2_048;
/// A message that is no JSON is a page of some proxy; its beginning is enough.
const PAGE_LIMIT: usize = 200;

/// The error in a body that came with an error status.
pub(super) fn of_status(status: u16, body: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(body);
    let told = reported(&text)
        .or_else(|| unlabelled(&text))
        .unwrap_or_else(|| Fault {
            message: shortened(text.trim(), PAGE_LIMIT).to_owned(),
            ..Fault::default()
        });
    Fault {
        status,
        raw: shortened(&text, RAW_LIMIT).to_owned(),
        ..told
    }
}

/// The error that a JSON value of a 2xx answer calls an error; `None` when it reports none.
pub(super) fn reported(json: &str) -> Option<Fault> {
    let List(bodies) = serde_json::from_str::<List<Body<'_>>>(json).ok()?;
    let body = bodies.first()?;
    let refused = count(body.base_resp.code).is_some_and(|code| code != 0);
    let told = if let Some(error) = body.error.filter(says_something) {
        told(error).beside(body)
    } else if let Some(error) = body.errors.0.first() {
        error.told()
    } else if refused {
        let code = body.base_resp.code.map(|code| code.get().to_owned());
        Told {
            code,
            message: word(body.base_resp.message).map(Into::into),
            ..Told::default()
        }
    } else if word(body.object).as_deref() == Some("error")
        || word(body.kind).as_deref() == Some("error")
    {
        body.detail().told()
    } else {
        return None;
    };
    Some(told.into_fault(json))
}

/// The message of a value that is expected to be an error but does not call itself one, such as
/// `{"message": "…"}` or `{"detail": "…"}`.
pub(super) fn unlabelled(json: &str) -> Option<Fault> {
    let List(bodies) = serde_json::from_str::<List<Body<'_>>>(json).ok()?;
    let told = bodies.first()?.detail().told();
    told.message.is_some().then(|| told.into_fault(json))
}

/// The error that a stream's `event: error` carries: all of it is one.
pub(super) fn of_event(json: &str) -> Fault {
    let told = reported(json).or_else(|| unlabelled(json));
    told.unwrap_or_else(|| Told::default().into_fault(json))
}

/// The error that an `error` field holds; `None` when it is empty.
pub(super) fn of_error(error: &RawValue) -> Option<Fault> {
    says_something(&error).then(|| told(error).into_fault(error.get()))
}

/// The longest beginning of `text` that has at most `limit` bytes and ends between characters.
fn shortened(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

shape! {
    /// The places where an error may stand: `error` as object or string, `errors` (Cloudflare),
    /// `base_resp` (MiniMax), or the body itself.
    Body {
        error = "error": Given<'a>,
        errors = "errors": List<Detail<'a>>,
        base_resp = "base_resp": BaseResp<'a>,
        object = "object": Given<'a>,
        kind = "type": Given<'a>,
        code = "code": Given<'a>,
        status = "status": Given<'a>,
        message = "message": Given<'a>,
        capital_message = "Message": Given<'a>,
        msg = "msg": Given<'a>,
        detail = "detail": Given<'a>,
        error_message = "error_message": Given<'a>,
        error_msg = "error_msg": Given<'a>,
    }
    /// An error itself.
    Detail {
        code = "code": Given<'a>,
        kind = "type": Given<'a>,
        status = "status": Given<'a>,
        status_code = "status_code": Given<'a>,
        http_code = "http_code": Given<'a>,
        message = "message": Given<'a>,
        msg = "msg": Given<'a>,
        details = "details": List<Hint<'a>>,
    }
    /// What Google adds to an error, one thing at a time: among them a `RetryInfo`.
    Hint {
        retry_delay = "retryDelay": Given<'a>,
    }
    /// MiniMax's status, which is 0 when all is well.
    BaseResp {
        code = "status_code": Given<'a>,
        message = "status_msg": Given<'a>,
    }
}

/// What could be read of an error.
#[derive(Default)]
struct Told {
    code: Option<String>,
    message: Option<String>,
    status: Option<u16>,
    retry_after: Option<Duration>,
}

impl<'a> Body<'a> {
    /// The body, when it is the error itself.
    fn detail(&self) -> Detail<'a> {
        let candidates = [
            self.message,
            self.capital_message,
            self.msg,
            self.detail,
            self.error_message,
            self.error_msg,
        ];
        let message = candidates.into_iter().flatten().find(says_something);
        Detail {
            code: self.code,
            kind: self.kind,
            status: self.status,
            message,
            ..Detail::default()
        }
    }
}

impl Detail<'_> {
    fn told(&self) -> Told {
        let status = [self.code, self.status_code, self.http_code, self.status]
            .into_iter()
            .filter_map(count)
            .find_map(|number| {
                u16::try_from(number)
                    .ok()
                    .filter(|number| (400..600).contains(number))
            });
        Told {
            code: self.code(),
            message: self.message.or(self.msg).and_then(said),
            status,
            retry_after: self.details.0.iter().find_map(Hint::wait),
        }
    }

    /// The most telling name: a word before a number, which is often only the status again.
    fn code(&self) -> Option<String> {
        let words = [self.code, self.status, self.kind]
            .into_iter()
            .filter_map(word);
        let name = words
            .into_iter()
            .find(|word| word.parse::<i64>().is_err() && word != "error");
        name.map(Into::into).or_else(|| {
            self.code
                .map(|code| code.get().trim_matches('"').to_owned())
        })
    }
}

impl Hint<'_> {
    /// A span as Google writes it: `48s`, `0.5s`.
    fn wait(&self) -> Option<Duration> {
        let text = word(self.retry_delay)?;
        let seconds = text.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl Told {
    /// Fills what the error object leaves out from the body around it.
    fn beside(self, body: &Body<'_>) -> Told {
        let around = body.detail().told();
        Told {
            code: self.code.or(around.code),
            message: self.message.or(around.message),
            status: self.status.or(around.status),
            retry_after: self.retry_after,
        }
    }

    fn into_fault(self, raw: &str) -> Fault {
        let message = self
            .message
            .or_else(|| self.code.clone())
            .unwrap_or_else(|| shortened(raw, PAGE_LIMIT).to_owned());
        Fault {
            status: self.status.unwrap_or(0),
            code: self.code,
            message,
            raw: shortened(raw, RAW_LIMIT).to_owned(),
            retry_after: self.retry_after,
        }
    }
}

/// Reads an `error` that is an object or a string.
fn told(error: &RawValue) -> Told {
    match serde_json::from_str::<Detail<'_>>(error.get()) {
        Ok(detail) if error.get().starts_with('{') => detail.told(),
        _ => Told {
            message: said(error),
            ..Told::default()
        },
    }
}

fn says_something(value: &&RawValue) -> bool {
    !matches!(value.get(), "\"\"" | "{}" | "[]" | "false" | "0")
}

/// A message, which some send as an object or as a list of complaints.
fn said(value: &RawValue) -> Option<String> {
    if is_text(value) {
        return word(Some(value)).map(Into::into);
    }
    let List(details) = serde_json::from_str::<List<Detail<'_>>>(value.get()).ok()?;
    let inner = details.first().and_then(|detail| detail.told().message);
    inner.or_else(|| Some(shortened(value.get(), PAGE_LIMIT).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, code: Option<&str>, message: &str) {
        let fault = of_status(400, body.as_bytes());
        assert_eq!(
            (fault.code.as_deref(), &*fault.message, fault.status),
            (code, message, 400)
        );
    }

    #[test]
    fn every_spelling_is_read() {
        check(
            r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"bad_model"}}"#,
            Some("bad_model"),
            "no",
        );
        check(
            r#"{"error":{"message":"no","type":"exceed_context_size_error","code":400}}"#,
            Some("exceed_context_size_error"),
            "no",
        );
        check(
            r#"{"error":{"message":"no","code":401}}"#,
            Some("401"),
            "no",
        );
        check(r#"{"error":"no such model"}"#, None, "no such model");
        check(
            r#"{"error":"Bad Request","message":"no"}"#,
            None,
            "Bad Request",
        );
        check(
            r#"{"code":"1500","message":"no","object":"error","type":"invalid_model"}"#,
            Some("invalid_model"),
            "no",
        );
        check(
            r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#,
            Some("overloaded_error"),
            "no",
        );
        check(
            r#"[{"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED"}}]"#,
            Some("RESOURCE_EXHAUSTED"),
            "no",
        );
        check(r#"{"detail":"Invalid API Key"}"#, None, "Invalid API Key");
        check(
            r#"{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}"#,
            None,
            "field required",
        );
        check(
            r#"{"success":false,"errors":[{"code":7003,"message":"no route"}]}"#,
            Some("7003"),
            "no route",
        );
        check(
            r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
            Some("1008"),
            "insufficient balance",
        );
        check(
            r#"{"code":500,"msg":"404 NOT_FOUND","success":false}"#,
            Some("500"),
            "404 NOT_FOUND",
        );
        check(r#"{"Message":"no"}"#, None, "no");
        check(r#"{"error":{"message":{"deep":1}}}"#, None, r#"{"deep":1}"#);
        check("<html>502</html>", None, "<html>502</html>");
        check("", None, "");
    }

    #[test]
    fn an_answer_without_error_reports_none() {
        for body in [
            r#"{"choices":[],"error":null}"#,
            r#"{"error":""}"#,
            r#"{"error":{}}"#,
            r#"{"message":"hello"}"#,
            r#"{"base_resp":{"status_code":0,"status_msg":"success"}}"#,
            "[]",
            "7",
            "no JSON",
        ] {
            assert_eq!(reported(body), None, "{body}");
        }
    }

    #[test]
    fn a_stream_error_tells_its_status() {
        let fault = reported(r#"{"error":{"message":"no","status_code":503}}"#);
        assert_eq!(fault.map(|fault| fault.status), Some(503));
    }

    #[test]
    fn google_says_when_to_come_back() {
        let check = |delay: serde_json::Value, seconds: Option<f64>| {
            let details = serde_json::json!([
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
            ]);
            let body =
                serde_json::json!({"error": {"code": 429, "message": "no", "details": details}});
            let fault = of_status(429, body.to_string().as_bytes());
            let wait = fault.retry_after.map(|wait| wait.as_secs_f64());
            assert_eq!(wait, seconds, "{delay}");
            // Through OpenAI's protocol it comes inside a list.
            let listed = of_status(429, format!("[{body}]").as_bytes());
            assert_eq!(listed.retry_after, fault.retry_after);
        };
        check("48s".into(), Some(48.0));
        check("48.939935699s".into(), Some(48.939_935_699));
        check("0s".into(), Some(0.0));
        for nonsense in ["", "s", "-3s", "soon", "48", "1e999s", "NaNs"] {
            check(nonsense.into(), None);
        }
        check(serde_json::json!({"seconds": 48}), None);
    }

    #[test]
    fn long_bodies_are_cut_between_characters() {
        let fault = of_status(500, "é".repeat(2_000).as_bytes());
        assert_eq!(fault.raw.len(), RAW_LIMIT);
        let fault = of_status(500, format!("x{}", "é".repeat(2_000)).as_bytes());
        assert_eq!(fault.raw.len(), RAW_LIMIT - 1);
    }
}
