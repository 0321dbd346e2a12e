use rstest::rstest;
use simulated_partners::document::Source;
use simulated_partners::persona::builtin;
use time::{Date, Month};

use super::*;
use crate::case::Case;
use crate::finding::{Against, Fault};
use crate::matrix::cases;
use crate::record::{CaseResult, Record, Run};
use crate::report::{Report, fixture};
use crate::scenario::Library;
use crate::verdict::Verdict;

/// The failed case of the fixture.
const CASE: &str = "personas/row07/google-talk/inbound";
const SHOWN: &str = "tcp-dialback";

fn all() -> Vec<Case> {
    cases(&builtin())
}

fn entry(case: &str, outcome: &str, more: &str) -> String {
    format!("[[known]]\ncase = \"{case}\"\noutcome = \"{outcome}\"\nwhy = \"a bug\"\n{more}\n")
}

fn baseline(entries: &[String]) -> Baseline {
    let text = format!("format = 1\n{}", entries.concat());
    Baseline::parse(&Source::new("known.toml", &text), &all()).unwrap()
}

fn day(year: i32) -> Date {
    Date::from_calendar_date(year, Month::June, 15).unwrap()
}

fn settled_with(entries: &[String], strict: bool, result: CaseResult) -> Record {
    BaselineCheck {
        baseline: Some(baseline(entries)),
        strict,
        today: day(2026),
    }
    .judge(result)
}

fn settled(entries: &[String]) -> Record {
    settled_with(entries, false, fixture::failed().result)
}

fn with(verdict: Verdict) -> CaseResult {
    fixture::showing(verdict)
}

fn mistakes(text: &str) -> String {
    match Baseline::parse(&Source::new("known.toml", text), &all()) {
        Err(error) => error.to_string(),
        Ok(baseline) => panic!("no mistakes in {baseline:?}"),
    }
}

#[test]
fn a_failure_as_listed_is_expected() {
    let record = settled(&[entry(CASE, SHOWN, "link = \"https://example.org/1\"")]);
    assert_eq!(record.verdict, Verdict::Xfail);
    assert_eq!(record.why, "a bug (known.toml:2, https://example.org/1)");
    let settled = record.settled.unwrap();
    assert_eq!(settled.was, Verdict::Fail);
    assert_eq!(settled.entry.as_deref(), Some("known.toml:2"));
}

#[test]
fn a_failure_that_shows_something_else_stays_one_and_names_the_entry() {
    let other = [
        entry(CASE, "tls-dialback", ""),
        entry(CASE, "tcp-dialback, but no answer came back", ""),
        entry(CASE, SHOWN, "verdict = \"warn\""),
    ];
    for entry in other {
        let record = settled_with(&[entry], true, fixture::failed().result);
        assert_eq!(record.verdict, Verdict::Fail);
        assert!(
            record.why.contains("known.toml:2 lists it as"),
            "{}",
            record.why
        );
    }
}

#[test]
fn another_fault_with_the_same_outcome_is_another_failure() {
    let mut result = fixture::failed().result;
    if let Run::Ended { findings, .. } = &mut result.run {
        findings[0].against = Against::Fault(Fault::Unanswered);
    }
    let listed = entry(CASE, "tcp-dialback, but no answer came back", "");
    let with_fault = settled_with(&[listed], false, result.clone());
    assert_eq!(with_fault.verdict, Verdict::Xfail);
    let without = settled_with(&[entry(CASE, SHOWN, "")], false, result);
    assert_eq!(without.verdict, Verdict::Fail);
}

#[rstest]
#[case(Verdict::Pass)]
#[case(Verdict::Warn)]
#[case(Verdict::Disputed)]
fn a_listed_case_that_does_not_fail_is_unexpected(#[case] verdict: Verdict) {
    let record = settled_with(&[entry(CASE, SHOWN, "")], false, with(verdict));
    assert_eq!(record.verdict, Verdict::Xpass);
    assert!(record.why.starts_with("known.toml:2 lists it as fail"));
    assert_eq!(record.settled.unwrap().was, verdict);
}

#[rstest]
#[case(Verdict::Unsupported)]
#[case(Verdict::Error)]
#[case(Verdict::Unstable)]
fn a_result_that_says_nothing_is_left_alone(#[case] verdict: Verdict) {
    let record = settled_with(&[entry(CASE, SHOWN, "")], true, with(verdict));
    assert_eq!(record.verdict, verdict);
    assert_eq!(record.settled, None);
}

#[test]
fn an_entry_counts_on_its_last_day_and_not_after_it() {
    let until = |expires: &str| settled(&[entry(CASE, SHOWN, expires)]);
    assert_eq!(until("expires = 2026-06-15").verdict, Verdict::Xfail);
    let expired = until("expires = 2026-06-14");
    assert_eq!(expired.verdict, Verdict::Fail);
    assert!(
        expired
            .why
            .ends_with("what known.toml:2 says of it expired on 2026-06-14"),
        "{}",
        expired.why
    );
    let passed = settled_with(
        &[entry(CASE, SHOWN, "expires = 2026-06-14")],
        false,
        with(Verdict::Pass),
    );
    assert_eq!(passed.verdict, Verdict::Pass);
}

#[test]
fn a_warning_is_a_failure_only_where_the_run_is_strict() {
    let lenient = settled_with(&[], false, with(Verdict::Warn));
    assert_eq!(lenient.verdict, Verdict::Warn);
    let strict = settled_with(&[], true, with(Verdict::Warn));
    assert_eq!(strict.verdict, Verdict::Fail);
    assert!(strict.why.starts_with("a warning, and the run is strict: "));
    let listed = [entry(CASE, SHOWN, "verdict = \"warn\"")];
    assert_eq!(
        settled_with(&listed, true, with(Verdict::Warn)).verdict,
        Verdict::Xfail
    );
    assert_eq!(
        settled_with(&listed, false, with(Verdict::Warn)).verdict,
        Verdict::Warn
    );
    assert_eq!(
        settled_with(&listed, true, with(Verdict::Pass)).verdict,
        Verdict::Xpass
    );
    assert_eq!(
        settled_with(&listed, false, with(Verdict::Pass)).verdict,
        Verdict::Pass
    );
}

#[test]
fn the_entry_of_one_case_outweighs_a_glob() {
    let entries = [
        entry("personas/*/google-talk/*", SHOWN, ""),
        entry(CASE, "sasl-tls", ""),
    ];
    assert_eq!(settled(&entries[..1]).verdict, Verdict::Xfail);
    let record = settled(&entries);
    assert_eq!(record.verdict, Verdict::Fail);
    assert!(record.why.contains("known.toml:7"), "{}", record.why);
}

#[test]
fn without_a_baseline_nothing_changes() {
    let record = BaselineCheck::none().judge(fixture::failed().result);
    assert_eq!(record.verdict, Verdict::Fail);
    assert_eq!(record.settled, None);
}

#[test]
fn mistakes_are_shown_with_line_caret_and_what_is_valid() {
    let text = format!(
        "format = 1\n{}{}{}",
        entry("personas/row07/gogle-talk/inbound", SHOWN, ""),
        entry("policies/row07", SHOWN, ""),
        "[[known]]\ncase = \"**\"\noutcome = \"sasl-tls\"\nwhy = \" \"\nlink = \"see there\"\n\
         expires = 2027-01-31T12:00:00Z\n"
    );
    insta::assert_snapshot!(mistakes(&text));
}

#[test]
fn every_mistake_of_a_file_is_shown_at_once() {
    let text = r#"format = 1

[[known]]
case = "personas/row07/gogle-talk/inbound"
outcome = "tcp-dialback"
wy = "a bug"
verdict = "error"

[[known]]
case = 1

[[known]]
case = "personas/row07/gogle-talk/inbound"
outcome = "tcp-dialback"
why = "a bug"
link = "see there"

[[know]]
case = "**"
"#;
    insta::assert_snapshot!(mistakes(text));
}

#[rstest]
#[case("", "`format` is missing")]
#[case("format = 2", "this version reads `format = 1`")]
#[case("format = 1\n[known]\n", "write `[[known]]`")]
#[case("format = 1\n[[known]]\ncase = \"**\"\n", "`outcome` is missing")]
#[case("format = 1\nentries = 3\n", "unknown key `entries`")]
fn a_file_of_another_shape_gets_help(#[case] text: &str, #[case] told: &str) {
    let shown = mistakes(text);
    assert!(shown.contains(told), "{shown}");
    assert!(shown.contains("known.toml"), "{shown}");
}

#[test]
fn unknown_words_and_wrong_types_are_reported_with_the_valid_ones() {
    let typo = mistakes(&format!(
        "format = 1\n{}",
        entry(CASE, SHOWN, "verdict = \"error\"")
    ));
    assert!(typo.contains("`fail`, `undecided` or `warn`"), "{typo}");
    let typo = mistakes(&format!(
        "format = 1\n{}",
        entry(CASE, SHOWN, "expire = 2027-01-01")
    ));
    assert!(typo.contains("unknown key `expire`"), "{typo}");
    assert!(typo.contains("`expires`"), "{typo}");
}

#[test]
fn the_same_entry_twice_is_a_mistake() {
    let twice = entry(CASE, SHOWN, "").repeat(2);
    let shown = mistakes(&format!("format = 1\n{twice}"));
    assert!(shown.contains("listed twice"), "{shown}");
    assert!(shown.contains("first here"), "{shown}");
}

fn report(results: Vec<CaseResult>, check: &BaselineCheck) -> Report {
    let records = results
        .into_iter()
        .map(|result| check.judge(result))
        .collect();
    fixture::report(fixture::gather(records, false))
}

#[test]
fn what_is_written_is_read_once_its_reasons_are_filled_in() {
    let check = BaselineCheck::none();
    let report = report(vec![fixture::failed().result], &check);
    let written = write(&report.target, &report.records, &check, &all());
    insta::assert_snapshot!(written.text);
    assert_eq!((written.new, written.kept), (1, 0));
    let shown = mistakes(&written.text);
    assert!(shown.contains("`why` is empty"), "{shown}");
    let text = written.text.replace("why = \"\"", "why = \"a bug\"");
    let baseline = Baseline::parse(&Source::new("known.toml", &text), &all()).unwrap();
    let check = BaselineCheck {
        baseline: Some(baseline),
        strict: false,
        today: day(2026),
    };
    let record = check.judge(fixture::failed().result);
    assert_eq!(record.verdict, Verdict::Xfail);
}

#[test]
fn a_new_baseline_keeps_what_is_right_or_was_not_run() {
    let entries = [
        entry(CASE, SHOWN, "expires = 2030-01-01"),
        entry("offers/row01/**", "sasl-tls", ""),
        entry("personas/row08/google-talk/inbound", "sasl-tls", ""),
    ];
    let check = BaselineCheck {
        baseline: Some(baseline(&entries)),
        strict: false,
        today: day(2026),
    };
    let mut passed = with(Verdict::Pass);
    passed.case.id = "personas/row08/google-talk/inbound".to_owned();
    let report = report(vec![fixture::failed().result, passed], &check);
    let written = write(&report.target, &report.records, &check, &all());
    assert_eq!((written.new, written.kept), (0, 2));
    assert!(written.text.contains("expires = 2030-01-01"));
    assert!(written.text.contains("offers/row01/**"));
    assert_eq!(written.gone, 1);
    let gone =
        "# No longer seen like this:\n# [[known]]\n# case = \"personas/row08/google-talk/inbound\"";
    assert!(written.text.contains(gone), "{}", written.text);
}

#[test]
fn comments_stay_above_their_entries() {
    let head = "# Of a server.\n# Two lines.\n";
    let listed = entry("offers/row01/**", "sasl-tls", "");
    let text = format!("{head}format = 1\n\n# Why all that.\n\n# Seen in one:\n{listed}");
    let baseline = Baseline::parse(&Source::new("known.toml", &text), &all()).unwrap();
    let check = BaselineCheck {
        baseline: Some(baseline),
        strict: false,
        today: day(2026),
    };
    let report = report(Vec::new(), &check);
    let written = write(&report.target, &report.records, &check, &all());
    let above = written.text.split("[[known]]").next().unwrap();
    assert_eq!(
        above,
        format!("{head}format = 1\n\n# Why all that.\n\n# Seen in one:\n")
    );
}

#[test]
fn text_from_the_wire_is_quoted_in_a_written_baseline() {
    use crate::outcome::{Closer, Outcome, Phase, Refusal, Signal};
    let mut result = fixture::failed().result;
    if let Run::Ended { outcome, .. } = &mut result.run {
        *outcome = Outcome::Refused(Refusal {
            phase: Phase::Config,
            closer: Closer::Target,
            signal: Signal::ConfigRefused("line 3:\n\"tls\" = '''no\\yes'''\u{1b}".to_owned()),
        });
    }
    let check = BaselineCheck::none();
    let shown = shown(&result);
    let report = report(vec![result], &check);
    let written = write(&report.target, &report.records, &check, &all());
    let text = written.text.replace("why = \"\"", "why = \"a bug\"");
    let read = Baseline::parse(&Source::new("known.toml", &text), &all()).unwrap();
    assert_eq!(Some(&read.entries[0].shown), shown.as_ref());
}

#[test]
fn shipped_baselines_are_read_without_a_mistake() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/baselines");
    let mut all = all();
    all.extend(Library::builtin().cases());
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let baseline = Baseline::load(&file.unwrap().path(), &all);
        assert!(!baseline.unwrap().entries.is_empty());
        count += 1;
    }
    assert!(count > 0);
}
