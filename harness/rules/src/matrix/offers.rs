//! The partner offers of the set `offers`.

use simulated_partners::persona::{Certificate, Offer, Tls};

use crate::policy::Policy;

/// The certificates of the set, with their words in ids.
const CERTIFICATES: [(Certificate, &str); 5] = [
    (Certificate::Good, "good"),
    (Certificate::UnknownCa, "untrusted"),
    (Certificate::WrongName, "wrong"),
    (Certificate::Expired, "expired"),
    (Certificate::None, "nocert"),
];

/// Whether the parts of an offer can occur together in one server. Two rules:
///
/// - without TLS there is no certificate and no EXTERNAL;
/// - without a certificate there is no EXTERNAL.
///
/// An offer with no method at all is coherent: such servers exist.
pub fn coherent(offer: &Offer) -> bool {
    let certificate = offer.certificate != Certificate::None;
    let tls = offer.tls != Tls::None;
    (tls || !certificate) && (certificate || !offer.external)
}

/// All coherent offers with their names in ids, such as `offered-ext-db-good`.
pub fn offers() -> Vec<(String, Offer)> {
    let mut all = Vec::new();
    for (tls, tls_word) in [
        (Tls::None, "notls"),
        (Tls::Offered, "offered"),
        (Tls::Required, "required"),
        (Tls::Direct, "direct"),
    ] {
        for (external, external_word) in [(true, "ext"), (false, "noext")] {
            for (dialback, dialback_word) in [(true, "db"), (false, "nodb")] {
                for (certificate, certificate_word) in CERTIFICATES {
                    let offer = Offer {
                        tls,
                        external,
                        dialback,
                        needs_external: false,
                        certificate,
                        ..Policy::LEAST.as_offer()
                    };
                    if coherent(&offer) {
                        let name = format!(
                            "{tls_word}-{external_word}-{dialback_word}-{certificate_word}"
                        );
                        all.push((name, offer));
                    }
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coherent_offers_are_56_of_80() {
        let all = offers();
        assert_eq!(all.len(), 56);
        let clear: Vec<&str> = all
            .iter()
            .filter(|(_, offer)| offer.tls == Tls::None)
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(clear, ["notls-noext-db-nocert", "notls-noext-nodb-nocert"]);
    }

    #[test]
    fn external_without_certificate_is_incoherent_and_with_one_coherent() {
        let (_, good) = offers()
            .into_iter()
            .find(|(name, _)| name == "offered-ext-db-good")
            .expect("coherent");
        assert!(coherent(&good));
        let certificate = Certificate::None;
        assert!(!coherent(&Offer {
            certificate,
            ..good
        }));
    }
}
