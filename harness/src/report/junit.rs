//! A report as JUnit XML: a suite for each set and area.

use std::collections::BTreeMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::saved::{Case, Saved};
use crate::transcript::printable;

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
                let text = description(saved, case);
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
    lines.push(format!("again: {}", saved.rerun.command(&case.id)));
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    lines.join("\n")
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
