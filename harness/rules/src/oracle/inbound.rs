//! The rules for a target that is dialled (steps 1 to 6; step 0, what it has to show, is in
//! [`Shown`]).

use simulated_partners::persona::{StarttlsFact, Tls};

use crate::outcome::Method;
use crate::policy::Level;

use super::rule::Rule;
use super::seen::{CertificateClass, Seen};
use super::verification::verified;
use crate::expectation::{Allowed, Reason};

const DISABLES_DIALBACK: &str = "closing for the certificate takes the way of dialback, too";

/// The table.
pub(super) static RULES: [Rule; 22] = [
    Rule {
        id: "in.1",
        clause: "Lync negotiation matrix, rows marked not valid",
        says: "The policy leaves no method: the configuration is refused, or nothing is accepted.",
        holds: |seen| seen.methods.is_empty(),
        ends: |_| vec![Allowed::refused(Reason::Config)],
    },
    Rule {
        id: "in.2.gives-up",
        clause: "RFC 6120 §5.3.1",
        says: "The target has no TLS, and the partner insists on TLS or EXTERNAL.",
        holds: |seen| without_tls(seen) && (seen.tls == Tls::Required || seen.needs_external),
        ends: |_| vec![Allowed::refused(Reason::PeerGivesUp)],
    },
    Rule {
        id: "in.2.dialback",
        clause: "XEP-0220 §2.2.1",
        says: "The target has no TLS: dialback in clear.",
        holds: |seen| without_tls(seen) && seen.tcp_dialback() && seen.verifies(),
        ends: |seen| verified(seen, Method::TcpDialback),
    },
    Rule {
        id: "in.2.dialback.verify",
        clause: "XEP-0220 §2.1.2, §2.5",
        says: "Dialback in clear, and the authoritative server gives no plain answer.",
        holds: |seen| without_tls(seen) && seen.tcp_dialback(),
        ends: |seen| verified(seen, Method::TcpDialback),
    },
    Rule {
        id: "in.2.no-method",
        clause: "RFC 6120 §4.3.3",
        says: "The target has no TLS, and dialback is not common to both.",
        holds: without_tls,
        ends: |_| vec![Allowed::refused(Reason::NoMethod)],
    },
    Rule {
        id: "in.3.no-tls",
        clause: "RFC 6120 §5.3.1, XEP-0220 §2.5",
        says: "The target demands TLS, and the partner does not use it.",
        holds: |seen| seen.tls == Tls::None && seen.demands_tls(),
        ends: |_| vec![Allowed::refused(Reason::NoTls)],
    },
    Rule {
        id: "in.3.gives-up",
        clause: "RFC 6120 §6.3.4",
        says: "The partner uses no TLS and gives up without EXTERNAL, which needs TLS.",
        holds: |seen| seen.tls == Tls::None && seen.needs_external,
        ends: |_| vec![Allowed::refused(Reason::PeerGivesUp)],
    },
    Rule {
        id: "in.3.dialback",
        clause: "XEP-0220 §2.2.1",
        says: "The partner uses no TLS, the target does not demand it: dialback in clear.",
        holds: |seen| seen.tls == Tls::None && seen.tcp_dialback() && seen.verifies(),
        ends: |seen| verified(seen, Method::TcpDialback),
    },
    Rule {
        id: "in.3.dialback.verify",
        clause: "XEP-0220 §2.1.2, §2.5",
        says: "Dialback in clear, and the authoritative server gives no plain answer.",
        holds: |seen| seen.tls == Tls::None && seen.tcp_dialback(),
        ends: |seen| verified(seen, Method::TcpDialback),
    },
    Rule {
        id: "in.3.no-method",
        clause: "RFC 6120 §4.3.3",
        says: "The partner uses no TLS, and dialback is not common to both.",
        holds: |seen| seen.tls == Tls::None,
        ends: |_| vec![Allowed::refused(Reason::NoMethod)],
    },
    Rule {
        id: "in.4.tls-fail",
        clause: "RFC 6120 §5.4.3.2",
        says: "The partner breaks the handshake.",
        holds: |seen| seen.starttls != StarttlsFact::Proceeds,
        ends: |_| vec![Allowed::refused(Reason::TlsFail)],
    },
    Rule {
        id: "in.4.strict",
        clause: "XEP-0178 §3 step 7a, RFC 6120 §13.7.2",
        says: "The client certificate cannot be verified, and the target demands one that can.",
        holds: |seen| seen.unverifiable() && seen.strict_certificates,
        ends: |_| vec![Allowed::refused(Reason::BadCert)],
    },
    Rule {
        id: "in.5.server-auth-only.external",
        clause: "XEP-0178 §3, RFC 5280 §4.2.1.12",
        says: "The certificate is good but for its purpose: EXTERNAL with it, or dialback, or, where \
               there is no dialback, an end.",
        holds: |seen| server_auth_only(seen) && seen.sasl_tls(),
        ends: |seen| {
            let mut ends = vec![Allowed::established(Method::SaslTls)];
            if seen.tls_dialback() {
                ends.extend(verified(seen, Method::TlsDialback));
            }
            or_purpose_refused(seen, ends)
        },
    },
    Rule {
        id: "in.5.server-auth-only.dialback",
        clause: "XEP-0220 §2.2.1",
        says: "The certificate is good but for its purpose, and EXTERNAL is not common to both: \
               dialback over TLS.",
        holds: |seen| server_auth_only(seen) && seen.tls_dialback(),
        ends: |seen| or_purpose_refused(seen, verified(seen, Method::TlsDialback)),
    },
    Rule {
        id: "in.5.external",
        clause: "XEP-0178 §3, RFC 6120 §6.4",
        says: "Both sides have EXTERNAL over TLS.",
        holds: |seen| seen.certificate == CertificateClass::Good && seen.sasl_tls(),
        ends: |_| vec![Allowed::established(Method::SaslTls)],
    },
    Rule {
        id: "in.5.dialback",
        clause: "XEP-0220 §2.2.1",
        says: "TLS is up and EXTERNAL not common to both: dialback over TLS.",
        holds: |seen| {
            seen.certificate == CertificateClass::Good && seen.tls_dialback() && seen.verifies()
        },
        ends: |seen| verified(seen, Method::TlsDialback),
    },
    Rule {
        id: "in.5.dialback.verify",
        clause: "XEP-0220 §2.1.2, §2.5, XEP-0344 §2.4",
        says: "Dialback over TLS, and the authoritative server gives no plain answer; a trusted \
               certificate may make up for it.",
        holds: |seen| seen.certificate == CertificateClass::Good && seen.tls_dialback(),
        ends: |seen| verified(seen, Method::TlsDialback),
    },
    Rule {
        id: "in.5.gives-up",
        clause: "RFC 6120 §6.4.2",
        says: "TLS is up, and the partner gives up without EXTERNAL.",
        holds: |seen| shows_good(seen) && seen.needs_external,
        ends: |seen| or_purpose_refused(seen, vec![Allowed::refused(Reason::PeerGivesUp)]),
    },
    Rule {
        id: "in.5.no-method",
        clause: "RFC 6120 §6.4.5",
        says: "TLS is up and no method common to both.",
        holds: shows_good,
        ends: |seen| or_purpose_refused(seen, vec![Allowed::refused(Reason::NoMethod)]),
    },
    // Whether the verify leg succeeds is open in each of these: the listener that is asked shows the
    // same bad certificate.
    Rule {
        id: "in.6.dialback.required",
        clause: "XEP-0178 §3 step 9, RFC 6120 §6.4.5, XEP-0220 §2.1.2",
        says: "The client certificate is not good: dialback over TLS, or an end, as the target asks \
               for EXTERNAL or for a certificate.",
        holds: |seen| seen.tls_dialback() && asks_for_certificate(seen),
        ends: |seen| or_bad_certificate(seen, None),
    },
    Rule {
        id: "in.6.dialback",
        clause: "XEP-0178 §3 steps 7 and 9, XEP-0220 §2.1.2",
        says: "The client certificate is not good: dialback over TLS.",
        holds: Seen::tls_dialback,
        ends: |seen| or_bad_certificate(seen, Some(DISABLES_DIALBACK)),
    },
    Rule {
        id: "in.6.bad-cert",
        clause: "XEP-0178 §3 step 7a, RFC 6120 §6.4.5",
        says: "The client certificate is not good, and dialback over TLS is not common to both.",
        holds: |_| true,
        ends: |_| vec![Allowed::refused(Reason::BadCert)],
    },
];

fn without_tls(seen: &Seen) -> bool {
    seen.tls_level == Level::NotSupported
}

fn server_auth_only(seen: &Seen) -> bool {
    seen.certificate == CertificateClass::ServerAuthOnly
}

fn shows_good(seen: &Seen) -> bool {
    seen.certificate == CertificateClass::Good || server_auth_only(seen)
}

/// Whether the target's settings speak for refusing a bad certificate even where dialback is left.
fn asks_for_certificate(seen: &Seen) -> bool {
    seen.sasl_level == Level::Required || seen.strict_certificates
}

/// A certificate without clientAuth may be refused where that is no dead end for a partner with
/// dialback, or where the target refuses what it cannot verify.
fn or_purpose_refused(seen: &Seen, mut ends: Vec<Allowed>) -> Vec<Allowed> {
    if server_auth_only(seen) && (seen.strict_certificates || !seen.tls_dialback()) {
        ends.push(Allowed::refused(Reason::BadCert));
    }
    ends
}

fn or_bad_certificate(seen: &Seen, warn: Option<&'static str>) -> Vec<Allowed> {
    let mut ends = verified(seen, Method::TlsDialback);
    ends.push(Allowed {
        warn,
        ..Allowed::refused(Reason::BadCert)
    });
    ends
}

/// Step 0: what the target has to show a dialling partner.
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
    /// What this partner has to be shown. Meaningless where the policy leaves no method.
    pub fn to(seen: &Seen) -> Self {
        Self {
            starttls: match seen.tls_level {
                Level::Required => Tls::Required,
                Level::Optional => Tls::Offered,
                Level::NotSupported => Tls::None,
            },
            dialback_in_clear: seen.methods.tcp_dialback,
            external_over_tls: seen.methods.sasl_tls && seen.certificate == CertificateClass::Good,
            dialback_over_tls: seen.methods.tls_dialback,
            asks_for_certificate: seen.methods.sasl_tls,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use simulated_partners::persona::{Certificate, Facts, Offer};

    use super::*;
    use crate::case::Direction;
    use crate::oracle::{Profile, Situation};
    use crate::policy::Row;

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
            ..Row::new(9).expect("1 to 18").policy().as_offer()
        };
        let shown = Shown::to(&Seen::of(&Situation {
            policy: Row::new(row).expect("1 to 18").policy(),
            profile: Profile::default(),
            direction: Direction::Inbound,
            partner: &partner,
            facts: &Facts::default(),
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
