//! What is to be embedded (contract 12): a text, a list of token ids, or many of either.

use super::json::Raw;

/// The inputs one by one: each gets a vector. A list of numbers is one input, and an empty list is none.
pub fn parts(input: &Raw) -> Vec<Raw> {
    match input.elements() {
        Some(elements) if !is_tokens(&elements) => elements,
        _ => vec![input.clone()],
    }
}

/// Whether the elements of a list are token ids.
pub fn is_tokens(elements: &[Raw]) -> bool {
    let is_number = |element: &Raw| matches!(element.as_bytes(), [b'0'..=b'9' | b'-', ..]);
    elements.first().is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_stands_on_its_own() {
        let check = |input: serde_json::Value, expect: &[&str]| {
            let parts = parts(&Raw::of(&input).unwrap());
            let parts: Vec<&str> = parts.iter().map(Raw::as_str).collect();
            assert_eq!(parts, expect);
        };
        check(serde_json::json!("a, [b]"), &["\"a, [b]\""]);
        check(serde_json::json!(["a", "b"]), &["\"a\"", "\"b\""]);
        check(serde_json::json!([1, 2]), &["[1,2]"]);
        check(serde_json::json!([[1, 2], [3]]), &["[1,2]", "[3]"]);
        check(serde_json::json!([]), &[]);
    }
}
