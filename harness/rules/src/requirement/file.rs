//! Reads the files of `scenarios/requirements/`.

use std::fmt::Display;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;
use simulated_partners::persona::Mistake;
use toml::Spanned;
use toml::de::DeTable;

use super::{Area, Level, Requirement, Role, RowId};

/// The format that this version reads.
const FORMAT: i64 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AreaFile {
    #[serde(rename = "format")]
    _format: IgnoredAny,
    code: String,
    title: Spanned<String>,
    #[serde(rename = "requirement")]
    requirements: Vec<RequirementText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequirementText {
    id: Spanned<String>,
    source: Spanned<String>,
    level: Level,
    role: Role,
    text: Spanned<String>,
    note: Option<Spanned<String>>,
    unjudgeable: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BugFile {
    #[serde(rename = "format")]
    _format: IgnoredAny,
    #[serde(rename = "bug")]
    bugs: Vec<BugText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BugText {
    id: Spanned<String>,
    source: Spanned<String>,
    text: Spanned<String>,
    requirements: Spanned<Vec<Spanned<String>>>,
}

/// A bug whose rows nobody has looked up yet.
pub(super) struct UncheckedBug {
    pub(super) id: Spanned<String>,
    pub(super) source: String,
    pub(super) text: String,
    pub(super) requirements: Vec<(Range<usize>, RowId)>,
}

/// Reads the file of the area whose scenarios lie in `folder`.
pub(super) fn area(folder: &str, text: &str) -> Result<(Area, Vec<Requirement>), Vec<Mistake>> {
    check_format(text).map_err(|mistake| vec![mistake])?;
    let file: AreaFile =
        toml::from_str(text).map_err(|error| vec![Mistake::from_toml(&error, text)])?;
    let mut mistakes = Vec::new();
    non_empty(&file.title, "title", &mut mistakes);
    let mut rows: Vec<Requirement> = Vec::new();
    for row in file.requirements {
        let id = match row.id.get_ref().parse::<RowId>() {
            Ok(id) => id,
            Err(error) => {
                mistakes.push(error.at(row.id.span()));
                continue;
            }
        };
        if id.area() != file.code {
            mistakes.push(
                Mistake::new(row.id.span(), format!("{id} is not of this area")).help(format!(
                    "the ids begin with the file's `code`, {}",
                    file.code
                )),
            );
        }
        if let Some(before) = rows.last().filter(|before| before.id >= id) {
            mistakes.push(out_of_order(row.id.span(), &id, &before.id));
        }
        non_empty(&row.source, "source", &mut mistakes);
        sentence(&row.text, "text", &mut mistakes);
        for (key, value) in [("note", &row.note), ("unjudgeable", &row.unjudgeable)] {
            if let Some(value) = value {
                sentence(value, key, &mut mistakes);
            }
        }
        rows.push(Requirement {
            id,
            source: row.source.into_inner(),
            level: row.level,
            role: row.role,
            text: row.text.into_inner(),
            note: row.note.map(Spanned::into_inner),
            unjudgeable: row.unjudgeable.map(Spanned::into_inner),
        });
    }
    let area = Area {
        code: file.code,
        folder: folder.to_owned(),
        title: file.title.into_inner(),
    };
    if mistakes.is_empty() {
        Ok((area, rows))
    } else {
        Err(mistakes)
    }
}

/// Reads the file of the bugs.
pub(super) fn bugs(text: &str) -> Result<Vec<UncheckedBug>, Vec<Mistake>> {
    check_format(text).map_err(|mistake| vec![mistake])?;
    let file: BugFile =
        toml::from_str(text).map_err(|error| vec![Mistake::from_toml(&error, text)])?;
    let mut mistakes = Vec::new();
    let mut bugs: Vec<UncheckedBug> = Vec::new();
    for bug in file.bugs {
        if !is_bug(bug.id.get_ref()) {
            mistakes.push(
                Mistake::new(
                    bug.id.span(),
                    format!("`{}` is no id of a bug", bug.id.get_ref()),
                )
                .help("expected `B` or `S` and two digits, such as `B01`"),
            );
        }
        if let Some(before) = bugs.last().map(|before| before.id.get_ref())
            && before >= bug.id.get_ref()
        {
            mistakes.push(out_of_order(bug.id.span(), bug.id.get_ref(), before));
        }
        non_empty(&bug.source, "source", &mut mistakes);
        sentence(&bug.text, "text", &mut mistakes);
        if bug.requirements.get_ref().is_empty() {
            mistakes.push(
                Mistake::new(
                    bug.requirements.span(),
                    "no row carries the test of this bug",
                )
                .help("name the rows that a server with the bug would break"),
            );
        }
        let mut requirements = Vec::new();
        for id in bug.requirements.into_inner() {
            match id.get_ref().parse::<RowId>() {
                Ok(row) => requirements.push((id.span(), row)),
                Err(error) => mistakes.push(error.at(id.span())),
            }
        }
        bugs.push(UncheckedBug {
            id: bug.id,
            source: bug.source.into_inner(),
            text: bug.text.into_inner(),
            requirements,
        });
    }
    if mistakes.is_empty() {
        Ok(bugs)
    } else {
        Err(mistakes)
    }
}

/// Whether a text could be the id of a bug.
pub(super) fn is_bug(text: &str) -> bool {
    matches!(text.as_bytes(), [b'B' | b'S', tens, ones]
        if tens.is_ascii_digit() && ones.is_ascii_digit())
}

fn out_of_order<T: Display + PartialEq>(span: Range<usize>, id: &T, before: &T) -> Mistake {
    let title = if id == before {
        format!("{id} is there twice")
    } else {
        format!("{id} comes after {before}")
    };
    Mistake::new(span, title).help("they stand in the order of their ids, each once")
}

fn non_empty(value: &Spanned<String>, key: &str, mistakes: &mut Vec<Mistake>) {
    if value.get_ref().trim().is_empty() {
        mistakes.push(Mistake::new(value.span(), format!("`{key}` is empty")));
    }
}

/// One line that says something and ends.
fn sentence(value: &Spanned<String>, key: &str, mistakes: &mut Vec<Mistake>) {
    let text = value.get_ref();
    let mistake = |title: String| Mistake::new(value.span(), title);
    if text.trim().is_empty() {
        mistakes.push(mistake(format!("`{key}` is empty")));
    } else if text.trim() != text || text.contains('\n') {
        mistakes.push(mistake(format!(
            "`{key}` is more than one line, or has blanks around it"
        )));
    } else if !text.ends_with('.') {
        mistakes.push(
            mistake(format!("`{key}` has no full stop"))
                .help("reports put these texts beside each other; each is a sentence"),
        );
    }
}

/// A file of another format is told from one with unknown words.
fn check_format(text: &str) -> Result<(), Mistake> {
    let root = DeTable::parse(text)
        .map_err(|error| Mistake::from_toml(&error, text))?
        .into_inner();
    let help = format!("begin the file with `format = {FORMAT}`");
    let Some(format) = root.get("format") else {
        return Err(Mistake::new(0..0, "`format` is missing").help(help));
    };
    let number = format
        .get_ref()
        .as_integer()
        .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
    if number == Some(FORMAT) {
        Ok(())
    } else {
        Err(Mistake::new(format.span(), "unknown format").help(help))
    }
}
