//! Glob patterns for case ids.

pub use fast_glob::Error as GlobError;
use fast_glob::{glob_match, validate};

/// `*` and `?` match within a segment, `**` matches any number of segments, and `{a,b}` and `[ab]` match
/// alternatives.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
}

impl Glob {
    /// Checks a pattern.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        validate(text)?;
        let text = match text.strip_prefix('!') {
            // Otherwise it would match everything else.
            Some(rest) => format!("\\!{rest}"),
            None => text.to_owned(),
        };
        Ok(Self { text })
    }

    /// A pattern that matches this text and no other.
    pub fn escaped(text: &str) -> String {
        let mut pattern = String::new();
        for letter in text.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern
    }

    /// The prefix of every match: the text before the first wildcard.
    pub fn plain_start(&self) -> &str {
        let end = self.text.find(['*', '?', '[', '{', '\\']);
        &self.text[..end.unwrap_or(self.text.len())]
    }

    /// Whether the pattern matches all of `id`.
    pub fn is_match(&self, id: &str) -> bool {
        glob_match(&self.text, id)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a/b", "a/b", true)]
    #[case("a/b", "a/b/c", false)]
    #[case("a", "A", false)]
    #[case("a/*", "a/b", true)]
    #[case("a/*", "a/b/c", false)]
    #[case("a/*/c", "a/c", false)]
    #[case("a*c", "abc", true)]
    #[case("a*c", "a/c", false)]
    #[case("a?c", "abc", true)]
    #[case("a?c", "a/c", false)]
    #[case("**", "a/b/c", true)]
    #[case("**/c", "c", true)]
    #[case("**/c", "a/b/c", true)]
    #[case("**/b/*", "a/b/c", true)]
    #[case("**/b/*", "a/b", false)]
    #[case("a/**", "a/b/c", true)]
    #[case("a/**/c", "a/c", true)]
    #[case("a/**/c", "a/b/b/c", true)]
    #[case("a/**/c", "a/b/b/d", false)]
    #[case("a/{b,c-d}/*", "a/c-d/e", true)]
    #[case("a/{b,c-d}/*", "a/c/e", false)]
    #[case("{a,b}/{c,d}/{e,f}", "b/c/f", true)]
    #[case("{a,b{c,d}}", "bd", true)]
    #[case("a[12]", "a2", true)]
    #[case("a[12]", "a3", false)]
    #[case("a[!12]", "a3", true)]
    #[case("a[0-9]", "a7", true)]
    #[case("!a", "b", false)]
    #[case("!a", "!a", true)]
    fn matches(#[case] pattern: &str, #[case] id: &str, #[case] expected: bool) {
        assert_eq!(Glob::new(pattern).unwrap().is_match(id), expected);
    }

    #[test]
    fn an_escaped_text_matches_itself_alone() {
        for text in ["a*", "a?", "a[b]", "a{b,c}", "a\\b", "!a"] {
            let glob = Glob::new(&Glob::escaped(text)).unwrap();
            assert!(glob.is_match(text), "{text}");
            assert!(!glob.is_match("ab"), "{text}");
        }
    }

    #[rstest]
    #[case("a/[b")]
    #[case("a/{b,c")]
    #[case("a\\")]
    fn what_is_not_closed_is_no_pattern(#[case] pattern: &str) {
        assert!(Glob::new(pattern).is_err());
    }
}
