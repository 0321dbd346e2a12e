//! Each double fails the scenario that is there for its defect, and a correct server passes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use s2spec::case::{Case, Direction};
use s2spec::coverage::doubles;
use s2spec::finding::Sign;
use s2spec::judge::is_about_questions;
use s2spec::record::Record;
use s2spec::requirement::{Level, Registry};
use s2spec::runner::Deadlines;
use s2spec::scenario::{Doubled, Library};
use s2spec::verdict::Verdict;
use serde::Deserialize;

use crate::support::run_side_by_side;
use crate::wrong_targets::case;
use crate::wrong_targets::double::{Defect, Double};

/// How many cases run at once: most of them wait.
const AT_ONCE: usize = 40;
/// How many run at once where others have kept them waiting.
const FEW: usize = 4;
/// A double often leaves a case waiting until its deadline.
const SOON: Duration = Duration::from_secs(6);

/// A line of the list: what a server does wrong, and the case that shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    defect: Defect,
    case: String,
    breaks: String,
    /// The scenario only warns: some tolerate the defect.
    #[serde(default)]
    warns: bool,
    #[serde(default)]
    bugs: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    double: Vec<Known>,
    /// What the defects are.
    defects: BTreeMap<Defect, String>,
}

static FILE: LazyLock<File> =
    LazyLock::new(|| toml::from_str(s2spec::scenario::DOUBLES).expect("the list can be read"));

fn run(
    at_once: usize,
    deadlines: Deadlines,
    defects: BTreeMap<String, Defect>,
    cases: &[Case],
) -> BTreeMap<String, Record> {
    let double = Double {
        defects,
        ..Double::default()
    };
    by_id(run_side_by_side(
        at_once,
        deadlines,
        Arc::new(double),
        cases,
    ))
}

fn by_id(records: Vec<Record>) -> BTreeMap<String, Record> {
    let records = records.into_iter();
    records
        .map(|record| (record.result.case.id.clone(), record))
        .collect()
}

fn cases_of(known: &[&Known]) -> Vec<Case> {
    let ids: BTreeSet<&str> = known.iter().map(|one| one.case.as_str()).collect();
    ids.into_iter().map(case).collect()
}

/// A list in parts in which each case occurs once.
fn rounds_of<'a>(list: &[&'a Known]) -> Vec<Vec<&'a Known>> {
    let mut rounds: Vec<Vec<&Known>> = Vec::new();
    for one in list.iter().copied() {
        let free = rounds
            .iter_mut()
            .find(|round| round.iter().all(|other| other.case != one.case));
        match free {
            Some(round) => round.push(one),
            None => rounds.push(vec![one]),
        }
    }
    rounds
}

/// How a double does not show its defect, if so: what is found first has to be of the scenario itself.
fn unnoticed(one: &Known, record: &Record) -> Option<String> {
    let may_warn = one.warns || !is_duty(&one.breaks);
    let is_noticed = record.verdict == Verdict::Fail || may_warn && record.verdict == Verdict::Warn;
    let findings = record.result.findings();
    let own = requirements_of(&one.case);
    let is_own = |id: &String| own.contains(&id.as_str());
    // Whoever is slow afterwards has shown no defect.
    let is_first = findings.first().is_some_and(|first| {
        first.sign != Sign::Aftermath && first.against.ids().iter().any(is_own)
    });
    let breaks = findings
        .iter()
        .any(|finding| finding.against.ids().contains(&one.breaks));
    (!is_noticed || !is_first || !breaks).then(|| {
        format!(
            "{:?} {}: {}: {}\n  {}",
            one.defect, one.case, record.verdict, record.why, record.result.wire
        )
    })
}

/// Whether a breach of a requirement fails.
fn is_duty(id: &str) -> bool {
    let id = id.parse().expect("a double breaks a requirement");
    let known = Registry::builtin().get(&id);
    let level = known.expect("a double breaks a known requirement").level;
    matches!(level, Level::Must | Level::Derived | Level::Security)
}

/// What the scenario of a case judges.
fn requirements_of(case: &str) -> BTreeSet<&'static str> {
    let mut files = Library::builtin().files();
    let file = files.find(|(name, _)| {
        let rest = case.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    file.expect("the case is one of a scenario")
        .1
        .requirements()
}

fn round(at_once: usize, deadlines: Deadlines, round: &[&Known]) -> BTreeMap<String, Record> {
    let defects = round.iter().map(|one| (one.case.clone(), one.defect));
    run(at_once, deadlines, defects.collect(), &cases_of(round))
}

#[test]
fn each_double_fails_the_scenario_that_is_there_for_its_defect() {
    let rounds = rounds_of(&FILE.double.iter().collect::<Vec<_>>());
    let all: Vec<BTreeMap<String, Record>> = thread::scope(|scope| {
        let started: Vec<_> = rounds
            .iter()
            .map(|known| scope.spawn(|| round(AT_ONCE, Deadlines::within(SOON), known)))
            .collect();
        let joined = started.into_iter().map(|run| run.join());
        joined.map(|run| run.expect("it does not panic")).collect()
    });
    let suspects = rounds.into_iter().zip(&all).flat_map(|(known, records)| {
        let seems_right = |one: &&Known| unnoticed(one, &records[&one.case]).is_some();
        known.into_iter().filter(seems_right).collect::<Vec<_>>()
    });
    // On a busy machine a case may end by a deadline: beside few others it does not.
    let suspects: Vec<&Known> = suspects.collect();
    let wrong: Vec<String> = rounds_of(&suspects)
        .into_iter()
        .flat_map(|known| {
            let records = round(FEW, Deadlines::default(), &known);
            let wrong = known
                .iter()
                .filter_map(|one| unnoticed(one, &records[&one.case]));
            wrong.collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_correct_server_passes_the_scenarios_of_all_doubles() {
    let known: Vec<&Known> = FILE.double.iter().collect();
    let judged =
        |at_once, cases: &[Case]| run(at_once, Deadlines::default(), BTreeMap::new(), cases);
    let records = judged(AT_ONCE, &cases_of(&known));
    let suspects = records.values().filter(|record| !passes(record));
    // On a busy machine a case may end by a deadline: beside few others it does not.
    let again: Vec<Case> = suspects.map(|one| case(&one.result.case.id)).collect();
    let wrong: Vec<String> = judged(FEW, &again)
        .into_values()
        .filter(|record| !passes(record))
        .map(|record| {
            format!(
                "{}: {}: {}\n  {}",
                record.result.case.id, record.verdict, record.why, record.result.wire
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn passes(record: &Record) -> bool {
    record.verdict == Verdict::Pass
}

#[test]
fn a_server_that_goes_by_good_certificates_fails_nothing() {
    // A correct server passes them.
    let mut cases = cases_of(&FILE.double.iter().collect::<Vec<_>>());
    cases.retain(|case| case.direction == Direction::Inbound && is_about_questions(&case.script));
    let double = || {
        Arc::new(Double {
            goes_by_certificates: true,
            ..Double::default()
        })
    };
    let records = by_id(run_side_by_side(
        AT_ONCE,
        Deadlines::default(),
        double(),
        &cases,
    ));
    let is_right = |record: &Record| matches!(record.verdict, Verdict::Pass | Verdict::Unsupported);
    let suspects = records.values().filter(|record| !is_right(record));
    // On a busy machine a case may end by a deadline: beside few others it does not.
    let again: Vec<Case> = suspects.map(|one| case(&one.result.case.id)).collect();
    let wrong: Vec<String> = run_side_by_side(FEW, Deadlines::default(), double(), &again)
        .into_iter()
        .filter(|record| !is_right(record))
        .map(|record| {
            format!(
                "{}: {}: {}\n  {}",
                record.result.case.id, record.verdict, record.why, record.result.wire
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // It asks whoever has no good certificate.
    let verdict = |id: &str| records[id].verdict;
    let without = [
        "dialback-certificates/DW-03-no-shortcut/expired",
        "dialback/DB-41-question/row17",
    ];
    assert_eq!(without.map(verdict), [Verdict::Pass; 2]);
    assert_eq!(
        verdict("dialback/DB-44-key-is-wrong/leaves/row09"),
        Verdict::Unsupported
    );
}

#[test]
fn a_double_breaks_a_requirement_of_the_bugs_that_it_shows() {
    let bugs = Registry::builtin().bugs();
    let wrong: Vec<(&str, &str)> = FILE
        .double
        .iter()
        .flat_map(|one| {
            one.bugs
                .iter()
                .map(|bug| (bug.as_str(), one.breaks.as_str()))
        })
        .filter(|(id, breaks)| {
            let bug = bugs.iter().find(|bug| bug.id == *id);
            !bug.is_some_and(|bug| {
                bug.requirements
                    .iter()
                    .any(|one| one.to_string() == *breaks)
            })
        })
        .collect();
    assert_eq!(wrong, []);
}

#[test]
fn each_bug_has_a_double_that_shows_it() {
    let shown: BTreeSet<&str> = FILE
        .double
        .iter()
        .flat_map(|one| one.bugs.iter().map(String::as_str))
        .collect();
    let bugs = Registry::builtin().bugs().iter();
    let missing: Vec<&str> = bugs
        .map(|bug| bug.id.as_str())
        .filter(|id| !shown.contains(id))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn each_scenario_of_a_duty_has_a_double_or_a_reason() {
    let all = doubles(Library::builtin(), Registry::builtin());
    let lacking: Vec<&str> = all
        .iter()
        .filter(|(_, has)| *has == Doubled::NotYet)
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(lacking, Vec::<&str>::new());
}

#[test]
fn each_defect_is_described_and_has_its_double() {
    let told = include_str!("double/defect.rs");
    let all = told.split("pub(crate) enum Defect {").nth(1);
    let all = all.and_then(|rest| rest.split('}').next()).expect("there");
    let all: BTreeSet<&str> = all
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .collect();
    let name = |defect: &Defect| format!("{defect:?}");
    let used: BTreeSet<String> = FILE.double.iter().map(|one| name(&one.defect)).collect();
    let described: BTreeSet<String> = FILE.defects.keys().map(name).collect();
    assert_eq!(all, used.iter().map(String::as_str).collect());
    assert_eq!(all, described.iter().map(String::as_str).collect());
}
