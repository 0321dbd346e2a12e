//! What a written baseline keeps, and what is new in it.

use super::*;

#[test]
fn new_failures_get_one_entry_a_cause() {
    let check = BaselineCheck::none();
    let results = vec![
        of_row("row01", breaking(&["STR-23", "SAS-05"])),
        of_row("row07", breaking(&["STR-23"])),
        of_row("row08", breaking(&["STR-23"])),
        of_row("row09", fixture::failed().result),
        of_row("row13", letting_in("STR-23")),
    ];
    let report = report(results, &check);
    let written = write(&report.target, &report.records, &check, &all());
    insta::assert_snapshot!(written.text);
    assert_eq!(written.new, 4);
    let text = written.text.replace("why = \"\"", "why = \"a bug\"");
    let check = BaselineCheck {
        baseline: Some(Baseline::parse(&Source::new("known.toml", &text), &all()).unwrap()),
        ..check
    };
    for record in report.records.into_values() {
        assert_eq!(check.judge(record.result).verdict, Verdict::Xfail);
    }
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
    let gone = "# No longer seen like this:\n# [[known]]\n# outcome = \"sasl-tls\"\n# case = \"personas/row08/google-talk/inbound\"";
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
    let report = report(vec![result.clone()], &check);
    let written = write(&report.target, &report.records, &check, &all());
    let text = written.text.replace("why = \"\"", "why = \"a bug\"");
    let read = Baseline::parse(&Source::new("known.toml", &text), &all()).unwrap();
    assert_eq!(read.entries.len(), 1);
    let check = BaselineCheck {
        baseline: Some(read),
        ..check
    };
    assert_eq!(check.judge(result).verdict, Verdict::Xfail);
}
