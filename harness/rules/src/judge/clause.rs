//! The clause behind a finding: which requirement, how binding, from which source.

use serde::Serialize;
use strum::{Display, IntoStaticStr, VariantArray};

use crate::finding::{Against, Fault, Finding, Sign, Violation};
use crate::oracle;
use crate::policy::Level as PolicyLevel;
use crate::record::CaseResult;
use crate::requirement::{Level, Requirement};
use crate::settings;
use crate::verdict::Weight;

/// The source of a clause that only a scenario has.
pub const WANTED: &str = "what the scenario wants";

/// What a finding violates, in the words of a report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clause {
    /// The requirement, unless a rule of the matrix decides.
    pub requirement: Option<String>,
    /// How binding it is.
    pub level: Level,
    /// Where it is written.
    pub source: String,
    /// What it says, in a sentence.
    pub text: String,
}

/// What stands behind a finding: the summary keeps these apart.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Strength {
    /// A standard demands it.
    Demanded,
    /// A standard recommends it, or leaves it open.
    Recommended,
    /// No standard says it in these words: it is derived, due to security, or practice.
    Unwritten,
}

impl Strength {
    /// The strength of a requirement.
    pub const fn of(level: Level) -> Self {
        match level {
            Level::Must => Self::Demanded,
            Level::Should | Level::May => Self::Recommended,
            Level::Derived | Level::Security | Level::Practice => Self::Unwritten,
        }
    }
}

/// The finding that says most about a case: the heaviest, then the most direct, then the earliest. What is
/// only recorded says nothing.
pub fn lead(result: &CaseResult) -> Option<&Finding> {
    result
        .findings()
        .iter()
        .max_by_key(|finding| finding.weight)
        .filter(|heaviest| heaviest.weight > Weight::May)
        .and_then(|heaviest| {
            let heavy = |finding: &&Finding| finding.weight == heaviest.weight;
            let findings = result.findings().iter().filter(heavy);
            findings.min_by_key(|finding| (finding.sign, finding.step))
        })
}

/// The clause that a finding of a case violates.
pub fn clause(result: &CaseResult, finding: &Finding) -> Clause {
    // A target that is worse off afterwards breaks no clause of the case's own.
    if finding.sign == Sign::Aftermath {
        return Clause {
            requirement: None,
            level: Level::Security,
            source: "RFC 6120 §13.12".to_owned(),
            text: "No partner keeps the target from serving others.".to_owned(),
        };
    }
    let registry = result.case.registry();
    let of = |id: &str| registry.get(&id.parse().ok()?);
    match &finding.against {
        Against::Requirements(ids) => {
            let mut all = ids.iter().filter_map(|id| of(id));
            // The first that binds as much as the finding weighs.
            let first = all.clone().next();
            let decisive = all.find(|one| one.level.weight() >= finding.weight);
            match decisive.or(first) {
                Some(requirement) => of_requirement(requirement),
                None => unwritten(ids.join(", "), String::new()),
            }
        }
        Against::Scenario => unwritten(WANTED.to_owned(), result.case.script.title.clone()),
        Against::Rule(id) => of_rule(id),
        Against::Fault(fault) => match requirement(*fault, result).and_then(of) {
            Some(requirement) => of_requirement(requirement),
            None => unwritten(
                format!("the policy {}", result.case.row.policy()),
                format!("The policy rules out that the target {fault}."),
            ),
        },
        Against::Outcome => {
            let allowed = result.allowed.as_ref();
            Clause {
                requirement: None,
                level: match finding.weight {
                    Weight::Must | Weight::Disputed | Weight::Undecided => {
                        match allowed.is_some_and(|allowed| is_standard(allowed.clause)) {
                            true => Level::Must,
                            false => Level::Derived,
                        }
                    }
                    Weight::Should => Level::Should,
                    Weight::May => Level::May,
                },
                source: allowed.map_or_else(String::new, |allowed| allowed.clause.to_owned()),
                text: allowed.map_or_else(String::new, |allowed| {
                    let rule = oracle::rule(allowed.rule);
                    rule.map_or_else(String::new, |rule| rule.says.to_owned())
                }),
            }
        }
    }
}

/// Whether a clause of the matrix is one of a standard, and not only of a document that informs.
fn is_standard(clause: &str) -> bool {
    let informs = |one: &str| one.starts_with("XEP-0178") || one.starts_with("XEP-0238");
    let mut sources = clause.split(", ");
    sources.any(|one| one.starts_with("RFC") || one.starts_with("XEP") && !informs(one))
}

fn of_requirement(requirement: &Requirement) -> Clause {
    Clause {
        requirement: Some(requirement.id.to_string()),
        level: requirement.level,
        source: requirement.source.clone(),
        text: requirement.text.clone(),
    }
}

fn of_rule(id: &str) -> Clause {
    settings::rule(id).map_or_else(
        || unwritten(id.to_owned(), String::new()),
        |rule| Clause {
            requirement: None,
            level: rule.level,
            source: rule.clause.to_owned(),
            text: rule.says.to_owned(),
        },
    )
}

fn unwritten(source: String, text: String) -> Clause {
    Clause {
        requirement: None,
        level: Level::Derived,
        source,
        text,
    }
}

/// The requirement behind something that is wrong whatever the end.
fn requirement(fault: Fault, result: &CaseResult) -> Option<&'static str> {
    let demands_tls = result.case.row.policy().tls == PolicyLevel::Required;
    match fault {
        Fault::Arrived => Some("STR-23"),
        Fault::NotReturned => Some("DLV-03"),
        Fault::Unanswered | Fault::TargetGone => None,
        Fault::Prohibited(violation) => match violation {
            Violation::ExternalInClear => Some("SAS-02"),
            Violation::Success => Some("SAS-05"),
            Violation::StanzaBeforeAuthentication => Some("SAS-30"),
            Violation::KeyInClear if demands_tls => Some("NG-13"),
            Violation::ValidInClear if demands_tls => Some("TLS-03"),
            Violation::VerifyInClear | Violation::StanzaInClear if demands_tls => Some("NG-20"),
            Violation::Auth
            | Violation::KeyInClear
            | Violation::KeyOverTls
            | Violation::ValidInClear
            | Violation::ValidOverTls
            | Violation::VerifyInClear
            | Violation::StanzaInClear
            | Violation::Starttls => None,
        },
    }
}
