//! What operators can write, and what they are told when it is wrong.

use std::io::Write as _;

use insta::assert_snapshot;

use super::*;

/// A configuration file and an environment; the file goes when this does.
struct Written {
    file: tempfile::NamedTempFile,
    sources: Sources,
}

fn written(text: &str, env: &[(&str, &str)]) -> Written {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let sources = Sources {
        file: Some(file.path().to_owned()),
        env,
        ..Sources::default()
    };
    Written { file, sources }
}

impl Written {
    fn load(&self) -> Config {
        Config::load(&self.sources).unwrap()
    }

    /// The report, with the file under the name it usually has.
    fn report(&self) -> String {
        let report = Config::load(&self.sources).unwrap_err().to_string();
        report.replace(&self.file.path().display().to_string(), "turnpike.toml")
    }
}

#[test]
fn every_problem_is_in_one_report_with_the_nearest_name() {
    let text = r#"
        lisen = "127.0.0.1:1"
        drain_timeout = "10s"
        http = { body_limit = "huge", keep_alive = 10, colour = "red" }
        providers = "openai"
        log = 3

        [databse]
        url = "x"
        [database]
        url = "mysql://root:hunter2@localhost/x"
        pool_size = 0
    "#;
    let env = [
        ("TURNPIKE_LISTEN", "eighty"),
        ("TURNPIKE_DATADIR", "/x"),
        ("TURNPIKE_PORT", "tcp://10.0.0.1:80"),
        ("HOME", "/x"),
    ];
    assert_snapshot!(written(text, &env).report(), @r#"
    12 problems in the configuration
      TURNPIKE_LISTEN: listen: expected an address and a port such as 127.0.0.1:8080, found "eighty"
      turnpike.toml: database.url: expected postgres://USER:PASSWORD@HOST/DATABASE; leave it out for the embedded database
      turnpike.toml: database.pool_size: expected a whole number of at least 1, found "0"
      turnpike.toml: http.body_limit: expected a size such as "64KiB" or "32MB", found "huge"
      turnpike.toml: http.keep_alive: expected a time such as "250ms", "10s" or "5m", found "10"
      turnpike.toml: providers: expected tables, each under [[providers]]
      turnpike.toml: databse: no such key; did you mean `database`?
      turnpike.toml: drain_timeout: no such key; did you mean `http.drain_timeout`?
      turnpike.toml: http.colour: no such key
      turnpike.toml: lisen: no such key; did you mean `listen`?
      turnpike.toml: log: expected a section [log]
      TURNPIKE_DATADIR: no such setting; did you mean `TURNPIKE_DATA_DIR`?
    "#);
}

#[test]
fn a_broken_file_is_named_with_the_place() {
    assert_snapshot!(written("listen = \"127.0.0.1:1\"\nhttp = {", &[]).report(), @r"
    1 problem in the configuration
      turnpike.toml: not TOML at line 2, column 9: unclosed inline table, expected `}`
    ");
    let missing = Sources {
        file: Some("/nonexistent/turnpike.toml".into()),
        ..Sources::default()
    };
    assert_snapshot!(Config::load(&missing).unwrap_err().to_string(), @r"
    1 problem in the configuration
      /nonexistent/turnpike.toml: cannot be read: No such file or directory (os error 2)
    ");
}

#[test]
fn flags_count_more_than_variables_and_variables_more_than_the_file() {
    let listen = |written: &Written| written.load().listen.port();
    let mut written = written("listen = \"127.0.0.1:1\"", &[]);
    assert_eq!(listen(&written), 1);
    written
        .sources
        .env
        .insert("TURNPIKE_LISTEN".to_owned(), String::new());
    assert_eq!(listen(&written), 1, "an empty variable is an unset one");
    written
        .sources
        .env
        .insert("TURNPIKE_LISTEN".to_owned(), "127.0.0.1:2".to_owned());
    assert_eq!(listen(&written), 2);
    written
        .sources
        .flags
        .insert("listen", "127.0.0.1:3".to_owned());
    assert_eq!(listen(&written), 3);
}

#[test]
fn the_database_password_is_never_shown() {
    let config = written("", &[("DATABASE_URL", "postgres://me:hunter2@localhost/x")]).load();
    assert!(config.database.url.is_some());
    assert!(!format!("{config:?}").contains("hunter2"));
}

const SHOWN: &str = include_str!("../../config/turnpike.toml");

/// `#key = value` is a default, `# Words` is prose.
fn with_defaults_enabled() -> String {
    let enabled = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    SHOWN.lines().map(enabled).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shown_file_holds_every_key_with_its_default() {
    let silent = written("", &[]).load();
    let as_written = written(SHOWN, &[]).load();
    let enabled = written(&with_defaults_enabled(), &[]).load();
    assert_eq!(
        format!("{as_written:#?}"),
        format!("{silent:#?}"),
        "every line is commented out"
    );
    assert_eq!(
        format!("{enabled:#?}"),
        format!("{silent:#?}"),
        "every default is the code's"
    );

    let nothing = written("", &[]);
    let mut raw = RawConfig::read(&nothing.sources);
    Config::convert(&mut raw);
    let table: toml::Table = with_defaults_enabled().parse().unwrap();
    let tables = ["providers", "people.issuers"];
    for key in raw
        .known()
        .iter()
        .filter(|key| !tables.contains(&key.as_str()))
    {
        let shown = match key.split_once('.') {
            Some((section, name)) => table.get(section).and_then(|section| section.get(name)),
            None => table.get(key),
        };
        assert!(shown.is_some(), "config/turnpike.toml does not show {key}");
    }
}

#[test]
fn an_engine_is_there_once_it_has_what_it_needs() {
    let engines = |written: &Written| {
        let engines = written.load().web.engines;
        engines
            .iter()
            .map(|known| known.engine.as_str())
            .collect::<Vec<_>>()
    };
    assert!(engines(&written("", &[])).is_empty());
    let mut key = tempfile::NamedTempFile::new().unwrap();
    key.write_all(b" k\n").unwrap();
    let text = format!(
        "[web]\nengine = \"searxng\"\n[searxng]\nbase_url = \"http://s.example/x/\"\n[brave]\napi_key_file = \"{}\"\nprice = \"0.003\"",
        key.path().display()
    );
    let config = written(&text, &[("EXA_API_KEY", "hunter2"), ("TAVILY_API_KEY", "")]);
    assert_eq!(engines(&config), ["exa", "brave", "searxng"]);
    let web = config.load().web;
    assert_eq!(web.engines[1].key.as_ref().unwrap().expose(), "k");
    assert_eq!(web.engines[1].price.search, Nanos(3_000_000));
    assert_eq!(web.engines[2].base_url, "http://s.example/x");
    assert!(!format!("{web:?}").contains("hunter2"));
}

#[test]
fn an_engine_that_cannot_be_asked_is_reported() {
    let text = r#"
        [web]
        engine = "exa"
        on_failure = "shrug"
        [tavily]
        api_key_file = "/nonexistent/key"
        [searxng]
        base_url = "searxng:8080"
        price = "-1"
    "#;
    assert_snapshot!(written(text, &[("BRAVE_API_KEY", "a\u{7}b")]).report(), @r#"
    6 problems in the configuration
      tavily.api_key_file: /nonexistent/key: No such file or directory (os error 2)
      brave.api_key: has characters that no header can carry
      turnpike.toml: searxng.base_url: expected an address such as https://search.example, found "searxng:8080"
      turnpike.toml: searxng.price: expected an amount of dollars that is not negative, found "-1"
      turnpike.toml: web.on_failure: expected "answer" or "fail", found "shrug"
      web.engine: exa cannot be asked without EXA_API_KEY
    "#);
}

#[test]
fn issuers_are_checked_one_by_one() {
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"hunter2\n").unwrap();
    let text = format!(
        r#"
        [[people.issuers]]
        slug = "google"
        name = "Google"
        issuer = "https://accounts.google.com"
        client_id = "us"
        client_secret = {{ env = "TURNPIKE_GOOGLE" }}
        [[people.issuers]]
        slug = "staff"
        issuer = "http://10.0.0.5:8080/realms/staff/"
        client_id = "us"
        client_secret = {{ file = "{}" }}
        scopes = ["email"]
        trust_email = true
        "#,
        secret.path().display()
    );
    let people = written(&text, &[("TURNPIKE_GOOGLE", "hunter2")])
        .load()
        .people;
    assert!(!format!("{people:?}").contains("hunter2"));
    let [google, staff] = &people.issuers[..] else {
        panic!("{people:?}")
    };
    assert_eq!(
        (google.slug.as_str(), google.name.as_str()),
        ("google", "Google")
    );
    assert_eq!(google.scopes, ["email", "profile"]);
    assert_eq!(
        (staff.name.as_str(), staff.url.as_str()),
        ("staff", "http://10.0.0.5:8080/realms/staff/")
    );
    for issuer in &people.issuers {
        assert_eq!(issuer.client_secret.as_ref().unwrap().expose(), "hunter2");
    }
}

#[test]
fn an_issuer_that_cannot_be_used_is_reported() {
    let issuer = |rest: &str| {
        format!("[[people.issuers]]\nissuer = \"https://a.example\"\nclient_id = \"us\"\n{rest}\n")
    };
    let text = [
        "[people]\nsign_up = \"open\"\n".to_owned(),
        issuer("slug = \"A b\""),
        issuer("slug = \"one\"\nsecret = \"hunter2\""),
        issuer("slug = \"two\"\nclient_secret = { env = \"NOBODY_SET_THIS\" }"),
        issuer("slug = \"three\"\ntrust_email = true"),
        issuer("slug = \"four\"") + &issuer("slug = \"four\""),
        "[[people.issuers]]\nslug = \"five\"\nissuer = \"a.example\"\nclient_id = \"us\"\n"
            .to_owned(),
    ];
    assert_snapshot!(written(&text.concat(), &[]).report(), @r#"
    6 problems in the configuration
      people.issuers[0]: slug: expected small letters, digits and hyphens such as "google"
      people.issuers[1]: unknown field `secret`, expected one of `slug`, `name`, `issuer`, `client_id`, `client_secret`, `scopes`, `trust_email`
      people.issuers[2]: client_secret: NOBODY_SET_THIS is not set
      people.issuers[3]: trust_email: not while people.sign_up is open, as anybody may have made an account with another's address
      people.issuers[5]: another issuer has this slug
      people.issuers[6]: issuer: expected an address such as https://accounts.google.com
    "#);
}
