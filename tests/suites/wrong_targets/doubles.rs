//! Each double fails the scenario that is there for its defect, and a correct server passes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use s2spec::case::Case;
use s2spec::finding::Sign;
use s2spec::record::Record;
use s2spec::requirement::Registry;
use s2spec::runner::Deadlines;
use s2spec::verdict::Verdict;
use serde::Deserialize;

use crate::support::run_side_by_side;
use crate::wrong_targets::case;
use crate::wrong_targets::double::{Defect, Double};

/// How many cases run at once: most of them wait.
const AT_ONCE: usize = 16;
/// A double often leaves a case waiting until its deadline.
const SOON: Duration = Duration::from_secs(6);

/// A line of the list: what a server does wrong, and the case that shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    defect: Defect,
    case: String,
    breaks: String,
    #[serde(default)]
    bugs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    double: Vec<Known>,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let file: File = toml::from_str(s2spec::scenario::DOUBLES).expect("the list can be read");
    file.double
});

fn run(
    deadlines: Deadlines,
    defects: BTreeMap<String, Defect>,
    cases: &[Case],
) -> BTreeMap<String, Record> {
    let records = run_side_by_side(AT_ONCE, deadlines, Arc::new(Double { defects }), cases);
    let records = records.into_iter();
    records
        .map(|record| (record.result.case.id.clone(), record))
        .collect()
}

fn cases_of(known: &[&Known]) -> Vec<Case> {
    let ids: BTreeSet<&str> = known.iter().map(|one| one.case.as_str()).collect();
    ids.into_iter().map(case).collect()
}

/// The list in parts in which each case occurs once.
fn rounds() -> Vec<Vec<&'static Known>> {
    let mut rounds: Vec<Vec<&Known>> = Vec::new();
    for one in KNOWN.iter() {
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

/// How a double does not show its defect, if so.
fn unnoticed(one: &Known, record: &Record) -> Option<String> {
    let fails = matches!(record.verdict, Verdict::Fail | Verdict::Warn);
    let breaks = record.result.findings().iter().any(|finding| {
        // Whoever is slow afterwards has shown no defect.
        let is_own = finding.sign != Sign::Aftermath;
        is_own && finding.against.ids().contains(&one.breaks)
    });
    (!fails || !breaks).then(|| {
        format!(
            "{:?} {}: {}: {}\n  {}",
            one.defect, one.case, record.verdict, record.why, record.result.wire
        )
    })
}

fn round(deadlines: Deadlines, round: &[&Known]) -> BTreeMap<String, Record> {
    let defects = round.iter().map(|one| (one.case.clone(), one.defect));
    run(deadlines, defects.collect(), &cases_of(round))
}

#[test]
fn each_double_fails_the_scenario_that_is_there_for_its_defect() {
    let rounds = rounds();
    let all: Vec<BTreeMap<String, Record>> = thread::scope(|scope| {
        let started: Vec<_> = rounds
            .iter()
            .map(|known| scope.spawn(|| round(Deadlines::within(SOON), known)))
            .collect();
        let joined = started.into_iter().map(|run| run.join());
        joined.map(|run| run.expect("it does not panic")).collect()
    });
    let suspects = rounds.into_iter().zip(&all).flat_map(|(known, records)| {
        let seems_right = |one: &&Known| unnoticed(one, &records[&one.case]).is_some();
        known.into_iter().filter(seems_right).collect::<Vec<_>>()
    });
    // On a busy machine a case may end by a deadline: alone it does not.
    let wrong: Vec<String> = suspects
        .filter_map(|one| {
            let records = round(Deadlines::default(), &[one]);
            unnoticed(one, &records[&one.case])
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_correct_server_passes_the_scenarios_of_all_doubles() {
    let known: Vec<&Known> = KNOWN.iter().collect();
    let judged = |cases: &[Case]| run(Deadlines::default(), BTreeMap::new(), cases);
    let records = judged(&cases_of(&known));
    let suspects = records.values().filter(|record| !passes(record));
    // On a busy machine a case may end by a deadline: alone it does not.
    let wrong: Vec<String> = suspects
        .flat_map(|record| judged(&[case(&record.result.case.id)]).into_values())
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
fn a_double_breaks_a_requirement_of_the_bugs_that_it_shows() {
    let bugs = Registry::builtin().bugs();
    let wrong: Vec<(&str, &str)> = KNOWN
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
fn each_defect_has_its_double() {
    let told = include_str!("double/defect.rs");
    let all = told.split("pub(crate) enum Defect {").nth(1);
    let all = all.and_then(|rest| rest.split('}').next()).expect("there");
    let all = all.lines().filter_map(|line| line.trim().strip_suffix(','));
    let used: BTreeSet<String> = KNOWN
        .iter()
        .map(|one| format!("{:?}", one.defect))
        .collect();
    let unused: Vec<&str> = all
        .filter(|name| !name.contains(' ') && !used.contains(*name))
        .collect();
    assert_eq!(unused, Vec::<&str>::new());
    assert!(used.len() >= 60, "{}", used.len());
}
