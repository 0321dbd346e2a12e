//! The sets `policies` and `offers` against the embedded proxy: each case as the oracle expects, a
//! table of the outcomes as a snapshot, and the same results on every repetition.

use s2spec::case::{Case, Set};
use s2spec::oracle::Profile;
use s2spec::record::Record;
use s2spec::transcript;
use s2spec::verdict::Verdict;

use crate::support::{all_cases, all_cores, assert_snapshot, others, reference, run, table};

fn of(set: Set) -> Vec<Case> {
    all_cases()
        .iter()
        .filter(|case| case.set == set)
        .cloned()
        .collect()
}

const FINE: [Verdict; 2] = [Verdict::Pass, Verdict::Warn];

#[test]
fn policies_end_as_the_tables_say() {
    let _cores = all_cores();
    let records = run(reference(), Profile::default(), &of(Set::Policies));
    assert_eq!(records.len(), 648);
    assert_eq!(others(&records, &FINE), Vec::<String>::new());
    assert_snapshot(
        "reference",
        "policies",
        "18 policies of the target, each with 18 policies of the partner",
        &table(&records),
    );
}

#[test]
fn offers_end_as_the_tables_say() {
    let _cores = all_cores();
    let records = run(reference(), Profile::default(), &of(Set::Offers));
    assert_eq!(others(&records, &FINE), Vec::<String>::new());
    assert_snapshot(
        "reference",
        "offers",
        "18 policies of the target, each with every coherent offer of a partner",
        &table(&records),
    );
}

/// How often to run the set `policies`: a few times by default, or `S2SPEC_REPEAT` times.
fn repetitions() -> usize {
    std::env::var("S2SPEC_REPEAT")
        .ok()
        .and_then(|times| times.parse().ok())
        .unwrap_or(3)
}

#[test]
fn repetitions_give_the_same_verdicts_and_the_same_transcripts() {
    let _cores = all_cores();
    let cases = of(Set::Policies);
    let told = |records: &[Record]| -> Vec<String> {
        let canonical = |r: &Record| transcript::canonical_text(&r.result.events);
        records
            .iter()
            .map(|r| format!("{} {:?}\n{}", r.result.case.id, r.verdict, canonical(r)))
            .collect()
    };
    let first = told(&run(reference(), Profile::default(), &cases));
    for repetition in 1..repetitions() {
        let again = told(&run(reference(), Profile::default(), &cases));
        for (before, after) in first.iter().zip(&again) {
            assert_eq!(before, after, "repetition {repetition}");
        }
    }
}
