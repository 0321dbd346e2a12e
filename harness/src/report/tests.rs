use std::sync::Arc;
use std::time::Duration;

use simulated_partners::persona;

use super::fixture::{failed, gather, generated, passed, report, run, view};
use super::*;
use crate::case::{Direction, Set};
use crate::console::Charset;
use crate::policy::PolicyNumber;
use crate::record::{Record, Run, RunEvent};
use crate::verdict::Verdict;

fn plain(report: &Report, view: &View) -> String {
    anstream::adapter::strip_str(&render(report, view)).to_string()
}

#[test]
fn table_fits_80_columns() {
    insta::assert_snapshot!(plain(&report(run(false)), &view(80, Charset::Unicode)));
}

#[test]
fn table_fits_120_columns() {
    insta::assert_snapshot!(plain(&report(run(false)), &view(120, Charset::Unicode)));
}

#[test]
fn generated_sets_fit_80_columns() {
    insta::assert_snapshot!(plain(&report(generated()), &view(80, Charset::Unicode)));
}

#[test]
fn no_table_line_is_wider_than_the_terminal() {
    for width in [60, 80, 120] {
        for events in [run(false), generated()] {
            let text = plain(&report(events), &view(width, Charset::Unicode));
            let table = text.split("Rows: ").next().unwrap();
            let wide = table.lines().find(|l| l.chars().count() > width);
            assert_eq!(wide, None);
        }
    }
}

#[test]
fn an_entry_that_no_case_shows_any_more_is_told() {
    let mut report = report(run(false));
    report.unneeded = vec!["known.toml:2 lists `breaks STR-08` as fail".to_owned()];
    let text = plain(&report, &view(80, Charset::Ascii));
    assert!(
        text.contains("xpass known.toml:2 lists `breaks STR-08` as fail\n"),
        "{text}"
    );
}

#[test]
fn ascii_terminals_get_ascii_only() {
    let text = plain(&report(run(false)), &view(80, Charset::Ascii));
    assert!(text.is_ascii());
    assert!(
        text.contains("X fail personas/row07/google-talk/inbound"),
        "{text}"
    );
}

/// Cases of the set `personas`.
fn persona_cases() -> usize {
    persona::builtin().len() * usize::from(PolicyNumber::COUNT) * 2
}

#[test]
fn partial_results_say_so() {
    let cases = persona_cases();
    let text = plain(&report(run(true)), &view(80, Charset::Unicode));
    let text = text.replace('\n', " ");
    assert!(
        text.contains(&format!(
            "INTERRUPTED: {cases} of {} cases were run",
            cases + 100
        )),
        "{text}"
    );
    assert!(text.contains("trouble: prosody could not be started"));
    let mut lost = run(false);
    lost.pop();
    let text = plain(&report(lost), &view(80, Charset::Unicode));
    let text = text.replace('\n', " ");
    assert!(
        text.contains(&format!("INCOMPLETE: {cases} of {cases}")),
        "{text}"
    );
}

#[test]
fn a_failure_is_reported_with_the_command_to_run_it_again() {
    insta::assert_snapshot!(plain(
        &report(gather(vec![failed()], false)),
        &view(80, Charset::Unicode)
    ));
}

/// Failures of as many clauses, each with its own text.
fn failures(count: usize) -> Vec<Record> {
    (0..count)
        .map(|number| {
            let mut record = failed();
            record.result.case.id = format!("personas/row07/number-{number:02}/inbound");
            if let Run::Ended { findings, .. } = &mut record.result.run {
                findings[0].text = format!("it ended in way {number:02}");
            }
            record
        })
        .collect()
}

#[test]
fn many_causes_are_cut_unless_asked_for() {
    let report = report(gather(failures(15), false));
    let short = plain(&report, &view(80, Charset::Unicode));
    assert_eq!(short.matches("rerun").count(), 10);
    assert!(short.contains("5 more causes (-v for details)"), "{short}");
    let long = plain(
        &report,
        &View {
            verbose: true,
            ..view(80, Charset::Unicode)
        },
    );
    assert_eq!(long.matches("rerun").count(), 15);
}

#[test]
fn cases_with_one_cause_are_told_once() {
    let mut records = failures(15);
    for record in &mut records {
        if let Run::Ended { findings, .. } = &mut record.result.run {
            "it ended so".clone_into(&mut findings[0].text);
        }
    }
    let report = report(gather(records, false));
    let text = plain(&report, &view(80, Charset::Unicode));
    assert_eq!(text.matches("rerun").count(), 1);
    assert!(
        text.contains("✕ must, RFC 6120 §5.3.1, 15 cases: it ended so"),
        "{text}"
    );
    assert!(
        text.contains("By clause: demanded by a standard: 15 fail."),
        "{text}"
    );
}

#[test]
fn marks_are_coloured_but_distinct_without_colour() {
    let text = render(&report(run(false)), &view(80, Charset::Unicode));
    assert!(text.contains("\u{1b}[31;1m✕\u{1b}[0m"), "{text}");
    let plain = anstream::adapter::strip_str(&text).to_string();
    for mark in ["✓", "–", "!", "✕", "≠", "~", "·", "?"] {
        assert!(plain.contains(mark), "{mark}");
    }
}

#[test]
fn a_target_that_waits_for_acknowledgements_is_reported_and_a_single_delay_is_not() {
    let told = |delayed: usize| {
        let records = (1..=4).map(|row| {
            let row = PolicyNumber::new(row).expect("1 to 18");
            let partner = Arc::new(persona::find("modern").expect("it is built in"));
            let mut record = passed(Set::Personas, row, &partner, Direction::Inbound);
            record.result.timings.connect = Some(Duration::from_millis(1));
            record.result.timings.delayed = usize::from(row.number()) <= delayed;
            record
        });
        plain(
            &report(gather(records.collect(), false)),
            &view(100, Charset::Unicode),
        )
    };
    assert!(
        told(2).contains("In 2 of 4 cases the target waited about 40 ms"),
        "{}",
        told(2)
    );
    assert!(!told(1).contains("40 ms"), "{}", told(1));
}

#[test]
fn json_has_every_field_of_a_case() {
    let json = to_json(&report(gather(vec![failed()], false))).unwrap();
    // Those that the case does not judge are all alike.
    let untested = regardless(&json, "\"standing\": \"not-tested\"");
    insta::assert_snapshot!(untested);
}

/// The document without the objects that have this line.
fn regardless(json: &str, line: &str) -> String {
    let start = "    {\n      \"id\": ";
    let mut objects = json.split(start);
    let mut kept = objects.next().unwrap().to_owned();
    for object in objects {
        match object
            .split_once("\n    }")
            .filter(|(own, _)| own.contains(line))
        {
            None => kept += &format!("{start}{object}"),
            Some((_, rest)) => kept += rest.trim_start_matches(",\n"),
        }
    }
    kept
}

#[test]
fn json_is_the_same_whatever_the_order_of_results() {
    let events = run(false);
    let mut turned = events.clone();
    let last = turned.len() - 1;
    turned[1..last].reverse();
    assert_eq!(
        to_json(&report(events)).unwrap(),
        to_json(&report(turned)).unwrap()
    );
}

#[test]
fn text_from_the_wire_is_harmless_in_a_report() {
    let mut record = failed();
    record.why = "said \u{1b}[2J".to_owned();
    let text = plain(
        &report(gather(vec![record], false)),
        &view(80, Charset::Unicode),
    );
    assert!(text.contains("said \\u{1b}[2J"));
}

#[test]
fn nothing_run_is_no_empty_table() {
    let text = plain(&Report::default(), &view(80, Charset::Unicode));
    assert!(!text.contains("Rows:"));
    assert!(text.contains("nothing was run"));
}

#[test]
fn repetitions_are_reported_with_the_point_where_they_differ() {
    use crate::record::{Divergence, Repeated};
    let mut unstable = failed();
    unstable.verdict = Verdict::Unstable;
    unstable.why = "2 of 5 runs ended differently".to_owned();
    let mut remarked = failed();
    remarked.result.case.id = "personas/row08/google-talk/inbound".to_owned();
    remarked.verdict = Verdict::Pass;
    let mut xfail = failed();
    xfail.result.case.id = "personas/row09/google-talk/inbound".to_owned();
    xfail.verdict = Verdict::Xfail;
    xfail.why = "a bug (known.toml:2)".to_owned();
    let mut xpass = failed();
    xpass.result.case.id = "personas/row10/google-talk/inbound".to_owned();
    xpass.verdict = Verdict::Xpass;
    xpass.why = "known.toml:7 lists it as fail with `sasl-tls`, but now it is pass".to_owned();
    for (record, decides) in [(&mut unstable, true), (&mut remarked, false)] {
        record.result.repeated = Some(Repeated {
            runs: 5,
            ended_otherwise: 0,
            went_otherwise: 2,
            divergence: Some(Divergence {
                rounds: [1, 3],
                event: 7,
                lines: [Some("← xml <success/>".to_owned()), None],
                decides,
            }),
            unstable: None,
        });
    }
    for record in [&mut unstable, &mut xpass] {
        record.result.events.clear();
    }
    let mut events = gather(vec![unstable, remarked, xfail, xpass], false);
    if let Some(RunEvent::Ended { rounds, .. }) = events.last_mut() {
        *rounds = 5;
    }
    insta::assert_snapshot!(plain(&report(events), &view(80, Charset::Unicode)));
}

#[test]
fn nothing_that_a_server_says_is_markup_in_any_form() {
    let mut report = report(gather(vec![failed()], false));
    report.target = "<script>alert(1)</script>\u{202e}]]>".to_owned();
    report
        .trouble
        .push("<img src=x onerror=alert(1)> | `x`\u{1b}[2J".to_owned());
    let json = to_json(&report).unwrap();
    let saved = Saved::read(&json).unwrap();
    let page = to_html(&saved);
    assert!(page.contains("&lt;script&gt;alert(1)"));
    let junit = to_junit(&saved).unwrap();
    for (form, text) in [
        ("html", &page),
        ("junit", &junit),
        ("markdown", &to_markdown(&saved)),
    ] {
        for harm in ["<script>alert", "\u{202e}", "\u{1b}"] {
            assert!(!text.contains(harm), "{harm:?} in {form}");
        }
    }
    assert!(!page.contains("<img") && !junit.contains("<img"));
}
