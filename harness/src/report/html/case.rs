//! The list of cases, each with what was seen.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::chart::{chart, milliseconds};
use super::{STRENGTHS, VERDICTS, badge};
use crate::console::words::counted;
use crate::report::json::bundle_path;
use crate::report::saved::{AllowedEnd, Case, Finding, Saved, Timings};
use crate::transcript::printable;

/// The number of cases of each cause, and of each verdict without one, that are shown with a transcript. All
/// transcripts of a target that fails everywhere would be more than a browser takes.
const WITH_TRANSCRIPT: usize = 5;
/// About how many bytes all transcripts take at most, the clearest of each cause first.
const TRANSCRIPTS: usize = 1_500_000;
/// The same in a page that is large without them.
const FEW_TRANSCRIPTS: usize = 400_000;
/// About how many bytes a whole page is to have at most.
const PAGE: usize = 9_500_000;
/// About how many of them each case takes.
const CASE: usize = 1_600;
/// About how many bytes a step takes beside its text.
const STEP: usize = 400;

pub(super) fn section(saved: &Saved) -> Markup {
    let told = with_transcript(saved);
    let all = |value: fn(&Case) -> Option<&str>| -> BTreeSet<&str> {
        saved.cases.iter().filter_map(value).collect()
    };
    let strengths = all(Case::strength);
    html! {
        section #cases {
            h2 { "Cases" }
            p.source {
                "To run a case again: " code { (printable(&saved.rerun.command("ID"))) } ". "
                "Transcripts that are not here are in report.json."
            }
            form.filters role="search" aria-label="Filter the cases" {
                label { "Text " input #text type="search" placeholder="id, partner or words"; }
                (choice("verdict", "Verdict", VERDICTS.iter().map(|(verdict, _)| *verdict)
                    .filter(|verdict| saved.count(verdict) > 0)))
                (choice("direction", "Direction", ["inbound", "outbound"].into_iter()))
                (choice("area", "Area", all(|case| Some(case.area())).into_iter()))
                (choice("partner", "Partner", all(|case| Some(&case.partner.name)).into_iter()))
                (choice("method", "Method", all(Case::method).into_iter()))
                (choice_of("strength", "Clause", STRENGTHS.into_iter().filter(|(word, _)| strengths.contains(word))))
                button type="reset" { "Clear" }
                output #shown aria-live="polite" { (counted(saved.cases.len(), "case")) }
            }
            div #list {
                @for case in &saved.cases { (block(saved, case, told.contains(case.id.as_str()))) }
            }
        }
    }
}

/// The clearest cases of each cause, and some that have none, as long as there is room.
fn with_transcript(saved: &Saved) -> BTreeSet<&str> {
    let by_id: BTreeMap<&str, &Case> = saved
        .cases
        .iter()
        .map(|one| (one.id.as_str(), one))
        .collect();
    let in_turns = (0..WITH_TRANSCRIPT).flat_map(|at| {
        saved
            .causes
            .iter()
            .filter_map(move |cause| cause.cases.get(at))
    });
    let of_causes = in_turns.filter_map(|id| by_id.get(id.as_str()).copied());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let others = saved.cases.iter().filter(|case| {
        let has_cause = matches!(case.verdict.as_str(), "fail" | "warn" | "disputed");
        let count = counts.entry(&case.verdict).or_default();
        *count += 1;
        // Passes have one only if it was asked for.
        !has_cause && (case.verdict == "pass" || *count <= 10 * WITH_TRANSCRIPT)
    });
    let mut told = BTreeSet::new();
    let mut room = PAGE
        .saturating_sub(CASE * saved.cases.len())
        .clamp(FEW_TRANSCRIPTS, TRANSCRIPTS);
    for case in of_causes.chain(others) {
        let steps = case.transcript.iter().flat_map(|one| &one.steps);
        let size = steps.map(|step| step.text.len() + STEP).sum();
        if let Some(left) = room.checked_sub(size)
            && told.insert(case.id.as_str())
        {
            room = left;
        }
    }
    told
}

fn choice<'a>(id: &str, words: &str, values: impl Iterator<Item = &'a str>) -> Markup {
    choice_of(id, words, values.map(|value| (value, value)))
}

/// A choice of values with their words.
fn choice_of<'a>(
    id: &str,
    words: &str,
    values: impl Iterator<Item = (&'a str, &'a str)>,
) -> Markup {
    html! {
        label {
            (words) " "
            select id=(id) {
                option value="" { "all" }
                @for (value, text) in values { option value=(value) { (text) } }
            }
        }
    }
}

fn block(saved: &Saved, case: &Case, with_transcript: bool) -> Markup {
    html! {
        details.case id=(format!("case={}", case.id))
            data-verdict=(case.verdict) data-direction=(case.direction) data-area=(case.area())
            data-partner=(case.partner.name) data-method=[case.method()] data-strength=[case.strength()] {
            summary { (badge(&case.verdict)) " " code { (case.id) } " " span.source { (case.ended()) } }
            (body(saved, case, with_transcript))
        }
    }
}

fn body(saved: &Saved, case: &Case, with_transcript: bool) -> Markup {
    let dialback = if case.policy.dialback { "on" } else { "off" };
    let times = saved.times.cases.get(&case.id);
    html! {
        dl {
            @if let Some(scenario) = &case.scenario {
                dt { "Scenario" } dd { (scenario.title) }
                dt { "Judges" } dd { (scenario.requirements.join(", ")) }
                @if !scenario.bugs.is_empty() { dt { "Known bugs" } dd { (scenario.bugs.join(", ")) } }
            }
            // What findings say is not said twice.
            @if !case.why.is_empty() && case.why != "as allowed" && case.findings.is_empty() { dt { "Why" } dd { (printable(&case.why)) } }
            dt { "Target" } dd {
                "policy " (case.row) ": TLS " (case.policy.tls) ", SASL " (case.policy.sasl) ", dialback " (dialback)
            }
            dt { "Partner" } dd { (case.partner.name) ": " (case.partner.title) }
            @if let Some(allowed) = &case.allowed {
                dt { "Rule" } dd { code { (allowed.rule) } " " span.source { (allowed.clause) } }
                @let ends: Vec<String> = allowed.allowed.iter().map(AllowedEnd::words).collect();
                @if !ends.is_empty() { dt { "Allowed" } dd { (printable(&ends.join("; or "))) } }
            }
            @if let Some(rule) = &case.rule {
                dt { "Rule" } dd { code { (rule.id) } " " (rule.says) " " span.source { (rule.clause) ", " (rule.level) } }
            }
            @if let Some(control) = &case.control {
                dt { "Control" } dd { a href=(format!("#case={control}")) { (control) } }
            }
            @if !case.wire.is_empty() { dt { "Wire" } dd { code { (printable(&case.wire)) } } }
            @if let Some(times) = times.filter(|times| times.total > 0) { dt { "Time" } dd { (split(times)) } }
            @if case.verdict != "pass" && case.verdict != "unsupported" {
                dt { "Again" } dd { code { (printable(&saved.rerun.command(&case.id))) } }
            }
            // The path is made from the id: a report can come from anywhere.
            @if case.bundle.is_some() {
                @let path = bundle_path(&case.id);
                dt { "Bundle" } dd { a href=(path) { (path) } }
            }
        }
        @if !case.findings.is_empty() {
            ul.findings { @for one in &case.findings { (finding(one)) } }
        }
        @if with_transcript { (chart(case, times)) }
        @if !case.queries.is_empty() {
            p { "Asked of DNS:" }
            ul { @for query in &case.queries { li { code { (printable(query)) } } } }
        }
    }
}

/// How long a case took, and its parts as far as it had them.
fn split(times: &Timings) -> String {
    let parts = [
        ("connection", times.connect),
        ("TLS", times.tls),
        ("authentication", times.auth),
        ("stanza", times.probe),
    ];
    let parts = parts.into_iter().filter_map(|(name, took)| {
        let took = milliseconds(took?);
        Some(format!("{name} {took}"))
    });
    let parts: Vec<String> = parts.collect();
    match parts.is_empty() {
        true => milliseconds(times.total),
        false => format!("{}: {}", milliseconds(times.total), parts.join(", ")),
    }
}

fn finding(one: &Finding) -> Markup {
    let clause = &one.clause;
    html! {
        li {
            (badge(&one.weight)) " " (printable(&one.text)) " "
            span.source {
                @match &clause.requirement {
                    // Its text stands once, where it is listed.
                    Some(id) => { a href=(format!("#requirement-{id}")) { (id) } ", " (clause.source) ", " (clause.level) },
                    None => { (clause.source) ", " (clause.level) ": " (clause.text) },
                }
            }
        }
    }
}
