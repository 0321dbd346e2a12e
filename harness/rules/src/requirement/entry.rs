//! What the registry holds.

use serde::{Deserialize, Serialize};
use simulated_partners::nearest::did_you_mean;
use strum::{Display, VariantArray};

use crate::verdict::Weight;

use super::RequirementId;

/// A part of federation with requirements of its own, one file in `scenarios/requirements/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Beginning of its requirements' ids, such as `STR`.
    pub code: String,
    /// Folder of its scenarios, such as `streams`; its file is called after it.
    pub folder: String,
    /// What it is about, in a line.
    pub title: String,
}

/// One rule that a target has to keep.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its id, which never changes: scenarios, baselines and reports use it.
    pub id: RequirementId,
    /// Where it is written, such as `RFC 6120 §4.7.1`.
    pub source: String,
    /// How binding it is.
    pub level: Level,
    /// Which part the target plays.
    pub role: Role,
    /// The rule, in a sentence of our own.
    pub text: String,
    /// What a judge has to know of the source: what it leaves open, or what could not be verified.
    pub note: Option<String>,
    /// Why nobody can tell from outside whether the target keeps it, where that is so.
    pub unjudgeable: Option<String>,
}

/// How binding a requirement is, the most binding first.
#[derive(
    Clone,
    Copy,
    Debug,
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
pub enum Level {
    /// MUST or MUST NOT in its source (RFC 2119).
    Must,
    /// No sentence says it in these words, but a MUST cannot hold otherwise.
    Derived,
    /// A duty that follows from security considerations or from a published vulnerability.
    Security,
    /// SHOULD or SHOULD NOT.
    Should,
    /// Written nowhere, but what partners rely on.
    Practice,
    /// MAY, or a choice that the source leaves open.
    May,
}

impl Level {
    /// All of them, in order.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// What it means, in a clause.
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

    /// What a breach does to the verdict.
    pub const fn weight(self) -> Weight {
        match self {
            Self::Must | Self::Derived | Self::Security => Weight::Must,
            Self::Should | Self::Practice => Weight::Should,
            Self::May => Weight::May,
        }
    }
}

/// Which part of a stream the target plays where the rule holds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Role {
    /// It answers whether a dialback key is its own (XEP-0220 §2.2.2).
    Authoritative,
    /// More than one of the others.
    Both,
    /// It opens the stream.
    Initiating,
    /// It accepts the stream.
    Receiving,
}

impl Role {
    /// What the target does in it, in a clause.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Authoritative => "the target is asked whether a dialback key is its own",
            Self::Both => "whoever opened the stream",
            Self::Initiating => "the target opens the stream",
            Self::Receiving => "the partner opens the stream",
        }
    }
}

/// A bug that some server really had, and that the suite hunts in others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// `B01` for one with a public thread, `S01` for one from an advisory or a commit.
    pub id: String,
    /// Project and thread, advisory or commit.
    pub source: String,
    /// What went wrong, in a sentence of our own.
    pub text: String,
    /// The requirements that carry its test.
    pub requirements: Vec<RequirementId>,
}

/// What an id of the registry stands for.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    Requirement(&'a Requirement),
    /// A known bug.
    Bug(&'a Bug),
}

/// An id that nothing has, though it has the form of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {kind} is called {id}{}", did_you_mean(nearest))]
pub struct NoEntry {
    /// `requirement` or `known bug`.
    pub(super) kind: &'static str,
    /// As given, in capitals.
    pub(super) id: String,
    /// What was perhaps meant, the best guess first.
    pub(super) nearest: Vec<String>,
}
