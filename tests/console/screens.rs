//! Every page in a real browser, on a phone and on a desktop: nothing is wider than the screen, the browser complains of
//! nothing, and, where axe-core is at hand, it finds nothing serious.
//!
//! `scripts/screenshots` runs these with `SCREENSHOTS`, a folder to put a picture of each page into, and `AXE_CORE`, the
//! path of `axe.min.js`.

mod seed;

use std::collections::BTreeSet;
use std::path::PathBuf;

use http::Method;
use turnpike::edge::router;

use crate::support::browser::Browser;
use crate::support::chromium::Chromium;
use seed::{Seeded, WIDE_QUERY};

const PHONE: (u32, u32) = (390, 844);
const DESKTOP: (u32, u32) = (1_280, 900);

/// What the gate looks at: each width and each scheme once.
const LOOKS: [(&str, (u32, u32), &str); 2] =
    [("phone", PHONE, "light"), ("desktop", DESKTOP, "dark")];
/// What else is to be seen in pictures.
const MORE_LOOKS: [(&str, (u32, u32), &str); 2] =
    [("phone", PHONE, "dark"), ("desktop", DESKTOP, "light")];

/// A page as somebody gets to it.
struct Screen {
    /// What its pictures are called.
    name: &'static str,
    /// The route it shows.
    route: &'static str,
    address: String,
    /// What is typed and pressed there.
    steps: &'static [Step],
}

enum Step {
    Fill(&'static str, &'static str),
    Press(&'static str),
    /// Waits until what the selector names has these words.
    See(&'static str, &'static str),
}

use Step::{Fill, Press, See};

fn screen(name: &'static str, route: &'static str, address: impl Into<String>) -> Screen {
    Screen {
        name,
        route,
        address: address.into(),
        steps: &[],
    }
}

impl Screen {
    fn then(self, steps: &'static [Step]) -> Screen {
        Screen { steps, ..self }
    }
}

fn of_visitors(seeded: &Seeded) -> Vec<Screen> {
    vec![
        screen("start", "/", "/"),
        screen("sign-in", "/sign-in", "/sign-in?next=/keys"),
        screen("sign-in-wrong", "/sign-in", "/sign-in").then(&[
            Fill("#email", "nobody@example.com"),
            Fill("#password", "wrong wrong wrong"),
            Press("form.sign button"),
            See(".error", "wrong"),
        ]),
        screen("sign-up", "/sign-up", &seeded.invitation),
        screen("sign-up-wrong", "/sign-up", &seeded.invitation).then(&[
            Fill("#email", "new@example.com"),
            Fill("#password", "short"),
            Press("form.sign button"),
            See(".error", "at least"),
        ]),
        screen("sign-up-closed", "/sign-up", "/sign-up"),
        screen(
            "elsewhere-failed",
            "/sign-in/{issuer}/callback",
            "/sign-in/fake/callback?code=x&state=y",
        ),
        screen("password", "/password/{link}", &seeded.password_link),
        screen("password-dead", "/password/{link}", "/password/x"),
        screen("models-visitor", "/models", "/models"),
        screen(
            "model-visitor",
            "/models/{author}/{slug}",
            "/models/acme/orca",
        ),
        screen("errors", "/docs/errors", "/docs/errors"),
        screen("nothing", "/", "/nothing-here"),
    ]
}

fn of_people(seeded: &Seeded) -> Vec<Screen> {
    vec![
        screen("home", "/", "/"),
        screen("models", "/models", "/models"),
        screen("models-none", "/models", "/models?q=no+such+model"),
        screen("model", "/models/{author}/{slug}", "/models/acme/orca"),
        screen("model-unserved", "/models/{author}/{slug}", &seeded.unserved),
        screen("playground", "/playground", "/playground?model=acme/orca"),
        screen("playground-compared", "/playground", "/playground?model=acme/orca").then(&[
            Fill("#prompt", "Tell me something."),
            Fill("#other", "turnpike/echo"),
            Press("#playground button[type=submit]"),
            See("#answers .card:nth-child(1) [data-part=cost]", "$"),
            See("#answers .card:nth-child(2) [data-part=cost]", "$"),
        ]),
        screen("keys", "/keys", "/keys"),
        screen("key-new", "/keys/new", "/keys/new"),
        screen("key-made", "/keys/new", "/keys/new").then(&[
            Fill("#name", "a new key"),
            Press("form.card button[type=submit]"),
            See("#key", "sk-or-v1-"),
        ]),
        screen("key", "/keys/{hash}", &seeded.key),
        screen("activity", "/activity", "/activity"),
        screen("activity-by-key", "/activity", "/activity?by=key&show=tokens&days=90"),
        screen("run", "/activity/{id}", &seeded.run),
        screen("credits", "/credits", "/credits"),
        screen("apps", "/apps", "/apps"),
        screen("account", "/account", "/account"),
        screen("consent", "/auth", format!("/auth?{WIDE_QUERY}")),
        screen("consent-refused", "/auth", "/auth?callback_url=http%3A%2F%2Fevil.example"),
        screen("consent-code", "/auth", "/auth?code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&limit=5").then(&[
            Press("button[value=approve]"),
            See("h1", "Your code"),
        ]),
    ]
}

fn of_newcomers(_: &Seeded) -> Vec<Screen> {
    vec![
        screen("home-new", "/", "/"),
        screen("keys-none", "/keys", "/keys"),
        screen("activity-none", "/activity", "/activity"),
        screen("credits-none", "/credits", "/credits"),
        screen("apps-none", "/apps", "/apps"),
        screen("for-admins", "/admin", "/admin"),
    ]
}

fn of_admins(seeded: &Seeded) -> Vec<Screen> {
    vec![
        screen("admin", "/admin", "/admin"),
        screen("admin-verified", "/admin", "/admin").then(&[
            Press("form[action='/admin/ledger/verify'] button"),
            See(".notice", "ledger"),
        ]),
        screen("admin-reloaded", "/admin", "/admin").then(&[
            Press("form[action='/admin/catalog/reload'] button"),
            See(".notice", "catalogue"),
        ]),
        screen("admin-providers", "/admin/providers", "/admin/providers"),
        screen("admin-users", "/admin/users", "/admin/users"),
        screen("admin-invitation", "/admin/users", "/admin/users").then(&[
            Press("form[action='/admin/invitations'] button"),
            See("h1", "invitation"),
        ]),
        screen("admin-user", "/admin/users/{id}", &seeded.user),
        screen("admin-user-wrong", "/admin/users/{id}", &seeded.user).then(&[
            Fill("#amount", "much"),
            Press("form[action$='/grant'] button"),
            See(".error", "amount"),
        ]),
    ]
}

/// What is no page: files, answers for programs, and ways that only lead on.
const NO_PAGES: [&str; 6] = [
    "/assets/{file}",
    "/healthz",
    "/readyz",
    "/metrics",
    "/activity.csv",
    "/logs",
];

#[test]
fn every_page_is_looked_at() {
    let seeded = Seeded::default();
    let screens = [of_visitors, of_people, of_newcomers, of_admins];
    let seen: BTreeSet<&str> = screens
        .iter()
        .flat_map(|screens| screens(&seeded))
        .map(|screen| screen.route)
        .collect();
    let routes = router::list();
    let pages = routes
        .iter()
        .filter(|(method, path)| {
            *method == Method::GET && !path.starts_with("/api/") && !path.starts_with("/v1/")
        })
        .map(|(_, path)| path.as_str())
        .filter(|path| !NO_PAGES.contains(path));
    let unseen: Vec<&str> = pages.filter(|path| !seen.contains(path)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_visitors_fit() {
    let seeded = Seeded::start().await;
    look_at(&seeded, None, of_visitors(&seeded)).await;
    seeded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_person_fit() {
    let seeded = Seeded::start().await;
    look_at(&seeded, Some(seeded.ann()), of_people(&seeded)).await;
    seeded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_with_nothing_on_them_yet_fit() {
    let seeded = Seeded::start().await;
    look_at(&seeded, Some(seeded.newcomer()), of_newcomers(&seeded)).await;
    seeded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_admins_fit() {
    let seeded = Seeded::start().await;
    look_at(&seeded, Some(seeded.root()), of_admins(&seeded)).await;
    seeded.stop().await;
}

/// Goes to every page and gathers what is wrong with any.
async fn look_at(seeded: &Seeded, who: Option<&Browser>, screens: Vec<Screen>) {
    let folder = std::env::var_os("SCREENSHOTS").map(PathBuf::from);
    let axe = std::env::var_os("AXE_CORE").map(|path| std::fs::read_to_string(path).unwrap());
    let base = seeded.base();
    let chromium = Chromium::start().await;
    // Cookies are for the site that the browser is on.
    chromium.go(&format!("{base}/sign-in")).await;
    if let Some(who) = who {
        let session = who.cookie("turnpike_session").unwrap();
        chromium.set_cookie("turnpike_session", &session).await;
    }
    let mut faults = Vec::new();
    for Screen {
        name,
        address,
        steps,
        ..
    } in screens
    {
        chromium.use_screen(DESKTOP, "light").await;
        chromium.go(&format!("{base}{address}")).await;
        for step in steps {
            match step {
                Fill(selector, text) => chromium.fill(selector, text).await,
                Press(selector) => chromium.press(selector).await,
                See(selector, words) => drop(chromium.text_with(selector, words).await),
            }
        }
        let looks = LOOKS
            .iter()
            .chain(folder.as_ref().map_or(&[][..], |_| &MORE_LOOKS[..]));
        for (width, size, scheme) in looks {
            let look = format!("{name}-{width}-{scheme}");
            chromium.use_screen(*size, scheme).await;
            let wide = chromium.script(TOO_WIDE).await;
            if !wide.is_empty() {
                faults.push(format!("{look}: wider than the screen: {wide}"));
            }
            if let Some(axe) = &axe {
                let found = chromium.script_later(&format!("{axe};{AUDIT}")).await;
                let found = found.as_array().unwrap().iter();
                faults.extend(found.map(|found| format!("{look}: {}", found.as_str().unwrap())));
            }
            if let Some(folder) = &folder {
                std::fs::create_dir_all(folder).unwrap();
                std::fs::write(folder.join(format!("{look}.png")), chromium.picture().await)
                    .unwrap();
            }
        }
        // A page that says it is none says so by its status, which the browser mentions.
        let own = format!("{} - Failed to load resource", chromium.url().await);
        let complaints = chromium.complaints().await;
        let complaints = complaints.iter().filter(|said| !said.starts_with(&own));
        faults.extend(complaints.map(|said| format!("{name}: {said}")));
    }
    chromium.close().await;
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Names what reaches beyond the right edge and is not inside something that scrolls.
const TOO_WIDE: &str = r#"
const width = document.documentElement.clientWidth;
const scrolls = (element) => {
  for (let around = element.parentElement; around; around = around.parentElement) {
    if (around !== document.body && getComputedStyle(around).overflowX !== "visible") return true;
  }
  return false;
};
const wide = [...document.querySelectorAll("body *")].filter((element) => {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && box.right > width + 1 && !scrolls(element);
});
const names = wide.map((element) => `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""} ${Math.round(element.getBoundingClientRect().right)}`);
if (document.documentElement.scrollWidth > width) names.push(`the page ${document.documentElement.scrollWidth}`);
return names.slice(0, 8).join(", ");
"#;

/// What axe-core finds serious or critical, a line each.
const AUDIT: &str = r#"
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => done(violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 4).map(({ target, any }) => `${target} ${any[0]?.message ?? ""}`).join(" | ")}`)));
"#;
