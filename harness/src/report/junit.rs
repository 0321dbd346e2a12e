//! A report as JUnit XML: a suite for each set and area.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::saved::{Case, Saved};
use crate::transcript::printable;

/// The XML document.
///
/// # Errors
/// When a text has no form in XML, which is a bug in s2spec.
pub fn to_junit(saved: &Saved) -> Result<String, quick_junit::SerializeError> {
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for case in &saved.cases {
        let suite = suites.entry(case.area());
        let suite = suite.or_insert_with(|| TestSuite::new(case.area()));
        suite.add_test_case(test_case(saved, case));
    }
    let mut report = Report::new(format!("s2spec: {}", printable(&saved.target)));
    report.set_time(Duration::from_micros(saved.times.elapsed_us));
    report.add_test_suites(suites.into_values());
    report.to_string()
}

fn test_case(saved: &Saved, case: &Case) -> TestCase {
    let mut status = match case.verdict.as_str() {
        "pass" | "xfail" | "warn" | "disputed" => TestCaseStatus::success(),
        "unsupported" | "not-run" => TestCaseStatus::skipped(),
        "error" | "undecided" => TestCaseStatus::non_success(NonSuccessKind::Error),
        _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    let is_plain = case.verdict == "pass";
    if !is_plain {
        status.set_message(printable(&case.why));
    }
    if case.is_unexpected() {
        status.set_type(case.verdict.clone());
        status.set_description(description(saved, case));
    }
    let mut test = TestCase::new(&case.id, status);
    test.set_classname(case.area());
    if let Some(times) = saved.times.cases.get(&case.id) {
        test.set_time(Duration::from_micros(times.total));
    }
    if !is_plain && !case.is_unexpected() {
        test.set_system_out(format!("{}: {}", case.verdict, printable(&case.why)));
    }
    test
}

/// What is wrong, each with its clause, and the negotiation.
fn description(saved: &Saved, case: &Case) -> String {
    let mut lines = vec![case.why.clone()];
    for finding in &case.findings {
        let clause = &finding.clause;
        lines.push(format!(
            "{} ({}, {})",
            finding.text, clause.level, clause.source
        ));
    }
    if !case.wire.is_empty() {
        lines.push(format!("wire: {}", case.wire));
    }
    lines.push(format!(
        "again: s2spec run {} --seed {}",
        case.id, saved.seed
    ));
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    lines.join("\n")
}
