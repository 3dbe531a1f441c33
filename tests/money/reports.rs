//! The commands that read the ledger beside a running server: reprice, export, statement.

use http::StatusCode;
use serde_json::json;
use turnpike::clock::now_ms;
use turnpike::domain::calendar::Windows;
use turnpike::domain::money::Nanos;
use turnpike::store::{Entry, StoreError};

use crate::support::client::Http;
use crate::support::db::{TestDb, on_both_engines};
use crate::support::money::{account, key, run, settlement};
use crate::support::process::Process;
use crate::support::upstream::Upstream;

const DAY: i64 = 86_400_000;

/// A server that has answered three calls of 16 µ$ each, and its upstream.
async fn busy(db: &TestDb) -> (Process, Upstream) {
    let upstream = Upstream::answering("One two three").await;
    let config = format!(
        "[ledger]\nmarkup = \"25\"\n{}",
        upstream.provider("lab-a", "0.000001", "0.000002")
    );
    let process = Process::start(db, &config).await;
    let made = process
        .run(&["keys", "create", "--name", "load", "--json"])
        .await;
    let http = Http::new(&process.base).with_key(made["key"].as_str().unwrap());
    let ask = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": 9});
    for _ in 0..3 {
        assert_eq!(
            http.post("/api/v1/chat/completions", &ask).await.status,
            StatusCode::OK
        );
    }
    (process, upstream)
}

/// A day such as `2026-08-31`, and its month.
fn date(at: i64) -> (String, String) {
    let at = time::OffsetDateTime::from_unix_timestamp(at / 1_000).unwrap();
    let month = format!("{:04}-{:02}", at.year(), u8::from(at.month()));
    (format!("{month}-{:02}", at.day()), month)
}

on_both_engines! {
    async fn entries_are_exported_as_csv(db: TestDb) {
        let (process, _upstream) = busy(db).await;
        let csv = process.print(&["ledger", "export"]).await;
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "kind,reference,debit,credit,amount_usd,created_at");
        let of = |kind: &str| lines.iter().filter(|line| line.starts_with(&format!("{kind},"))).count();
        assert_eq!((of("charge"), of("fee"), of("discount")), (3, 3, 0));
        assert_eq!(lines.len(), 7 + of("grant"));
        let charge = lines.iter().find(|line| line.starts_with("charge,gen-")).unwrap();
        assert!(charge.contains(",payable:lab-a,0.000016,"), "{charge}");
        let fee = lines.iter().find(|line| line.starts_with("fee,gen-")).unwrap();
        assert!(fee.contains(",operator:fees,0.000004,"), "{fee}");

        let (today, _) = date(now_ms());
        let before = process.print(&["ledger", "export", "--to", &today]).await;
        assert_eq!(before.lines().count(), 1, "nothing is older than today");
        let json = process.print(&["ledger", "export", "--from", &today, "--json"]).await;
        assert_eq!(json.lines().filter(|line| line.contains("\"charge\"")).count(), 3);
        process.terminate().await;
    }

    async fn a_statement_adds_up(db: TestDb) {
        let (process, _upstream) = busy(db).await;
        let (_, month) = date(now_ms());
        let shown = process.run(&["ledger", "statement", "--month", &month, "--json"]).await;
        let credits = process.run(&["credits", "show", "--json"]).await;
        assert_eq!((&shown["opening"], &shown["closing"]), (&json!(0), &credits["balance"]));
        assert_eq!((&shown["granted"], &shown["charged"]), (&credits["total_credits"], &json!(0.000_06)));
        let line = &shown["charges"][0];
        assert_eq!((&line["model"], &line["requests"], &line["prompt_tokens"]), (&json!("acme/orca"), &json!(3), &json!(30)));
        assert_eq!((&line["list"], &line["discount"], &line["fee"]), (&json!(0.000_048), &json!(0), &json!(0.000_012)));
        let words = process.print(&["ledger", "statement", "--month", &month]).await;
        assert!(words.contains("Closing balance  $") && words.contains("acme/orca"), "{words}");
        process.terminate().await;
    }

    async fn opening_balances_carry_what_was_before(db: TestDb) {
        let store = db.open().await;
        let who = account(&store, 0).await;
        let key = key(&store, &who, None).await;
        let month = Windows::at(now_ms()).month;
        let give = async |amount: i64, name: &str, at: i64| {
            assert!(store.grant(&who, Nanos(amount), name, at).await.unwrap());
        };
        give(1_000, "first", month - DAY).await;
        give(-100, "back", month - 1).await;
        give(50, "later", month).await;
        store.settle(&[settlement("nobody", run(&key, 30), month - 1)]).await.unwrap();
        store.settle(&[settlement("nobody", run(&key, 7), month)]).await.unwrap();
        let earlier = store.statement(&who, Windows::at(month - 1).month, month).await.unwrap();
        assert_eq!((earlier.opening, earlier.granted(), earlier.charged(), earlier.closing()), (Nanos(0), Nanos(900), Nanos(30), Nanos(870)));
        let now = store.statement(&who, month, month + 31 * DAY).await.unwrap();
        assert_eq!((now.opening, now.closing()), (Nanos(870), Nanos(913)));
        assert_eq!(store.credits(&who).await.unwrap().balance(), Nanos(913));
    }

    async fn repricing_shows_what_another_price_would_have_charged_and_changes_nothing(db: TestDb) {
        let (process, _upstream) = busy(db).await;
        let (today, _) = date(now_ms());
        let reprice = ["ledger", "reprice", "--since", &today, "--json"];
        let same = process.run(&reprice).await;
        assert_eq!((&same["differences"], &same["totals"]["runs"]), (&json!([]), &json!(3)));

        process.reconfigure("completion = \"0.000002\"", "completion = \"0.000004\"");
        let dearer = process.run(&reprice).await;
        let differences = dearer["differences"].as_array().unwrap();
        assert_eq!(differences.len(), 3);
        // List price 22 instead of 16 µ$, a quarter on top.
        assert!(differences.iter().all(|it| it["charged"] == 0.000_02 && it["expected"] == 0.000_027_5), "{dearer}");
        assert_eq!(dearer["totals"]["expected"], 0.000_082_5);
        let words = process.print(&reprice[..4]).await;
        assert!(words.contains("3 of 3 runs differ: charged $0.00006, expected $0.0000825, off by $0.0000225"), "{words}");

        process.reconfigure("acme/orca", "acme/whale");
        assert_eq!(process.run(&reprice).await["totals"]["gone"], 3);
        assert_eq!(process.run(&["ledger", "verify", "--json"]).await["entries"].as_u64().unwrap() % 6, 1, "three charges, three fees, a grant");
        process.terminate().await;
    }

    async fn reading_stops_when_the_reader_does(db: TestDb) {
        let store = db.open().await;
        let who = key(&store, &account(&store, 1_000).await, None).await;
        let rows: Vec<_> = (0..50).map(|_| settlement("nobody", run(&who, 1), now_ms())).collect();
        store.settle(&rows).await.unwrap();
        let mut read = 0;
        let stopped = store.each_entry(0, i64::MAX, |_: Entry| {
            read += 1;
            if read == 3 { Err(StoreError::Late) } else { Ok(()) }
        });
        assert!(stopped.await.is_err());
        assert_eq!(read, 3);
        let mut ids: Vec<String> = Vec::new();
        let all = store.each_generation(0, |run| {
            ids.push(run.id.as_str().to_owned());
            Ok::<_, StoreError>(())
        });
        all.await.unwrap();
        assert!(ids.len() == 50 && ids.is_sorted());
    }
}
