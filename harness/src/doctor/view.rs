//! Formats a diagnosis as text and JSON.

use std::fmt::Write as _;

use owo_colors::{OwoColorize as _, Style};
use serde::Serialize;

use super::finding::{Check, CheckResult, Checked, Diagnosis, Finding, Severity};
use crate::console::{Charset, paragraph};

/// The version of the JSON format. It increases when a field changes its meaning or is removed.
pub const SCHEMA: u32 = 1;

/// The width of mark and name before the text.
const LABEL: usize = 14;

/// The diagnosis on a terminal: the first cause, then all checks in order.
pub fn render(diagnosis: &Diagnosis, width: usize, charset: Charset) -> String {
    let mut out = String::new();
    let first = headline(diagnosis);
    out.push_str(&paragraph("", 0, &first, width));
    if let Some((_, finding)) = diagnosis.blocking().or_else(|| warning(diagnosis)) {
        out.push_str(&paragraph("To do: ", 7, &finding.advice, width));
    }
    let mut about = clean(&diagnosis.target);
    if let (Some(domain), Some(address)) = (&diagnosis.domain, &diagnosis.address) {
        let _ = write!(about, ": {domain} at {address}");
    }
    if let Some(policy) = &diagnosis.policy {
        about.push_str("; ");
        about.push_str(policy);
    }
    out.push('\n');
    out.push_str(&paragraph("", 0, &about, width));
    if !diagnosis.partners.is_empty() {
        let came = format!("Partners came as {}.", listed(&diagnosis.partners));
        out.push_str(&paragraph("", 0, &came, width));
    }
    for checked in &diagnosis.checks {
        out.push_str(&line(checked, width, charset));
    }
    charset.fit(out)
}

/// Names with commas and an "and".
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// The first warning.
fn warning(diagnosis: &Diagnosis) -> Option<(Check, &Finding)> {
    let mut findings = diagnosis.findings();
    findings.find(|(_, finding)| finding.severity == Severity::Warning)
}

/// The most important finding, in a sentence.
fn headline(diagnosis: &Diagnosis) -> String {
    let (warnings, notes) = (
        diagnosis.count(Severity::Warning),
        diagnosis.count(Severity::Note),
    );
    if let Some((check, finding)) = diagnosis.blocking() {
        let others = diagnosis.count(Severity::Blocking) - 1;
        let more = match others {
            0 => String::new(),
            1 => " One more finding blocks below.".to_owned(),
            n => format!(" {n} more findings block below."),
        };
        return format!(
            "{} ({}): {}.{more}",
            "Blocked".style(Severity::Blocking.colour()),
            check,
            clean(&finding.what)
        );
    }
    let counted = |count: usize, name: &str| match count {
        0 => None,
        1 => Some(format!("1 {name}")),
        n => Some(format!("{n} {name}s")),
    };
    let rest: Vec<String> = [counted(warnings, "warning"), counted(notes, "note")]
        .into_iter()
        .flatten()
        .collect();
    let ready = "Ready to be tested".green().bold().to_string();
    if rest.is_empty() {
        format!("{ready}.")
    } else {
        let first = match warning(diagnosis) {
            Some((check, finding)) => format!(" First ({check}): {}.", clean(&finding.what)),
            None => String::new(),
        };
        format!("{ready}, with {}.{first}", rest.join(" and "))
    }
}

fn line(checked: &Checked, width: usize, charset: Charset) -> String {
    let name = checked.check;
    let mark = |unicode: char, ascii: char| match charset {
        Charset::Unicode => unicode,
        Charset::Ascii => ascii,
    };
    let start = |mark: char, style: Style| format!("{} {name:<12}", mark.style(style));
    match &checked.result {
        CheckResult::Fine { seen } => paragraph(
            &start(mark('✓', '+'), Style::new().green()),
            LABEL,
            &clean(seen),
            width,
        ),
        CheckResult::NotSeen { why } => paragraph(
            &start(mark('·', '.'), Style::new().dimmed()),
            LABEL,
            &format!("not seen: {}", clean(why)),
            width,
        ),
        CheckResult::Found { findings } => findings
            .iter()
            .map(|finding| {
                let symbol = match finding.severity {
                    Severity::Blocking => mark('✕', 'X'),
                    Severity::Warning => '!',
                    Severity::Note => mark('–', '-'),
                };
                found(&start(symbol, finding.severity.colour()), finding, width)
            })
            .collect(),
    }
}

fn found(start: &str, finding: &Finding, width: usize) -> String {
    let what = format!(
        "{} [{}, {}]",
        clean(&finding.what),
        finding.severity,
        finding.blame
    );
    let mut out = paragraph(start, LABEL, &what, width);
    let indent = format!("{:LABEL$}", "");
    out.push_str(&paragraph(
        &indent,
        LABEL,
        &format!("To do: {}", finding.advice),
        width,
    ));
    out
}

impl Severity {
    const fn colour(self) -> Style {
        match self {
            Self::Blocking => Style::new().red().bold(),
            Self::Warning => Style::new().yellow().bold(),
            Self::Note => Style::new().cyan(),
        }
    }
}

/// Text from a target may contain anything and have any length.
fn clean(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut cleaned: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        cleaned.push('…');
    }
    cleaned
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    tool: Tool,
    target: &'a str,
    domain: Option<&'a str>,
    address: Option<&'a str>,
    policy: Option<&'a str>,
    /// As whom partners came.
    partners: &'a [String],
    /// Whether a run would be meaningless.
    blocked: bool,
    /// The first cause of that.
    first: Option<First<'a>>,
    summary: Summary,
    checks: &'a [Checked],
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct First<'a> {
    check: Check,
    #[serde(flatten)]
    finding: &'a Finding,
}

#[derive(Serialize)]
struct Summary {
    blocking: usize,
    warning: usize,
    note: usize,
}

/// The diagnosis as one indented JSON document with a trailing newline.
///
/// # Errors
/// When a value has no JSON form, which is a bug in the harness.
pub fn to_json(diagnosis: &Diagnosis) -> Result<String, serde_json::Error> {
    let first = diagnosis
        .blocking()
        .map(|(check, finding)| First { check, finding });
    let document = Document {
        schema: SCHEMA,
        tool: Tool {
            name: "s2spec",
            version: crate::VERSION,
        },
        target: &diagnosis.target,
        domain: diagnosis.domain.as_deref(),
        address: diagnosis.address.as_deref(),
        policy: diagnosis.policy.as_deref(),
        partners: &diagnosis.partners,
        blocked: first.is_some(),
        first,
        summary: Summary {
            blocking: diagnosis.count(Severity::Blocking),
            warning: diagnosis.count(Severity::Warning),
            note: diagnosis.count(Severity::Note),
        },
        checks: &diagnosis.checks,
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
