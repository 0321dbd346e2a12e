//! The rules for a target that is dialled (steps 1 to 6; step 0, what it must offer, is in
//! [`Shown`]).

use simulated_partners::persona::{StarttlsFact, StreamFact, Tls};

use crate::outcome::Method;
use crate::policy::Level;

use super::premises::{CertificateClass, Premises};
use super::rule::Rule;
use super::verification::verified;
use crate::expectation::{Allowed, Reason};

const DISABLES_DIALBACK: &str = "closing because of the certificate also rules out dialback";
const OFFERED_TLS: &str = "the target offered the TLS for which it then refuses the partner";

/// The table.
pub(super) static RULES: [Rule; 24] = [
    Rule {
        id: "in.1",
        clause: "Lync negotiation matrix, rows marked not valid",
        says: "The policy allows no method: the configuration is rejected, or nothing is accepted.",
        holds: |given| given.methods.is_empty(),
        ends: |_| vec![Allowed::refused(Reason::Config)],
    },
    Rule {
        id: "in.2.direct",
        clause: "XEP-0368 §3",
        says: "The partner begins with TLS, which the target does not have: the handshake fails, or, as \
               it comes before any name, the stream in it is refused.",
        holds: |given| without_tls(given) && given.tls == Tls::Direct,
        ends: |_| {
            vec![
                Allowed::refused(Reason::TlsFail),
                Allowed::refused(Reason::NoMethod),
            ]
        },
    },
    Rule {
        id: "in.2.gives-up",
        clause: "RFC 6120 §5.3.1",
        says: "The target has no TLS, and the partner insists on TLS or EXTERNAL.",
        holds: |given| without_tls(given) && (given.tls == Tls::Required || given.needs_external),
        ends: |_| vec![Allowed::refused(Reason::PeerGivesUp)],
    },
    Rule {
        id: "in.2.late-name",
        clause: "RFC 6120 §4.7.1, §5.4.1, §4.9.3.14",
        says: "The target has no TLS for this partner, who may give its name only under TLS: dialback in \
               clear, or, as what a stranger is offered is up to the target, TLS and a refusal once there \
               is a name.",
        holds: |given| {
            without_tls(given)
                && given.stream == StreamFact::LateName
                && given.tls == Tls::Offered
                && given.tcp_dialback()
        },
        ends: |given| {
            let mut ends = verified(given, Method::TcpDialback);
            ends.push(Allowed::refused(Reason::NoMethod).warned(OFFERED_TLS));
            ends
        },
    },
    Rule {
        id: "in.2.dialback",
        clause: "XEP-0220 §2.2.1",
        says: "The target has no TLS: plaintext dialback.",
        holds: |given| without_tls(given) && given.tcp_dialback() && given.verifies(),
        ends: |given| verified(given, Method::TcpDialback),
    },
    Rule {
        id: "in.2.dialback.verify",
        clause: "XEP-0220 §2.1.2, §2.5",
        says: "Plaintext dialback, and the authoritative server gives no clear answer.",
        holds: |given| without_tls(given) && given.tcp_dialback(),
        ends: |given| verified(given, Method::TcpDialback),
    },
    Rule {
        id: "in.2.no-method",
        clause: "RFC 6120 §4.3.5",
        says: "The target has no TLS, and dialback is not common to both.",
        holds: without_tls,
        ends: |_| vec![Allowed::refused(Reason::NoMethod)],
    },
    Rule {
        id: "in.3.no-tls",
        clause: "RFC 6120 §5.3.1, XEP-0220 §2.5",
        says: "The target requires TLS, and the partner does not use it.",
        holds: |given| given.tls == Tls::None && given.demands_tls(),
        ends: |_| vec![Allowed::refused(Reason::NoTls)],
    },
    Rule {
        id: "in.3.gives-up",
        clause: "RFC 6120 §6.3.4",
        says: "The partner uses no TLS and gives up without EXTERNAL, which needs TLS.",
        holds: |given| given.tls == Tls::None && given.needs_external,
        ends: |_| vec![Allowed::refused(Reason::PeerGivesUp)],
    },
    Rule {
        id: "in.3.dialback",
        clause: "XEP-0220 §2.2.1",
        says: "The partner uses no TLS, and the target does not require it: plaintext dialback.",
        holds: |given| given.tls == Tls::None && given.tcp_dialback() && given.verifies(),
        ends: |given| verified(given, Method::TcpDialback),
    },
    Rule {
        id: "in.3.dialback.verify",
        clause: "XEP-0220 §2.1.2, §2.5",
        says: "Plaintext dialback, and the authoritative server gives no clear answer.",
        holds: |given| given.tls == Tls::None && given.tcp_dialback(),
        ends: |given| verified(given, Method::TcpDialback),
    },
    Rule {
        id: "in.3.no-method",
        clause: "RFC 6120 §4.3.5",
        says: "The partner uses no TLS, and dialback is not common to both.",
        holds: |given| given.tls == Tls::None,
        ends: |_| vec![Allowed::refused(Reason::NoMethod)],
    },
    Rule {
        id: "in.4.tls-fail",
        clause: "RFC 6120 §5.4.3.2",
        says: "The partner breaks the handshake.",
        holds: |given| given.starttls != StarttlsFact::Proceeds,
        ends: |_| vec![Allowed::refused(Reason::TlsFail)],
    },
    Rule {
        id: "in.4.strict",
        clause: "XEP-0178 §3 step 7a, RFC 6120 §13.7.2",
        says: "The client certificate is invalid, and the target requires a valid one.",
        holds: |given| given.unverifiable() && given.strict_certificates,
        ends: |_| vec![Allowed::refused(Reason::BadCert)],
    },
    Rule {
        id: "in.5.server-auth-only.external",
        clause: "XEP-0178 §3, RFC 5280 §4.2.1.12",
        says: "The certificate is good but for its purpose: EXTERNAL with it, or dialback, or, where \
               there is no dialback, an end.",
        holds: |given| server_auth_only(given) && given.sasl_tls(),
        ends: |given| {
            let mut ends = vec![Allowed::established(Method::SaslTls)];
            if given.tls_dialback() {
                ends.extend(verified(given, Method::TlsDialback));
            }
            or_purpose_refused(given, ends)
        },
    },
    Rule {
        id: "in.5.server-auth-only.dialback",
        clause: "XEP-0220 §2.2.1",
        says: "The certificate is good but for its purpose, and EXTERNAL is not common to both: \
               dialback over TLS.",
        holds: |given| server_auth_only(given) && given.tls_dialback(),
        ends: |given| or_purpose_refused(given, verified(given, Method::TlsDialback)),
    },
    Rule {
        id: "in.5.external",
        clause: "RFC 6120 §6.3.4, XEP-0178 §3 step 9",
        says: "Both sides have EXTERNAL over TLS.",
        holds: |given| given.certificate == CertificateClass::Good && given.sasl_tls(),
        ends: |_| vec![Allowed::established(Method::SaslTls)],
    },
    Rule {
        id: "in.5.dialback",
        clause: "XEP-0220 §2.2.1",
        says: "TLS is up and EXTERNAL is not common to both: dialback over TLS.",
        holds: |given| {
            given.certificate == CertificateClass::Good && given.tls_dialback() && given.verifies()
        },
        ends: |given| verified(given, Method::TlsDialback),
    },
    Rule {
        id: "in.5.dialback.verify",
        clause: "XEP-0220 §2.1.2, §2.5, XEP-0344 §2.4",
        says: "Dialback over TLS, and the authoritative server gives no plain answer; a trusted \
               certificate may make up for it.",
        holds: |given| given.certificate == CertificateClass::Good && given.tls_dialback(),
        ends: |given| verified(given, Method::TlsDialback),
    },
    Rule {
        id: "in.5.gives-up",
        clause: "RFC 6120 §6.4.2",
        says: "TLS is up, and the partner gives up without EXTERNAL.",
        holds: |given| shows_good(given) && given.needs_external,
        ends: |given| or_purpose_refused(given, vec![Allowed::refused(Reason::PeerGivesUp)]),
    },
    Rule {
        id: "in.5.no-method",
        clause: "RFC 6120 §6.4.5",
        says: "TLS is up and no method is common to both.",
        holds: shows_good,
        ends: |given| or_purpose_refused(given, vec![Allowed::refused(Reason::NoMethod)]),
    },
    // Whether the verify connection succeeds is open in each of these: the listener shows the
    // same bad certificate.
    Rule {
        id: "in.6.dialback.required",
        clause: "XEP-0178 §3 step 9, RFC 6120 §6.4.5, XEP-0220 §2.1.2",
        says: "The client certificate is not good: dialback over TLS, or an end, as the target asks \
               for EXTERNAL or for a certificate.",
        holds: |given| given.tls_dialback() && asks_for_certificate(given),
        ends: |given| or_bad_certificate(given, None),
    },
    Rule {
        id: "in.6.dialback",
        clause: "XEP-0178 §3 steps 7 and 9, XEP-0220 §2.1.2",
        says: "The client certificate is invalid: dialback over TLS.",
        holds: Premises::tls_dialback,
        ends: |given| or_bad_certificate(given, Some(DISABLES_DIALBACK)),
    },
    Rule {
        id: "in.6.bad-cert",
        clause: "XEP-0178 §3 step 7a, RFC 6120 §6.4.5",
        says: "The client certificate is invalid, and dialback over TLS is not common to both.",
        holds: |_| true,
        ends: |_| vec![Allowed::refused(Reason::BadCert)],
    },
];

fn without_tls(given: &Premises) -> bool {
    given.tls_level == Level::NotSupported
}

fn server_auth_only(given: &Premises) -> bool {
    given.certificate == CertificateClass::ServerAuthOnly
}

fn shows_good(given: &Premises) -> bool {
    given.certificate == CertificateClass::Good || server_auth_only(given)
}

/// Whether the target's settings call for refusing a bad certificate even if dialback is possible.
fn asks_for_certificate(given: &Premises) -> bool {
    given.sasl_level == Level::Required || given.strict_certificates
}

/// A certificate without clientAuth may be refused if the partner can still use
/// dialback, or if the target refuses invalid certificates.
fn or_purpose_refused(given: &Premises, mut ends: Vec<Allowed>) -> Vec<Allowed> {
    if server_auth_only(given) && (given.strict_certificates || !given.tls_dialback()) {
        ends.push(Allowed::refused(Reason::BadCert));
    }
    ends
}

fn or_bad_certificate(given: &Premises, warn: Option<&'static str>) -> Vec<Allowed> {
    let mut ends = verified(given, Method::TlsDialback);
    ends.push(Allowed {
        warn,
        ..Allowed::refused(Reason::BadCert)
    });
    ends
}

/// Step 0: what the target must show to a partner that dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// STARTTLS before TLS; never after it.
    pub starttls: Tls,
    /// The dialback namespace or feature before TLS.
    pub dialback_in_clear: bool,
    /// EXTERNAL after TLS; never before it.
    pub external_over_tls: bool,
    /// The dialback feature after TLS.
    pub dialback_over_tls: bool,
    /// A request for a client certificate in the handshake, without which EXTERNAL is out of reach.
    pub asks_for_certificate: bool,
}

impl Shown {
    /// What this partner must be shown. Meaningless if the policy allows no method.
    pub fn to(given: &Premises) -> Self {
        Self {
            starttls: match given.tls_level {
                Level::Required => Tls::Required,
                Level::Optional => Tls::Offered,
                Level::NotSupported => Tls::None,
            },
            dialback_in_clear: given.methods.tcp_dialback,
            external_over_tls: given.methods.sasl_tls
                && given.certificate == CertificateClass::Good,
            dialback_over_tls: given.methods.tls_dialback,
            asks_for_certificate: given.methods.sasl_tls,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use simulated_partners::persona::{Certificate, Deviations, Offer};

    use super::*;
    use crate::case::Direction;
    use crate::oracle::{Profile, Situation};
    use crate::policy::PolicyNumber;

    /// Marks: `c` dialback in clear, `E` EXTERNAL over TLS, `l` dialback over TLS, `r` certificate
    /// requested.
    #[rstest]
    #[case(1, Certificate::Good, Tls::Required, "Er")]
    #[case(7, Certificate::Good, Tls::Required, "Elr")]
    #[case(7, Certificate::Expired, Tls::Required, "lr")]
    #[case(9, Certificate::Good, Tls::Offered, "cElr")]
    #[case(13, Certificate::Good, Tls::Required, "l")]
    #[case(17, Certificate::Good, Tls::None, "c")]
    fn target_shows_what_its_policy_and_the_certificate_leave(
        #[case] row: u8,
        #[case] certificate: Certificate,
        #[case] starttls: Tls,
        #[case] marks: &str,
    ) {
        let partner = Offer {
            certificate,
            ..PolicyNumber::new(9).expect("1 to 18").policy().as_offer()
        };
        let shown = Shown::to(&Premises::of(&Situation {
            policy: PolicyNumber::new(row).expect("1 to 18").policy(),
            profile: Profile::default(),
            direction: Direction::Inbound,
            partner: &partner,
            facts: &Deviations::default(),
        }));
        assert_eq!(shown.starttls, starttls);
        let found: String = [
            (shown.dialback_in_clear, 'c'),
            (shown.external_over_tls, 'E'),
            (shown.dialback_over_tls, 'l'),
            (shown.asks_for_certificate, 'r'),
        ]
        .into_iter()
        .filter_map(|(holds, mark)| holds.then_some(mark))
        .collect();
        assert_eq!(found, marks);
    }
}
