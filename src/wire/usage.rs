//! Token counts in the spellings of OpenAI and its many relatives, and of those who count a cache apart. Shared by the
//! wires that have them.

use crate::domain::usage::Tokens;
use crate::wire::shape::{Given, count, first_count, shape};

shape! {
    /// A `usage` object.
    UsageShape {
        prompt = "prompt_tokens": Given<'a>,
        input = "input_tokens": Given<'a>,
        completion = "completion_tokens": Given<'a>,
        output = "output_tokens": Given<'a>,
        total = "total_tokens": Given<'a>,
        prompt_details = "prompt_tokens_details": Parts<'a>,
        input_details = "input_tokens_details": Parts<'a>,
        completion_details = "completion_tokens_details": Parts<'a>,
        output_details = "output_tokens_details": Parts<'a>,
        // DeepSeek's word for what the cache answered.
        cache_hit = "prompt_cache_hit_tokens": Given<'a>,
        cached = "cached_tokens": Given<'a>,
        num_cached = "num_cached_tokens": Given<'a>,
        cache_read = "cache_read_input_tokens": Given<'a>,
        cache_written = "cache_creation_input_tokens": Given<'a>,
        cache_creation = "cache_creation": Written<'a>,
        reasoning = "reasoning_tokens": Given<'a>,
        searches = "num_search_queries": Given<'a>,
        server_tools = "server_tool_use": ServerTools<'a>,
        server_tool_details = "server_tool_use_details": ServerTools<'a>,
    }
    /// What prompt or completion tokens are made of.
    Parts {
        cached = "cached_tokens": Given<'a>,
        written = "cache_write_tokens": Given<'a>,
        reasoning = "reasoning_tokens": Given<'a>,
        audio = "audio_tokens": Given<'a>,
        image = "image_tokens": Given<'a>,
    }
    /// Cache writes by how long they live.
    Written {
        five_minutes = "ephemeral_5m_input_tokens": Given<'a>,
        one_hour = "ephemeral_1h_input_tokens": Given<'a>,
    }
    /// What tools on the provider's side did.
    ServerTools {
        searches = "web_search_requests": Given<'a>,
    }
}

/// Counts of those whose input leaves out what a cache answered or took, which the gateway's prompt counts in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CacheApart {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cached: u64,
    /// All that was written to the cache.
    pub(super) written: u64,
    /// The part of it that lives for an hour.
    pub(super) one_hour: u64,
}

impl CacheApart {
    /// The counts in the domain's classes.
    pub(super) fn tokens(self) -> Tokens {
        let one_hour = self.one_hour.min(self.written);
        Tokens {
            prompt: self
                .input
                .saturating_add(self.cached)
                .saturating_add(self.written),
            completion: self.output,
            cached: self.cached,
            cache_write_5m: self.written - one_hour,
            cache_write_1h: one_hour,
            ..Tokens::default()
        }
    }
}

impl UsageShape<'_> {
    /// The counts; `None` when the object holds none. `reasoning_apart` as in [`Quirks`].
    ///
    /// [`Quirks`]: crate::wire::quirks::Quirks
    pub(super) fn tokens(&self, reasoning_apart: bool) -> Option<Tokens> {
        let prompt = count(self.prompt).or_else(|| count(self.input));
        let completion = count(self.completion).or_else(|| count(self.output));
        let total = count(self.total);
        let sum = prompt.or(completion).or(total)?;
        // Some give the sum and only one of its parts.
        let rest = |part: Option<u64>| total.unwrap_or(sum).saturating_sub(part.unwrap_or(0));
        let (prompt_parts, completion_parts) = (
            [&self.prompt_details, &self.input_details],
            [&self.completion_details, &self.output_details],
        );
        let written = prompt_parts.map(|parts| parts.written);
        let written = first_count(&[written[0], written[1], self.cache_written]);
        let one_hour = count(self.cache_creation.one_hour).unwrap_or(0);
        let mut tokens = Tokens {
            prompt: prompt.unwrap_or_else(|| rest(completion)),
            completion: completion.unwrap_or_else(|| rest(prompt)),
            cached: self.cached(),
            cache_write_5m: first_count(&[self.cache_creation.five_minutes])
                .max(written.saturating_sub(one_hour)),
            cache_write_1h: one_hour,
            reasoning: first_count(&[
                completion_parts[0].reasoning,
                completion_parts[1].reasoning,
                self.reasoning,
            ]),
            audio_in: first_count(&prompt_parts.map(|parts| parts.audio)),
            audio_out: first_count(&completion_parts.map(|parts| parts.audio)),
            image_out: first_count(&completion_parts.map(|parts| parts.image)),
            images: 0,
            web_searches: first_count(&[
                self.server_tools.searches,
                self.server_tool_details.searches,
                self.searches,
            ]),
            search_units: 0,
        };
        let apart = apart(&tokens, total, reasoning_apart);
        tokens.completion = tokens.completion.saturating_add(apart);
        tokens.reasoning = tokens.reasoning.max(apart);
        Some(tokens)
    }

    fn cached(&self) -> u64 {
        let nested = [self.prompt_details.cached, self.input_details.cached];
        let flat = [
            self.cache_hit,
            self.cached,
            self.num_cached,
            self.cache_read,
        ];
        first_count(&nested).max(first_count(&flat))
    }
}

/// Reasoning tokens that are part of the sum and not of the completion: xAI counts so, and the sum gives it away.
/// Gemini's OpenAI side does too, without saying that the difference is reasoning; that needs `expected`.
fn apart(tokens: &Tokens, total: Option<u64>, expected: bool) -> u64 {
    match total {
        None if expected => tokens.reasoning,
        None => 0,
        Some(total) => {
            let missing = total.saturating_sub(tokens.total());
            if expected || missing == tokens.reasoning {
                missing
            } else {
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, reasoning_apart: bool, expect: Option<Tokens>) {
        let usage: UsageShape<'_> = serde_json::from_str(json).unwrap();
        assert_eq!(usage.tokens(reasoning_apart), expect, "{json}");
    }

    #[test]
    fn every_spelling_is_counted() {
        let tokens = |prompt, completion| Tokens {
            prompt,
            completion,
            ..Tokens::default()
        };
        check(
            r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#,
            false,
            Some(tokens(3, 4)),
        );
        check(
            r#"{"input_tokens":3,"output_tokens":4}"#,
            false,
            Some(tokens(3, 4)),
        );
        check(
            r#"{"prompt_tokens":3,"total_tokens":7}"#,
            false,
            Some(tokens(3, 4)),
        );
        check(
            r#"{"prompt_tokens":8,"total_tokens":8}"#,
            false,
            Some(tokens(8, 0)),
        );
        check(
            r#"{"prompt_tokens":-3,"completion_tokens":1e40,"total_tokens":"x"}"#,
            false,
            Some(tokens(0, u64::MAX)),
        );
        check(
            r#"{"prompt_tokens":"3","completion_tokens":4.0}"#,
            false,
            Some(tokens(3, 4)),
        );
        check("{}", false, None);
        check("null", false, None);
        let cached = Some(Tokens {
            cached: 2,
            ..tokens(3, 4)
        });
        for field in [
            r#""prompt_tokens_details":{"cached_tokens":2}"#,
            r#""input_tokens_details":{"cached_tokens":2}"#,
            r#""prompt_cache_hit_tokens":2,"prompt_cache_miss_tokens":1"#,
            r#""cached_tokens":2"#,
            r#""cache_read_input_tokens":2,"prompt_tokens_details":null"#,
        ] {
            check(
                &format!(r#"{{"prompt_tokens":3,"completion_tokens":4,{field}}}"#),
                false,
                cached,
            );
        }
    }

    #[test]
    fn cache_writes_are_told_apart() {
        let written = |five, hour| {
            Some(Tokens {
                prompt: 9,
                completion: 1,
                cache_write_5m: five,
                cache_write_1h: hour,
                ..Tokens::default()
            })
        };
        let check = |fields: &str, expect| {
            check(
                &format!(r#"{{"prompt_tokens":9,"completion_tokens":1,{fields}}}"#),
                false,
                expect,
            )
        };
        check(
            r#""prompt_tokens_details":{"cache_write_tokens":5}"#,
            written(5, 0),
        );
        check(r#""cache_creation_input_tokens":5"#, written(5, 0));
        check(
            r#""cache_creation_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":3}"#,
            written(2, 3),
        );
    }

    #[test]
    fn reasoning_that_the_completion_leaves_out_is_added() {
        let tokens = |completion, reasoning| {
            Some(Tokens {
                prompt: 10,
                completion,
                reasoning,
                ..Tokens::default()
            })
        };
        let check = |total: &str, reasoning: u64, apart, expect| {
            let json = format!(
                r#"{{"prompt_tokens":10,"completion_tokens":4,{total}"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}"#
            );
            check(&json, apart, expect);
        };
        check(r#""total_tokens":44,"#, 30, false, tokens(34, 30));
        check(r#""total_tokens":44,"#, 30, true, tokens(34, 30));
        check(r#""total_tokens":14,"#, 3, false, tokens(4, 3));
        check(r#""total_tokens":14,"#, 3, true, tokens(4, 3));
        check(r#""total_tokens":44,"#, 0, false, tokens(4, 0));
        check(r#""total_tokens":44,"#, 0, true, tokens(34, 30));
        check("", 30, true, tokens(34, 30));
        check("", 30, false, tokens(4, 30));
    }
}
