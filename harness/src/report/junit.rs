//! A report as JUnit XML: a suite for each set and area.

use std::collections::BTreeMap;
use std::io;
use std::str::FromStr as _;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::saved::{AllowedEnd, Case, Saved, Transcript};
use crate::case::Direction;
use crate::console::failure::{TAIL, wrapped};
use crate::console::words::counted;
use crate::console::{describe_direction, describe_policy};
use crate::policy::PolicyNumber;
use crate::transcript::{printable, shorten};

/// The width of its texts, in columns.
const WIDTH: usize = 100;

/// What JUnit knows of a verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is well, as far as CI is concerned.
    Success,
    Failure,
    /// It says nothing of the target.
    Error,
    Skipped,
}

impl Kind {
    fn of(verdict: &str) -> Self {
        match verdict {
            "pass" | "xfail" | "warn" | "disputed" => Self::Success,
            "unsupported" | "not-run" => Self::Skipped,
            "error" | "undecided" => Self::Error,
            _ => Self::Failure,
        }
    }
}

/// The XML document.
///
/// # Errors
/// Never: it is written to memory.
pub fn to_junit(saved: &Saved) -> io::Result<String> {
    let mut areas: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in &saved.cases {
        areas.entry(case.area()).or_default().push(case);
    }
    let all: Vec<&Case> = saved.cases.iter().collect();
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let name = format!("s2spec: {}", printable(&saved.target));
    let counts = counts(&all);
    let whole = writer.create_element("testsuites");
    let whole = whole.with_attribute(("name", name.as_str()));
    let time = seconds(saved.times.elapsed_us);
    let whole = whole.with_attribute(("time", time.as_str()));
    let whole = whole.with_attributes(counts.iter().map(|(name, count)| (*name, count.as_str())));
    whole.write_inner_content(|writer| {
        for (area, cases) in &areas {
            suite(writer, saved, area, cases)?;
        }
        Ok(())
    })?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned() + "\n")
}

fn suite(
    writer: &mut Writer<Vec<u8>>,
    saved: &Saved,
    area: &str,
    cases: &[&Case],
) -> io::Result<()> {
    let counts = counts(cases);
    let suite = writer
        .create_element("testsuite")
        .with_attribute(("name", area));
    let suite = suite.with_attributes(counts.iter().map(|(name, count)| (*name, count.as_str())));
    suite.write_inner_content(|writer| {
        cases
            .iter()
            .try_for_each(|case| test_case(writer, saved, case))
    })?;
    Ok(())
}

fn test_case(writer: &mut Writer<Vec<u8>>, saved: &Saved, case: &Case) -> io::Result<()> {
    let time = saved
        .times
        .cases
        .get(&case.id)
        .map_or(0, |times| times.total);
    let time = seconds(time);
    let test = writer.create_element("testcase").with_attributes([
        ("name", case.id.as_str()),
        ("classname", case.area()),
        ("time", time.as_str()),
    ]);
    let why = printable(&case.why);
    let kind = Kind::of(&case.verdict);
    let element = match kind {
        Kind::Success if case.verdict == "pass" => {
            test.write_empty()?;
            return Ok(());
        }
        Kind::Success => "system-out",
        Kind::Failure => "failure",
        Kind::Error => "error",
        Kind::Skipped => "skipped",
    };
    test.write_inner_content(|writer| {
        let inner = writer.create_element(element);
        match kind {
            Kind::Success => {
                let text = format!("{}: {why}", case.verdict);
                inner.write_text_content(BytesText::new(&text))?;
            }
            Kind::Skipped => {
                inner
                    .with_attribute(("message", why.as_str()))
                    .write_empty()?;
            }
            Kind::Failure | Kind::Error => {
                let attributes = [("type", case.verdict.as_str()), ("message", why.as_str())];
                // As in a terminal: each field begins a line.
                let text = format!("\n{}", description(saved, case));
                inner
                    .with_attributes(attributes)
                    .write_text_content(BytesText::new(&text))?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn counts(cases: &[&Case]) -> [(&'static str, String); 4] {
    let count = |kind| {
        cases
            .iter()
            .filter(|case| Kind::of(&case.verdict) == kind)
            .count()
            .to_string()
    };
    [
        ("tests", cases.len().to_string()),
        ("failures", count(Kind::Failure)),
        ("errors", count(Kind::Error)),
        ("skipped", count(Kind::Skipped)),
    ]
}

fn seconds(microseconds: u64) -> String {
    format!(
        "{}.{:06}",
        microseconds / 1_000_000,
        microseconds % 1_000_000
    )
}

/// The fields of the terminal's block of a case, with all findings and the end of each transcript.
fn description(saved: &Saved, case: &Case) -> String {
    let mut out = String::new();
    let mut field = |name: &str, text: &str| {
        if !text.is_empty() {
            out.push_str(&wrapped(name, &printable(text), WIDTH));
        }
    };
    if let Some(row) = PolicyNumber::new(case.row) {
        let policy = row.policy();
        let words = describe_policy(&policy);
        field("set to", &format!("{} {policy}: {words}", row.label()));
    }
    let partner = &case.partner;
    field("partner", &format!("{}: {}", partner.name, partner.title));
    if let Ok(direction) = Direction::from_str(&case.direction) {
        field("direction", describe_direction(direction));
    }
    if let Some(allowed) = &case.allowed {
        let ends: Vec<String> = allowed.allowed.iter().map(AllowedEnd::words).collect();
        field("allowed", &ends.join("; or "));
        field("rule", &format!("{} ({})", allowed.rule, allowed.clause));
    }
    field("observed", &case.ended());
    if let Some(scenario) = &case.scenario {
        field("scenario", &scenario.title);
    }
    if let Some(rule) = &case.rule {
        field(
            "rule",
            &format!(
                "{} ({}, {}): {}",
                rule.id, rule.level, rule.clause, rule.says
            ),
        );
    }
    field("why", &case.why);
    for finding in &case.findings {
        let clause = &finding.clause;
        let id = clause.requirement.as_deref().unwrap_or_default();
        let source = format!("{} {}, {}", id, clause.level, clause.source);
        field(
            &printable(&finding.weight),
            &format!("{} ({})", finding.text, source.trim_start()),
        );
    }
    field("control", case.control.as_deref().unwrap_or_default());
    field("wire", &case.wire);
    for transcript in &case.transcript {
        out.push_str(&events(transcript));
    }
    out + &format!(
        "  {:<12}{}\n",
        "rerun",
        printable(&saved.rerun.command(&case.id))
    )
}

/// The end of what a partner saw and did, a line each.
fn events(transcript: &Transcript) -> String {
    let skipped = transcript.steps.len().saturating_sub(TAIL);
    let before = match skipped {
        0 => String::new(),
        more => format!(" ({} before)", counted(more, "event")),
    };
    let mut out = format!(
        "  transcript of `{}`{before}\n",
        printable(&transcript.partner)
    );
    for (at, step) in transcript.steps.iter().enumerate().skip(skipped) {
        let arrow = match step.by.as_deref() {
            Some("partner") => "→",
            Some("target") => "←",
            _ => "·",
        };
        let text = shorten(&printable(&step.text), WIDTH);
        let (number, layer) = (at + 1, printable(&step.layer));
        out.push_str(&format!(
            "    {number:>3} #{} {arrow} {layer} {text}\n",
            step.connection
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict_has_its_place() {
        let case = |verdict: &str| {
            format!(
                r#"{{"id":"a/{verdict}","set":"scenarios","direction":"inbound","row":7,"verdict":"{verdict}",
                "policy":{{"tls":"required","sasl":"optional","dialback":true}},"allowed":null,"outcome":null,
                "partner":{{"name":"p","title":"t"}},"reason":null,"why":"it <is> & was","findings":[],
                "scenario":null,"control":null,"added_as_control":false,"wire":""}}"#
            )
        };
        let cases = ["pass", "warn", "fail", "error", "unsupported"]
            .map(case)
            .join(",");
        let report = format!(
            r#"{{"schema":4,"tool":{{"name":"s2spec","version":"1"}},"target":"t","seed":7,"partial":false,
            "interrupted":false,"rounds":1,"summary":{{}},"breaches":[],"unneeded":[],"trouble":[],"causes":[],
            "requirements":[],"cases":[{cases}],"times":{{"elapsed_us":1500000,"cases":{{"a/pass":{{"total":2500}}}}}}}}"#
        );
        let saved = Saved::read(&report).expect("a report");
        insta::assert_snapshot!(to_junit(&saved).expect("it is written to memory"));
    }
}
