//! What other sources say of a case.

use crate::matrix::{Case, Direction, Set};
use crate::outcome::{Method, Outcome};

use super::expectation::Expectation;
use super::situation::Profile;
use super::{classes, xep0238};

/// What one other source says of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// The source.
    pub source: &'static str,
    /// The ends that it allows; none stands for a refusal of whatever kind.
    pub ends: Vec<Option<Method>>,
}

impl Opinion {
    /// Whether the source allows this outcome.
    pub fn allows(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Established(method) => self.ends.contains(&Some(*method)),
            Outcome::Refused(_) => self.ends.contains(&None),
            Outcome::Stalled(_) => false,
        }
    }

    /// Whether the source speaks for an outcome that the rules exclude.
    ///
    /// Sources that only know "refused" cannot speak for a refusal that merely looks wrong: where the
    /// rules allow a refusal, too, there is nothing to dispute.
    pub fn disputes(&self, expectation: &Expectation, outcome: &Outcome) -> bool {
        let refusal_is_the_point = expectation.unanimously_established();
        match outcome {
            Outcome::Established(_) => self.allows(outcome),
            Outcome::Refused(_) | Outcome::Stalled(_) => {
                refusal_is_the_point && self.allows(outcome)
            }
        }
    }
}

/// The opinions of all sources that know the case.
pub fn second_opinions(case: &Case, profile: Profile) -> Vec<Opinion> {
    let mut opinions = Vec::new();
    let partner = &case.partner;
    let policy = case.row.policy();
    if case.set == Set::Policies {
        let ours = policy.methods(profile.mode);
        let theirs = classes::methods(&partner.offer);
        opinions.push(Opinion {
            source: classes::SOURCE,
            ends: vec![classes::common(ours, theirs)],
        });
    }
    let target = xep0238::Service::of_target(policy);
    let other = xep0238::Service::of_partner(&partner.offer, &partner.facts);
    if let (Some(target), Some(other)) = (target, other) {
        let ends = match case.direction {
            Direction::Outbound => xep0238::ends(target, other),
            Direction::Inbound => xep0238::ends(other, target),
        };
        opinions.push(Opinion {
            source: xep0238::SOURCE,
            ends,
        });
    }
    opinions
}
