//! The sets `policies` and `offers` against the embedded proxy: each case as the oracle wants it, a
//! table of the outcomes as a snapshot, and the same again on every repetition.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use s2spec::matrix::{Case, Direction, Set};
use s2spec::oracle::Profile;
use s2spec::outcome::{Outcome, method_name};
use s2spec::policy::Row;
use s2spec::runner::{Record, Verdict};
use s2spec::transcript;
use s2spec_tests::{all_cases, assert_snapshot, reference, run};

fn of(set: Set) -> Vec<Case> {
    all_cases()
        .iter()
        .filter(|case| case.set == set)
        .cloned()
        .collect()
}

fn unexpected(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .filter(|record| !matches!(record.verdict, Verdict::Pass | Verdict::Warn))
        .map(|record| format!("{}: {:?}: {}", record.case.id, record.verdict, record.why))
        .collect()
}

/// One short word an outcome, so that a table of hundreds can be read.
fn short(record: &Record) -> String {
    match &record.outcome {
        Some(Outcome::Established(method)) => method_name(*method).to_owned(),
        Some(Outcome::Refused(refusal)) => format!("- {refusal}"),
        Some(Outcome::Stalled(phase)) => format!("stalled {phase:?}"),
        None => format!("{:?}", record.verdict),
    }
}

/// A line an outcome of each policy: which partners end so.
fn table(records: &[Record]) -> String {
    let mut text = String::new();
    for direction in [Direction::Outbound, Direction::Inbound] {
        writeln!(text, "{direction:?}").expect("a String takes all text");
        for row in Row::all() {
            let mut endings: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for record in records {
                if record.case.row == row && record.case.direction == direction {
                    let partner = record.case.partner.name.as_str();
                    endings.entry(short(record)).or_default().push(partner);
                }
            }
            writeln!(text, "  {} {}", row.label(), row.policy()).expect("a String takes all text");
            for (ending, partners) in endings {
                writeln!(text, "    {ending}: {}", partners.join(" "))
                    .expect("a String takes all text");
            }
        }
    }
    text
}

#[test]
fn policies_end_as_the_tables_say() {
    let records = run(reference(), Profile::default(), &of(Set::Policies));
    assert_eq!(records.len(), 648);
    assert_eq!(unexpected(&records), Vec::<String>::new());
    assert_snapshot(
        "reference",
        "policies",
        "18 policies of the target, each with 18 policies of the partner",
        &table(&records),
    );
}

#[test]
fn offers_end_as_the_tables_say() {
    let records = run(reference(), Profile::default(), &of(Set::Offers));
    assert_eq!(unexpected(&records), Vec::<String>::new());
    assert_snapshot(
        "reference",
        "offers",
        "18 policies of the target, each with every coherent offer of a partner",
        &table(&records),
    );
}

/// How often the set `policies` is run: a few times by default, `S2SPEC_REPEAT` times on request.
fn repetitions() -> usize {
    std::env::var("S2SPEC_REPEAT")
        .ok()
        .and_then(|times| times.parse().ok())
        .unwrap_or(3)
}

#[test]
fn repetitions_give_the_same_verdicts_and_the_same_transcripts() {
    let cases = of(Set::Policies);
    let told = |records: &[Record]| -> Vec<String> {
        let canonical = |r: &Record| transcript::canonical_text(&r.events);
        records
            .iter()
            .map(|r| format!("{} {:?}\n{}", r.case.id, r.verdict, canonical(r)))
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
