//! The verdicts on a case.

use serde::{Deserialize, Serialize, Serializer};
use strum::{Display, IntoStaticStr, VariantArray};

/// The verdict on a case. Every report uses these words unchanged.
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
pub enum Verdict {
    /// The outcome is one that the standards want.
    Pass,
    /// The outcome is tolerated: legal, but weaker or outdated.
    Warn,
    /// The outcome is not allowed.
    Fail,
    /// The target cannot be configured for the case, or rightly does without what the case is about.
    Unsupported,
    /// The sources disagree, and the outcome fits one of them.
    Disputed,
    /// The target was silent until our own deadline, which no standard knows.
    Undecided,
    /// Repetitions ended differently.
    Unstable,
    /// The harness or its environment failed; says nothing about the target.
    Error,
    /// It was not run: the target was gone, or the run's budget spent.
    NotRun,
    /// The baseline lists everything that decides that it fails.
    Xfail,
    /// The baseline lists it by name as failing, and it does not.
    Xpass,
}

impl Verdict {
    /// Its meaning, in a sentence.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Pass => "The case ended as the standards want it.",
            Self::Warn => {
                "The case ended in a way that is legal, but weaker or outdated, or goes against a SHOULD."
            }
            Self::Fail => "The case ended in a way that is not allowed, or showed a breach.",
            Self::Unsupported => {
                "The target cannot be configured for the case, or rightly does without what the case is about."
            }
            Self::Disputed => "The sources disagree, and the target follows one of them.",
            Self::Undecided => {
                "The target was silent until s2spec's own deadline, of which no standard knows. It may need more \
                 time: see --timeout, and the timeouts of a target file."
            }
            Self::Unstable => "The case was repeated, and ended differently.",
            Self::Error => "s2spec or its environment failed, which says nothing of the target.",
            Self::NotRun => {
                "The run ended before the case: the target was gone, or the budget spent."
            }
            Self::Xfail => "The case failed for a cause that the baseline lists.",
            Self::Xpass => "The baseline lists the case as failing, and it does not fail any more.",
        }
    }

    /// Whether it is unexpected for a conforming target with this baseline.
    pub const fn is_unexpected(self) -> bool {
        match self {
            Self::Fail | Self::Unstable | Self::Xpass => true,
            Self::Pass
            | Self::Warn
            | Self::Unsupported
            | Self::Disputed
            | Self::Undecided
            | Self::Error
            | Self::NotRun
            | Self::Xfail => false,
        }
    }
}

/// The effect of a finding on the verdict. The heaviest one decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// It is recorded: the standards leave it open.
    May,
    /// It warns.
    Should,
    /// The sources disagree about it.
    #[serde(skip_deserializing)]
    Disputed,
    /// Nothing was seen, and the target may have needed more time than it had.
    #[serde(skip_deserializing)]
    Undecided,
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
            Self::Undecided => "undecided",
            Self::Must => "fail",
        }
    }
}

/// By its effect, because what fails need not be a MUST of a standard.
impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.effect())
    }
}
