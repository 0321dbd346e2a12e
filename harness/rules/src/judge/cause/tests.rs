use simulated_partners::document::Source;

use super::*;
use crate::case::Case;
use crate::finding::Fault;
use crate::outcome::{Closer, Phase, Refusal, Signal};
use crate::record::{CaseResult, Control, Run};
use crate::scenario::{Catalogue, File, cases};
use crate::verdict::Weight;

/// A case of a scenario for some requirements.
fn case(id: &str, requirements: &[&str]) -> Case {
    let text = format!(
        "format = 1\ntitle = 'A test'\nrequirements = {requirements:?}\ndirection = 'outbound'\n\
         [[expect]]\nsees = 'header'\non = 'outbound'\nwith.version = '1.0'\n"
    );
    let name: Vec<&str> = id.split('/').take(2).collect();
    let name = name.join("/");
    let source = Source::new(&name, &text);
    let file = File::read(&name, &source, Catalogue::builtin()).expect("it has no mistakes");
    let mut case = cases(&name, &file, None).remove(0);
    case.id = id.to_owned();
    case
}

fn finding(requirement: &str, sign: Sign, step: Step) -> Finding {
    Finding {
        against: Against::Requirements(vec![requirement.to_owned()]),
        weight: Weight::Must,
        sign,
        step,
        text: format!("{requirement} is {sign}"),
        connection: None,
        expectation: None,
        seen: true,
    }
}

fn silent(phase: Phase) -> Outcome {
    Outcome::Refused(Refusal {
        phase,
        closer: Closer::Partner,
        signal: Signal::Silence,
    })
}

fn record(id: &str, requirement: &str, outcome: Outcome, findings: Vec<Finding>) -> Record {
    let run = Run::Ended { outcome, findings };
    let result = CaseResult::not_run(case(id, &[requirement]), run);
    let (verdict, why) = super::super::verdict(&result);
    Record {
        result,
        verdict,
        why,
        settled: None,
    }
}

fn names(causes: &[Cause]) -> Vec<&str> {
    causes
        .iter()
        .map(|cause| cause.clause.requirement.as_deref().unwrap_or_default())
        .collect()
}

#[test]
fn what_is_wrong_in_itself_comes_before_what_is_missing() {
    let records = [
        record(
            "addresses/ADR-01-a",
            "ADR-01",
            silent(Phase::Stanza),
            vec![finding("ADR-01", Sign::Missing, Step::Stanza)],
        ),
        record(
            "streams/STR-05-a",
            "STR-05",
            silent(Phase::Stream),
            vec![finding("STR-05", Sign::Wrong, Step::Header)],
        ),
        record(
            "sasl/SAS-01-a",
            "SAS-01",
            silent(Phase::Method),
            vec![finding("SAS-01", Sign::Wrong, Step::Features)],
        ),
    ];
    assert_eq!(names(&causes(&records)), ["STR-05", "SAS-01", "ADR-01"]);
}

#[test]
fn cases_of_one_clause_are_one_cause() {
    let wrong = || vec![finding("STR-05", Sign::Wrong, Step::Header)];
    let records = [
        record("streams/STR-05-a", "STR-05", silent(Phase::Stream), wrong()),
        record("streams/STR-05-b", "STR-05", silent(Phase::Stream), wrong()),
    ];
    let causes = causes(&records);
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].cases, ["streams/STR-05-a", "streams/STR-05-b"]);
    assert_eq!(causes[0].text, "STR-05 is wrong");
}

#[test]
fn a_case_whose_control_fails_follows_from_the_cause_of_the_control() {
    let mut depends = record("sasl/SAS-09-a", "SAS-09", silent(Phase::Method), Vec::new());
    depends.result.control = Some(Control {
        id: "sasl/SAS-09-b".to_owned(),
        state: ControlState::Missed,
    });
    depends.verdict = Verdict::Warn;
    let control = record(
        "sasl/SAS-09-b",
        "SAS-09",
        silent(Phase::Stream),
        vec![finding("SAS-09", Sign::Missing, Step::Stanza)],
    );
    let header = record(
        "streams/STR-08-a",
        "STR-08",
        silent(Phase::Stream),
        vec![finding("STR-08", Sign::Missing, Step::Header)],
    );
    let causes = causes(&[depends, control, header]);
    assert_eq!(names(&causes), ["STR-08"]);
    assert_eq!(
        causes[0].consequences,
        [
            Consequence {
                because: Because::Control,
                cases: vec!["sasl/SAS-09-a".to_owned()],
            },
            Consequence {
                because: Because::End,
                cases: vec!["sasl/SAS-09-b".to_owned()],
            }
        ]
    );
}

#[test]
fn another_end_is_another_cause() {
    let records = [
        record(
            "streams/STR-08-a",
            "STR-08",
            silent(Phase::Stream),
            vec![finding("STR-08", Sign::Missing, Step::Header)],
        ),
        record(
            "sasl/SAS-09-b",
            "SAS-09",
            silent(Phase::Sasl),
            vec![finding("SAS-09", Sign::Missing, Step::Stanza)],
        ),
    ];
    assert_eq!(names(&causes(&records)), ["STR-08", "SAS-09"]);
}

#[test]
fn a_target_that_is_worse_off_afterwards_follows_from_its_scenario() {
    let records = [
        record(
            "xml/XML-01-comment/a",
            "XML-01",
            silent(Phase::Stream),
            vec![finding("XML-01", Sign::Wrong, Step::End)],
        ),
        record(
            "xml/XML-01-comment/b",
            "XML-01",
            silent(Phase::Method),
            vec![finding("XML-02", Sign::Aftermath, Step::End)],
        ),
    ];
    let causes = causes(&records);
    assert_eq!(names(&causes), ["XML-01"]);
    assert_eq!(causes[0].consequences[0].because, Because::Aftermath);
}

#[test]
fn failures_come_before_warnings() {
    let recommended = Finding {
        weight: Weight::Should,
        ..finding("STR-14", Sign::Wrong, Step::Header)
    };
    let records = [
        record(
            "streams/STR-14-a",
            "STR-14",
            silent(Phase::Stream),
            vec![recommended],
        ),
        record(
            "streams/STR-23-a",
            "STR-23",
            silent(Phase::Stanza),
            vec![finding("STR-23", Sign::Few, Step::Stanza)],
        ),
    ];
    let causes = causes(&records);
    assert_eq!(names(&causes), ["STR-23", "STR-14"]);
    assert_eq!(causes[1].verdict, Verdict::Warn);
}

#[test]
fn a_deed_that_is_forbidden_has_the_clause_that_forbids_it() {
    let fault = Fault::Prohibited(crate::finding::Violation::ExternalInClear);
    let offered = Finding {
        against: Against::Fault(fault),
        ..finding("STR-05", Sign::Wrong, Step::Sasl)
    };
    let record = record(
        "sasl/SAS-01-a",
        "SAS-01",
        silent(Phase::Sasl),
        vec![offered],
    );
    assert_eq!(names(&causes(&[record])), ["SAS-02"]);
}

#[test]
fn placeholders_stand_for_anything_where_cases_are_compared() {
    assert_eq!(wildcards("a {domain} b{probe}*"), "a * b**");
    assert_eq!(wildcards("{open"), "{open");
}
