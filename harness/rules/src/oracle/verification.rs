//! The verify connection of an inbound dialback: the target dials the partner's listener, which is the same
//! persona with the same deviations, and sends it the key.

use simulated_partners::persona::{AuthorityFact, Deviations, StarttlsFact, StreamFact};

use crate::outcome::Method;

use super::premises::{CertificateClass, Premises, Verification};
use crate::expectation::{Allowed, End, Reason};

const IN_CLEAR: &str = "the key is verified in plaintext after TLS failed";
const NOT_SO_OLD: &str = "the target does not support servers older than XMPP 1.0";

/// The possible results of asking this partner, the expected one first, with a reason if only tolerated.
pub(super) fn verifications(
    given: &Premises,
    facts: &Deviations,
) -> Vec<(Verification, Option<&'static str>)> {
    let mut all = Vec::new();
    for (reached, ground) in reached(given, facts) {
        if reached == Verification::Works {
            all.extend(answered(facts.authority).iter().map(|end| (*end, ground)));
        } else {
            all.push((reached, ground));
        }
    }
    let mut found: Vec<(Verification, Option<&'static str>)> = Vec::new();
    for (end, ground) in all {
        match found.iter_mut().find(|(known, _)| *known == end) {
            // One way that needs no excuse is enough.
            Some((_, known)) => *known = known.and(ground),
            None => found.push((end, ground)),
        }
    }
    found
}

/// Whether the request arrives; `Works` means that it was sent.
fn reached(given: &Premises, facts: &Deviations) -> Vec<(Verification, Option<&'static str>)> {
    use Verification::{Impossible, Works};
    if facts.authority == AuthorityFact::Unreachable {
        return vec![(Impossible, None)];
    }
    match facts.stream {
        StreamFact::Silent | StreamFact::ResetAtFeatures => return vec![(Impossible, None)],
        // No features, so no STARTTLS (RFC 6120 §4.7.5).
        StreamFact::NoVersion if given.demands_tls() => return vec![(Impossible, None)],
        StreamFact::NoVersion => return vec![(Works, None), (Impossible, Some(NOT_SO_OLD))],
        StreamFact::Normal | StreamFact::NoId | StreamFact::LateName => {}
    }
    let mut ways = if !given.tries_tls() {
        // A partner without TLS gets this far only if the target does not require it.
        vec![(Works, None)]
    } else if facts.starttls == StarttlsFact::Proceeds
        && given.certificate != CertificateClass::None
    {
        if given.unverifiable() {
            // Only the answer matters, not who gives it (XEP-0220 §2.1.2), but a policy may demand more.
            vec![(Works, None), (Impossible, None)]
        } else {
            vec![(Works, None)]
        }
    } else if given.demands_tls() {
        vec![(Impossible, None)]
    } else {
        vec![(Impossible, None), (Works, Some(IN_CLEAR))]
    };
    // This stream's id is not part of the key, but a target may still refuse a header without it.
    if facts.stream == StreamFact::NoId && ways.iter().all(|(way, _)| *way == Works) {
        ways.push((Impossible, None));
    }
    ways
}

/// The possible results of a request that was sent.
fn answered(authority: AuthorityFact) -> &'static [Verification] {
    match authority {
        AuthorityFact::Truthful => &[Verification::Works],
        AuthorityFact::Invalid => &[Verification::Negative],
        // An answer that matches no request is dropped, and no other arrives.
        AuthorityFact::WrongDomain => &[Verification::Impossible, Verification::Negative],
        AuthorityFact::Silent | AuthorityFact::Unreachable => &[Verification::Impossible],
    }
}

/// The possible ends of an inbound dialback, the expected one first.
pub(super) fn verified(given: &Premises, method: Method) -> Vec<Allowed> {
    let mut ends: Vec<Allowed> = given
        .verification
        .iter()
        .map(|(verification, ground)| Allowed {
            end: match verification {
                Verification::Works => End::Established(method),
                Verification::Negative => End::Refused(Reason::VerificationNegative),
                Verification::Impossible => End::Refused(Reason::VerificationImpossible),
            },
            warn: *ground,
        })
        .collect();
    let trusted = match given.certificate {
        CertificateClass::Good | CertificateClass::ServerAuthOnly => true,
        CertificateClass::Untrusted
        | CertificateClass::WrongName
        | CertificateClass::OutOfDate
        | CertificateClass::None => false,
    };
    // A trusted certificate for the sender's name may replace the verification (XEP-0344 §2.4).
    if method == Method::TlsDialback && trusted {
        match ends
            .iter_mut()
            .find(|allowed| allowed.end == End::Established(method))
        {
            Some(allowed) => allowed.warn = None,
            None => ends.push(Allowed::established(method)),
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use simulated_partners::persona::{Certificate, Offer, Tls};

    use super::*;
    use crate::case::Direction;
    use crate::oracle::{Profile, Situation};
    use crate::policy::PolicyNumber;

    fn found(row: u8, tls: Tls, certificate: Certificate, facts: &Deviations) -> String {
        let partner = Offer {
            tls,
            certificate,
            ..PolicyNumber::new(9).expect("1 to 18").policy().as_offer()
        };
        let given = Premises::of(&Situation {
            policy: PolicyNumber::new(row).expect("1 to 18").policy(),
            profile: Profile::default(),
            direction: Direction::Inbound,
            partner: &partner,
            facts,
        });
        let found = verifications(&given, facts);
        let words = found.iter().map(|(verification, ground)| {
            let word = match verification {
                Verification::Works => "works",
                Verification::Negative => "negative",
                Verification::Impossible => "impossible",
            };
            if ground.is_some() {
                format!("({word})")
            } else {
                word.to_owned()
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case(7, Tls::Offered, Certificate::Good, "works")]
    #[case(7, Tls::Offered, Certificate::NoClientAuth, "works")]
    #[case(7, Tls::Offered, Certificate::Expired, "works impossible")]
    #[case(7, Tls::Required, Certificate::None, "impossible")]
    #[case(9, Tls::Offered, Certificate::None, "impossible (works)")]
    #[case(17, Tls::Offered, Certificate::None, "works")]
    #[case(9, Tls::None, Certificate::None, "works")]
    fn listener_of_a_correct_partner_is_asked(
        #[case] row: u8,
        #[case] tls: Tls,
        #[case] certificate: Certificate,
        #[case] wanted: &str,
    ) {
        assert_eq!(found(row, tls, certificate, &Deviations::default()), wanted);
    }

    #[rstest]
    #[case(7, StreamFact::Silent, "impossible")]
    #[case(7, StreamFact::ResetAtFeatures, "impossible")]
    #[case(7, StreamFact::NoVersion, "impossible")]
    #[case(9, StreamFact::NoVersion, "works (impossible)")]
    #[case(7, StreamFact::NoId, "works impossible")]
    fn listener_that_breaks_the_stream_is_asked(
        #[case] row: u8,
        #[case] stream: StreamFact,
        #[case] wanted: &str,
    ) {
        let facts = Deviations {
            stream,
            ..Deviations::default()
        };
        assert_eq!(found(row, Tls::Offered, Certificate::Good, &facts), wanted);
    }

    #[rstest]
    #[case(7, "impossible")]
    #[case(9, "impossible (works)")]
    #[case(17, "works")]
    fn required_tls_never_asks_in_clear(#[case] row: u8, #[case] wanted: &str) {
        let facts = Deviations {
            starttls: StarttlsFact::Refused,
            ..Deviations::default()
        };
        assert_eq!(found(row, Tls::Offered, Certificate::Good, &facts), wanted);
    }

    #[rstest]
    #[case(AuthorityFact::Truthful, "works")]
    #[case(AuthorityFact::Invalid, "negative")]
    #[case(AuthorityFact::WrongDomain, "impossible negative")]
    #[case(AuthorityFact::Silent, "impossible")]
    #[case(AuthorityFact::Unreachable, "impossible")]
    fn authority_answers(#[case] authority: AuthorityFact, #[case] wanted: &str) {
        let facts = Deviations {
            authority,
            ..Deviations::default()
        };
        assert_eq!(found(17, Tls::None, Certificate::None, &facts), wanted);
    }
}
