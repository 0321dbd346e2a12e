//! Files of earlier runs, and lists of ids: read as a whole, with a bound.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::IgnoredAny;

use crate::error::CliError;
use crate::report::Saved;

/// The largest report that is read.
const LARGEST_REPORT: u64 = 1 << 30;

/// The text of a file.
///
/// # Errors
/// When it cannot be read, is larger than the bound in bytes, or is no text.
pub(super) fn read(file: &Path, bound: u64, what: &str) -> Result<String, CliError> {
    let name = file.display();
    let unreadable = |e| CliError::environment(format!("cannot read {name}"), e);
    let about = std::fs::metadata(file).map_err(unreadable)?;
    if about.is_dir() {
        let why = format!("it is a folder: name a file in it, such as {name}/report.json");
        return Err(CliError::environment(format!("cannot read {name}"), why));
    }
    let size = about.len();
    if size > bound {
        return Err(CliError::Usage(format!(
            "{name} is larger than {what} can be ({size} bytes)"
        )));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| CliError::Usage(format!("{name} is not UTF-8")))
}

/// A report.
///
/// # Errors
/// As [`read`], and when it is no report.
pub(super) fn report(file: &Path) -> Result<Saved, CliError> {
    let text = read(file, LARGEST_REPORT, "a report")?;
    parsed(file, &text)
}

/// A report, and its text.
///
/// # Errors
/// As [`report`].
pub(super) fn report_text(file: &Path) -> Result<(Saved, String), CliError> {
    let text = read(file, LARGEST_REPORT, "a report")?;
    parsed(file, &text).map(|saved| (saved, text))
}

fn parsed(file: &Path, text: &str) -> Result<Saved, CliError> {
    let no_report =
        |why: String| CliError::Usage(format!("{} is no report: {why}", file.display()));
    if let Some(why) = other_kind(text, Kind::Report) {
        return Err(no_report(why));
    }
    Saved::read(text).map_err(|e| no_report(e.to_string()))
}

/// The kinds of JSON that s2spec writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Report,
    Bundle,
    Load,
}

impl Kind {
    /// What it is, and what takes it.
    const fn says(self) -> &'static str {
        match self {
            Self::Report => "the report of a run, which `s2spec report`, `diff` and `merge` take",
            Self::Bundle => "the bundle of a case, which `s2spec replay` takes",
            Self::Load => "the report of a load, which s2spec does not read",
        }
    }

    /// By the keys at its top.
    fn of(keys: &BTreeMap<String, IgnoredAny>) -> Option<Self> {
        let has = |key: &str| keys.contains_key(key);
        match (has("bundle"), has("schema"), has("load")) {
            (true, ..) => Some(Self::Bundle),
            (_, true, true) => Some(Self::Load),
            (_, true, false) => Some(Self::Report),
            (_, false, _) => None,
        }
    }
}

/// Why a text cannot be of a kind, if it is something else altogether.
pub(super) fn other_kind(text: &str, wanted: Kind) -> Option<String> {
    let would_be = format!("expected {}", wanted.says());
    let start = text.trim_start();
    if start.is_empty() {
        return Some(format!("it is empty; {would_be}"));
    }
    if !start.starts_with(['{', '[']) {
        let alike = match start {
            start if start.starts_with("<testsuite") || start.starts_with("<?xml") => "XML",
            start if start.starts_with('<') => "HTML",
            _ => "text",
        };
        return Some(format!("it is {alike} and no JSON; {would_be}"));
    }
    let keys = match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) if error.is_eof() => {
            let line = error.line();
            return Some(format!(
                "it breaks off in line {line}: it was not written or copied to its end"
            ));
        }
        Err(error) => return Some(format!("it is no JSON: {error}")),
        Ok(_) => serde_json::from_str(text).unwrap_or_default(),
    };
    match Kind::of(&keys) {
        Some(kind) if kind == wanted => None,
        Some(other) => Some(format!("it is {}", other.says())),
        None => Some(format!("it is JSON of another kind; {would_be}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_instead_is_said() {
        for (text, why) in [
            ("", "it is empty; expected the report of a run"),
            (" \n", "it is empty"),
            ("<!DOCTYPE html>", "it is HTML and no JSON"),
            ("<?xml version=\"1.0\"?>", "it is XML"),
            ("format = 1", "it is text"),
            ("{\"schema\": 4,\n\"tool\"", "it breaks off in line 2"),
            ("{\"schema\": 4,}", "it is no JSON: "),
            ("[]", "it is JSON of another kind; expected the report"),
            (
                "{\"bundle\": 1}",
                "it is the bundle of a case, which `s2spec replay` takes",
            ),
            (
                "{\"schema\": 1, \"load\": \"\"}",
                "it is the report of a load",
            ),
        ] {
            let said = other_kind(text, Kind::Report).expect("it is no report");
            assert!(said.starts_with(why), "{text}: {said}");
        }
        assert_eq!(other_kind("{\"schema\": 4}", Kind::Report), None);
        assert_eq!(other_kind("{\"bundle\": 1}", Kind::Bundle), None);
        let said = other_kind("{\"schema\": 4}", Kind::Bundle).expect("it is no bundle");
        assert!(said.contains("`s2spec report`"), "{said}");
    }

    #[test]
    fn the_report_in_a_folder_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = report(folder.path()).expect_err("it is a folder");
        assert!(
            error.chain().contains("a folder: name a file in it"),
            "{error}"
        );
        assert_eq!(error.exit(), crate::error::Exit::Environment);
    }
}
