//! Findings: the problems of a case.

use serde::{Serialize, Serializer};
use strum::{Display, VariantArray};

use crate::verdict::Weight;

mod sign;

pub use sign::{Sign, Step};

/// A problem found in a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// What it violates.
    pub against: Against,
    /// Its effect on the verdict.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub weight: Weight,
    /// How directly it shows a defect.
    pub sign: Sign,
    /// The part of a negotiation that it is about.
    pub step: Step,
    /// What was expected and what was observed, in a sentence.
    pub text: String,
    /// The number of the main partner's connection that shows it, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<u16>,
    /// The number of the script's expectation that is not met, if it is one, from 0.
    #[serde(skip)]
    pub expectation: Option<usize>,
    /// Whether it is about something that was seen, not about what was waited for in vain.
    #[serde(skip)]
    pub seen: bool,
}

impl Finding {
    /// That a case shows what no case may show.
    pub fn of_fault(fault: Fault, text: impl Into<String>) -> Self {
        Self {
            against: Against::Fault(fault),
            weight: Weight::Must,
            sign: fault.sign(),
            step: fault.step(),
            text: text.into(),
            connection: None,
            expectation: None,
            seen: !matches!(fault, Fault::NotReturned | Fault::Unanswered),
        }
    }

    /// The same, undecided where it rests on silence that says nothing of the target.
    pub fn unless_silence(mut self, undecided: Option<&str>) -> Self {
        if let Some(reason) = undecided
            && !self.seen
            && self.weight >= Weight::Should
        {
            self.weight = Weight::Undecided;
            self.text = format!("{} ({reason})", self.text);
        }
        self
    }
}

/// What a finding violates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// The ends that the oracle's rule allows.
    Outcome,
    /// A rule that applies whatever the end.
    Fault(
        #[serde(serialize_with = "displayed")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        Fault,
    ),
    /// These requirements, by their ids.
    Requirements(Vec<String>),
    /// What a scenario wants that names no requirement.
    Scenario,
    /// The rule of the sets `settings` and `failover` with this id.
    Rule(&'static str),
}

impl Against {
    /// These requirements, or the scenario itself where it names none.
    pub fn requirements(ids: &[String]) -> Self {
        match ids {
            [] => Self::Scenario,
            ids => Self::Requirements(ids.to_vec()),
        }
    }

    /// The ids of the requirements.
    pub fn ids(&self) -> &[String] {
        match self {
            Self::Requirements(ids) => ids,
            Self::Outcome | Self::Fault(_) | Self::Scenario | Self::Rule(_) => &[],
        }
    }
}

/// What can be wrong although a case has an allowed end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The stanza arrived on a stream that was refused.
    Arrived,
    /// The target did something prohibited in this situation.
    Prohibited(Violation),
    /// The stanza was refused, and its sender got no error (XEP-0220 §2.1.1).
    NotReturned,
    /// The stanza arrived, but its answer did not come back.
    Unanswered,
    /// The target takes no connections any more.
    TargetGone,
}

impl Fault {
    /// How directly it shows a defect.
    pub const fn sign(self) -> Sign {
        match self {
            Self::Arrived | Self::Prohibited(_) | Self::TargetGone => Sign::Wrong,
            Self::NotReturned | Self::Unanswered => Sign::Missing,
        }
    }

    /// The part of a negotiation that it is about.
    pub const fn step(self) -> Step {
        match self {
            Self::Prohibited(violation) => violation.step(),
            Self::Arrived | Self::NotReturned | Self::Unanswered => Step::Stanza,
            Self::TargetGone => Step::End,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Arrived => to.write_str("the stanza arrived"),
            Self::Prohibited(violation) => violation.fmt(to),
            Self::NotReturned => to.write_str("the stanza was not returned"),
            Self::Unanswered => to.write_str("no answer came back"),
            Self::TargetGone => to.write_str("the target stopped taking connections"),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn displayed<S: Serializer>(fault: &Fault, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(fault)
}

/// A behaviour on the wire that is prohibited in some situations.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Display, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
pub enum Violation {
    /// Offers EXTERNAL, or sends `<auth/>`, on a stream without TLS (RFC 6120 §6.3.4).
    #[strum(to_string = "offered or used EXTERNAL without TLS")]
    ExternalInClear,
    /// Sends `<auth/>`.
    #[strum(to_string = "sent <auth/>")]
    Auth,
    /// Answers `<auth/>` with `<success/>`.
    #[strum(to_string = "answered <auth/> with <success/>")]
    Success,
    /// Sends an untyped `db:result` on a stream without TLS.
    #[strum(to_string = "sent a dialback key without TLS")]
    KeyInClear,
    /// Sends an untyped `db:result` over TLS.
    #[strum(to_string = "sent a dialback key over TLS")]
    KeyOverTls,
    /// Calls a key valid on a stream without TLS.
    #[strum(to_string = "accepted a dialback key without TLS")]
    ValidInClear,
    /// Calls a key valid over TLS.
    #[strum(to_string = "accepted a dialback key over TLS")]
    ValidOverTls,
    /// Sends an untyped `db:verify` on a stream without TLS.
    #[strum(to_string = "requested a key's verification without TLS")]
    VerifyInClear,
    /// Sends a stanza on a stream without TLS.
    #[strum(to_string = "sent a stanza without TLS")]
    StanzaInClear,
    /// Sends a stanza before the stream is authenticated (XEP-0220 §2.1.1).
    #[strum(to_string = "sent a stanza before authentication")]
    StanzaBeforeAuthentication,
    /// Sends `<starttls/>`, or answers it with `<proceed/>`.
    #[strum(to_string = "took up STARTTLS")]
    Starttls,
}

impl Violation {
    /// All violations.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The part of a negotiation that it is about.
    pub const fn step(self) -> Step {
        match self {
            Self::ExternalInClear | Self::Auth | Self::Success => Step::Sasl,
            Self::KeyInClear
            | Self::KeyOverTls
            | Self::ValidInClear
            | Self::ValidOverTls
            | Self::VerifyInClear => Step::Dialback,
            Self::StanzaInClear | Self::StanzaBeforeAuthentication => Step::Stanza,
            Self::Starttls => Step::Tls,
        }
    }
}
