//! Addresses of our own pages.

use url::form_urlencoded;

/// A query string. Empty values are left out.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    query.finish()
}

/// A page of ours to go to after signing in, and never a page of somebody else's.
pub fn local(page: &str) -> &str {
    let odd = |character: char| character.is_control() || character == '\\';
    if page.starts_with('/') && !page.starts_with("//") && !page.chars().any(odd) {
        page
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_local() {
        for page in [
            "/",
            "/keys?q=a",
            "/auth?callback_url=https%3A%2F%2Fapp.example",
        ] {
            assert_eq!(local(page), page);
        }
        for page in [
            "",
            "keys",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
        ] {
            assert_eq!(local(page), "/", "{page}");
        }
    }
}
