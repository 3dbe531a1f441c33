//! Whole lives of an endpoint, by the clock of the test.

use std::time::Duration;

use super::*;
use crate::catalog::fixture::endpoint;
use crate::rank::health::Standing;

const START: i64 = 1_788_177_600_000;

fn well(tokens: u64, took_ms: u64) -> Went {
    Went::Well {
        output: (tokens, Duration::from_millis(took_ms)),
        prompt_tokens: 100,
        cached_tokens: 25,
    }
}

#[test]
fn what_is_recorded_is_what_ranking_reads() {
    let healths = Healths::default();
    let (fast, idle) = (endpoint("a", 1, 1), endpoint("b", 1, 1));
    let vitals = healths.of(&fast);
    for _ in 0..100 {
        vitals.first_token(Duration::from_millis(300), START);
        vitals.ended(well(100, 2_000), START);
    }
    let view = healths.view(START);
    let health = view.health(&fast);
    let near = |value: f64, expect: f64| (value / expect - 1.0).abs() < 0.13;
    assert!(near(health.latency_ms.unwrap().p50, 300.0), "{health:?}");
    assert!(near(health.throughput.unwrap().p50, 50.0), "{health:?}");
    assert_eq!((health.requests, health.cache_hits_ppm), (100, 250_000));
    assert_eq!(health.standing, Standing::Well);
    assert_eq!(
        view.summary(&fast).unwrap().published.uptime,
        [Some(100.0); 3]
    );
    assert_eq!(view.health(&idle), Health::default());
    assert_eq!(view.summary(&idle), None);
}

#[test]
fn an_endpoint_that_keeps_failing_rests_and_one_probe_brings_it_back() {
    let healths = Healths::default();
    let lab = endpoint("a", 1, 1);
    let vitals = healths.of(&lab);
    let standing = |now: i64| vitals.health(now).standing;
    vitals.ended(Went::Failed, START);
    assert_eq!(standing(START), Standing::Outage);
    for _ in 0..4 {
        vitals.ended(Went::Failed, START);
    }
    let (pause, now) = (3_000, START + 3_000);
    assert_eq!(standing(now - 1), Standing::Resting);
    assert!(vitals.admits(now - 1));
    assert_eq!(standing(now), Standing::Well);
    assert!(vitals.admits(now) && !vitals.admits(now));
    vitals.ended(Went::Failed, now);
    assert_eq!(standing(now + 2 * pause - 1), Standing::Resting);
    assert!(vitals.admits(now + 2 * pause));
    vitals.ended(well(10, 100), now + 2 * pause);
    assert_eq!(standing(now + 2 * pause), Standing::Well);
    assert!(vitals.admits(now + 2 * pause) && vitals.admits(now + 2 * pause));
}

#[test]
fn an_outage_that_is_over_does_not_keep_traffic_away() {
    let vitals = Healths::default().of(&endpoint("a", 1, 1));
    for _ in 0..100 {
        vitals.ended(well(10, 100), START);
    }
    for _ in 0..50 {
        vitals.ended(Went::Failed, START + 1);
    }
    let back = START + 3_001;
    assert!(vitals.admits(back));
    vitals.ended(well(10, 100), back);
    assert_eq!(vitals.health(back + 1_000).standing, Standing::Well);
    assert!(vitals.summary_now(back).published.uptime[0].unwrap() < 80.0);
    // From here on it is judged anew.
    for _ in 0..200 {
        vitals.ended(well(10, 100), back);
        vitals.ended(well(10, 100), back);
        vitals.ended(Went::Failed, back);
    }
    assert_eq!(vitals.health(back + 1_000).standing, Standing::Down);
}

#[test]
fn limits_and_refusals_are_no_failures() {
    let healths = Healths::default();
    let vitals = healths.of(&endpoint("a", 1, 1));
    for _ in 0..200 {
        vitals.ended(well(10, 100), START);
        vitals.ended(Went::Limited, START);
        vitals.ended(Went::Neither, START);
    }
    assert_eq!(vitals.summary(START).published.uptime[0], Some(100.0));
    vitals.cool(Some(Duration::from_secs(7)), START);
    assert_eq!(vitals.health(START + 6_999).standing, Standing::Resting);
    assert_eq!(vitals.health(START + 7_000).standing, Standing::Well);
    for _ in 0..5 {
        vitals.ended(Went::Refused, START + 7_000);
    }
    assert_eq!(vitals.health(START + 7_000).standing, Standing::Resting);
    assert_eq!(
        vitals.summary(START + 7_000).published.uptime[0],
        Some(100.0)
    );
}

#[test]
fn processes_learn_from_each_other_and_count_nothing_twice() {
    let (one, two, late) = (Healths::default(), Healths::default(), Healths::default());
    let lab = endpoint("a", 1, 1);
    for healths in [&one, &two] {
        for _ in 0..60 {
            healths.of(&lab).ended(well(100, 1_000), START);
        }
        healths.of(&lab).tool_calls(true, START);
    }
    let rows = [one.unstored(START), two.unstored(START)].concat();
    assert_eq!(rows.len(), 2);
    assert!(one.unstored(START).is_empty());
    one.store_again();
    assert_eq!(one.unstored(START).len(), 1);
    for _ in 0..2 {
        late.learn(&rows);
        let summary = late.view(START).summary(&lab).unwrap();
        assert_eq!(summary.health.requests, 120);
        assert_eq!(
            (summary.health.tools.judged, summary.health.tools.bad),
            (2, 2)
        );
        assert_eq!(summary.published.uptime[0], Some(100.0));
    }
    // What others measured grows old as one's own does.
    let later = late.view(START + 3_600_000).summary(&lab).unwrap();
    assert_eq!(later.published.uptime, [None, None, Some(100.0)]);
    let next_day = late.view(START + 100_000_000).summary(&lab).unwrap();
    assert_eq!(next_day.published.uptime, [None; 3]);
}

#[test]
fn what_another_version_wrote_is_ignored() {
    let healths = Healths::default();
    let row = StoredHealth {
        model: "acme/orca".into(),
        tag: "a".into(),
        measured: "{\"v\":9}".to_owned(),
    };
    healths.learn(&[row]);
    assert_eq!(healths.view(START).summary(&endpoint("a", 1, 1)), None);
}

#[test]
fn an_endpoint_has_habits_once_it_has_a_history() {
    let vitals = Healths::default().of(&endpoint("a", 1, 1));
    for _ in 0..19 {
        vitals.first_token(Duration::from_millis(200), START);
    }
    assert_eq!(vitals.summary(START).hopeless_first_token(), None);
    vitals.first_token(Duration::from_millis(200), START);
    let summary = vitals.summary(START + 1_000);
    let usual = summary.usual_first_token().unwrap();
    let hopeless = summary.hopeless_first_token().unwrap();
    assert!(
        usual < Duration::from_millis(250) && hopeless > 3 * usual,
        "{summary:?}"
    );
}

/// What a request is tried by that goes to an endpoint with a history of quick answers.
fn quick(awaited: Awaited) -> Arc<Vitals> {
    let vitals = Healths::default().of(&endpoint("a", 1, 1));
    for _ in 0..20 {
        vitals.sent(awaited, START);
        vitals.heard(awaited, Duration::from_millis(50), START);
    }
    vitals
}

#[test]
fn an_endpoint_that_falls_silent_is_paused_and_then_probed() {
    for awaited in [Awaited::FirstToken, Awaited::Whole] {
        let vitals = quick(awaited);
        for request in 0..20 {
            vitals.sent(awaited, START + request * 49);
        }
        assert_eq!(vitals.health(START + 950).standing, Standing::Well);
        vitals.sent(awaited, START + 1_000);
        assert_eq!(vitals.health(START + 1_001).standing, Standing::Resting);
        // After the pause, one finds out.
        let half_open = START + 4_000;
        assert!(vitals.admits(half_open) && !vitals.admits(half_open));
        vitals.sent(awaited, half_open);
        vitals.heard(awaited, Duration::from_millis(50), half_open + 50);
        vitals.ended(well(10, 50), half_open + 60);
        assert!(vitals.admits(half_open + 61) && vitals.admits(half_open + 62));
    }
}

#[test]
fn silence_is_no_sign_without_a_history_or_while_others_are_answered() {
    let unknown = Healths::default().of(&endpoint("a", 1, 1));
    for request in 0..100 {
        unknown.sent(Awaited::FirstToken, START + request * 100);
    }
    assert_eq!(unknown.health(START + 10_000).standing, Standing::Well);
    let busy = quick(Awaited::FirstToken);
    for request in 0..100 {
        busy.sent(Awaited::FirstToken, START + request * 100);
        if request % 8 == 0 {
            busy.heard(
                Awaited::FirstToken,
                Duration::from_millis(50),
                START + request * 100,
            );
        }
    }
    assert_eq!(busy.health(START + 10_000).standing, Standing::Well);
}
