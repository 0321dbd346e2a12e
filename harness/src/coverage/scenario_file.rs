//! Reads of scenario files what matters here: which requirements they test and which bugs they hunt.

use std::collections::{BTreeMap, BTreeSet};
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
    requirements: List,
    bugs: Option<List>,
    #[serde(default)]
    variants: BTreeMap<String, Variant>,
}

/// A variant may test other requirements than its file.
#[derive(Deserialize)]
struct Variant {
    requirements: Option<List>,
}

type List = Spanned<Vec<Spanned<String>>>;

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

/// Which scenarios test which rows and hunt which bugs, from files given by path below `scenarios/`
/// and text.
///
/// # Errors
/// All mistakes, file by file: a row or bug that there is not, one named twice in a list, and a row
/// that the registry says nobody can judge.
pub fn covering<'a>(
    registry: &Registry,
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Covering, Vec<Mistakes>> {
    let mut covering = Covering::default();
    let mut wrong = Vec::new();
    for (path, text) in files {
        match named(registry, text) {
            Ok(named) => {
                let scenario = path.strip_suffix(".toml").unwrap_or(path);
                for row in named.rows {
                    covering
                        .rows
                        .entry(row)
                        .or_default()
                        .push(scenario.to_owned());
                }
                for bug in named.bugs {
                    covering
                        .bugs
                        .entry(bug)
                        .or_default()
                        .push(scenario.to_owned());
                }
            }
            Err(list) => wrong.push(Mistakes {
                file: format!("scenarios/{path}"),
                text: text.to_owned(),
                list,
            }),
        }
    }
    for scenarios in covering.rows.values_mut().chain(covering.bugs.values_mut()) {
        scenarios.sort();
    }
    if wrong.is_empty() {
        Ok(covering)
    } else {
        Err(wrong)
    }
}

/// What one file names.
#[derive(Default)]
struct Named {
    rows: BTreeSet<RowId>,
    bugs: BTreeSet<String>,
}

fn named(registry: &Registry, text: &str) -> Result<Named, Vec<Mistake>> {
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
    let mut named = Named::default();
    let of_variants = names
        .variants
        .values()
        .filter_map(|v| v.requirements.as_ref());
    for list in std::iter::once(&names.requirements).chain(of_variants) {
        twice(list, &mut mistakes);
        for name in list.get_ref() {
            match checked(registry, name) {
                Ok(row) => {
                    named.rows.insert(row);
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
    }
    if let Some(list) = &names.bugs {
        twice(list, &mut mistakes);
        for name in list.get_ref() {
            if registry.bug(name.get_ref()).is_some() {
                named.bugs.insert(name.get_ref().clone());
            } else {
                let title = format!("no known bug is called {}", name.get_ref());
                mistakes.push(
                    Mistake::new(name.span(), title)
                        .help("scenarios/requirements/bugs.toml lists them"),
                );
            }
        }
    }
    if mistakes.is_empty() {
        Ok(named)
    } else {
        Err(mistakes)
    }
}

/// A name that a list has already is most likely another one misspelt.
fn twice(list: &List, mistakes: &mut Vec<Mistake>) {
    let mut seen: BTreeMap<&str, Range<usize>> = BTreeMap::new();
    for name in list.get_ref() {
        if let Some(first) = seen.get(name.get_ref().as_str()) {
            mistakes.push(
                Mistake::new(name.span(), format!("{} is named twice", name.get_ref()))
                    .also(Some(first.clone()), "first here")
                    .help("leave one of the two out"),
            );
        } else {
            seen.insert(name.get_ref(), name.span());
        }
    }
}

fn checked(registry: &Registry, name: &Spanned<String>) -> Result<RowId, Mistake> {
    let row: RowId = name
        .get_ref()
        .parse()
        .map_err(|error: crate::requirement::NotARow| error.at(name.span()))?;
    let Some(found) = registry.get(&row) else {
        return Err(registry.unknown_row(name.span(), &row));
    };
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
