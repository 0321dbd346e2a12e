//! The JSON report. Sorted, and byte for byte the same each time except for `times`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use simulated_partners::persona::{Deviations, Offer};

use super::events::micros;
use super::gather::{Blamed, Report, Tally};
use super::requirements::{Shown, Standing, requirements};
use crate::case::{Direction, MAIN, Set, fingerprint};
use crate::console::words::reason_text;
use crate::expectation::Expectation;
use crate::finding::Finding;
use crate::judge::{Cause, Clause, Strength, clause};
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::record::BaselineMatch;
use crate::record::{Record, Repeated, Timings};
use crate::requirement::Level;
use crate::transcript::{Step, printable, steps};
use crate::verdict::Verdict;

/// The version of the format. It increases when a field changes its meaning or is removed.
pub const SCHEMA: u32 = 4;

/// The longest part of an id in the name of a file, in bytes.
const LONGEST_NAME: usize = 200;

/// The result of a run.
#[derive(JsonSchema, Serialize)]
#[schemars(title = "Report of s2spec")]
pub(super) struct Document<'a> {
    /// The version of the format.
    schema: u32,
    tool: Tool,
    target: &'a str,
    seed: u64,
    /// The options with which one of its cases is run again.
    options: &'a [String],
    /// Whether results are missing because the run was interrupted or the harness failed.
    partial: bool,
    interrupted: bool,
    /// Whether the run stopped because as much had failed as it was to see.
    enough: bool,
    /// The number of rounds.
    rounds: u32,
    summary: Summary,
    breaches: &'a BTreeSet<String>,
    /// The entries of the baseline that no case shows any more.
    unneeded: &'a [String],
    trouble: &'a [String],
    /// What failed, warned or is disputed, by cause.
    causes: Vec<Cause>,
    /// What the run has shown of each requirement.
    requirements: Vec<RequirementReport<'a>>,
    /// How many cases that did not end as expected have no bundle, as there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    without_bundle: usize,
    cases: Vec<CaseReport<'a>>,
    /// All that differs from run to run.
    times: Times<'a>,
}

#[derive(JsonSchema, Serialize)]
struct Times<'a> {
    elapsed_us: u64,
    cases: BTreeMap<&'a str, TimingsReport<'a>>,
}

#[derive(JsonSchema, Serialize)]
struct RequirementReport<'a> {
    id: String,
    level: Level,
    strength: Strength,
    source: &'a str,
    text: &'a str,
    standing: Standing,
    passed: usize,
    against: &'a [&'a str],
    why: Option<&'a str>,
}

#[derive(JsonSchema, Serialize)]
struct RuleReport {
    id: &'static str,
    level: Level,
    clause: &'static str,
    says: &'static str,
}

/// What a partner saw and did.
#[derive(JsonSchema, Serialize)]
struct TranscriptReport<'a> {
    /// The partner's name in the scenario.
    partner: &'a str,
    steps: Vec<Step>,
}

/// A stanza at the inner side of the target.
#[derive(JsonSchema, Serialize)]
struct PassageReport {
    /// `target` where it came out, `inner` where it was sent in.
    by: &'static str,
    text: String,
}

#[derive(JsonSchema, Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(JsonSchema, Serialize)]
struct Summary {
    selected: usize,
    controls: usize,
    run: usize,
    #[serde(flatten)]
    verdicts: Tally,
    /// What failed or warned, by what stands behind the clause.
    strengths: BTreeMap<Strength, Blamed>,
}

#[derive(JsonSchema, Serialize)]
struct CaseReport<'a> {
    id: &'a str,
    set: Set,
    direction: Direction,
    row: u8,
    policy: Policy,
    partner: Partner<'a>,
    /// What the oracle allows; `None` if the case's script decides.
    allowed: Option<&'a Expectation>,
    outcome: Option<&'a Outcome>,
    /// The sign of a refusal, in words.
    reason: Option<String>,
    verdict: Verdict,
    why: &'a str,
    /// The findings.
    findings: Vec<FindingReport<'a>>,
    /// The rule of a case of the sets `settings` and `failover`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleReport>,
    /// The scenario of a conformance case.
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<ScenarioReport<'a>>,
    /// The verdict before the baseline or strict mode changed it, and the entry that did.
    settled: Option<&'a BaselineMatch>,
    /// The result of repetitions.
    repeated: Option<&'a Repeated>,
    control: Option<&'a str>,
    added_as_control: bool,
    wire: &'a str,
    one_way: bool,
    /// What each partner saw and did; not of a pass, unless transcripts were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transcript: Vec<TranscriptReport<'a>>,
    /// What the target asked of DNS.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    queries: &'a [String],
    /// Stanzas at the inner side of the target; where there is a transcript, and a link to that side.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inner: Vec<PassageReport>,
    /// Where its bundle is, from the folder of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[derive(JsonSchema, Serialize)]
struct FindingReport<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    /// What it violates.
    clause: Clause,
}

#[derive(JsonSchema, Serialize)]
struct ScenarioReport<'a> {
    title: &'a str,
    requirements: &'a [String],
    bugs: &'a [String],
}

#[derive(JsonSchema, Serialize)]
struct Partner<'a> {
    name: &'a str,
    title: &'a str,
    offer: &'a Offer,
    facts: &'a Deviations,
}

#[derive(JsonSchema, Serialize)]
struct TimingsReport<'a> {
    connect: Option<u64>,
    tls: Option<u64>,
    auth: Option<u64>,
    probe: Option<u64>,
    delayed: bool,
    total: u64,
    /// When each step of the transcripts happened, by the partner's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    steps: BTreeMap<&'a str, Vec<u64>>,
    /// When each stanza passed the inner side.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inner: Vec<u64>,
    /// What was asked of DNS, and when. Servers ask side by side, and again as they like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns: Vec<QuestionReport<'a>>,
}

#[derive(JsonSchema, Serialize)]
struct QuestionReport<'a> {
    at: u64,
    text: &'a str,
}

/// The whole report as one indented JSON document with a trailing newline.
///
/// # Errors
/// When a value has no JSON form, which is a bug in the harness.
pub fn to_json(report: &Report) -> Result<String, serde_json::Error> {
    let verdicts = report.tally();
    let shown = requirements(report);
    let document = Document {
        schema: SCHEMA,
        tool: Tool {
            name: "s2spec",
            version: crate::VERSION,
        },
        target: &report.target,
        seed: report.seed,
        options: &report.rerun.options,
        partial: report.partial() || verdicts.not_run > 0,
        interrupted: report.interrupted,
        enough: report.enough,
        rounds: report.rounds,
        summary: Summary {
            selected: report.cases,
            controls: report.controls,
            run: report.records.len(),
            verdicts,
            strengths: report.strengths(),
        },
        breaches: &report.breaches,
        unneeded: &report.unneeded,
        trouble: &report.trouble,
        causes: report.causes(),
        requirements: shown.iter().map(requirement).collect(),
        without_bundle: report.without_bundle,
        cases: (report.records.values())
            .map(|record| case(record, report.bundles.contains(&record.result.case.id)))
            .collect(),
        times: Times {
            elapsed_us: micros(report.elapsed),
            cases: (report.records.values())
                .map(|record| (record.result.case.id.as_str(), timings(record)))
                .collect(),
        },
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// One case as in the report.
///
/// # Errors
/// As [`to_json`].
pub fn case_to_json(record: &Record) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::to_value(case(record, false))
}

/// Where the bundle of a case is, from the folder of the report.
pub fn bundle_path(id: &str) -> String {
    let name = id.replace('/', "--");
    if name.len() > LONGEST_NAME || id.contains("--") {
        let end = (0..=LONGEST_NAME.min(name.len())).rev();
        let end = end.into_iter().find(|end| name.is_char_boundary(*end));
        let start = &name[..end.unwrap_or_default()];
        return format!("bundles/{start}-{:016x}.json", fingerprint(id));
    }
    format!("bundles/{name}.json")
}

fn case(record: &Record, has_bundle: bool) -> CaseReport<'_> {
    let case = &record.result.case;
    CaseReport {
        bundle: has_bundle.then(|| bundle_path(&case.id)),
        id: &case.id,
        set: case.set,
        direction: case.direction,
        row: case.row.number(),
        policy: case.row.policy(),
        partner: Partner {
            name: &case.partner.name,
            title: &case.partner.title,
            offer: &case.partner.offer,
            facts: &case.partner.facts,
        },
        allowed: record.result.allowed.as_ref(),
        outcome: record.result.judged_outcome(),
        reason: reason_text(record.result.judged_outcome()),
        verdict: record.verdict,
        why: &record.why,
        findings: record
            .result
            .findings()
            .iter()
            .map(|finding| FindingReport {
                finding,
                clause: clause(&record.result, finding),
            })
            .collect(),
        rule: case.administration().map(|one| RuleReport {
            id: one.rule.id,
            level: one.rule.level,
            clause: one.rule.clause,
            says: one.rule.says,
        }),
        scenario: case.scenario().map(|scenario| ScenarioReport {
            title: &case.script.title,
            requirements: &scenario.requirements,
            bugs: &scenario.bugs,
        }),
        settled: record.settled.as_ref(),
        repeated: record.result.repeated.as_ref(),
        control: record
            .result
            .control
            .as_ref()
            .map(|control| control.id.as_str()),
        added_as_control: record.result.added_as_control,
        wire: &record.result.wire,
        one_way: record.result.one_way,
        transcript: transcript(record),
        queries: &record.result.queries,
        inner: inner(record),
    }
}

fn inner(record: &Record) -> Vec<PassageReport> {
    let passages = record.result.beside.inner.iter();
    let passages = passages.map(|one| PassageReport {
        by: if one.came_out { "target" } else { "inner" },
        text: printable(&one.text),
    });
    passages.collect()
}

/// The main partner first.
fn transcript(record: &Record) -> Vec<TranscriptReport<'_>> {
    let main = (MAIN, &record.result.events);
    let further = record.result.further.iter();
    let all = std::iter::once(main).chain(further.map(|(name, events)| (name.as_str(), events)));
    all.filter(|(_, events)| !events.is_empty())
        .map(|(partner, events)| TranscriptReport {
            partner,
            steps: steps(events),
        })
        .collect()
}

fn requirement<'a>(shown: &'a Shown<'a>) -> RequirementReport<'a> {
    let of = shown.requirement;
    RequirementReport {
        id: of.id.to_string(),
        level: of.level,
        strength: Strength::of(of.level),
        source: &of.source,
        text: &of.text,
        standing: shown.standing,
        passed: shown.passed,
        against: &shown.against,
        why: shown.why.as_deref(),
    }
}

fn timings(record: &Record) -> TimingsReport<'_> {
    let Timings {
        connect,
        tls,
        auth,
        probe,
        delayed,
        total,
    } = record.result.timings;
    let beside = &record.result.beside;
    let mut all = BTreeMap::new();
    for one in transcript(record) {
        if let Some(start) = beside.starts.get(one.partner) {
            let at = one.steps.iter().map(|step| micros(*start + step.at));
            all.insert(one.partner, at.collect());
        }
    }
    TimingsReport {
        connect: connect.map(micros),
        tls: tls.map(micros),
        auth: auth.map(micros),
        probe: probe.map(micros),
        delayed,
        total: micros(total),
        steps: all,
        inner: beside.inner.iter().map(|one| micros(one.at)).collect(),
        dns: (beside.asked.iter())
            .map(|(at, text)| QuestionReport {
                at: micros(*at),
                text,
            })
            .collect(),
    }
}
