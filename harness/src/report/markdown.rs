//! A report as Markdown, short enough for the summary of a CI job.

use std::fmt::Write as _;

use super::saved::{Requirement, Saved};
use crate::console::words::counted;
use crate::transcript::printable;

/// How many causes are shown.
const CAUSES: usize = 30;
/// How many cases of a cause are named.
const NAMED: usize = 3;
/// Verdicts in the order in which they are counted.
const VERDICTS: [&str; 11] = [
    "pass",
    "warn",
    "fail",
    "xfail",
    "xpass",
    "disputed",
    "unstable",
    "undecided",
    "error",
    "unsupported",
    "not-run",
];

/// The document.
pub fn to_markdown(saved: &Saved) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "## s2spec: {}\n", plain(&saved.target));
    let counts = VERDICTS.iter().filter(|verdict| saved.count(verdict) > 0);
    let counts: Vec<String> = counts
        .map(|verdict| format!("{} {verdict}", saved.count(verdict)))
        .collect();
    let seconds = saved.times.elapsed_us / 1_000_000;
    let _ = writeln!(
        out,
        "{} in {seconds} s: {}. Seed {}.\n",
        counted(saved.cases.len(), "case"),
        counts.join(", "),
        saved.seed
    );
    if saved.partial {
        let _ = writeln!(out, "**These results are partial.**\n");
    }
    for (title, lines) in [
        ("Wrong whatever the case", &saved.breaches),
        ("Trouble", &saved.trouble),
        (
            "Entries of the baseline that are not needed any more",
            &saved.unneeded,
        ),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(out, "### {title}\n");
            for line in lines {
                let _ = writeln!(out, "- {}", code(line));
            }
            out.push('\n');
        }
    }
    causes(saved, &mut out);
    requirements(saved, &mut out);
    out
}

fn causes(saved: &Saved, out: &mut String) {
    if saved.causes.is_empty() {
        return;
    }
    let _ = writeln!(out, "### What to read first\n");
    let _ = writeln!(out, "| | clause | seen | cases |\n|---|---|---|---|");
    for cause in saved.causes.iter().take(CAUSES) {
        let named: Vec<String> = cause.cases.iter().take(NAMED).map(|id| code(id)).collect();
        let more = match cause.cases.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let id = cause.clause.requirement.as_deref();
        let _ = writeln!(
            out,
            "| {} | {} {} | {} | {}{more} |",
            cause.verdict,
            id.unwrap_or_default(),
            plain(&cause.clause.source),
            code(&cause.text),
            named.join(", ")
        );
    }
    if saved.causes.len() > CAUSES {
        let _ = writeln!(out, "\nand {} more.", saved.causes.len() - CAUSES);
    }
    out.push('\n');
}

fn requirements(saved: &Saved, out: &mut String) {
    let _ = writeln!(out, "### Requirements\n");
    let _ = writeln!(
        out,
        "| | held | breached | departed from | open | not tested |"
    );
    let _ = writeln!(out, "|---|--:|--:|--:|--:|--:|");
    for (strength, words) in [
        ("demanded", "demanded by a standard"),
        ("recommended", "recommended by one"),
        ("unwritten", "derived, for security or practice"),
    ] {
        let count = |standing: &str| {
            let is = |one: &&Requirement| one.strength == strength && one.standing == standing;
            saved.requirements.iter().filter(is).count()
        };
        let _ = writeln!(
            out,
            "| {words} | {} | {} | {} | {} | {} |",
            count("held"),
            count("breached"),
            count("departed"),
            count("open"),
            count("not-tested")
        );
    }
    out.push('\n');
    let breached = saved
        .requirements
        .iter()
        .filter(|one| one.standing == "breached");
    for one in breached {
        let _ = writeln!(
            out,
            "- breached: {} ({}, {}): {}",
            one.id,
            one.level,
            plain(&one.source),
            plain(&one.text)
        );
    }
}

/// Text of the tool's own files, in which nothing is markup.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).chars() {
        if "\\`*_{}[]<>#|!&~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text that a server may have written: code, in a cell of a table.
pub(super) fn code(text: &str) -> String {
    let text = printable(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_server_says_is_markup() {
        assert_eq!(code("a`b``c|d\n"), "``` a`b``c\\|d\\n ```");
        assert_eq!(plain("<b>*x*_"), "\\<b\\>\\*x\\*\\_");
        assert_eq!(code("\u{202e}x"), "` \\u{202e}x `");
    }
}
