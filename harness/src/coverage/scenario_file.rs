//! Reads of scenario files the one thing that matters here: which requirements they test.

use std::ops::Range;

use serde::Deserialize;
use simulated_partners::persona::{Mistake, Mistakes};
use toml::Spanned;

use super::Covering;
use crate::embedded;
use crate::requirement::{Registry, RowId};

/// A scenario file as far as coverage needs it. The rest of the file is read elsewhere.
#[derive(Deserialize)]
struct Names {
    requirements: Spanned<Vec<Spanned<String>>>,
}

/// What the scenarios that came with the source cover of the requirements that did.
///
/// # Errors
/// As [`covering`].
pub fn builtin() -> Result<Covering, Vec<Mistakes>> {
    let scenarios = embedded::FILES
        .iter()
        .copied()
        .filter(|(path, _)| !path.starts_with(embedded::REQUIREMENTS));
    covering(Registry::builtin(), scenarios)
}

/// Which scenarios test which rows, from files given by path below `scenarios/` and text.
///
/// # Errors
/// All mistakes, file by file: a row that there is not, one named twice, and one that the registry
/// says nobody can judge.
pub fn covering<'a>(
    registry: &Registry,
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Covering, Vec<Mistakes>> {
    let mut covering = Covering::new();
    let mut wrong = Vec::new();
    for (path, text) in files {
        match rows(registry, text) {
            Ok(rows) => {
                let scenario = path.strip_suffix(".toml").unwrap_or(path);
                for row in rows {
                    covering.entry(row).or_default().push(scenario.to_owned());
                }
            }
            Err(list) => wrong.push(Mistakes {
                file: format!("scenarios/{path}"),
                text: text.to_owned(),
                list,
            }),
        }
    }
    for scenarios in covering.values_mut() {
        scenarios.sort();
    }
    if wrong.is_empty() {
        Ok(covering)
    } else {
        Err(wrong)
    }
}

fn rows(registry: &Registry, text: &str) -> Result<Vec<RowId>, Vec<Mistake>> {
    let names: Names = toml::from_str(text).map_err(|error| {
        let mistake = Mistake::from_toml(&error, text);
        let about_rows = ["missing field", "invalid type"]
            .iter()
            .any(|beginning| mistake.title.starts_with(beginning));
        vec![if about_rows {
            mistake.help("name the rows that it tests, such as `requirements = [\"STR-01\"]`")
        } else {
            mistake
        }]
    })?;
    if names.requirements.get_ref().is_empty() {
        let mistake = Mistake::new(names.requirements.span(), "no requirement is tested").help(
            "name the rows that it tests; `s2spec coverage --open` lists those without a test",
        );
        return Err(vec![mistake]);
    }
    let mut mistakes = Vec::new();
    let mut rows: Vec<(RowId, Range<usize>)> = Vec::new();
    for name in names.requirements.get_ref() {
        match checked(registry, name, &rows) {
            Ok(row) => rows.push((row, name.span())),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() {
        Ok(rows.into_iter().map(|(row, _)| row).collect())
    } else {
        Err(mistakes)
    }
}

fn checked(
    registry: &Registry,
    name: &Spanned<String>,
    before: &[(RowId, Range<usize>)],
) -> Result<RowId, Mistake> {
    let row: RowId = name
        .get_ref()
        .parse()
        .map_err(|error: crate::requirement::NotARow| error.at(name.span()))?;
    let Some(found) = registry.get(&row) else {
        return Err(registry.unknown_row(name.span(), &row));
    };
    if let Some((_, first)) = before.iter().find(|(known, _)| *known == row) {
        return Err(Mistake::new(name.span(), format!("{row} is named twice"))
            .also(Some(first.clone()), "first here")
            .help("leave one of the two out"));
    }
    match &found.unjudgeable {
        None => Ok(row),
        Some(reason) => Err(
            Mistake::new(name.span(), format!("{row} is said to be unjudgeable"))
                .label(reason)
                .help(format!(
                    "if the scenario can tell after all, take `unjudgeable` out of \
                     scenarios/requirements/{}.toml",
                    row.area().to_ascii_lowercase()
                )),
        ),
    }
}
