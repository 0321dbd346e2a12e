//! The entries of the registry.

use serde::{Deserialize, Serialize};
use simulated_partners::nearest::did_you_mean;
use strum::{Display, IntoStaticStr, VariantArray};

use crate::verdict::Weight;

use super::RequirementId;

/// A part of federation with its own requirements, one file in `scenarios/requirements/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// The prefix of its requirements' ids, such as `STR`.
    pub code: String,
    /// The folder of its scenarios, such as `streams`; its requirements file has the same name.
    pub folder: String,
    /// A one-line description.
    pub title: String,
}

/// A rule that a target must follow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its id, which never changes: scenarios, baselines and reports use it.
    pub id: RequirementId,
    /// Its source, such as `RFC 6120 §4.7.1`.
    pub source: String,
    /// How binding it is; [`Level::Practice`] where its file does not say.
    #[serde(default)]
    pub level: Level,
    /// The role of the target.
    #[serde(default)]
    pub role: Role,
    /// The rule, in a sentence of our own, or the title of a user's own requirement.
    #[serde(alias = "title")]
    pub text: String,
    /// Notes on the source: what it leaves open, or what could not be verified.
    pub note: Option<String>,
    /// Why it cannot be judged from outside, if so.
    pub unjudgeable: Option<String>,
}

/// How binding a requirement is, the most binding first.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Level {
    /// MUST or MUST NOT in its source (RFC 2119).
    Must,
    /// No sentence says it in these words, but a MUST cannot hold otherwise.
    Derived,
    /// A duty that follows from security considerations or a published vulnerability.
    Security,
    /// SHOULD or SHOULD NOT.
    Should,
    /// Not written anywhere, but partners rely on it.
    #[default]
    Practice,
    /// MAY, or a choice that the source leaves open.
    May,
}

impl Level {
    /// All levels, in order.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Its meaning, in a clause.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Must => "a MUST of its source",
            Self::Derived => "follows from a MUST that could not hold otherwise",
            Self::Security => "a duty from security considerations or a known vulnerability",
            Self::Should => "a SHOULD of its source",
            Self::Practice => "what partners rely on in practice",
            Self::May => "left open by its source",
        }
    }

    /// The effect of a breach on the verdict.
    pub const fn weight(self) -> Weight {
        match self {
            Self::Must | Self::Derived | Self::Security => Weight::Must,
            Self::Should | Self::Practice => Weight::Should,
            Self::May => Weight::May,
        }
    }
}

/// The role of the target in a stream to which the rule applies.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    Display,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Role {
    /// It answers whether a dialback key is its own (XEP-0220 §2.2.2).
    Authoritative,
    /// More than one of the other roles.
    #[default]
    Both,
    /// It opens the stream.
    Initiating,
    /// It accepts the stream.
    Receiving,
}

impl Role {
    /// What the target does in this role, in a clause.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Authoritative => "the target is asked whether a dialback key is its own",
            Self::Both => "whoever opened the stream",
            Self::Initiating => "the target opens the stream",
            Self::Receiving => "the partner opens the stream",
        }
    }
}

/// A bug found in a real server, which the suite looks for in others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// `B01` for one with a public thread, `S01` for one from an advisory or a commit.
    pub id: String,
    /// Project and thread, advisory or commit.
    pub source: String,
    /// What went wrong, in a sentence of our own.
    pub text: String,
    /// The requirements that test for it.
    pub requirements: Vec<RequirementId>,
}

/// What an id in the registry refers to.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    Requirement(&'a Requirement),
    /// A known bug.
    Bug(&'a Bug),
}

/// An id that is well-formed but not in the registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {kind} is called {id}{}", did_you_mean(nearest))]
pub struct NoEntry {
    /// `requirement` or `known bug`.
    pub(super) kind: &'static str,
    /// As given, in upper case.
    pub(super) id: String,
    /// Similar ids, the best guess first.
    pub(super) nearest: Vec<String>,
}
