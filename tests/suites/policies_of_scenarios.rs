//! The conformance suite against the embedded proxy in policies that its scenarios are not written for.

use std::collections::BTreeMap;
use std::time::Duration;

use s2spec::case::Case;
use s2spec::oracle::Profile;
use s2spec::policy::PolicyNumber;
use s2spec::runner::Deadlines;
use s2spec::scenario::Library;
use s2spec::verdict::Verdict;

use crate::support::{all_cores, others, reference, run, run_side_by_side};

/// Each policy gets one in so many files, the next policy those that follow. `s2spec run --policy all` runs all of
/// them, which takes too long without optimisation.
const PART: usize = 12;

fn valid_rows() -> Vec<PolicyNumber> {
    let rows = PolicyNumber::all();
    rows.filter(|row| row.policy().valid()).collect()
}

#[test]
fn scenarios_hold_in_every_policy() {
    let _cores = all_cores();
    let library = Library::builtin();
    let files = library.files().map(|(name, _)| name).zip(0..);
    let numbers: BTreeMap<&str, usize> = files.collect();
    let number = |case: &Case| numbers[case.scenario().expect("it is of one").file.as_str()];
    let rows = valid_rows();
    let cases: Vec<Case> = (rows.iter().enumerate())
        .flat_map(|(place, row)| {
            let all = library.cases_in(Some(&[*row])).into_iter();
            all.filter(move |case| number(case) % PART == place % PART)
        })
        .collect();
    let records = run(reference(), Profile::default(), &cases);
    assert_eq!(records.len(), cases.len());
    let wrong = others(&records, &[Verdict::Pass, Verdict::Unsupported]);
    assert_eq!(wrong, Vec::<String>::new());
    for row in rows {
        let in_row = |record: &&s2spec::record::Record| {
            record.result.case.row == row && record.verdict == Verdict::Pass
        };
        let passed = records.iter().filter(in_row).count();
        assert!(passed > 50, "only {passed} in {}", row.label());
    }
}

#[test]
fn cases_that_name_the_same_domain_run_side_by_side() {
    let cases = Library::builtin().cases_in(Some(&valid_rows()));
    let is_meant = |case: &Case| case.id.starts_with("dns/DNS-13");
    let cases: Vec<Case> = cases.into_iter().filter(is_meant).collect();
    let records = run_side_by_side(cases.len(), Deadlines::default(), reference(), &cases);
    assert_eq!(records.len(), cases.len());
    let wrong = others(&records, &[Verdict::Pass]);
    assert_eq!(wrong, Vec::<String>::new());
    for record in records {
        let total = record.result.timings.total;
        let id = &record.result.case.id;
        assert!(total < Duration::from_secs(5), "{id} waited: {total:?}");
    }
}
