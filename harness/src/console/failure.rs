//! The report of a case that did not end as expected.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;
use serde::Deserialize;
use simulated_partners::event::Event;

use super::mark::{Charset, Mark};
use super::paragraph::paragraph;
use super::words::{allowed_text, describe_direction, describe_offer, describe_policy, shown_text};
use crate::finding::Against;
use crate::judge::WANTED;
use crate::record::Record;
use crate::requirement::RequirementId;
use crate::transcript::{Detail, line, printable, telling};

/// The number of events shown from the end of a transcript.
pub const TAIL: usize = 16;
const LABEL: usize = 12;

/// How much of a transcript is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transcript {
    /// Its end, each event in a line of the terminal.
    End,
    /// Every event, in a line of the terminal.
    Whole,
    /// Every event with all of its text.
    Full,
}

/// The command that runs a case again in the same way.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Rerun {
    /// Options that differ from the defaults, ready to paste, such as `--target prosody`.
    pub options: Vec<String>,
}

impl Rerun {
    /// The command for a case.
    pub fn command(&self, id: &str) -> String {
        let mut command = format!("s2spec run {id}");
        for option in &self.options {
            command.push(' ');
            command.push_str(option);
        }
        command
    }
}

/// Id, settings and offer, allowed and actual outcome, rule, end of the
/// transcript, and the command to run it again.
pub fn block(
    record: &Record,
    rerun: &str,
    width: usize,
    charset: Charset,
    shown: Transcript,
) -> String {
    let mark = Mark::of(record);
    let case = &record.result.case;
    let policy = case.row.policy();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} {}",
        format!("{} {}", mark.symbol(charset), mark.meaning()).style(mark.colour()),
        case.id.bold()
    );
    let mut field = |name: &str, text: &str| {
        if !text.is_empty() {
            out.push_str(&wrapped(name, text, width));
        }
    };
    field(
        "set to",
        &format!(
            "{} {}: {}",
            case.row.label(),
            policy,
            describe_policy(&policy)
        ),
    );
    field(
        "partner",
        &format!(
            "{}: {}",
            case.partner.name,
            describe_offer(&case.partner.offer)
        ),
    );
    field("direction", describe_direction(case.direction));
    if let Some(allowed) = &record.result.allowed {
        field("allowed", &allowed_text(&allowed.allowed));
    }
    field("observed", &printable(&shown_text(record)));
    match &record.result.allowed {
        Some(allowed) => field("rule", &format!("{} ({})", allowed.rule, allowed.clause)),
        None => {
            field("scenario", &case.script.title);
            for requirement in broken(record) {
                field("requires", &requirement);
            }
        }
    }
    field("why", &printable(&record.why));
    for (name, text) in parting(record) {
        field(&name, &printable(&text));
    }
    if let Some(control) = &record.result.control {
        field("control", &control.id);
    }
    field("wire", &record.result.wire);
    if has_transcript(record) {
        out.push_str(&transcript(record, width, shown));
    }
    // Never wrapped, so it can be copied.
    let _ = writeln!(out, "  {:<LABEL$}{}", "rerun", rerun.bold());
    out
}

/// Where two runs of a case differ, as fields of its block.
pub fn parting(record: &Record) -> Vec<(String, String)> {
    let divergence = record
        .result
        .repeated
        .as_ref()
        .and_then(|repeated| repeated.divergence.as_ref());
    let Some(divergence) = divergence else {
        return Vec::new();
    };
    let mut fields = vec![(
        "parts at".to_owned(),
        format!("event {} of the canonical transcript", divergence.event),
    )];
    for (round, line) in divergence.rounds.iter().zip(&divergence.lines) {
        let text = line.as_deref().unwrap_or("(its end)");
        fields.push((format!("  round {round}"), text.to_owned()));
    }
    fields
}

/// Whether anything was kept of what happened.
pub fn has_transcript(record: &Record) -> bool {
    let result = &record.result;
    !(result.events.is_empty() && result.further.is_empty() && result.queries.is_empty())
}

/// The violated requirements, with their texts.
fn broken(record: &Record) -> Vec<String> {
    let findings = record.result.findings().iter();
    let ids: BTreeSet<RequirementId> = findings
        .flat_map(|finding| finding.against.ids())
        .filter_map(|id| id.parse().ok())
        .collect();
    let registry = record.result.case.registry();
    let mut texts: Vec<String> = ids
        .iter()
        .filter_map(|id| registry.get(id))
        .map(|found| {
            format!(
                "{} ({}, {}): {}",
                found.id, found.level, found.source, found.text
            )
        })
        .collect();
    let mut findings = record.result.findings().iter();
    if findings.any(|finding| finding.against == Against::Scenario) {
        texts.push(format!("{WANTED}, which names no requirement"));
    }
    if let Some(administration) = record.result.case.administration() {
        let rule = administration.rule;
        let text = format!(
            "{} ({}, {}): {}",
            rule.id, rule.level, rule.clause, rule.says
        );
        texts.push(text);
    }
    texts
}

/// The end of a transcript, or all of it, of each partner, and what was asked of DNS.
pub fn transcript(record: &Record, width: usize, shown: Transcript) -> String {
    let mut out = section("", &record.result.events, width, shown);
    for (name, events) in &record.result.further {
        out.push_str(&section(&format!(" of `{name}`"), events, width, shown));
    }
    for (index, query) in record.result.queries.iter().enumerate() {
        let label = if index == 0 { "DNS" } else { "" };
        out.push_str(&wrapped(label, &printable(query), width));
    }
    out
}

fn section(whose: &str, events: &[Event], width: usize, shown: Transcript) -> String {
    let mut out = String::new();
    let told: Vec<(usize, &Event)> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| telling(event))
        .collect();
    let (skipped, detail) = match shown {
        Transcript::End => (told.len().saturating_sub(TAIL), columns(width)),
        Transcript::Whole => (0, columns(width)),
        Transcript::Full => (0, Detail::Full),
    };
    let whose = printable(whose);
    let _ = match skipped {
        0 => writeln!(out, "  transcript{whose}"),
        1 => writeln!(out, "  transcript{whose}  (1 event before)"),
        n => writeln!(out, "  transcript{whose}  ({n} events before)"),
    };
    for (index, event) in &told[skipped..] {
        let text = line(index + 1, event, detail);
        let _ = writeln!(out, "    {text}");
    }
    out
}

/// Below its heading.
fn columns(width: usize) -> Detail {
    Detail::Columns(width.saturating_sub(4))
}

/// `  name        text`, indented below the text.
pub fn wrapped(name: &str, text: &str, width: usize) -> String {
    // Names of personas and files may be longer.
    let width_of_name = (LABEL - 1).max(name.chars().count());
    paragraph(
        &format!("  {name:<width_of_name$} "),
        LABEL + 2,
        text,
        width,
    )
}

/// A paragraph. Colours do not count as columns.
pub fn filled(text: &str, width: usize) -> String {
    paragraph("", 0, text, width)
}
