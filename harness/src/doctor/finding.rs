//! The doctor's checks, findings and diagnosis.

use serde::Serialize;
use strum::{Display, VariantArray};

use super::Subject;
use crate::console::describe_policy;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Blame {
    /// s2spec, its lab or this machine.
    Harness,
    /// The target file, or the target's configuration.
    Configuration,
    /// The simulated partner, as seen by the target.
    Partner,
    /// The target's own behaviour.
    Target,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Severity {
    /// For information.
    Note,
    /// Some cases will fail because of it, or other servers will have trouble.
    Warning,
    /// Cases would fail because of it and not because of what they test, so a run proves nothing.
    Blocking,
}

/// The checks, in order of cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Check {
    /// Starting the target, and stopping it.
    Start,
    /// The TCP port for servers.
    Port,
    /// The response to a stream header.
    Stream,
    /// STARTTLS and its handshake.
    Starttls,
    /// The chain of the target's certificate.
    Chain,
    Dates,
    Names,
    /// The certificate's key usage.
    Usage,
    Key,
    /// The offered features, compared with the policy.
    Policy,
    /// The direct TLS port.
    DirectTls,
    /// A proxy's port for its gateway.
    Inner,
    /// The two clocks.
    Clock,
    /// Trust in the lab's authority.
    Trust,
    /// Lookups in the lab's DNS.
    LabDns,
    /// Connections from the target to a partner.
    WayBack,
    /// How long a partner may say nothing.
    Silence,
    /// The target's own DNS records.
    Records,
}

/// A problem or a remark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub blame: Blame,
    /// Its severity.
    pub severity: Severity,
    /// The problem, as a sentence.
    pub what: String,
    /// The remedy.
    pub advice: String,
}

impl Finding {
    /// Creates a finding.
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

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum CheckResult {
    /// No problem; what was seen.
    Fine {
        /// In a clause.
        seen: String,
    },
    /// The findings, the most severe first.
    Found {
        /// At least one.
        findings: Vec<Finding>,
    },
    /// It could not be checked.
    NotSeen { why: String },
}

impl CheckResult {
    /// Creates a passed result.
    pub fn fine(seen: impl Into<String>) -> Self {
        Self::Fine { seen: seen.into() }
    }

    /// Creates a skipped result.
    pub fn not_seen(why: impl Into<String>) -> Self {
        Self::NotSeen { why: why.into() }
    }

    /// Findings, or a passed result if there are none.
    pub fn of(mut findings: Vec<Finding>, fine: impl Into<String>) -> Self {
        if findings.is_empty() {
            return Self::fine(fine);
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Self::Found { findings }
    }

    /// Whether a finding makes a run meaningless.
    pub(super) fn blocks(&self) -> bool {
        let mut findings = self.findings().iter();
        findings.any(|finding| finding.severity == Severity::Blocking)
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
    /// The check.
    pub check: Check,
    /// The result.
    #[serde(flatten)]
    pub result: CheckResult,
}

/// All results, in order of cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The name of the target.
    pub target: String,
    /// Its domain, if known.
    pub domain: Option<String>,
    /// Its address, if known.
    pub address: Option<String>,
    /// The policy in words, if known.
    pub policy: Option<String>,
    /// The domains of the partners that came, the one with a good certificate first.
    pub partners: Vec<String>,
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
            partners: vec![subject.partners[0].clone()],
            checks: Vec::new(),
        }
    }

    /// Notes the domain of one more partner.
    pub(super) fn came_as(&mut self, partner: &str) {
        if !self.partners.iter().any(|one| one == partner) {
            self.partners.push(partner.to_owned());
        }
    }

    pub(super) fn add(&mut self, check: Check, result: CheckResult) {
        self.checks.push(Checked { check, result });
    }

    /// The result of a check, if it was made.
    pub fn result(&self, check: Check) -> Option<&CheckResult> {
        self.checks
            .iter()
            .find(|done| done.check == check)
            .map(|done| &done.result)
    }

    /// All findings with their checks, in order of cause.
    pub fn findings(&self) -> impl Iterator<Item = (Check, &Finding)> {
        self.checks.iter().flat_map(|done| {
            done.result
                .findings()
                .iter()
                .map(move |finding| (done.check, finding))
        })
    }

    /// The number of findings with this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings()
            .filter(|(_, finding)| finding.severity == severity)
            .count()
    }

    /// The first finding that makes a run meaningless.
    pub fn blocking(&self) -> Option<(Check, &Finding)> {
        self.findings()
            .find(|(_, finding)| finding.severity == Severity::Blocking)
    }
}
