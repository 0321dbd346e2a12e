//! What failed, as commands that GitHub shows beside a workflow's run.

use super::saved::{Cause, Saved};
use crate::transcript::printable;

/// GitHub shows no more of one step.
const SHOWN: usize = 10;

/// A line for each cause of failures, and for what went wrong outside of cases.
pub fn to_annotations(saved: &Saved) -> String {
    let failed = saved.causes.iter().filter(|cause| cause.verdict == "fail");
    let causes = failed.map(|cause| (title(cause), cause.text.as_str()));
    let outside = [
        ("s2spec: trouble", &saved.trouble),
        ("s2spec: wrong whatever the case", &saved.breaches),
    ];
    let outside = outside.into_iter().flat_map(|(title, lines)| {
        lines
            .iter()
            .map(move |line| (title.to_owned(), line.as_str()))
    });
    let line = |(title, text): (String, &str)| {
        format!("::error title={}::{}\n", property(&title), data(text))
    };
    outside.chain(causes).take(SHOWN).map(line).collect()
}

fn title(cause: &Cause) -> String {
    let clause = &cause.clause;
    let name = clause.requirement.as_deref().unwrap_or(&clause.source);
    let cases = match cause.cases.as_slice() {
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        [] => String::new(),
    };
    format!("{name}: {cases}")
}

/// The text of a command. Nothing that a server said starts another one.
fn data(text: &str) -> String {
    printable(text).replace('%', "%25")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_no_command() {
        assert_eq!(data("100%\n::error::x"), "100%25\\n::error::x");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }
}
