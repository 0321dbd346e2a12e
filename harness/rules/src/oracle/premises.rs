//! A situation in the symbols used by the rules.

use simulated_partners::persona::{
    AuthorityFact, Certificate, ExternalFact, StarttlsFact, StreamFact, Tls,
};

use crate::case::Direction;
use crate::policy::{Level, Methods};

use super::situation::Situation;

/// The quality of a partner's certificate as seen by the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertificateClass {
    /// Chain, dates and name are valid, for this use too.
    Good,
    /// Valid, but as a client certificate only if the target permits it: its only purpose is
    /// serverAuth.
    ServerAuthOnly,
    /// No chain to a trusted authority.
    Untrusted,
    /// For another name.
    WrongName,
    /// Not yet valid, or no longer.
    OutOfDate,
    /// Missing.
    None,
}

/// The result of asking the partner's authoritative server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verification {
    /// It says `valid`.
    Works,
    /// It says `invalid`.
    Negative,
    /// It cannot be asked, or gives no valid answer.
    Impossible,
}

/// A situation in the symbols used by the rules: the target's settings, and the partner as the target
/// sees it in this direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Premises {
    /// T: the target's TLS level.
    pub tls_level: Level,
    /// S: the target's SASL level.
    pub sasl_level: Level,
    /// M: the methods that the target's policy allows.
    pub methods: Methods,
    /// Whether the target refuses TLS with invalid certificates.
    pub strict_certificates: bool,
    /// What the partner's features say about STARTTLS (outbound), or when the partner uses it (inbound).
    pub tls: Tls,
    /// Whether the partner offers (outbound) or uses (inbound) EXTERNAL after TLS.
    pub external: bool,
    /// The answer to `<auth/>` (outbound).
    pub external_result: ExternalFact,
    /// The partner's certificate.
    pub certificate: CertificateClass,
    /// Whether the partner takes part in dialback.
    pub dialback: bool,
    /// Whether the partner refuses dialback and gives up without EXTERNAL.
    pub needs_external: bool,
    /// Whether the partner requires the dialback namespace on every header (outbound).
    pub needs_db_namespace: bool,
    /// Whether there is a listener where DNS points (outbound).
    pub reachable: bool,
    /// How the partner's stream begins: [`StreamFact::LateName`] inbound, all others outbound.
    pub stream: StreamFact,
    /// The answer to STARTTLS.
    pub starttls: StarttlsFact,
    /// The possible results of asking the partner's authoritative server (inbound), the expected one first.
    pub verification: Vec<(Verification, Option<&'static str>)>,
}

impl Premises {
    /// A situation in symbols, with a working authoritative server.
    pub fn of(situation: &Situation<'_>) -> Self {
        let Situation {
            policy,
            profile,
            direction,
            partner,
            facts,
        } = *situation;
        let outbound = direction == Direction::Outbound;
        let certificate = match partner.certificate {
            Certificate::Good => CertificateClass::Good,
            Certificate::NoClientAuth if outbound => CertificateClass::Good,
            Certificate::NoClientAuth => CertificateClass::ServerAuthOnly,
            Certificate::Expired | Certificate::NotYetValid => CertificateClass::OutOfDate,
            Certificate::WrongName => CertificateClass::WrongName,
            Certificate::SelfSigned | Certificate::UnknownCa | Certificate::MissingIntermediate => {
                CertificateClass::Untrusted
            }
            Certificate::None => CertificateClass::None,
        };
        // Refusing STARTTLS and the stream and SASL deviations belong to a listener; inbound they
        // matter only for the verify connection.
        let starttls = match facts.starttls {
            StarttlsFact::Refused if !outbound => StarttlsFact::Proceeds,
            fact => fact,
        };
        let mut given = Self {
            tls_level: policy.tls,
            sasl_level: policy.sasl,
            methods: policy.methods(profile.mode),
            strict_certificates: profile.strict_certificates,
            tls: partner.tls,
            external: partner.external,
            external_result: facts.external,
            certificate,
            dialback: partner.dialback,
            needs_external: partner.needs_external,
            needs_db_namespace: outbound && partner.insists_on_db_namespace,
            reachable: true,
            stream: StreamFact::Normal,
            starttls,
            verification: vec![(Verification::Works, None)],
        };
        if outbound {
            given.reachable = facts.authority != AuthorityFact::Unreachable;
        }
        if outbound != (facts.stream == StreamFact::LateName) {
            given.stream = facts.stream;
        }
        given
    }

    /// L usable: the target allows dialback over TLS and the partner takes part.
    pub fn tls_dialback(&self) -> bool {
        self.methods.tls_dialback && self.takes_part()
    }

    /// C usable: the target allows plaintext dialback and the partner takes part, with or without TLS.
    pub fn tcp_dialback(&self) -> bool {
        self.methods.tcp_dialback && self.takes_part() && !self.tls.is_demanded()
    }

    /// The target allows EXTERNAL and the partner supports it.
    pub fn sasl_tls(&self) -> bool {
        self.methods.sasl_tls && self.external
    }

    fn takes_part(&self) -> bool {
        self.dialback && !self.needs_external
    }

    /// Whether the target requires TLS.
    pub fn demands_tls(&self) -> bool {
        self.tls_level == Level::Required
    }

    /// Whether TLS will be tried: both sides support it.
    pub fn tries_tls(&self) -> bool {
        self.tls_level != Level::NotSupported && self.tls != Tls::None
    }

    /// Whether TLS may stay unused although both sides support it.
    pub fn may_skip_tls(&self) -> bool {
        self.tls_level == Level::Optional && self.tls == Tls::Offered
    }

    /// Whether a handshake with the listening partner completes.
    pub fn handshake_completes(&self) -> bool {
        self.starttls == StarttlsFact::Proceeds && self.certificate != CertificateClass::None
    }

    /// A certificate that was shown but is invalid.
    pub fn unverifiable(&self) -> bool {
        match self.certificate {
            CertificateClass::Untrusted
            | CertificateClass::WrongName
            | CertificateClass::OutOfDate => true,
            CertificateClass::Good | CertificateClass::ServerAuthOnly | CertificateClass::None => {
                false
            }
        }
    }

    /// Whether the only possible answer of the authoritative server is `valid`.
    pub fn verifies(&self) -> bool {
        self.verification == [(Verification::Works, None)]
    }
}
