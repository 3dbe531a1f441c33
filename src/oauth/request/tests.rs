use super::*;

/// The name of the key, its cap, when that starts anew, and when the key ends.
type Terms<'a> = (&'a str, Option<Nanos>, LimitReset, Option<i64>);

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn callback(url: &str) -> Result<AuthRequest, RequestError> {
    let asked = Asked {
        callback_url: Some(url),
        ..Asked::default()
    };
    AuthRequest::check(&asked, 0)
}

#[test]
fn callbacks_are_https_or_on_this_machine() {
    let check = |url: &str, app: &str| {
        let name = callback(url).map(|request| request.app.name);
        assert_eq!(name.as_deref(), Ok(app), "{url}");
    };
    check("https://app.example/cb", "app.example");
    check("https://app.example:3000/cb?state=1", "app.example:3000");
    check("https://10.0.0.1:8443/", "10.0.0.1:8443");
    check("http://localhost:51423/cb", "localhost:51423");
    check("http://127.0.0.1/cb", "127.0.0.1");
    check("http://[::1]:9/cb", "[::1]:9");
}

#[test]
fn other_callbacks_are_refused() {
    for url in [
        "http://app.example/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.2/",
        "http://0.0.0.0/",
        "https://app.example@evil.example/",
        "https://user:secret@app.example/",
        "https://app.example/#fragment",
        "https:\\\\evil.example",
        "https://app.example\\@evil.example/",
        "https://app.example/\r\nset-cookie: a=b",
        "javascript:alert(1)",
        "data:text/html,hello",
        "file:///etc/passwd",
        "//evil.example",
        "/relative",
        "https://",
        "myapp://callback",
    ] {
        assert_eq!(callback(url), Err(RequestError::Callback), "{url}");
    }
    let long = format!("https://app.example/{}", "x".repeat(2_000));
    assert_eq!(callback(&long), Err(RequestError::LongCallback));
}

#[test]
fn the_answer_keeps_the_query() {
    let answer = |url: &str| {
        callback(url)
            .unwrap()
            .answer("code", "a b&c")
            .unwrap()
            .to_string()
    };
    assert_eq!(
        answer("https://app.example/cb"),
        "https://app.example/cb?code=a+b%26c"
    );
    assert_eq!(
        answer("https://app.example/cb?state=x%20y&n="),
        "https://app.example/cb?state=x%20y&n=&code=a+b%26c"
    );
}

#[test]
fn a_challenge_has_a_method_and_a_form() {
    let check = |challenge: Option<&str>,
                 method: Option<&str>,
                 expect: Result<Option<Method>, RequestError>| {
        let asked = Asked {
            callback_url: Some("https://app.example"),
            code_challenge: challenge,
            code_challenge_method: method,
            ..Asked::default()
        };
        let found = AuthRequest::check(&asked, 0)
            .map(|request| request.challenge.map(|challenge| challenge.method));
        assert_eq!(found, expect, "{challenge:?} {method:?}");
    };
    check(None, None, Ok(None));
    check(Some(""), Some(""), Ok(None));
    check(Some(CHALLENGE), Some("S256"), Ok(Some(Method::S256)));
    check(
        Some("anything-goes"),
        Some("plain"),
        Ok(Some(Method::Plain)),
    );
    check(Some("anything-goes"), None, Ok(Some(Method::Plain)));
    check(Some("short"), Some("S256"), Err(RequestError::Challenge));
    check(
        Some("with space"),
        Some("plain"),
        Err(RequestError::Challenge),
    );
    check(
        Some(&"x".repeat(129)),
        Some("plain"),
        Err(RequestError::Challenge),
    );
    check(Some(CHALLENGE), Some("s256"), Err(RequestError::Method));
    check(
        None,
        Some("S256"),
        Err(RequestError::MethodWithoutChallenge),
    );
}

#[test]
fn without_a_callback_a_challenge_is_required() {
    assert_eq!(
        AuthRequest::check(&Asked::default(), 0),
        Err(RequestError::HeadlessWithoutChallenge)
    );
    let asked = Asked {
        code_challenge: Some(CHALLENGE),
        code_challenge_method: Some("S256"),
        ..Asked::default()
    };
    let request = AuthRequest::check(&asked, 0).unwrap();
    assert_eq!(
        (request.callback.as_ref(), request.app.id.as_str()),
        (None, "headless")
    );
}

#[test]
fn labels_limits_and_times_are_checked() {
    let base = || Asked {
        callback_url: Some("https://app.example"),
        ..Asked::default()
    };
    let check = |asked: Asked<'_>, expect: Result<Terms<'_>, RequestError>| {
        let found = AuthRequest::check(&asked, 1_000);
        let found = found
            .as_ref()
            .map(|found| {
                (
                    found.key_name.as_str(),
                    found.limit,
                    found.limit_reset,
                    found.expires_at,
                )
            })
            .map_err(|error| *error);
        assert_eq!(found, expect, "{asked:?}");
    };
    check(base(), Ok(("app.example", None, LimitReset::Never, None)));
    check(
        Asked {
            key_label: Some(" My\u{0} CLI "),
            ..base()
        },
        Ok(("My CLI", None, LimitReset::Never, None)),
    );
    check(
        Asked {
            key_label: Some(&"x".repeat(101)),
            ..base()
        },
        Err(RequestError::Label),
    );
    let five = Nanos::from_dollars(5);
    check(
        Asked {
            limit: Some(five),
            usage_limit_type: Some("weekly"),
            ..base()
        },
        Ok(("app.example", Some(five), LimitReset::Weekly, None)),
    );
    check(
        Asked {
            limit: Some(Nanos::ZERO),
            ..base()
        },
        Err(RequestError::Limit),
    );
    check(
        Asked {
            usage_limit_type: Some("yearly"),
            ..base()
        },
        Err(RequestError::Reset),
    );
    check(
        Asked {
            expires_at: Some("1970-01-01T00:00:02Z"),
            ..base()
        },
        Ok(("app.example", None, LimitReset::Never, Some(2_000))),
    );
    check(
        Asked {
            expires_at: Some("1970-01-01T00:00:01Z"),
            ..base()
        },
        Err(RequestError::Expiry),
    );
    check(
        Asked {
            expires_at: Some("2030-01-01T00:00:00+02:00"),
            ..base()
        },
        Err(RequestError::Expiry),
    );
    check(
        Asked {
            expires_at: Some("soon"),
            ..base()
        },
        Err(RequestError::Expiry),
    );
}
