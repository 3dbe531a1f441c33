//! Variables as the catalogue sees them: keys, and account settings named in addresses as `${NAME}`.

use std::fmt;
use std::sync::Arc;

use super::google;

/// Where variables come from: the process, or a test's own table.
#[derive(Clone)]
pub struct Environment(Arc<Find>);

type Find = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    /// The variables of this process.
    pub fn process() -> Self {
        Environment::from_fn(|name| std::env::var(name).ok())
    }

    /// The variables that `find` knows.
    pub fn from_fn(find: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Environment(Arc::new(find))
    }

    /// A variable's value; an empty one is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// Puts variables in the place of their names; those that are not set are added to `missing`.
pub(super) fn expand(
    template: &str,
    environment: &Environment,
    missing: &mut Vec<String>,
) -> String {
    let mut expanded = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, name, after)) = next_name(rest) {
        expanded.push_str(before);
        match environment
            .get(name)
            .or_else(|| google::setting(name, environment))
        {
            Some(value) => expanded.push_str(fitting(&expanded, value.trim_end_matches('/'))),
            None => {
                let asked = google::asked_for(name);
                if !missing.iter().any(|known| known == asked) {
                    missing.push(asked.to_owned());
                }
            }
        }
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}

fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let (before, opened) = text.split_once("${")?;
    let (name, after) = opened.split_once('}')?;
    Some((before, name, after))
}

/// A host is often set as a whole address; its scheme goes where the template has one.
fn fitting<'a>(before: &str, value: &'a str) -> &'a str {
    if before.ends_with("://") {
        value.split_once("://").map_or(value, |(_, host)| host)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_unset_ones_reported() {
        let environment = Environment::from_fn(|name| match name {
            "HOST" => Some("https://acme.example/".into()),
            "REGION" => Some("eu".into()),
            "EMPTY" => Some(" ".into()),
            _ => None,
        });
        let check = |template, expect: &str, lacks: &[&str]| {
            let mut missing = Vec::new();
            assert_eq!(expand(template, &environment, &mut missing), expect);
            assert_eq!(missing, lacks);
        };
        check(
            "https://api.acme.example/v1",
            "https://api.acme.example/v1",
            &[],
        );
        check(
            "https://${HOST}/v1/${REGION}",
            "https://acme.example/v1/eu",
            &[],
        );
        check("${HOST}", "https://acme.example", &[]);
        check(
            "https://${EMPTY}.${OTHER}.example",
            "https://..example",
            &["EMPTY", "OTHER"],
        );
    }
}
