//! Cases end alike in each run with one seed, whatever runs beside them.

use std::collections::BTreeMap;

use s2spec::case::{Case, Set};
use s2spec::runner::Deadlines;

use crate::support::{all_cases, reference, run_side_by_side};

/// Some policies of the matrix, and scenarios of all kinds: that dial, that wait, that send much.
fn sample() -> Vec<Case> {
    let areas = ["dialback/DB-4", "dns/DNS-0", "sasl/", "streams/STR-1"];
    let is_meant = |case: &&Case| match case.set {
        Set::Scenarios => areas.iter().any(|area| case.id.starts_with(area)),
        _ => [7, 9].contains(&case.row.number()) && !case.waits(),
    };
    all_cases().iter().filter(is_meant).cloned().collect()
}

/// How each case ended, and why that is so. Of a case of the matrix, also what went over the wires.
fn ends(cases: &[Case], at_once: usize) -> BTreeMap<String, String> {
    let records = run_side_by_side(at_once, Deadlines::default(), reference(), cases);
    let ends = records.into_iter().map(|record| {
        let wire = match record.result.case.script.by_oracle() {
            true => record.result.wire.as_str(),
            false => "",
        };
        let outcome = record.result.judged_outcome();
        let outcome = outcome.map(ToString::to_string).unwrap_or_default();
        let end = format!("{}: {outcome} {}\n{wire}", record.verdict, record.why);
        (record.result.case.id, end)
    });
    ends.collect()
}

#[test]
fn the_same_seed_gives_the_same_ends() {
    let cases = sample();
    assert!(cases.len() > 200, "only {}", cases.len());
    let mut last_first = cases.clone();
    last_first.reverse();
    let [few, many] = [ends(&cases, 3), ends(&last_first, 12)];
    let differ: Vec<String> = few
        .iter()
        .filter(|(id, end)| many.get(*id) != Some(*end))
        .map(|(id, end)| format!("{id}\n{end}\n{:?}", many.get(id)))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(few.len(), many.len());
}
