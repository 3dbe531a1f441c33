//! The program as people use it: the binary itself, its output, its exit codes.

mod program;

use std::net::TcpListener;

use insta::assert_snapshot;
use serde_json::Value;

use program::{Place, post};

#[test]
fn everything_wrong_with_the_configuration_is_one_report() {
    let place = Place::new();
    place.write("turnpike.toml", "lisen = \"x\"\n[http]\nbody_limit = \"big\"\n[[providers]]\nslug = \"lab-a\"\nbaseurl = \"http://127.0.0.1:1/v1\"\n");
    let checked = place.run(&["check"]);
    assert_eq!((checked.code, checked.out.as_str()), (2, ""));
    assert_snapshot!(checked.err, @r#"
    turnpike: 4 problems in the configuration
      turnpike.toml: http.body_limit: expected a size such as "64KiB" or "32MB", found "big"
      turnpike.toml: lisen: no such key; did you mean `listen`?
      providers[0].base_url: is missing
      providers[0].baseurl: unknown key; did you mean `base_url`?
    "#);
    for command in [&["serve"][..], &["keys", "list"]] {
        let done = place.run(command);
        assert_eq!(
            (done.code, done.out.as_str(), &done.err),
            (2, "", &checked.err)
        );
    }
}

#[test]
fn a_right_configuration_is_checked_without_starting() {
    let place = Place::new();
    let done = place.run(&["check", "--json"]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert_eq!(done.json()["listen"], "127.0.0.1:8080");
    assert!(!place.data().exists());
    assert!(
        place
            .run(&["check"])
            .out
            .starts_with("The configuration is right: ")
    );
}

#[test]
fn arguments_are_explained() {
    let place = Place::new();
    assert_eq!(
        place.run(&["--version"]).out,
        format!("turnpike {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(place.run(&["--help"]).code, 0);
    let wrong = place.run(&["serv"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("serve"), "{}", wrong.err);
    assert_eq!(
        place
            .run(&["keys", "create", "--name", "x", "--limit", "much"])
            .code,
        2
    );
}

#[test]
fn a_taken_port_is_one_line_and_touches_no_data() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let address = taken.local_addr().unwrap().to_string();
    let done = place.run(&["--listen", &address]);
    assert_eq!(done.code, 1);
    let expected = format!(
        "turnpike: cannot listen on {address}: another process listens there; stop it or choose another address with --listen\n"
    );
    assert_eq!(done.err, expected);
    assert!(!place.data().exists());
}

#[test]
fn a_database_that_cannot_be_reached_is_one_line_without_its_password() {
    let place = Place::new();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    place.write(
        "turnpike.toml",
        &format!("[database]\nurl = \"postgres://me:hunter2@{closed}/x\"\n"),
    );
    for command in [&["--listen", "127.0.0.1:0"][..], &["keys", "list"]] {
        let done = place.run(command);
        assert_eq!(done.code, 1);
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
        assert!(
            done.err
                .starts_with("turnpike: cannot open the Postgres database: "),
            "{}",
            done.err
        );
        assert!(!done.err.contains("hunter2"));
    }
}

#[test]
fn commands_before_the_first_start_say_what_to_do() {
    let done = Place::new().run(&["keys", "list"]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("start the server once"), "{}", done.err);
}

#[test]
fn the_first_start_prints_a_curl_line_that_works_and_later_ones_no_secret() {
    let place = Place::new();
    let first = place.serve(&[]);
    let curl = first.printed("  curl ").to_owned();
    let (url, rest) = curl.split_once(" \\").unwrap();
    let key = between(rest, "Bearer ", "'");
    let body = between(rest, "-d '", "'\n");
    let (status, answer) = post(url, key, body);
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "Hello from the road"
    );
    assert!(answer["usage"]["cost"].is_number(), "{answer}");
    assert_eq!(first.stop(), 0);

    let second = place.serve(&[]);
    assert!(!second.out().contains("sk-or-v1-"));
    assert_eq!(
        post(&second.chat_url(), key, body).0,
        200,
        "the key lives on"
    );
    assert!(place.run(&["health", "--listen", &second.address()]).code == 0);
    assert_eq!(second.stop(), 0);
    assert_eq!(place.run(&["health", "--listen", "127.0.0.1:1"]).code, 1);
}

#[test]
fn keys_credits_and_users_while_the_server_runs() {
    let place = Place::new();
    let server = place.serve(&[]);
    let hello = r#"{"model": "turnpike/echo", "messages": [{"role": "user", "content": "hi"}]}"#;

    let user = place
        .run(&["users", "create", "--email", "ann@example.com", "--json"])
        .json();
    assert_eq!(user["email"], "ann@example.com");
    let again = place.run(&["users", "create", "--email", "ann@example.com"]);
    assert_eq!(
        (again.code, again.err.as_str()),
        (
            1,
            "turnpike: an account with this e-mail address exists already\n"
        )
    );

    let key = place
        .run(&[
            "keys",
            "create",
            "--account",
            "ann@example.com",
            "--name",
            "laptop",
            "--limit",
            "1.5",
            "--limit-reset",
            "daily",
            "--json",
        ])
        .json();
    assert_eq!(
        (&key["name"], &key["limit"], &key["limit_reset"]),
        (&"laptop".into(), &1.5.into(), &"daily".into())
    );
    let (text, hash) = (key["key"].as_str().unwrap(), key["hash"].as_str().unwrap());
    assert_eq!(post(&server.chat_url(), text, hello).0, 200);

    let granted = place
        .run(&[
            "credits",
            "grant",
            "--account",
            "ann@example.com",
            "--amount",
            "2.5",
            "--reference",
            "welcome",
            "--json",
        ])
        .json();
    assert_eq!(
        (&granted["balance"], &granted["account"]),
        (&2.5.into(), &user["id"])
    );
    let again = place.run(&[
        "credits",
        "grant",
        "--account",
        "ann@example.com",
        "--amount",
        "2.5",
        "--reference",
        "welcome",
    ]);
    assert!(again.out.contains("granted before"), "{}", again.out);
    assert_eq!(
        place.run(&["credits", "show", "--json"]).json()["balance"],
        10
    );

    let listed = place
        .run(&["keys", "list", "--account", "ann@example.com", "--json"])
        .json();
    assert_eq!(
        (&listed[0]["hash"], &listed[0]["key"]),
        (&key["hash"], &Value::Null)
    );
    let foreign = place.run(&["keys", "disable", hash]);
    assert_eq!(foreign.code, 1, "the key is not the admin's");
    assert_eq!(
        place
            .run(&[
                "keys",
                "disable",
                "--account",
                "ann@example.com",
                &hash[..8],
                "--json"
            ])
            .json()["disabled"],
        true
    );
    let refused = program::until(|| post(&server.chat_url(), text, hello).0 == 401);
    assert!(
        refused,
        "a disabled key stops working at the running server"
    );
    assert_eq!(
        place
            .run(&["keys", "delete", "--account", "ann@example.com", hash])
            .code,
        0
    );
    assert_eq!(
        place
            .run(&["keys", "list", "--account", "ann@example.com", "--json"])
            .json(),
        Value::Array(Vec::new())
    );

    let proof = place.run(&["ledger", "verify", "--json"]);
    assert_eq!(proof.code, 0, "{}{}", proof.out, proof.err);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_data_directory_has_one_server() {
    let place = Place::new();
    let server = place.serve(&[]);
    let second = place.run(&["--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, 1);
    assert!(
        second.err.ends_with("is in use by another server\n"),
        "{}",
        second.err
    );
    assert_eq!(server.stop(), 0);
}

#[test]
fn the_catalogue_lists_what_each_model_lacks() {
    let place = Place::new();
    assert_eq!(place.run(&["catalog", "check"]).code, 0);
    let list = place.run(&["catalog", "list"]).out;
    assert!(
        list.contains("turnpike/echo") && list.contains("OPENAI_API_KEY is not set"),
        "{list}"
    );
    assert!(place.run(&["catalog", "list", "--json"]).json()["models"].is_array());
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before)
        .unwrap()
        .1
        .split_once(after)
        .unwrap()
        .0
}
