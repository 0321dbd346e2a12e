//! A JSON report read back. The other forms of a report are made from it, so that they can be made again at any time.

mod read;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::console::Rerun;
use crate::judge::Strength;
use crate::requirement::Level;

pub use read::Unreadable;
use read::{plain, plain_if_any, shown, shown_if_any, verdict};

/// A report of any run.
#[derive(Clone, Debug, Deserialize)]
pub struct Saved {
    /// The version of its format.
    pub schema: u32,
    /// Which s2spec wrote it.
    pub tool: Tool,
    /// Name and version of the target.
    pub target: String,
    /// The seed of the run.
    pub seed: u64,
    /// How one of its cases is run again.
    #[serde(default, rename = "options")]
    pub rerun: Rerun,
    /// Whether results are missing.
    pub partial: bool,
    /// Whether the user ended the run.
    pub interrupted: bool,
    /// The number of rounds.
    pub rounds: u32,
    /// How many cases had which verdict, and what else was counted.
    pub summary: BTreeMap<String, serde_json::Value>,
    /// What the target does wrong whatever the case is.
    pub breaches: Vec<String>,
    /// Entries of the baseline that no case shows any more.
    pub unneeded: Vec<String>,
    /// What went wrong outside of cases.
    pub trouble: Vec<String>,
    /// What failed, warned or is disputed, by cause.
    pub causes: Vec<Cause>,
    /// What the run has shown of each requirement.
    pub requirements: Vec<Requirement>,
    /// How many cases that did not end as expected have no bundle.
    #[serde(default)]
    pub without_bundle: usize,
    /// All cases, by id.
    pub cases: Vec<Case>,
    /// How long everything took.
    pub times: Times,
}

/// A program and its version.
#[derive(Clone, Debug, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What stands behind findings of several cases.
#[derive(Clone, Debug, Deserialize)]
pub struct Cause {
    /// What it goes against.
    pub clause: Clause,
    /// The heaviest verdict of its cases.
    pub verdict: String,
    /// What was seen, in a sentence.
    pub text: String,
    /// The cases that show it.
    pub cases: Vec<String>,
    /// What may follow from it.
    #[serde(default)]
    pub consequences: Vec<Consequence>,
}

/// Cases that may have failed for another's cause.
#[derive(Clone, Debug, Deserialize)]
pub struct Consequence {
    /// Why.
    pub because: String,
    /// The cases.
    pub cases: Vec<String>,
}

/// The sentence of a standard behind a finding.
#[derive(Clone, Debug, Deserialize)]
pub struct Clause {
    /// The requirement, if it has an id.
    #[serde(deserialize_with = "plain_if_any")]
    pub requirement: Option<String>,
    /// How binding it is.
    pub level: String,
    /// Where it is written.
    #[serde(deserialize_with = "shown")]
    pub source: String,
    /// What it says.
    #[serde(deserialize_with = "shown")]
    pub text: String,
}

/// A requirement, and what the run has shown of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Requirement {
    /// Its id.
    #[serde(deserialize_with = "plain")]
    pub id: String,
    /// How binding it is.
    pub level: String,
    /// `demanded`, `recommended` or `unwritten`.
    pub strength: String,
    /// Where it is written.
    #[serde(deserialize_with = "shown")]
    pub source: String,
    /// What it says.
    #[serde(deserialize_with = "shown")]
    pub text: String,
    /// `breached`, `departed`, `open`, `held` or `not-tested`.
    pub standing: String,
    /// How many cases passed that judge it.
    pub passed: usize,
    /// The cases that speak against it.
    pub against: Vec<String>,
    /// Why it was not tested, or stays open.
    pub why: Option<String>,
}

/// One case.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Its id.
    #[serde(deserialize_with = "plain")]
    pub id: String,
    /// `personas`, `policies`, `offers`, `settings`, `failover` or `scenarios`.
    pub set: String,
    /// `outbound` or `inbound`, seen from the target.
    pub direction: String,
    /// The number of the policy.
    pub row: u8,
    /// The policy.
    pub policy: Policy,
    /// The simulated server.
    pub partner: Partner,
    /// What the oracle allows, in a case of the matrix.
    pub allowed: Option<Allowed>,
    /// How it ended.
    pub outcome: Option<serde_json::Value>,
    /// Why it was refused, in words.
    #[serde(default, deserialize_with = "shown_if_any")]
    pub reason: Option<String>,
    /// The verdict.
    #[serde(deserialize_with = "verdict")]
    pub verdict: String,
    /// Its reason, in a sentence.
    pub why: String,
    /// All that is wrong.
    pub findings: Vec<Finding>,
    /// The rule, in the sets `settings` and `failover`.
    pub rule: Option<Rule>,
    /// The scenario.
    pub scenario: Option<Scenario>,
    /// The control.
    pub control: Option<String>,
    /// Whether it ran only as a control.
    pub added_as_control: bool,
    /// The negotiation in one line.
    pub wire: String,
    /// What partners saw and did.
    #[serde(default)]
    pub transcript: Vec<Transcript>,
    /// What was asked of DNS.
    #[serde(default)]
    pub queries: Vec<String>,
    /// Stanzas at the inner side of the target.
    #[serde(default)]
    pub inner: Vec<Passage>,
    /// Where its bundle is.
    pub bundle: Option<String>,
}

/// A stanza at the inner side of the target.
#[derive(Clone, Debug, Deserialize)]
pub struct Passage {
    /// `target` where it came out, `inner` where it was sent in.
    pub by: String,
    /// The stanza.
    pub text: String,
}

/// A policy of the target.
#[derive(Clone, Debug, Deserialize)]
pub struct Policy {
    /// TLS.
    pub tls: String,
    /// SASL.
    pub sasl: String,
    /// Dialback.
    pub dialback: bool,
}

/// A simulated server.
#[derive(Clone, Debug, Deserialize)]
pub struct Partner {
    /// Its name.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What it offers, by the names of a persona's file.
    #[serde(default)]
    pub offer: BTreeMap<String, serde_json::Value>,
    /// What it does otherwise than it should.
    #[serde(default)]
    pub facts: BTreeMap<String, serde_json::Value>,
}

/// What the oracle allows.
#[derive(Clone, Debug, Deserialize)]
pub struct Allowed {
    /// The rule that decided.
    pub rule: String,
    /// The clause behind it.
    pub clause: String,
    /// The ends that it allows, the expected one first.
    #[serde(default)]
    pub allowed: Vec<AllowedEnd>,
}

/// One allowed end.
#[derive(Clone, Debug, Deserialize)]
pub struct AllowedEnd {
    /// `established` with its method, or `refused` with its reason.
    end: BTreeMap<String, String>,
    /// Why it is only tolerated.
    warn: Option<String>,
}

impl AllowedEnd {
    /// The end in words.
    pub fn words(&self) -> String {
        let ends = self.end.iter();
        let words: Vec<String> = ends.map(|(end, how)| format!("{end}: {how}")).collect();
        match &self.warn {
            Some(why) => format!("{} (tolerated: {why})", words.join(", ")),
            None => words.join(", "),
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, Deserialize)]
pub struct Finding {
    /// What it goes against.
    pub clause: Clause,
    /// What it does to the verdict.
    pub weight: String,
    /// What was wanted and what was seen.
    pub text: String,
}

/// The rule of a case of the sets `settings` and `failover`.
#[derive(Clone, Debug, Deserialize)]
pub struct Rule {
    /// Its id.
    #[serde(deserialize_with = "plain")]
    pub id: String,
    /// How binding it is.
    pub level: String,
    /// The clause behind it.
    pub clause: String,
    /// What it says.
    pub says: String,
}

/// The scenario of a case.
#[derive(Clone, Debug, Deserialize)]
pub struct Scenario {
    /// Its title.
    pub title: String,
    /// The requirements that it judges.
    pub requirements: Vec<String>,
    /// Known bugs that it shows.
    pub bugs: Vec<String>,
}

/// What a partner saw and did.
#[derive(Clone, Debug, Deserialize)]
pub struct Transcript {
    /// The partner's name.
    pub partner: String,
    /// In order.
    pub steps: Vec<Step>,
}

/// One event.
#[derive(Clone, Debug, Deserialize)]
pub struct Step {
    /// The number of the connection.
    pub connection: u64,
    /// `partner`, `target`, or neither.
    pub by: Option<String>,
    /// `tcp`, `tls`, `xml` or `raw`.
    pub layer: String,
    /// What was sent, or what happened.
    pub text: String,
}

/// How long everything took, in microseconds.
#[derive(Clone, Debug, Deserialize)]
pub struct Times {
    /// The run.
    pub elapsed_us: u64,
    /// Each case.
    pub cases: BTreeMap<String, Timings>,
}

/// How long a case took, and when what happened, in microseconds.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Timings {
    /// Until the TCP connection.
    pub connect: Option<u64>,
    /// The handshake.
    pub tls: Option<u64>,
    /// Until it was authenticated.
    pub auth: Option<u64>,
    /// Until the stanza was through.
    pub probe: Option<u64>,
    /// The whole.
    pub total: u64,
    /// When each step of the transcripts happened, by the partner's name.
    #[serde(default)]
    pub steps: BTreeMap<String, Vec<u64>>,
    /// When each stanza passed the inner side.
    #[serde(default)]
    pub inner: Vec<u64>,
    /// What was asked of DNS.
    #[serde(default)]
    pub dns: Vec<Question>,
}

/// What was asked of DNS, and when.
#[derive(Clone, Debug, Deserialize)]
pub struct Question {
    /// In microseconds since the start of the case.
    pub at: u64,
    /// Type and name.
    pub text: String,
}

impl Saved {
    /// How many cases have this verdict.
    pub fn count(&self, verdict: &str) -> u64 {
        let count = self.summary.get(verdict);
        count.and_then(serde_json::Value::as_u64).unwrap_or(0)
    }
}

impl Case {
    /// Whether it was run.
    pub fn ran(&self) -> bool {
        !matches!(self.verdict.as_str(), "unsupported" | "not-run")
    }

    /// Whether it says that something is wrong, or nothing at all.
    pub fn is_unexpected(&self) -> bool {
        matches!(
            self.verdict.as_str(),
            "fail" | "unstable" | "xpass" | "error" | "undecided"
        )
    }

    /// How it ended, in words.
    pub fn ended(&self) -> String {
        let Some(outcome) = self.outcome.as_ref().and_then(|one| one.as_object()) else {
            return String::new();
        };
        let word = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        match (
            outcome.get("established"),
            outcome.get("stalled"),
            &self.reason,
        ) {
            (Some(method), _, _) => word(method).unwrap_or_default(),
            (_, Some(phase), _) => format!("stalled at {}", word(phase).unwrap_or_default()),
            (_, _, Some(reason)) => format!("refused: {reason}"),
            _ => "refused".to_owned(),
        }
    }

    /// Whether the oracle decides it.
    pub fn is_of_matrix(&self) -> bool {
        ["personas", "policies", "offers"].contains(&self.set.as_str())
    }

    /// The method that established it.
    pub fn method(&self) -> Option<&str> {
        self.outcome.as_ref()?.get("established")?.as_str()
    }

    /// What stands behind the heaviest finding: `demanded`, `recommended` or `unwritten`.
    pub fn strength(&self) -> Option<&'static str> {
        let heaviest = ["fail", "undecided", "disputed", "warn"].into_iter();
        let mut of_weight =
            heaviest.filter_map(|weight| self.findings.iter().find(|one| one.weight == weight));
        let word = &of_weight.next()?.clause.level;
        let level = Level::ALL.iter().find(|level| level.to_string() == *word)?;
        Some(Strength::of(*level).into())
    }

    /// The part of its id that groups cases: the set, or the area of the scenario.
    pub fn area(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }
}
