//! Reads files of requirements: those of `scenarios/requirements/`, and a user's own.

use std::fmt::Display;

use serde::Deserialize;
use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{Document, FileError, Hints, Source};

use super::{Area, Bug, Registry, Requirement};

/// The title of an area whose file has none.
const UNTITLED: &str = "own requirements";

const HINTS: &Hints = &[
    ("requirement", "`[[requirement]]` for each requirement"),
    ("bug", "`[[bug]]` for each bug"),
    ("id", "the id, such as `id = \"STR-01\"`"),
    (
        "source",
        "where it is written, such as `source = \"RFC 6120 §4.7.1\"`",
    ),
    (
        "text",
        "what the target has to do: `text = \"A sentence.\"`, or a `title` in a few words",
    ),
    (
        "requirements",
        "the requirements that test for it: `requirements = [\"STR-01\"]`",
    ),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AreaFile {
    code: Option<String>,
    title: Option<String>,
    #[serde(rename = "requirement")]
    requirements: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BugFile {
    #[serde(rename = "bug")]
    bugs: Vec<Bug>,
}

/// Reads the file of the area whose scenarios lie in `folder`. Without a `code`, it is that of the first
/// requirement. An area of the registry cannot be another one's.
pub(super) fn area(
    folder: &str,
    source: &Source,
    registry: &Registry,
) -> Result<(Area, Vec<Requirement>), FileError> {
    let mut document = Document::parse(source)?;
    let Some(file) = document.read::<AreaFile>(HINTS) else {
        return document.finish(None);
    };
    let first = file.requirements.first();
    let code = file
        .code
        .or_else(|| first.map(|one| one.id.area().to_owned()))
        .unwrap_or_default();
    let area = Area {
        code,
        folder: folder.to_owned(),
        title: file.title.unwrap_or_else(|| UNTITLED.to_owned()),
    };
    let mut check = Check(&mut document);
    check.non_empty("title", &area.title);
    if first.is_none() && check.0.is_whole() {
        check.wrong(
            "requirement",
            "is empty",
            "add `[[requirement]]` with `id`, `title` and `source`",
        );
    } else if check.0.is_whole() && !registry.takes(&area, &file.requirements) {
        let place = check.0.written("code");
        let place = place.unwrap_or_else(|| check.0.place("requirement.0.id"));
        let title = format!("the area {} has another file already", area.code);
        check.0.report(Diagnostic::new(place, title).help(
            "an area has one file, and those of the standards are built in: choose other letters",
        ));
    }
    for (at, requirement) in file.requirements.iter().enumerate() {
        let path = format!("requirement.{at}");
        if requirement.id.area() != area.code {
            let place = check.0.place(&format!("{path}.id"));
            check.0.report(
                Diagnostic::new(place, format!("{} is not of this area", requirement.id)).help(
                    format!(
                        "all ids of a file begin with the same letters, {}",
                        area.code
                    ),
                ),
            );
        }
        let before = at.checked_sub(1).map(|at| &file.requirements[at].id);
        check.order(&path, &requirement.id, before);
        check.non_empty(&format!("{path}.source"), &requirement.source);
        match check.0.written(&format!("{path}.title")) {
            Some(_) => check.line(&format!("{path}.title"), &requirement.text),
            None => check.sentence(&format!("{path}.text"), &requirement.text),
        }
        for (key, text) in [
            ("note", &requirement.note),
            ("unjudgeable", &requirement.unjudgeable),
        ] {
            if let Some(text) = text {
                check.sentence(&format!("{path}.{key}"), text);
            }
        }
    }
    document.finish(Some((area, file.requirements)))
}

/// Reads the file of bugs. Whether the requirements it names exist is checked only once the
/// registry has all requirements.
pub(super) fn bugs(source: &Source, registry: Option<&Registry>) -> Result<Vec<Bug>, FileError> {
    let mut document = Document::parse(source)?;
    let Some(file) = document.read::<BugFile>(HINTS) else {
        return document.finish(None);
    };
    let mut check = Check(&mut document);
    for (at, bug) in file.bugs.iter().enumerate() {
        let path = format!("bug.{at}");
        if !is_bug(&bug.id) {
            let place = check.0.place(&format!("{path}.id"));
            check.0.report(
                Diagnostic::new(place, format!("`{}` is no id of a bug", bug.id))
                    .help("expected `B` or `S` and two digits, such as `B01`"),
            );
        }
        let known = registry.and_then(|registry| registry.bug(&bug.id));
        if known.is_some_and(|known| known != bug) {
            let place = check.0.place(&format!("{path}.id"));
            let twice = Diagnostic::new(place, format!("there is a known bug {} already", bug.id));
            check.0.report(twice.help("choose another number"));
        }
        let before = at.checked_sub(1).map(|at| &file.bugs[at].id);
        check.order(&path, &bug.id, before);
        check.non_empty(&format!("{path}.source"), &bug.source);
        check.sentence(&format!("{path}.text"), &bug.text);
        if bug.requirements.is_empty() && check.0.is_whole() {
            let place = check.0.place(&format!("{path}.requirements"));
            check.0.report(
                Diagnostic::new(place, "the bug names no requirement")
                    .help("name the requirements that a server with the bug would break"),
            );
        }
        for (number, requirement) in bug.requirements.iter().enumerate() {
            let place = check.0.place(&format!("{path}.requirements.{number}"));
            let unknown = registry.filter(|registry| registry.get(requirement).is_none());
            check.0.report_all(
                unknown.map(|registry| registry.unknown_requirement(place, requirement)),
            );
        }
    }
    document.finish(Some(file.bugs))
}

/// Whether a text could be the id of a bug.
pub(super) fn is_bug(text: &str) -> bool {
    matches!(text.as_bytes(), [b'B' | b'S', tens, ones]
        if tens.is_ascii_digit() && ones.is_ascii_digit())
}

struct Check<'d, 'a>(&'d mut Document<'a>);

impl Check<'_, '_> {
    fn order<T: Display + PartialOrd>(&mut self, path: &str, id: &T, before: Option<&T>) {
        let Some(before) = before.filter(|before| *before >= id) else {
            return;
        };
        let title = if id == before {
            format!("{id} is there twice")
        } else {
            format!("{id} comes after {before}")
        };
        let place = self.0.place(&format!("{path}.id"));
        self.0.report(
            Diagnostic::new(place, title).help("they are in order of their ids, each once"),
        );
    }

    fn non_empty(&mut self, path: &str, text: &str) {
        if text.trim().is_empty() {
            self.wrong(path, "is empty", "");
        }
    }

    /// A single line.
    fn line(&mut self, path: &str, text: &str) {
        if text.trim().is_empty() {
            self.wrong(path, "is empty", "");
        } else if text.trim() != text || text.contains('\n') {
            self.wrong(path, "is more than one line, or has blanks around it", "");
        }
    }

    /// A single complete line.
    fn sentence(&mut self, path: &str, text: &str) {
        self.line(path, text);
        if !text.trim().is_empty() && text.trim() == text && !text.ends_with('.') {
            self.wrong(
                path,
                "has no full stop",
                "reports show these texts together, so each must be a sentence",
            );
        }
    }

    fn wrong(&mut self, path: &str, what: &str, help: &str) {
        let key = path.rsplit('.').next().unwrap_or(path);
        let wrong = Diagnostic::new(self.0.place(path), format!("`{key}` {what}"));
        self.0.report(wrong.help(help));
    }
}
