//! A third oracle: the 36 cells of XEP-0238, a service that dials against a service that listens.
//! If the table and the text of the document differ, both count.

use simulated_partners::persona::{Certificate, Deviations, Offer, StreamFact, Tls};
use strum::VariantArray;

use crate::outcome::Method;
use crate::policy::{Level, Policy};

/// The name of this source.
pub(super) const SOURCE: &str = "XEP-0238";

/// The kinds of services that the document distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum Service {
    /// 1: dialback in clear only.
    Plaintext,
    /// 2: dialback, TLS possible, self-signed certificate.
    OptionalSelfSigned,
    /// 3: dialback, TLS possible, certificate from an authority.
    OptionalTrusted,
    /// 4: TLS required, self-signed certificate, dialback.
    RequiredSelfSigned,
    /// 5: TLS required, certificate from an authority, dialback.
    RequiredTrusted,
    /// 6: TLS and a trusted certificate required, no dialback.
    TrustedOnly,
}

/// From (row) to (column), services 1 to 6: `T` EXTERNAL over TLS, `E` dialback over TLS, `V`
/// dialback in clear, `U` nothing.
const TABLE: [&[u8; 6]; 6] = [
    b"VVVUUU", b"VVEEUU", b"VVEEET", b"UEEEEU", b"UETETT", b"UUTUTT",
];

/// The cells for which the text says otherwise.
const PROSE: [(Service, Service, u8); 4] = [
    (Service::OptionalSelfSigned, Service::OptionalTrusted, b'V'),
    (Service::OptionalSelfSigned, Service::RequiredTrusted, b'E'),
    (Service::OptionalTrusted, Service::OptionalTrusted, b'V'),
    (Service::OptionalTrusted, Service::RequiredTrusted, b'T'),
];

/// All answers of the document for a cell, the table's first; `None` is a refusal.
pub fn ends(from: Service, to: Service) -> Vec<Option<Method>> {
    let table = TABLE[from as usize][to as usize];
    let prose = PROSE
        .iter()
        .filter(|(one, other, _)| (*one, *other) == (from, to))
        .map(|(_, _, end)| *end);
    std::iter::once(table).chain(prose).map(method).collect()
}

fn method(letter: u8) -> Option<Method> {
    match letter {
        b'T' => Some(Method::SaslTls),
        b'E' => Some(Method::TlsDialback),
        b'V' => Some(Method::TcpDialback),
        _ => None,
    }
}

impl Service {
    /// All of them in order.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The service that corresponds to a target with this policy and a good certificate, if any.
    pub fn of_target(policy: Policy) -> Option<Self> {
        match (policy.tls, policy.sasl, policy.dialback) {
            (Level::NotSupported, Level::NotSupported, true) => Some(Self::Plaintext),
            (Level::Optional, Level::Optional, true) => Some(Self::OptionalTrusted),
            (Level::Required, Level::Optional, true) => Some(Self::RequiredTrusted),
            (Level::Required, Level::Required, false) => Some(Self::TrustedOnly),
            _ => None,
        }
    }

    /// The service that corresponds to a partner, if any.
    pub fn of_partner(offer: &Offer, facts: &Deviations) -> Option<Self> {
        let stream = facts.stream;
        let plain = Deviations {
            stream: StreamFact::Normal,
            ..facts.clone()
        } == Deviations::default();
        if !plain || offer.external_on_plaintext {
            return None;
        }
        let methods = (offer.external, offer.dialback);
        match (offer.tls, methods, offer.certificate, stream) {
            (Tls::None, (false, true), _, StreamFact::Normal | StreamFact::NoVersion) => {
                Some(Self::Plaintext)
            }
            (Tls::Offered, (true, true), Certificate::Good, StreamFact::Normal) => {
                Some(Self::OptionalTrusted)
            }
            (Tls::Required, (true, true), Certificate::Good, StreamFact::Normal) => {
                Some(Self::RequiredTrusted)
            }
            (Tls::Required, (true, false), Certificate::Good, StreamFact::Normal) => {
                Some(Self::TrustedOnly)
            }
            (
                Tls::Offered,
                (true, true),
                Certificate::SelfSigned | Certificate::UnknownCa,
                StreamFact::Normal,
            ) => Some(Self::OptionalSelfSigned),
            (
                Tls::Required,
                (true, true),
                Certificate::SelfSigned | Certificate::UnknownCa,
                StreamFact::Normal,
            ) => Some(Self::RequiredSelfSigned),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Direction;
    use crate::expectation::End;
    use crate::oracle::{Profile, Situation, expectation};
    use crate::policy::PolicyNumber;

    fn policy(service: Service) -> Policy {
        let row = match service {
            Service::Plaintext => 17,
            Service::OptionalSelfSigned | Service::OptionalTrusted => 9,
            Service::RequiredSelfSigned | Service::RequiredTrusted => 7,
            Service::TrustedOnly => 2,
        };
        PolicyNumber::new(row).expect("1 to 18").policy()
    }

    fn self_signed(service: Service) -> bool {
        matches!(
            service,
            Service::OptionalSelfSigned | Service::RequiredSelfSigned
        )
    }

    /// The rules' expectation when one service dials another, judged at the dialling side. A listener
    /// offers EXTERNAL only to a certificate that it trusts.
    fn rules(from: Service, to: Service) -> Option<Method> {
        let mut partner = policy(to).as_offer();
        let mut facts = Deviations::default();
        if self_signed(to) {
            partner.certificate = Certificate::SelfSigned;
        }
        if self_signed(from) {
            partner.external = false;
        }
        if to == Service::Plaintext {
            facts.stream = StreamFact::NoVersion;
        }
        let expectation = expectation(&Situation {
            policy: policy(from),
            profile: Profile::default(),
            direction: Direction::Outbound,
            partner: &partner,
            facts: &facts,
        });
        match expectation.allowed[0].end {
            End::Established(method) => Some(method),
            End::Refused(_) => None,
        }
    }

    #[test]
    fn rules_agree_with_31_cells_and_differ_in_five_known_ones() {
        use Method::{SaslTls, TcpDialback, TlsDialback};
        let mut differing = Vec::new();
        for (row, from) in Service::ALL.iter().copied().enumerate() {
            for (column, to) in Service::ALL.iter().copied().enumerate() {
                let table = ends(from, to)[0];
                let rules = rules(from, to);
                if table != rules {
                    differing.push((row + 1, column + 1, table, rules));
                }
            }
        }
        let known = [
            // TLS is preferred if both sides make it optional.
            (2, 2, Some(TcpDialback), Some(TlsDialback)),
            // From the document's text.
            (2, 5, None, Some(TlsDialback)),
            // Like 2 to 2.
            (3, 2, Some(TcpDialback), Some(TlsDialback)),
            // Both certificates are trusted and EXTERNAL is offered.
            (3, 3, Some(TlsDialback), Some(SaslTls)),
            // From the document's text.
            (3, 5, Some(TlsDialback), Some(SaslTls)),
        ];
        assert_eq!(differing, known);
    }

    #[test]
    fn partners_are_recognised_by_their_offers() {
        for &service in Service::ALL {
            let mut offer = policy(service).as_offer();
            if self_signed(service) {
                offer.certificate = Certificate::UnknownCa;
            }
            assert_eq!(
                Service::of_partner(&offer, &Deviations::default()),
                Some(service)
            );
        }
        let mut dialback_only = policy(Service::OptionalTrusted).as_offer();
        dialback_only.external = false;
        assert_eq!(
            Service::of_partner(&dialback_only, &Deviations::default()),
            None
        );
    }

    #[test]
    fn four_cells_have_two_words() {
        let cells = Service::ALL
            .iter()
            .flat_map(|from| Service::ALL.iter().map(move |to| ends(*from, *to)));
        assert_eq!(cells.filter(|ends| ends.len() == 2).count(), 4);
    }
}
