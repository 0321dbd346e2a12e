//! The rules for a target that dials (steps 1 to 7).

use simulated_partners::persona::{ExternalFact, StreamFact, Tls};

use crate::outcome::Method;
use crate::policy::Level;

use super::premises::{CertificateClass, Premises};
use super::rule::{Rule, decide};
use crate::expectation::{Allowed, End, Reason};

const TLS_NOT_USED: &str = "TLS was offered and not used";
const DOWNGRADABLE: &str = "downgradable: after TLS failed, plaintext was tried";
const NOT_SO_OLD: &str = "the target does not support servers older than XMPP 1.0";
const NOT_AUTHENTICATED: &str = "the partner is not authenticated: its certificate is invalid";
const AUTH_TO_STRANGER: &str = "EXTERNAL was used with a partner whose certificate is invalid";

/// The table.
pub(super) static RULES: [Rule; 25] = [
    Rule {
        id: "out.1",
        clause: "Lync negotiation matrix, rows marked not valid",
        says: "The policy allows no method: the configuration is rejected, or nothing is negotiated.",
        holds: |given| given.methods.is_empty(),
        ends: |_| vec![Allowed::refused(Reason::Config)],
    },
    Rule {
        id: "out.2.unreachable",
        clause: "RFC 6120 §3.2",
        says: "Nothing listens where DNS points.",
        holds: |given| !given.reachable,
        ends: |_| vec![Allowed::refused(Reason::PeerBroken)],
    },
    Rule {
        id: "out.2.silent",
        clause: "RFC 6120 §4.2",
        says: "The partner never answers the stream header: the target gives up in bounded time.",
        holds: |given| given.stream == StreamFact::Silent,
        ends: |_| vec![Allowed::refused(Reason::PeerBroken)],
    },
    Rule {
        id: "out.2.reset",
        clause: "RFC 6120 §4.3.2",
        says: "The partner resets the connection before its features.",
        holds: |given| given.stream == StreamFact::ResetAtFeatures,
        ends: |_| vec![Allowed::refused(Reason::PeerBroken)],
    },
    Rule {
        id: "out.2.no-id",
        clause: "RFC 6120 §4.7.3",
        says: "A response header without id carries no dialback. The target closes, or goes on with \
               what needs no id.",
        holds: |given| given.stream == StreamFact::NoId,
        ends: |given| {
            let without_dialback = Premises {
                stream: StreamFact::Normal,
                dialback: false,
                ..given.clone()
            };
            let mut ends = vec![Allowed::refused(Reason::PeerBroken)];
            ends.extend(decide(&RULES, &without_dialback).allowed);
            ends
        },
    },
    Rule {
        id: "out.2.no-version.no-tls",
        clause: "RFC 6120 §4.7.5, XEP-0238 cell 4→1",
        says: "A header without version has no features, so no STARTTLS, and the target requires TLS.",
        holds: |given| given.stream == StreamFact::NoVersion && given.demands_tls(),
        ends: |_| {
            vec![
                Allowed::refused(Reason::NoTls),
                Allowed::refused(Reason::PeerBroken),
            ]
        },
    },
    Rule {
        id: "out.2.no-version",
        clause: "RFC 6120 §4.7.5",
        says: "A header without version has no features: plaintext dialback, without waiting for them.",
        holds: |given| given.stream == StreamFact::NoVersion,
        ends: |given| {
            let plain = plaintext(given);
            let too_old = Allowed::refused(Reason::PeerBroken);
            // With dialback disabled, such an old server has no method left.
            let too_old = match plain.end {
                End::Established(_) => too_old.warned(NOT_SO_OLD),
                End::Refused(_) => too_old,
            };
            vec![plain, too_old]
        },
    },
    Rule {
        id: "out.2.namespace",
        clause: "XEP-0220 §2.4.1",
        says: "The partner wants xmlns:db on every header; a target that can't use dialback in clear \
               need not declare it.",
        holds: |given| given.needs_db_namespace && !given.methods.tcp_dialback,
        ends: |given| {
            let content = Premises {
                needs_db_namespace: false,
                ..given.clone()
            };
            let mut ends = decide(&RULES, &content).allowed;
            ends.push(Allowed::refused(Reason::PeerGivesUp));
            ends
        },
    },
    Rule {
        id: "out.3.direct",
        clause: "XEP-0368 §3",
        says: "The partner has records for direct TLS alone, and the target uses no TLS: there is \
               nobody to dial.",
        holds: |given| given.tls_level == Level::NotSupported && given.tls == Tls::Direct,
        ends: |_| vec![Allowed::refused(Reason::PeerBroken)],
    },
    Rule {
        id: "out.3.peer-tls",
        clause: "RFC 6120 §5.3.1, §4.9.3.23",
        says: "The partner requires TLS, which the target does not use.",
        holds: |given| given.tls_level == Level::NotSupported && given.tls == Tls::Required,
        ends: |_| vec![Allowed::refused(Reason::PeerTls)],
    },
    Rule {
        id: "out.4.no-tls",
        clause: "RFC 7590 §3.1",
        says: "The target requires TLS, which the partner does not offer.",
        holds: |given| given.tls == Tls::None && given.demands_tls(),
        ends: |_| vec![Allowed::refused(Reason::NoTls)],
    },
    Rule {
        id: "out.5.clear-retry",
        clause: "RFC 6120 §5.4.2.2, §5.4.3.2",
        says: "STARTTLS or the handshake fails: the target gives up, or dials again for dialback in \
               clear, which neither side forbids.",
        holds: |given| given.tries_tls() && !given.handshake_completes() && given.tcp_dialback(),
        ends: |_| {
            vec![
                Allowed::refused(Reason::TlsFail),
                Allowed::established(Method::TcpDialback).warned(DOWNGRADABLE),
            ]
        },
    },
    Rule {
        id: "out.5.tls-fail",
        clause: "RFC 6120 §5.4.2.2, §5.4.3.2",
        says: "STARTTLS or the handshake fails, and no method works without TLS.",
        holds: |given| given.tries_tls() && !given.handshake_completes(),
        ends: |_| vec![Allowed::refused(Reason::TlsFail)],
    },
    Rule {
        id: "out.6.good.external",
        clause: "XEP-0178 §3 step 10, RFC 6120 §6.4",
        says: "Both sides have EXTERNAL over TLS: the best method is used.",
        holds: |given| {
            over_good_tls(given)
                && given.sasl_tls()
                && given.external_result == ExternalFact::Accepted
        },
        ends: |given| tls_expected(given, vec![Allowed::established(Method::SaslTls)]),
    },
    Rule {
        id: "out.6.good.external-kept",
        clause: "XEP-0178 §3 step 11b",
        says: "EXTERNAL is refused and the stream kept: dialback on it or on a new one, or the end.",
        holds: |given| {
            over_good_tls(given)
                && given.sasl_tls()
                && given.tls_dialback()
                && given.external_result == ExternalFact::RefusedKept
        },
        ends: after_external_failed,
    },
    Rule {
        id: "out.6.good.external-closed",
        clause: "XEP-0178 §3 step 11b",
        says: "EXTERNAL is refused and the stream closed: dialback on a new one, or the end.",
        holds: |given| over_good_tls(given) && given.sasl_tls() && given.tls_dialback(),
        ends: after_external_failed,
    },
    Rule {
        id: "out.6.good.external-failed",
        clause: "RFC 6120 §6.4.5",
        says: "EXTERNAL is refused, and dialback is not available.",
        holds: |given| over_good_tls(given) && given.sasl_tls(),
        ends: |given| {
            let mut ends = vec![Allowed::refused(Reason::SaslFail)];
            ends.extend(dialback_in_vain(given));
            tls_expected(given, ends)
        },
    },
    Rule {
        id: "out.6.good.dialback",
        clause: "XEP-0220 §2.1.1",
        says: "TLS is up and EXTERNAL is not common to both: dialback over TLS.",
        holds: |given| over_good_tls(given) && given.tls_dialback(),
        ends: |given| tls_expected(given, vec![Allowed::established(Method::TlsDialback)]),
    },
    Rule {
        id: "out.6.good.no-method",
        clause: "RFC 6120 §4.3.5",
        says: "TLS is up and no method is common to both.",
        holds: over_good_tls,
        ends: |given| tls_expected(given, vec![Allowed::refused(Reason::NoMethod)]),
    },
    Rule {
        id: "out.6.bad.strict",
        clause: "RFC 6120 §13.7.2",
        says: "The certificate is invalid, and the target requires a valid one.",
        holds: |given| {
            given.tries_tls()
                && (given.strict_certificates
                    || (given.demands_tls() && given.sasl_level == Level::Required))
        },
        ends: |given| tls_expected(given, vec![Allowed::refused(Reason::BadCert)]),
    },
    Rule {
        id: "out.6.bad.dialback",
        clause: "RFC 7590 §3.4, RFC 6120 §13.7.2",
        says: "The certificate is invalid: dialback over the encrypted stream, or the end.",
        holds: |given| given.tries_tls() && given.tls_dialback(),
        ends: |given| {
            let mut ends = vec![
                Allowed::established(Method::TlsDialback),
                Allowed::refused(Reason::BadCert),
            ];
            ends.extend(external_to_stranger(given));
            tls_expected(given, ends)
        },
    },
    Rule {
        id: "out.6.bad.external",
        clause: "RFC 6120 §13.7.2",
        says: "The certificate is invalid, and EXTERNAL would be the only method.",
        holds: |given| given.tries_tls() && given.sasl_tls(),
        ends: |given| {
            let mut ends = vec![Allowed::refused(Reason::BadCert)];
            ends.extend(dialback_in_vain(given));
            if given.sasl_level != Level::Required {
                ends.extend(external_to_stranger(given));
            }
            tls_expected(given, ends)
        },
    },
    Rule {
        id: "out.6.bad.no-method",
        clause: "RFC 6120 §13.7.2, §4.3.5",
        says: "The certificate is invalid, and no method is common to both.",
        holds: Premises::tries_tls,
        ends: |given| {
            let ends = vec![
                Allowed::refused(Reason::BadCert),
                Allowed::refused(Reason::NoMethod),
            ];
            tls_expected(given, ends)
        },
    },
    Rule {
        id: "out.7.dialback",
        clause: "XEP-0220 §2.1.1",
        says: "Without TLS there is dialback.",
        holds: Premises::tcp_dialback,
        ends: |_| vec![Allowed::established(Method::TcpDialback)],
    },
    Rule {
        id: "out.7.no-method",
        clause: "RFC 6120 §4.3.5",
        says: "Without TLS no method is common to both.",
        holds: |_| true,
        ends: |_| vec![Allowed::refused(Reason::NoMethod)],
    },
];

fn over_good_tls(given: &Premises) -> bool {
    given.tries_tls() && given.certificate == CertificateClass::Good
}

/// Step 7 for a stream without TLS.
fn plaintext(given: &Premises) -> Allowed {
    if given.tcp_dialback() {
        Allowed::established(Method::TcpDialback)
    } else {
        Allowed::refused(Reason::NoMethod)
    }
}

/// Adds the legal choice not to use TLS if both sides make it optional.
fn tls_expected(given: &Premises, mut ends: Vec<Allowed>) -> Vec<Allowed> {
    if given.may_skip_tls() && given.tcp_dialback() {
        ends.push(Allowed::established(Method::TcpDialback).warned(TLS_NOT_USED));
    }
    ends
}

fn after_external_failed(given: &Premises) -> Vec<Allowed> {
    let ends = vec![
        Allowed::established(Method::TlsDialback),
        Allowed::refused(Reason::SaslFail),
    ];
    tls_expected(given, ends)
}

/// A target with dialback may learn by trying that the partner refuses it.
fn dialback_in_vain(given: &Premises) -> Option<Allowed> {
    given
        .methods
        .tls_dialback
        .then(|| Allowed::refused(Reason::NoMethod))
}

/// EXTERNAL authenticates only the initiating side, so it works with a partner whose own
/// certificate is invalid.
fn external_to_stranger(given: &Premises) -> Option<Allowed> {
    if !given.sasl_tls() {
        return None;
    }
    Some(match given.external_result {
        ExternalFact::Accepted => Allowed::established(Method::SaslTls).warned(NOT_AUTHENTICATED),
        ExternalFact::RefusedKept | ExternalFact::RefusedClosed => {
            Allowed::refused(Reason::SaslFail).warned(AUTH_TO_STRANGER)
        }
    })
}
