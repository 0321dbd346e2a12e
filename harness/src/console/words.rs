//! Descriptions of cases, in the same words everywhere.

use std::fmt::Display;

use simulated_partners::persona::{Key, Offer, Tls, TlsVersion};

use super::shown::shown;
use crate::case::Direction;
use crate::expectation::Allowed;
use crate::outcome::{Outcome, Refusal, outcome_text};
use crate::policy::{Level, Policy};
use crate::record::Record;
use crate::verdict::Verdict;

/// A number of things, such as `1 case` or `2 policies`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, one: &str) -> String {
    match one.strip_suffix('y') {
        _ if number == N::from(1) => format!("1 {one}"),
        Some(start) => format!("{number} {start}ies"),
        None => format!("{number} {one}s"),
    }
}

/// All allowed ends, expected first, tolerated ones marked.
pub fn allowed_text(allowed: &[Allowed]) -> String {
    let ends: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    ends.join(" or ")
}

/// How a case ended and what else was wrong.
pub fn shown_text(record: &Record) -> String {
    if !record.result.case.script.by_oracle() && record.verdict == Verdict::Pass {
        return "everything that must be seen".to_owned();
    }
    shown(&record.result).unwrap_or_else(|| outcome_text(None))
}

/// The sign of a refusal, to group by: `stream error policy-violation`.
pub fn reason_text(outcome: Option<&Outcome>) -> Option<String> {
    match outcome {
        Some(Outcome::Refused(Refusal { signal, .. })) => Some(signal.to_string()),
        Some(Outcome::Established(_) | Outcome::Stalled(_)) | None => None,
    }
}

/// `TLS required, SASL optional, dialback on`.
pub fn describe_policy(policy: &Policy) -> String {
    const fn level(level: Level) -> &'static str {
        match level {
            Level::Required => "required",
            Level::Optional => "optional",
            Level::NotSupported => "not supported",
        }
    }
    format!(
        "TLS {}, SASL {}, dialback {}",
        level(policy.tls),
        level(policy.sasl),
        if policy.dialback { "on" } else { "off" }
    )
}

/// Who dials, in a clause.
pub const fn describe_direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Outbound => "the target dials the partner",
        Direction::Inbound => "the partner dials the target",
    }
}

/// What a partner offers, in a clause: `STARTTLS offered, EXTERNAL, dialback, certificate good`.
pub fn describe_offer(offer: &Offer) -> String {
    let mut parts = Vec::new();
    parts.push(match offer.tls {
        Tls::None => "no STARTTLS".to_owned(),
        Tls::Offered => "STARTTLS offered".to_owned(),
        Tls::Required => "STARTTLS required".to_owned(),
        Tls::Direct => "direct TLS".to_owned(),
    });
    parts.push(match (offer.external, offer.needs_external) {
        (true, true) => "EXTERNAL demanded".to_owned(),
        (true, false) => "EXTERNAL".to_owned(),
        (false, true) => "EXTERNAL required but not offered".to_owned(),
        (false, false) => "no EXTERNAL".to_owned(),
    });
    if offer.external_on_plaintext {
        parts.push("EXTERNAL also before TLS".to_owned());
    }
    parts.push(match (offer.dialback, offer.insists_on_db_namespace) {
        (true, true) => "dialback where the header declares `xmlns:db`".to_owned(),
        (true, false) => "dialback".to_owned(),
        (false, _) => "no dialback".to_owned(),
    });
    if offer.tls != Tls::None {
        parts.push(format!("certificate {}", offer.certificate));
        match offer.key {
            Key::P256 => {}
            Key::Rsa2048 => parts.push("RSA key".to_owned()),
            Key::Ed25519 => parts.push("Ed25519 key".to_owned()),
        }
        match offer.tls_versions.as_slice() {
            [TlsVersion::V12] => parts.push("TLS 1.2 only".to_owned()),
            [TlsVersion::V13] => parts.push("TLS 1.3 only".to_owned()),
            _ => {}
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(1_usize, "case"), "1 case");
        assert_eq!(counted(0_u64, "case"), "0 cases");
        assert_eq!(counted(2_u8, "policy"), "2 policies");
    }
}
