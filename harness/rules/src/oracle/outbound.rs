//! The rules for a target that dials (steps 1 to 7).

use simulated_partners::persona::{ExternalFact, StreamFact, Tls};

use crate::case::Direction;
use crate::outcome::Method;
use crate::policy::Level;

use super::rule::{Rule, decide};
use super::seen::{CertificateClass, Seen};
use crate::expectation::{Allowed, End, Reason};

const TLS_NOT_USED: &str = "TLS was offered and not used";
const DOWNGRADABLE: &str = "downgradable: after TLS failed, plaintext was tried";
const NOT_SO_OLD: &str = "the target does not speak to servers older than XMPP 1.0";
const NOT_AUTHENTICATED: &str = "the partner is not authenticated: its certificate is not good";
const AUTH_TO_STRANGER: &str = "EXTERNAL was tried with a partner whose certificate is not good";

/// The table.
pub(super) static RULES: [Rule; 24] = [
    Rule {
        id: "out.1",
        clause: "Lync negotiation matrix, rows marked not valid",
        says: "The policy leaves no method: the configuration is refused, or nothing is negotiated.",
        holds: |seen| seen.methods.is_empty(),
        ends: |_| vec![Allowed::refused(Reason::Config)],
    },
    Rule {
        id: "out.2.unreachable",
        clause: "RFC 6120 §3.2",
        says: "Nobody listens where DNS points to.",
        holds: |seen| !seen.reachable,
        ends: |_| vec![Allowed::refused(Reason::PeerBroken)],
    },
    Rule {
        id: "out.2.silent",
        clause: "RFC 6120 §4.2",
        says: "The partner never answers the stream header: the target gives up in bounded time.",
        holds: |seen| seen.stream == StreamFact::Silent,
        ends: |_| vec![Allowed::refused(Reason::PeerBroken)],
    },
    Rule {
        id: "out.2.reset",
        clause: "RFC 6120 §4.3.2",
        says: "The partner resets the connection before its features.",
        holds: |seen| seen.stream == StreamFact::ResetAtFeatures,
        ends: |_| vec![Allowed::refused(Reason::PeerBroken)],
    },
    Rule {
        id: "out.2.no-id",
        clause: "RFC 6120 §4.7.3",
        says: "A response header without id carries no dialback. The target closes, or goes on with \
               what needs no id.",
        holds: |seen| seen.stream == StreamFact::NoId,
        ends: |seen| {
            let without_dialback = Seen {
                stream: StreamFact::Normal,
                dialback: false,
                ..seen.clone()
            };
            let mut ends = vec![Allowed::refused(Reason::PeerBroken)];
            ends.extend(decide(Direction::Outbound, &without_dialback).allowed);
            ends
        },
    },
    Rule {
        id: "out.2.no-version.no-tls",
        clause: "RFC 6120 §4.7.5, XEP-0238 cell 4→1",
        says: "A header without version has no features, so no STARTTLS, and the target demands TLS.",
        holds: |seen| seen.stream == StreamFact::NoVersion && seen.demands_tls(),
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
        says: "A header without version has no features: dialback in clear, without waiting for them.",
        holds: |seen| seen.stream == StreamFact::NoVersion,
        ends: |seen| {
            let plain = plaintext(seen);
            let too_old = Allowed::refused(Reason::PeerBroken);
            // Where dialback is off, there is nothing that so old a server could do.
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
        holds: |seen| seen.needs_db_namespace && !seen.methods.tcp_dialback,
        ends: |seen| {
            let content = Seen {
                needs_db_namespace: false,
                ..seen.clone()
            };
            let mut ends = decide(Direction::Outbound, &content).allowed;
            ends.push(Allowed::refused(Reason::PeerGivesUp));
            ends
        },
    },
    Rule {
        id: "out.3.peer-tls",
        clause: "RFC 6120 §5.3.1, §4.9.3.23",
        says: "The partner demands TLS, which the target does not use.",
        holds: |seen| seen.tls_level == Level::NotSupported && seen.tls == Tls::Required,
        ends: |_| vec![Allowed::refused(Reason::PeerTls)],
    },
    Rule {
        id: "out.4.no-tls",
        clause: "RFC 7590 §3.1",
        says: "The target demands TLS, which the partner does not offer.",
        holds: |seen| seen.tls == Tls::None && seen.demands_tls(),
        ends: |_| vec![Allowed::refused(Reason::NoTls)],
    },
    Rule {
        id: "out.5.clear-retry",
        clause: "RFC 6120 §5.4.2.2, §5.4.3.2",
        says: "STARTTLS or the handshake fails: the target gives up, or dials again for dialback in \
               clear, which neither side forbids.",
        holds: |seen| seen.tries_tls() && !seen.handshake_completes() && seen.tcp_dialback(),
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
        says: "STARTTLS or the handshake fails, and there is no way without TLS.",
        holds: |seen| seen.tries_tls() && !seen.handshake_completes(),
        ends: |_| vec![Allowed::refused(Reason::TlsFail)],
    },
    Rule {
        id: "out.6.good.external",
        clause: "XEP-0178 §3, RFC 6120 §6.4",
        says: "Both sides have EXTERNAL over TLS: the best method is used.",
        holds: |seen| {
            over_good_tls(seen) && seen.sasl_tls() && seen.external_result == ExternalFact::Accepted
        },
        ends: |seen| tls_expected(seen, vec![Allowed::established(Method::SaslTls)]),
    },
    Rule {
        id: "out.6.good.external-kept",
        clause: "XEP-0178 §3 step 11b",
        says: "EXTERNAL is refused and the stream kept: dialback on it or on a new one, or an end.",
        holds: |seen| {
            over_good_tls(seen)
                && seen.sasl_tls()
                && seen.tls_dialback()
                && seen.external_result == ExternalFact::RefusedKept
        },
        ends: after_external_failed,
    },
    Rule {
        id: "out.6.good.external-closed",
        clause: "XEP-0178 §3 step 11b",
        says: "EXTERNAL is refused and the stream closed: dialback on a new one, or an end.",
        holds: |seen| over_good_tls(seen) && seen.sasl_tls() && seen.tls_dialback(),
        ends: after_external_failed,
    },
    Rule {
        id: "out.6.good.external-failed",
        clause: "RFC 6120 §6.4.5",
        says: "EXTERNAL is refused, and dialback is no way round it.",
        holds: |seen| over_good_tls(seen) && seen.sasl_tls(),
        ends: |seen| {
            let mut ends = vec![Allowed::refused(Reason::SaslFail)];
            ends.extend(dialback_in_vain(seen));
            tls_expected(seen, ends)
        },
    },
    Rule {
        id: "out.6.good.dialback",
        clause: "XEP-0220 §2.1.1",
        says: "TLS is up and EXTERNAL not common to both: dialback over TLS.",
        holds: |seen| over_good_tls(seen) && seen.tls_dialback(),
        ends: |seen| tls_expected(seen, vec![Allowed::established(Method::TlsDialback)]),
    },
    Rule {
        id: "out.6.good.no-method",
        clause: "RFC 6120 §4.3.3",
        says: "TLS is up and no method common to both.",
        holds: over_good_tls,
        ends: |seen| tls_expected(seen, vec![Allowed::refused(Reason::NoMethod)]),
    },
    Rule {
        id: "out.6.bad.strict",
        clause: "RFC 6120 §13.7.2",
        says: "The certificate is not good, and the target demands a good one.",
        holds: |seen| {
            seen.tries_tls()
                && (seen.strict_certificates
                    || (seen.demands_tls() && seen.sasl_level == Level::Required))
        },
        ends: |seen| tls_expected(seen, vec![Allowed::refused(Reason::BadCert)]),
    },
    Rule {
        id: "out.6.bad.dialback",
        clause: "RFC 7590 §3.4, RFC 6120 §13.7.2",
        says: "The certificate is not good: dialback over the encrypted stream, or an end.",
        holds: |seen| seen.tries_tls() && seen.tls_dialback(),
        ends: |seen| {
            let mut ends = vec![
                Allowed::established(Method::TlsDialback),
                Allowed::refused(Reason::BadCert),
            ];
            ends.extend(external_to_stranger(seen));
            tls_expected(seen, ends)
        },
    },
    Rule {
        id: "out.6.bad.external",
        clause: "RFC 6120 §13.7.2",
        says: "The certificate is not good, and EXTERNAL would be the only way.",
        holds: |seen| seen.tries_tls() && seen.sasl_tls(),
        ends: |seen| {
            let mut ends = vec![Allowed::refused(Reason::BadCert)];
            ends.extend(dialback_in_vain(seen));
            if seen.sasl_level != Level::Required {
                ends.extend(external_to_stranger(seen));
            }
            tls_expected(seen, ends)
        },
    },
    Rule {
        id: "out.6.bad.no-method",
        clause: "RFC 6120 §13.7.2, §4.3.3",
        says: "The certificate is not good, and no method is common to both.",
        holds: Seen::tries_tls,
        ends: |seen| {
            let ends = vec![
                Allowed::refused(Reason::BadCert),
                Allowed::refused(Reason::NoMethod),
            ];
            tls_expected(seen, ends)
        },
    },
    Rule {
        id: "out.7.dialback",
        clause: "XEP-0220 §2.1.1",
        says: "Without TLS there is dialback.",
        holds: Seen::tcp_dialback,
        ends: |_| vec![Allowed::established(Method::TcpDialback)],
    },
    Rule {
        id: "out.7.no-method",
        clause: "RFC 6120 §4.3.3",
        says: "Without TLS no method is common to both.",
        holds: |_| true,
        ends: |_| vec![Allowed::refused(Reason::NoMethod)],
    },
];

fn over_good_tls(seen: &Seen) -> bool {
    seen.tries_tls() && seen.certificate == CertificateClass::Good
}

/// Step 7 for a stream that never had TLS.
fn plaintext(seen: &Seen) -> Allowed {
    if seen.tcp_dialback() {
        Allowed::established(Method::TcpDialback)
    } else {
        Allowed::refused(Reason::NoMethod)
    }
}

/// Adds what remains legal where both sides leave TLS open: not to use it.
fn tls_expected(seen: &Seen, mut ends: Vec<Allowed>) -> Vec<Allowed> {
    if seen.may_skip_tls() && seen.tcp_dialback() {
        ends.push(Allowed::established(Method::TcpDialback).warned(TLS_NOT_USED));
    }
    ends
}

fn after_external_failed(seen: &Seen) -> Vec<Allowed> {
    let ends = vec![
        Allowed::established(Method::TlsDialback),
        Allowed::refused(Reason::SaslFail),
    ];
    tls_expected(seen, ends)
}

/// A target that has dialback may find out by trying that the partner refuses it.
fn dialback_in_vain(seen: &Seen) -> Option<Allowed> {
    seen.methods
        .tls_dialback
        .then(|| Allowed::refused(Reason::NoMethod))
}

/// EXTERNAL authenticates the initiating side only, so it can run with a partner whose own
/// certificate is not good.
fn external_to_stranger(seen: &Seen) -> Option<Allowed> {
    if !seen.sasl_tls() {
        return None;
    }
    Some(match seen.external_result {
        ExternalFact::Accepted => Allowed::established(Method::SaslTls).warned(NOT_AUTHENTICATED),
        ExternalFact::RefusedKept | ExternalFact::RefusedClosed => {
            Allowed::refused(Reason::SaslFail).warned(AUTH_TO_STRANGER)
        }
    })
}
