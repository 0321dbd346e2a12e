//! What the target may not do, whatever the end is: the downgrades that no set of the oracle holds.

use std::fmt;

use simulated_partners::persona::Tls;

use crate::matrix::Direction;
use crate::policy::Level;

use super::seen::{CertificateClass, Seen};
use super::situation::Situation;

/// Something that the target does on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Offers EXTERNAL, or sends `<auth/>`, on a stream without TLS (RFC 6120 §6.3.4).
    ExternalInClear,
    /// Sends `<auth/>`.
    Auth,
    /// Answers `<auth/>` with `<success/>`.
    Success,
    /// Sends an untyped `db:result` on a stream without TLS.
    KeyInClear,
    /// Sends an untyped `db:result` over TLS.
    KeyOverTls,
    /// Calls a key valid on a stream without TLS.
    ValidInClear,
    /// Calls a key valid over TLS.
    ValidOverTls,
    /// Sends an untyped `db:verify` on a stream without TLS.
    VerifyInClear,
    /// Sends a stanza on a stream without TLS.
    StanzaInClear,
    /// Sends a stanza, or takes one, before the stream is authenticated (RFC 6120 §4.9.3.12).
    StanzaBeforeAuthentication,
    /// Sends `<starttls/>`, or answers it with `<proceed/>`.
    Starttls,
}

impl Deed {
    /// All deeds.
    pub const ALL: [Self; 11] = [
        Self::ExternalInClear,
        Self::Auth,
        Self::Success,
        Self::KeyInClear,
        Self::KeyOverTls,
        Self::ValidInClear,
        Self::ValidOverTls,
        Self::VerifyInClear,
        Self::StanzaInClear,
        Self::StanzaBeforeAuthentication,
        Self::Starttls,
    ];
}

impl fmt::Display for Deed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::ExternalInClear => "offered or used EXTERNAL without TLS",
            Self::Auth => "sent <auth/>",
            Self::Success => "answered <auth/> with <success/>",
            Self::KeyInClear => "sent a dialback key without TLS",
            Self::KeyOverTls => "sent a dialback key over TLS",
            Self::ValidInClear => "called a dialback key valid without TLS",
            Self::ValidOverTls => "called a dialback key valid over TLS",
            Self::VerifyInClear => "asked for a key's verification without TLS",
            Self::StanzaInClear => "sent a stanza without TLS",
            Self::StanzaBeforeAuthentication => "sent a stanza before authentication",
            Self::Starttls => "took up STARTTLS",
        })
    }
}

/// What the target may not do in this situation, in order.
///
/// Answers to an established probe travel in the other direction: ask for it with the direction
/// flipped.
pub fn never(situation: &Situation<'_>) -> Vec<Deed> {
    let seen = Seen::of(situation);
    Deed::ALL
        .into_iter()
        .filter(|deed| forbidden(*deed, situation.direction, &seen))
        .collect()
}

fn forbidden(deed: Deed, direction: Direction, seen: &Seen) -> bool {
    let outbound = direction == Direction::Outbound;
    match deed {
        Deed::ExternalInClear | Deed::StanzaBeforeAuthentication => true,
        Deed::Auth => {
            !outbound
                || !seen.methods.sasl_tls
                || seen.tls == Tls::None
                // With both required a certificate that is not good ends it before <auth/>.
                || (seen.unverifiable()
                    && seen.demands_tls()
                    && seen.sasl_level == Level::Required)
        }
        Deed::Success => {
            outbound
                || !seen.methods.sasl_tls
                || seen.tls == Tls::None
                || seen.unverifiable()
                || seen.certificate == CertificateClass::None
        }
        Deed::KeyInClear => !outbound || !seen.methods.tcp_dialback,
        Deed::KeyOverTls => !outbound || !seen.methods.tls_dialback,
        Deed::ValidInClear => outbound || !seen.methods.tcp_dialback,
        Deed::ValidOverTls => outbound || !seen.methods.tls_dialback,
        Deed::VerifyInClear => outbound || seen.demands_tls(),
        Deed::StanzaInClear => !seen.methods.tcp_dialback,
        Deed::Starttls => seen.tls_level == Level::NotSupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Profile;
    use crate::policy::Row;
    use simulated_partners::persona::{Certificate, Facts, Offer};

    fn deeds(row: u8, direction: Direction, partner: &Offer) -> Vec<Deed> {
        never(&Situation {
            policy: Row::new(row).expect("1 to 18").policy(),
            profile: Profile::default(),
            direction,
            partner,
            facts: &Facts::default(),
        })
    }

    fn partner(certificate: Certificate) -> Offer {
        Offer {
            certificate,
            ..Row::new(9).expect("1 to 18").policy().as_offer()
        }
    }

    #[test]
    fn required_tls_forbids_all_in_clear() {
        let clear = [Deed::KeyInClear, Deed::ValidInClear, Deed::StanzaInClear];
        for direction in [Direction::Outbound, Direction::Inbound] {
            for deed in clear {
                assert!(deeds(7, direction, &partner(Certificate::Good)).contains(&deed));
            }
        }
        assert!(
            !deeds(9, Direction::Outbound, &partner(Certificate::Good)).contains(&Deed::KeyInClear)
        );
    }

    #[test]
    fn auth_is_forbidden_to_a_stranger_where_sasl_is_required() {
        let auth = |row, certificate| {
            deeds(row, Direction::Outbound, &partner(certificate)).contains(&Deed::Auth)
        };
        assert!(auth(1, Certificate::UnknownCa));
        assert!(!auth(1, Certificate::Good));
        assert!(!auth(7, Certificate::UnknownCa));
    }

    #[test]
    fn success_is_forbidden_for_a_bad_certificate() {
        let success = |certificate| {
            deeds(7, Direction::Inbound, &partner(certificate)).contains(&Deed::Success)
        };
        assert!(success(Certificate::Expired));
        assert!(success(Certificate::None));
        assert!(!success(Certificate::Good));
        assert!(!success(Certificate::NoClientAuth));
    }
}
