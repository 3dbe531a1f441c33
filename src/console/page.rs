//! The frame of every page: head, navigation, and the small pieces that pages share.

use axum::response::Html;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets;
use super::visit::{Person, Visit};

/// Where in the navigation a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The model list and models' pages.
    Models,
    /// Trying models.
    Playground,
    /// Keys.
    Keys,
    /// What was spent.
    Activity,
    /// What is left.
    Credits,
    /// Applications that have keys.
    Apps,
    /// Running the gateway.
    Admin,
    /// Elsewhere.
    Nowhere,
}

const PLACES: [(Place, &str, &str); 7] = [
    (Place::Models, "/models", "Models"),
    (Place::Playground, "/playground", "Playground"),
    (Place::Keys, "/keys", "Keys"),
    (Place::Activity, "/activity", "Activity"),
    (Place::Credits, "/credits", "Credits"),
    (Place::Apps, "/apps", "Apps"),
    (Place::Admin, "/admin", "Admin"),
];

/// A page in the frame, with the navigation of who looks at it.
pub fn page(visit: &Visit, place: Place, title: &str, body: &Markup) -> Html<String> {
    let account = visit
        .signed_in
        .as_ref()
        .map(|signed_in| &signed_in.session.account);
    let shown = |place: &Place| match place {
        Place::Models => true,
        Place::Admin => account.is_some_and(|account| account.admin),
        _ => account.is_some(),
    };
    let navigation = html! {
        nav.places aria-label="Main" {
            @for (other, address, name) in PLACES.iter().filter(|(place, ..)| shown(place)) {
                a href=(address) aria-current=[(*other == place).then_some("page")] { (name) }
            }
        }
        @match account {
            Some(account) => {
                details.menu {
                    summary aria-label="Your account" { (initial(&account.email)) }
                    div.menu-body {
                        p.muted.ellipsis { (account.email) }
                        a href="/account" { "Account and password" }
                        form method="post" action="/sign-out" {
                            (token(visit))
                            button.plain type="submit" { "Sign out" }
                        }
                    }
                }
            }
            None => { a.button.small href="/sign-in" { "Sign in" } }
        }
    };
    Html(frame(title, &navigation, body).into_string())
}

/// A page without navigation: signing in, errors, consent.
pub fn bare(title: &str, body: &Markup) -> Markup {
    frame(title, &html! {}, body)
}

/// The hidden field that shows a form to be from one of our pages.
pub fn token(visit: &Visit) -> Markup {
    html! { input type="hidden" name="form_token" value=(visit.form_token); }
}

/// The same for a signed-in person's page.
pub fn token_of(person: &Person) -> Markup {
    token(&person.visit)
}

/// A title with what can be done beside it.
pub fn heading(title: &str, beside: &Markup) -> Markup {
    html! {
        header.heading {
            h1 { (title) }
            div.actions { (beside) }
        }
    }
}

/// What to do when there is nothing to show yet.
pub fn empty(title: &str, next: &Markup) -> Markup {
    html! {
        div.empty {
            h2 { (title) }
            (next)
        }
    }
}

/// A labelled field, with what is wrong with it beside it.
pub fn field(name: &str, label: &str, hint: &str, wrong: Option<&str>, input: &Markup) -> Markup {
    html! {
        div.field.wrong[wrong.is_some()] {
            label for=(name) { (label) }
            (input)
            @if let Some(wrong) = wrong {
                p.error id=(format!("{name}-hint")) role="alert" { (wrong) }
            } @else if !hint.is_empty() {
                p.hint id=(format!("{name}-hint")) { (hint) }
            }
        }
    }
}

/// A select with one of `options` (value, words) chosen.
pub fn select(name: &str, options: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        select id=(name) name=(name) {
            @for (value, words) in options {
                option value=(value) selected[*value == chosen] { (words) }
            }
        }
    }
}

/// How much of a whole is used, as a bar. Drawn, since styles may not be written into the page.
pub fn bar(part: i64, whole: i64, label: &str) -> Markup {
    let width = if whole <= 0 {
        1_000
    } else {
        (i128::from(part.max(0)) * 1_000 / i128::from(whole)).min(1_000)
    };
    let level = match width {
        ..750 => "bar",
        750..950 => "bar high",
        _ => "bar full",
    };
    html! {
        svg class=(level) viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.track width="1000" height="10" {}
            rect.part width=(width) height="10" {}
        }
    }
}

/// A number that matters, with its name.
pub fn figure(name: &str, value: &str, note: &str) -> Markup {
    html! {
        div.figure {
            dt { (name) }
            dd { (value) }
            @if !note.is_empty() { dd.hint { (note) } }
        }
    }
}

fn frame(title: &str, navigation: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Turnpike" }
                link rel="icon" href=(assets::ICON.address()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE.address());
                script defer src=(assets::SCRIPT.address()) {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { (PreEscaped(include_str!("../../assets/mark.svg"))) span { "Turnpike" } }
                    (navigation)
                }
                main #main tabindex="-1" { (body) }
            }
        }
    }
}

fn initial(email: &str) -> String {
    email
        .chars()
        .next()
        .unwrap_or('?')
        .to_uppercase()
        .to_string()
}
