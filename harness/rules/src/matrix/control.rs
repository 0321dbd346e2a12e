//! Controls: the nearest case that has to be accepted, for one that may be refused.

use std::collections::BTreeMap;

use simulated_partners::persona::{Deviations, Offer, Persona};

use crate::oracle::{Profile, allowed};
use crate::policy::Policy;

use crate::case::{Case, Direction, Set};

/// The cases of a list that must be established, ready to be paired with refusals.
///
/// The list must contain only cases that can run against the target: a control has to run.
#[derive(Clone, Debug)]
pub struct Controls<'a> {
    profile: Profile,
    accepting: BTreeMap<(Set, Direction), Vec<&'a Case>>,
}

impl<'a> Controls<'a> {
    /// The cases in `all` whose only allowed end is an established session, and which wait for
    /// no timeout.
    pub fn new(all: &'a [Case], profile: Profile) -> Self {
        let mut accepting: BTreeMap<_, Vec<&Case>> = BTreeMap::new();
        for case in all {
            if !case.waits() && has_to_be_established(case, profile) {
                accepting
                    .entry((case.set, case.direction))
                    .or_default()
                    .push(case);
            }
        }
        Self { profile, accepting }
    }

    /// The control of a case: same set, same direction, with as few differences as
    /// possible, in the policy rather than in the partner. `None` if the list has no
    /// accepting case, or if the case itself must be established.
    pub fn of(&self, case: &Case) -> Option<&'a Case> {
        if has_to_be_established(case, self.profile) {
            return None;
        }
        let neighbours = self.accepting.get(&(case.set, case.direction))?;
        neighbours
            .iter()
            .copied()
            .min_by_key(|other| (distance(case, other), &other.id))
    }
}

fn has_to_be_established(case: &Case, profile: Profile) -> bool {
    allowed(case, profile).is_some_and(|allowed| allowed.unanimously_established())
}

/// The id of the control of a case in `all`; see [`Controls`] for more than one.
pub fn control_of(case: &Case, all: &[Case], profile: Profile) -> Option<String> {
    let control = Controls::new(all, profile);
    control.of(case).map(|case| case.id.clone())
}

/// The number of differences in total, then in the partner.
fn distance(one: &Case, other: &Case) -> (usize, usize) {
    let policy = policies(one.row.policy(), other.row.policy());
    let partner = partners(&one.partner, &other.partner);
    (policy + partner, partner)
}

fn policies(one: Policy, other: Policy) -> usize {
    count([
        one.tls != other.tls,
        one.sasl != other.sasl,
        one.dialback != other.dialback,
    ])
}

fn partners(one: &Persona, other: &Persona) -> usize {
    offers(&one.offer, &other.offer) + facts(&one.facts, &other.facts)
}

fn offers(one: &Offer, other: &Offer) -> usize {
    count([
        one.tls != other.tls,
        one.external != other.external,
        one.external_on_plaintext != other.external_on_plaintext,
        one.dialback != other.dialback,
        one.insists_on_db_namespace != other.insists_on_db_namespace,
        one.needs_external != other.needs_external,
        one.certificate != other.certificate,
        one.key != other.key,
        one.tls_versions != other.tls_versions,
    ])
}

fn facts(one: &Deviations, other: &Deviations) -> usize {
    count([
        one.stream != other.stream,
        one.starttls != other.starttls,
        one.external != other.external,
        one.authority != other.authority,
    ])
}

fn count<const N: usize>(flips: [bool; N]) -> usize {
    flips.into_iter().filter(|flipped| *flipped).count()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use simulated_partners::persona::builtin;

    use super::*;
    use crate::matrix::cases;
    use crate::policy::Mode;

    #[rstest]
    #[case(
        "personas/row07/google-talk/outbound",
        "personas/row09/google-talk/outbound"
    )]
    #[case("policies/row17/row07/inbound", "policies/row13/row07/inbound")]
    fn policy_is_flipped_before_the_partner(#[case] id: &str, #[case] control: &str) {
        let all = cases(&builtin());
        let case = all.iter().find(|case| case.id == id).expect("a case");
        assert_eq!(
            control_of(case, &all, Profile::default()).as_deref(),
            Some(control)
        );
    }

    #[test]
    fn every_case_that_may_be_refused_has_a_control_and_no_other_has() {
        let all = cases(&builtin());
        for mode in [Mode::Matrix, Mode::Strict] {
            for strict_certificates in [false, true] {
                let profile = Profile {
                    mode,
                    strict_certificates,
                };
                let controls = Controls::new(&all, profile);
                for case in &all {
                    let established = has_to_be_established(case, profile);
                    match controls.of(case) {
                        Some(control) => {
                            assert_eq!(control.set, case.set);
                            assert_eq!(control.direction, case.direction);
                            assert!(has_to_be_established(control, profile));
                            assert!(!established, "{}", case.id);
                        }
                        None => assert!(established, "{} has no control", case.id),
                    }
                }
            }
        }
    }
}
