use std::sync::Arc;

use rstest::rstest;
use simulated_partners::document::Source;
use simulated_partners::persona::builtin;
use time::{Date, Month};

use super::*;
use crate::case::{Case, Expect, Sees};
use crate::finding::{Against, Fault, Finding};
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
        entry(CASE, SHOWN, "fault = \"no answer came back\""),
        entry(CASE, SHOWN, "rule = \"out.*\""),
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
    let listed = entry(CASE, SHOWN, "fault = \"no answer came back\"");
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
    let either = [entry(CASE, SHOWN, "verdict = \"fail or warn\"")];
    for (strict, weight, verdict) in [
        (true, Verdict::Warn, Verdict::Xfail),
        (true, Verdict::Undecided, Verdict::Undecided),
        (false, Verdict::Fail, Verdict::Xfail),
        (false, Verdict::Warn, Verdict::Xpass),
    ] {
        assert_eq!(settled_with(&either, strict, with(weight)).verdict, verdict);
    }
}

/// An entry for requirements, with whatever else it says.
fn of_requirements(ids: &str, more: &str) -> String {
    format!("[[known]]\nrequirements = [{ids}]\nwhy = \"a bug\"\n{more}\n")
}

/// The failed case, breaking these requirements with one finding each.
fn breaking(ids: &[&str]) -> CaseResult {
    let mut result = fixture::failed().result;
    if let Run::Ended { findings, .. } = &mut result.run {
        let first = findings[0].clone();
        let of = |id: &&str| Finding {
            against: Against::Requirements(vec![(*id).to_owned()]),
            ..first.clone()
        };
        *findings = ids.iter().map(of).collect();
    }
    result
}

#[test]
fn a_pattern_for_a_scenario_covers_it_in_every_policy() {
    let known = |case: &str| [of_requirements("\"STR-23\"", &format!("case = \"{case}\""))];
    let in_policy = || {
        let mut result = breaking(&["STR-23"]);
        result.case.id = "personas/row07/google-talk/inbound/row09".to_owned();
        result
    };
    for (case, verdict) in [
        ("personas/row07/*/inbound", Verdict::Xfail),
        ("personas/row07/*/outbound", Verdict::Fail),
        // Each case that an entry names has to show it.
        ("personas/row07/google-talk/inbound", Verdict::Fail),
    ] {
        let judged = settled_with(&known(case), false, in_policy());
        assert_eq!(judged.verdict, verdict, "{case}: {}", judged.why);
    }
}

/// The same, where a stanza was seen that must not be.
fn letting_in(id: &str) -> CaseResult {
    let mut result = breaking(&[id]);
    let mut script = (*result.case.script).clone();
    script.expect = vec![Expect {
        never: true,
        ..Expect::new(Sees::Delivered)
    }];
    result.case.script = Arc::new(script);
    if let Run::Ended { findings, .. } = &mut result.run {
        findings[0].expectation = Some(0);
    }
    result
}

#[test]
fn an_entry_covers_what_must_not_be_seen_only_where_it_names_it() {
    let known = |more: &str| [of_requirements("\"STR-23\"", more)];
    let missed = settled_with(&known(""), false, letting_in("STR-23"));
    assert_eq!(missed.verdict, Verdict::Fail);
    assert!(
        missed
            .why
            .ends_with("known.toml:2 does not know of `delivered`"),
        "{}",
        missed.why
    );
    let other = settled_with(&known("seen = [\"success\"]"), false, letting_in("STR-23"));
    assert_eq!(other.verdict, Verdict::Fail);
    for result in [letting_in("STR-23"), breaking(&["STR-23"])] {
        let both = settled_with(&known("seen = [\"delivered\"]"), false, result);
        assert_eq!(both.verdict, Verdict::Xfail, "{}", both.why);
    }
    let warns = known("seen = [\"delivered\"]\nverdict = \"warn\"");
    let warns = settled_with(&warns, true, letting_in("STR-23"));
    assert_eq!(warns.verdict, Verdict::Fail);
}

#[test]
fn an_entry_covers_its_cause_in_every_case_and_nothing_else_in_them() {
    let known = [of_requirements("\"TLS-02\", \"STR-23\"", "")];
    let one = settled_with(&known, false, breaking(&["STR-23"]));
    assert_eq!(one.verdict, Verdict::Xfail, "{}", one.why);
    let both = settled_with(&known, false, breaking(&["STR-23", "TLS-02"]));
    assert_eq!(both.verdict, Verdict::Xfail, "{}", both.why);
    assert_eq!(both.why, "a bug (known.toml:2)");
    let more = settled_with(&known, false, breaking(&["STR-23", "SAS-05"]));
    assert_eq!(more.verdict, Verdict::Fail);
}

#[test]
fn a_case_that_breaks_several_things_needs_an_entry_for_each() {
    let known = [
        of_requirements("\"STR-23\"", ""),
        of_requirements("\"SAS-05\"", ""),
    ];
    let record = settled_with(&known, false, breaking(&["STR-23", "SAS-05"]));
    assert_eq!(record.verdict, Verdict::Xfail);
    let settled = record.settled.unwrap();
    assert_eq!(settled.entry.unwrap(), "known.toml:6, known.toml:2");
}

#[rstest]
#[case("outcome = \"tcp-*\"", Verdict::Xfail)]
#[case("outcome = \"tls-*\"", Verdict::Fail)]
#[case("case = \"personas/**/inbound\"", Verdict::Xfail)]
#[case("case = \"personas/**/outbound\"", Verdict::Fail)]
#[case("verdict = \"warn\"", Verdict::Fail)]
#[case("verdict = \"fail or warn\"", Verdict::Xfail)]
fn an_entry_can_be_narrowed(#[case] more: &str, #[case] verdict: Verdict) {
    let known = [of_requirements("\"STR-23\"", more)];
    let record = settled_with(&known, true, breaking(&["STR-23"]));
    assert_eq!(record.verdict, verdict, "{}", record.why);
}

#[test]
fn a_case_that_only_a_star_matches_may_pass() {
    let wide = entry("personas/*/google-talk/inbound", SHOWN, "");
    let record = settled_with(&[wide], false, with(Verdict::Pass));
    assert_eq!(record.verdict, Verdict::Pass);
    let named = entry("personas/{row07,row08}/google-talk/inbound", SHOWN, "");
    let record = settled_with(&[named], false, with(Verdict::Pass));
    assert_eq!(record.verdict, Verdict::Xpass);
}

/// What is said of an entry after these cases: the second is only in row 8.
fn unneeded(known: &str, results: Vec<CaseResult>) -> Vec<String> {
    let check = BaselineCheck {
        baseline: Some(baseline(&[known.to_owned()])),
        strict: false,
        today: day(2026),
    };
    let records = report(results, &check).records;
    check.unneeded(&records, &all())
}

fn of_row(row: &str, mut result: CaseResult) -> CaseResult {
    result.case.id = format!("personas/{row}/google-talk/inbound");
    result
}

#[test]
fn an_entry_that_no_case_shows_any_more_is_unneeded_once_all_of_them_were_run() {
    let wide = entry("personas/row0[78]/google-talk/in*", SHOWN, "");
    let passed = |row| of_row(row, with(Verdict::Pass));
    let both = unneeded(&wide, vec![passed("row07"), passed("row08")]);
    assert_eq!(
        both,
        [
            "known.toml:2 lists `tcp-dialback` as fail of personas/row0[78]/google-talk/in*, but none of these \
          cases shows it any more"
        ]
    );
    let failed = fixture::failed().result;
    assert!(unneeded(&wide, vec![failed, passed("row08")]).is_empty());
    assert!(
        unneeded(&wide, vec![passed("row07")]).is_empty(),
        "one was not run"
    );
    let unsupported = of_row("row08", with(Verdict::Unsupported));
    assert_eq!(
        unneeded(&wide, vec![passed("row07"), unsupported.clone()]).len(),
        1
    );
    let other = of_row("row07", with(Verdict::Unsupported));
    assert!(
        unneeded(&wide, vec![other, unsupported]).is_empty(),
        "none can say so"
    );
    let error = of_row("row08", with(Verdict::Error));
    assert!(unneeded(&wide, vec![passed("row07"), error]).is_empty());
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
#[case("format = 1\n[[known]]\ncase = \"**\"\n", "`why` is missing")]
#[case("format = 1\n[[known]]\nwhy = \"a bug\"\n", "the entry names no cause")]
#[case(
    "format = 1\n[[known]]\nwhy = \"a bug\"\nrequirements = [\"TLS-99\"]\n",
    "there is no requirement TLS-99"
)]
#[case(
    "format = 1\n[[known]]\nwhy = \"a bug\"\nrule = \"in.*\"\noutcome = \"[\"\n",
    "`outcome` is no glob"
)]
#[case(
    "format = 1\n[[known]]\nwhy = \"a bug\"\nrequirements = [\"TLS-02\"]\nfault = \"no answer came back\"\n",
    "a second cause"
)]
#[case(
    "format = 1\n[[known]]\nwhy = \"a bug\"\noutcome = \"*\"\nseen = [\"delivered\"]\n",
    "`seen` without `requirements`"
)]
#[case(
    "format = 1\n[[known]]\nwhy = \"a bug\"\nrequirements = [\"TLS-02\"]\nseen = [\"told\"]\n",
    "told"
)]
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
    assert!(
        typo.contains("`fail`, `undecided`, `warn` or `fail or warn`"),
        "{typo}"
    );
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

mod writing;
