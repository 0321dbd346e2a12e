//! The words in which a case is judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, VariantArray};

/// The judgement of a case. These words are used in every report unchanged.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Display, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    /// The outcome is one that the standards want.
    Pass,
    /// It is tolerated: legal, but a weaker or older choice.
    Warn,
    /// It is not allowed.
    Fail,
    /// The target cannot be set so; never run.
    Unsupported,
    /// The sources disagree, and the outcome fits one of them.
    Disputed,
    /// Repetitions ended differently.
    Unstable,
    /// The harness or its environment failed; says nothing of the target.
    Error,
    /// It fails as the baseline lists it.
    Xfail,
    /// The baseline lists a failure that did not show.
    Xpass,
}

impl Verdict {
    /// Whether nobody expected it of a conforming target with this baseline.
    pub const fn is_unexpected(self) -> bool {
        match self {
            Self::Fail | Self::Unstable | Self::Xpass => true,
            Self::Pass
            | Self::Warn
            | Self::Unsupported
            | Self::Disputed
            | Self::Error
            | Self::Xfail => false,
        }
    }
}

/// What something that is not as it should be does to a verdict. The heaviest decides.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// It is recorded: the standards leave it open.
    May,
    /// It warns.
    Should,
    /// The sources disagree about it.
    #[serde(skip_deserializing)]
    Disputed,
    /// It fails.
    Must,
}

impl Weight {
    /// What it does, in a word.
    pub const fn effect(self) -> &'static str {
        match self {
            Self::May => "recorded",
            Self::Should => "warn",
            Self::Disputed => "disputed",
            Self::Must => "fail",
        }
    }
}
