//! What can be wrong although the end of a case is an allowed one.

use std::fmt;

use crate::oracle::never::Deed;

/// Something that an outcome alone does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The stanza arrived on a stream that was refused.
    Arrived,
    /// The target did what it may never do here.
    Forbidden(Deed),
    /// The stanza was refused, and its sender not told (XEP-0220 §2.1.1).
    NotReturned,
    /// The stanza arrived, its answer did not come back.
    Unanswered,
    /// A refusal whose accepting neighbour was not accepted either.
    Unproven,
}

impl Fault {
    /// Every fault.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::Arrived,
            Self::NotReturned,
            Self::Unanswered,
            Self::Unproven,
        ];
        plain
            .into_iter()
            .chain(Deed::ALL.into_iter().map(Self::Forbidden))
    }

    pub(super) fn sentence(self) -> String {
        match self {
            Self::Arrived => "the stanza arrived although the stream was refused".to_owned(),
            Self::Forbidden(deed) => format!("forbidden here: the target {deed}"),
            Self::NotReturned => {
                "the stanza was not returned to its sender (XEP-0220 §2.1.1)".to_owned()
            }
            Self::Unanswered => "the stanza arrived, but its answer did not come back".to_owned(),
            Self::Unproven => "its control was not accepted".to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrived => to.write_str("the stanza arrived"),
            Self::Forbidden(deed) => deed.fmt(to),
            Self::NotReturned => to.write_str("the stanza was not returned"),
            Self::Unanswered => to.write_str("no answer came back"),
            Self::Unproven => to.write_str("its control was not accepted"),
        }
    }
}
