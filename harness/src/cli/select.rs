//! From ids on the command line to cases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use clap::builder::FalseyValueParser;

use super::words::words;
use super::{out, output, saved_file};
use crate::case::{Case, Tag};
use crate::cause::with_causes;
use crate::console::words::counted;
use crate::error::CliError;
use crate::matrix::{Selection, SelectionError};
use crate::report::SavedCase;
use crate::requirement::{Level, Registry};
use crate::suite::{Files, Policies, Suite, scenario_in_policy};

/// Where to look for requirements that are not there.
pub(super) const ELSEWHERE: &str =
    "(`s2spec coverage` shows all areas, and `--requirements` reads your own)";
/// What some editors put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// The verdict on what a run did not get to.
const NOT_RUN: &str = "not-run";
/// The largest file of ids.
const LARGEST_LIST: u64 = 1 << 24;

/// The selection of cases.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Wanted {
    /// Case ids, prefixes or globs (`policies`, 'personas/row07/**', '**/inbound'), ids of
    /// requirements and known bugs (TLS-06, B05), or `@FILE` with one of these in each line
    /// [default: all cases]
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Leave out these cases; takes what selects cases, and can be repeated
    #[arg(long, value_name = "ID", env = "S2SPEC_SKIP", value_delimiter = ',')]
    skip: Vec<String>,

    /// Only run cases with this tag; repeat it for cases with any of the tags
    #[arg(
        long = "tag",
        value_name = "TAG",
        env = "S2SPEC_TAG",
        value_delimiter = ',',
        value_parser = words::<Tag>()
    )]
    tags: Vec<Tag>,

    /// Only run cases that judge a requirement of this level; repeat it for several levels
    #[arg(
        long = "level",
        value_name = "LEVEL",
        env = "S2SPEC_LEVEL",
        value_delimiter = ',',
        value_parser = words::<Level>()
    )]
    levels: Vec<Level>,

    /// Only run what the last run did not see end as expected: failures, errors, and what it did not get to
    #[arg(long, conflicts_with = "ids", env = "S2SPEC_FAILED", value_parser = FalseyValueParser::new())]
    failed: bool,

    /// Only run one part of the selected cases, such as `2/4`: the second of four. `merge` puts the
    /// reports of all parts together
    #[arg(long, value_name = "K/N", env = "S2SPEC_SHARD")]
    shard: Option<Shard>,
}

/// One part of several.
#[derive(Clone, Copy, Debug)]
struct Shard {
    /// Counted from 0.
    part: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/').and_then(|(part, of)| {
            let (part, of): (usize, usize) = (part.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&part).then_some((part, of))
        });
        let (part, of) =
            numbers.ok_or("expected the number of a part and of all parts, such as 2/4")?;
        Ok(Self { part: part - 1, of })
    }
}

impl Shard {
    /// The cases of this part. Those of one scenario, or of one policy and partner, stay together, because they
    /// may have a control in common.
    fn of(self, cases: Vec<&Case>) -> Vec<&Case> {
        let family = |case: &Case| match case.scenario() {
            Some(scenario) => scenario.file.clone(),
            None => format!("{} {}", case.row.number(), case.partner.name),
        };
        let mut families: BTreeMap<String, usize> = BTreeMap::new();
        let of_part = |case: &&Case| {
            let next = families.len();
            *families.entry(family(case)).or_insert(next) % self.of == self.part
        };
        cases.into_iter().filter(of_part).collect()
    }
}

impl Wanted {
    /// Selects by one id.
    pub(super) fn one(id: &str) -> Self {
        Self {
            ids: vec![id.to_owned()],
            ..Self::default()
        }
    }

    /// The same with the ids that files name, and the suite that has them.
    ///
    /// # Errors
    /// When a file cannot be read or names nothing, or when nothing failed.
    pub(super) fn read(&self, sources: &Sources) -> Result<(Self, Suite), CliError> {
        let mut wanted = self.listed()?;
        if self.failed {
            wanted.ids = failed(sources.policies.as_ref())?;
        }
        let suite = sources.read()?.naming(&wanted.ids);
        if self.failed {
            wanted.keep_those_of(&suite)?;
        }
        Ok((wanted, suite))
    }

    /// Drops ids of an earlier run that the suite does not have any more, and says so.
    fn keep_those_of(&mut self, suite: &Suite) -> Result<(), CliError> {
        let all = suite.all();
        let is_there = |id: &String| {
            all.iter().any(|case| {
                let rest = case.id.strip_prefix(id.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let (ids, gone): (Vec<String>, Vec<String>) = self.ids.drain(..).partition(is_there);
        self.ids = ids;
        let Some(first) = gone.first() else {
            return Ok(());
        };
        let text = format!(
            "{} of the last run cannot be selected here, such as {first}",
            counted(gone.len(), "case")
        );
        if self.ids.is_empty() {
            return Err(CliError::NothingSelected(text));
        }
        output::note(&text);
        Ok(())
    }

    fn listed(&self) -> Result<Self, CliError> {
        let mut read = self.clone();
        for ids in [&mut read.ids, &mut read.skip] {
            let mut all = Vec::new();
            for id in ids.drain(..) {
                match id.strip_prefix('@') {
                    Some(file) => all.extend(listed(file.as_ref())?),
                    None => all.push(id),
                }
            }
            *ids = all;
        }
        Ok(read)
    }

    /// Exactly the selected cases among all.
    ///
    /// # Errors
    /// When an id is malformed or selects nothing, or when nothing is left.
    pub(super) fn among<'a>(
        &self,
        all: &'a [Case],
        registry: &Registry,
    ) -> Result<Vec<&'a Case>, CliError> {
        let selected = self.selection(registry);
        let selected = selected.and_then(|selection| selection.select(all));
        let selected = selected.map(|cases| match self.shard {
            Some(shard) => shard.of(cases),
            None => cases,
        });
        selected.map_err(|error| match &error {
            SelectionError::Syntax { .. } => CliError::Usage(with_causes(&error)),
            SelectionError::Unknown { .. } => {
                CliError::NothingSelected(format!("{error} (`s2spec list` shows all ids)"))
            }
            SelectionError::NoEntry(_) => CliError::NothingSelected(format!("{error} {ELSEWHERE}")),
            SelectionError::Untested { .. }
            | SelectionError::Untagged { .. }
            | SelectionError::NoLevel { .. }
            | SelectionError::AllSkipped => CliError::NothingSelected(error.to_string()),
        })
    }

    fn selection(&self, registry: &Registry) -> Result<Selection, SelectionError> {
        let selection = Selection::new(&self.ids, registry)?.tagged(&self.tags);
        let selection = selection.of_levels(&self.levels, registry);
        selection.skipping(&self.skip, registry)
    }

    /// The cases of those parts of the suite that may contain selected ones. If nothing matches, all
    /// are loaded, for an error that names similar ids; and so they are where some are skipped, because what
    /// skips none is a mistake.
    pub(super) fn parts(&self, suite: &Suite) -> Vec<Case> {
        let registry = &suite.catalogue.registry;
        match self.selection(registry) {
            Ok(selection) if self.skip.is_empty() => {
                let parts = suite.parts(&selection);
                match self.among(&parts, registry) {
                    Ok(_) => parts,
                    Err(_) => suite.all(),
                }
            }
            Ok(_) | Err(_) => suite.all(),
        }
    }
}

/// The lines of a file that are neither empty nor comments. No id has a `#`.
fn listed(file: &Path) -> Result<Vec<String>, CliError> {
    let name = file.display();
    let text = saved_file::read(file, LARGEST_LIST, "a list of ids")?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let without_comment = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let lines = text.lines().map(without_comment);
    let ids: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    if ids.is_empty() {
        return Err(CliError::NothingSelected(format!("{name} names no case")));
    }
    Ok(ids)
}

/// The cases of the last run that did not end as expected: in the policies of that run, or where others are
/// asked for, in those.
fn failed(policies: Option<&Policies>) -> Result<Vec<String>, CliError> {
    let file = out::last();
    if !file.is_file() {
        return Err(CliError::NothingSelected(format!(
            "there is no report of an earlier run ({})",
            file.display()
        )));
    }
    let saved = saved_file::report(&file)?;
    let is_wanted = |case: &&SavedCase| case.is_unexpected() || case.verdict == NOT_RUN;
    let wrong = saved.cases.iter().filter(is_wanted);
    let ids: BTreeSet<String> = wrong.map(|case| in_policies(&case.id, policies)).collect();
    if ids.is_empty() {
        return Err(CliError::NothingSelected(format!(
            "nothing failed in the last run ({})",
            file.display()
        )));
    }
    Ok(ids.into_iter().collect())
}

/// The id of a case, or of its scenario if it ran in a policy that is not asked for.
fn in_policies(id: &str, policies: Option<&Policies>) -> String {
    let other = |row| policies.is_some_and(|Policies(rows)| !rows.contains(&row));
    match (scenario_in_policy(id), id.rsplit_once('/')) {
        (Some((_, row)), Some((scenario, _))) if other(row) => scenario.to_owned(),
        _ => id.to_owned(),
    }
}

/// Where cases come from.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Sources {
    #[command(flatten)]
    files: Files,

    /// Run scenarios in these policies, such as `7` or `7,13`, or in `all` valid ones [default: those of
    /// the target file, or else the ones that each scenario is written for]
    #[arg(long = "policy", value_name = "N", env = "S2SPEC_POLICY")]
    pub(super) policies: Option<Policies>,
}

impl Sources {
    /// The options that differ from the defaults.
    pub(super) fn options(&self) -> Vec<String> {
        let policies = self.policies.as_ref();
        let policies = policies.map(|policies| format!("--policy {policies}"));
        self.files.options().into_iter().chain(policies).collect()
    }

    /// Reads all files.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub(super) fn read(&self) -> Result<Suite, CliError> {
        let policies = self.policies.clone().map(|Policies(rows)| rows);
        Ok(self.files.read()?.in_policies(policies))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::cases;
    use simulated_partners::persona::builtin;

    #[test]
    fn the_parts_are_the_whole_and_about_as_large() {
        let all = cases(&builtin());
        let registry = Registry::builtin();
        let part = |text: &str| {
            let wanted = Wanted {
                shard: Some(text.parse().expect("a part")),
                ..Wanted::default()
            };
            let selected = wanted.among(&all, registry).expect("some");
            selected
                .iter()
                .map(|case| case.id.clone())
                .collect::<Vec<_>>()
        };
        let parts = [part("1/3"), part("2/3"), part("3/3")];
        let mut together = parts.concat();
        together.sort();
        let mut ids: Vec<String> = all.iter().map(|case| case.id.clone()).collect();
        ids.sort();
        assert_eq!(together, ids);
        for part in parts {
            assert!(part.len() * 4 > all.len(), "{}", part.len());
        }
        for wrong in ["0/3", "4/3", "3", "a/b", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_of_ids_have_comments_and_are_not_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ids");
        std::fs::write(&file, "# mine\n\npolicies/row07\n  policies/row08 \n")
            .expect("it is writable");
        let wanted = Wanted::one(&format!("@{}", file.display()));
        let read = wanted.listed().expect("a list");
        assert_eq!(read.ids, ["policies/row07", "policies/row08"]);
        let windows = "\u{feff}policies/row07  # why\r\n#\r\npolicies/row08\t\r\n";
        std::fs::write(&file, windows).expect("it is writable");
        assert_eq!(wanted.listed().expect("a list").ids, read.ids);
        std::fs::write(&file, "# nothing\n").expect("it is writable");
        assert!(wanted.listed().is_err());
    }

    #[test]
    fn ids_of_reports_name_the_policies_of_scenarios() {
        let id = "xml/XML-01-comment/inside/row07";
        let listed = |ids: &[&str], policies: Option<&str>| {
            let wanted = Wanted {
                ids: ids.iter().map(ToString::to_string).collect(),
                ..Wanted::default()
            };
            let sources = Sources {
                policies: policies.map(|text| text.parse().expect("policies")),
                ..Sources::default()
            };
            let (wanted, suite) = wanted.read(&sources).expect("ids");
            let parts = wanted.parts(&suite);
            let found = wanted.among(&parts, &suite.catalogue.registry);
            let found = found.map(|cases| cases.iter().map(|case| case.id.clone()).collect());
            found.map_err(|error| error.to_string())
        };
        assert_eq!(listed(&[id], None), Ok(vec![id.to_owned()]));
        let both = listed(
            &[
                "policies/row07/row07/inbound",
                id,
                "tls/TLS-01-offered/row01",
            ],
            None,
        );
        assert_eq!(both.map(|ids: Vec<String>| ids.len()), Ok(3));
        listed(&[id], Some("13")).expect_err("another policy is asked for");
        let seven: Policies = "7".parse().expect("a policy");
        assert_eq!(in_policies(id, Some(&seven)), id);
        let other: Policies = "13".parse().expect("a policy");
        assert_eq!(in_policies(id, Some(&other)), "xml/XML-01-comment/inside");
        let of_set = "personas/row07/row07";
        assert_eq!(in_policies(of_set, Some(&other)), of_set);
    }
}
