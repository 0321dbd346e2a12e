//! Other sources' opinions on a case.

use crate::case::{Case, Direction, Set};
use crate::outcome::{Method, Outcome};

use super::situation::Profile;
use super::{classes, xep0238};
use crate::expectation::Expectation;

/// The opinion of one other source on a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    pub source: &'static str,
    /// The ends that it allows; `None` is a refusal of any kind.
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

    /// Whether the source supports an outcome that the rules exclude.
    ///
    /// A source that only knows "refused" cannot support a refusal that merely looks wrong: if the
    /// rules also allow a refusal, there is nothing to dispute.
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

#[cfg(test)]
mod tests {
    use simulated_partners::persona::builtin;

    use super::*;
    use crate::matrix::cases;
    use crate::oracle::allowed;
    use crate::outcome::{Closer, Phase, Refusal, Signal};

    fn case(id: &str) -> Case {
        let all = cases(&builtin());
        all.into_iter().find(|case| case.id == id).expect("a case")
    }

    fn disputed(id: &str, outcome: &Outcome) -> Vec<&'static str> {
        let case = case(id);
        let profile = Profile::default();
        let expectation = allowed(&case, profile).expect("no scenario");
        second_opinions(&case, profile)
            .iter()
            .filter(|opinion| opinion.disputes(&expectation, outcome))
            .map(|opinion| opinion.source)
            .collect()
    }

    #[test]
    fn both_sources_know_a_case_of_the_policies() {
        let opinions = second_opinions(&case("policies/row09/row07/outbound"), Profile::default());
        assert_eq!(
            opinions,
            [
                Opinion {
                    source: classes::SOURCE,
                    ends: vec![Some(Method::SaslTls)],
                },
                Opinion {
                    source: xep0238::SOURCE,
                    ends: vec![Some(Method::TlsDialback), Some(Method::SaslTls)],
                },
            ]
        );
    }

    #[test]
    fn dialback_between_trusted_services_is_disputed_and_in_clear_is_not() {
        let id = "policies/row09/row07/outbound";
        let outcome = Outcome::Established(Method::TlsDialback);
        assert_eq!(disputed(id, &outcome), [xep0238::SOURCE]);
        assert!(disputed(id, &Outcome::Established(Method::TcpDialback)).is_empty());
    }

    #[test]
    fn refusal_for_a_wrong_reason_is_not_disputed() {
        let refused = Outcome::Refused(Refusal {
            phase: Phase::Stanza,
            closer: Closer::Target,
            signal: Signal::Fin,
        });
        assert!(disputed("policies/row17/row07/outbound", &refused).is_empty());
        // If the rules allow no refusal at all, a source that does would dispute them.
        let opinion = Opinion {
            source: "test",
            ends: vec![None],
        };
        let established = allowed(&case("policies/row07/row07/outbound"), Profile::default())
            .expect("no scenario");
        assert!(opinion.disputes(&established, &refused));
    }

    #[test]
    fn other_sources_do_not_cover_personas_that_deviate() {
        let case = case("personas/row09/handshake-broken/outbound");
        assert!(second_opinions(&case, Profile::default()).is_empty());
    }
}
