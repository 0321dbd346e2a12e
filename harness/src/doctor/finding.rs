//! What the doctor says: checks, findings, and all of them together.

use serde::Serialize;
use strum::Display;

use super::Subject;
use crate::report::describe_policy;

/// Whose matter a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Blame {
    /// s2spec, its lab or this machine.
    Harness,
    /// The target file, or a setting of the target.
    Configuration,
    /// The simulated partner, as the target sees it.
    Partner,
    /// The target's own behaviour.
    Target,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Some cases will fail for it, or other servers will have trouble.
    Warning,
    /// Cases would fail for this reason and not for what they test: a run proves nothing.
    Blocking,
}

/// What is looked at, in the order of causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Check {
    /// The start of the target.
    Start,
    /// TCP to the port for servers.
    Port,
    /// The answer to a stream header.
    Stream,
    /// STARTTLS and its handshake.
    Starttls,
    /// The chain of the target's certificate.
    Chain,
    Dates,
    Names,
    /// What it may be used for.
    Usage,
    Key,
    /// What is offered, against what the policy says.
    Policy,
    /// The port for TLS at once.
    DirectTls,
    /// The port of a proxy for its gateway.
    Inner,
    /// Trust in the lab's authority.
    Trust,
    /// Names looked up in the lab's DNS.
    LabDns,
    /// The way from the target to a partner.
    WayBack,
    /// The two clocks.
    Clock,
    /// The target's own records.
    Records,
}

/// Something to be mended, or to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose matter it is.
    pub blame: Blame,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong and where, as a sentence.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl Finding {
    /// A finding.
    pub fn new(
        severity: Severity,
        blame: Blame,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            blame,
            severity,
            what: what.into(),
            advice: advice.into(),
        }
    }
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum CheckResult {
    /// All is well; what was seen.
    Fine {
        /// In a clause.
        seen: String,
    },
    /// These findings, the gravest first.
    Found {
        /// At least one.
        findings: Vec<Finding>,
    },
    /// It could not be seen.
    NotSeen { why: String },
}

impl CheckResult {
    /// All is well.
    pub fn fine(seen: impl Into<String>) -> Self {
        Self::Fine { seen: seen.into() }
    }

    /// It could not be seen.
    pub fn not_seen(why: impl Into<String>) -> Self {
        Self::NotSeen { why: why.into() }
    }

    /// Findings, or all is well where there are none.
    pub fn of(mut findings: Vec<Finding>, fine: impl Into<String>) -> Self {
        if findings.is_empty() {
            return Self::fine(fine);
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Self::Found { findings }
    }

    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Found { findings } => findings,
            Self::Fine { .. } | Self::NotSeen { .. } => &[],
        }
    }
}

impl From<Finding> for CheckResult {
    fn from(finding: Finding) -> Self {
        Self::Found {
            findings: vec![finding],
        }
    }
}

/// A check with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Which.
    pub check: Check,
    /// What came of it.
    #[serde(flatten)]
    pub result: CheckResult,
}

/// All that was found, in the order of causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Name of the target.
    pub target: String,
    /// Its domain, where it is known.
    pub domain: Option<String>,
    /// Where it was looked for, where that is known.
    pub address: Option<String>,
    /// The policy in words, where it is known.
    pub policy: Option<String>,
    pub checks: Vec<Checked>,
}

impl Diagnosis {
    pub(super) fn of(subject: &Subject) -> Self {
        Self {
            target: subject.name.clone(),
            domain: Some(subject.domain.clone()),
            address: Some(subject.address.to_string()),
            policy: subject
                .row
                .map(|row| format!("{row}: {}", describe_policy(&row.policy()))),
            checks: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, check: Check, result: CheckResult) {
        self.checks.push(Checked { check, result });
    }

    /// What came of a check, where it was made.
    pub fn result(&self, check: Check) -> Option<&CheckResult> {
        self.checks
            .iter()
            .find(|done| done.check == check)
            .map(|done| &done.result)
    }

    /// All findings with their checks, in the order of causes.
    pub fn findings(&self) -> impl Iterator<Item = (Check, &Finding)> {
        self.checks.iter().flat_map(|done| {
            done.result
                .findings()
                .iter()
                .map(move |finding| (done.check, finding))
        })
    }

    /// How many findings are this grave.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings()
            .filter(|(_, finding)| finding.severity == severity)
            .count()
    }

    /// The first cause for which a run would prove nothing.
    pub fn blocking(&self) -> Option<(Check, &Finding)> {
        self.findings()
            .find(|(_, finding)| finding.severity == Severity::Blocking)
    }
}
