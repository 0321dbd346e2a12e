//! The 18 policies: how a target is configured for one partner domain (Lync's negotiation settings).
//!
//! A [`Policy`] allows a set of [`Methods`], which is the meaning of its row. Nothing here
//! knows what a partner does with them.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use simulated_partners::persona::{Certificate, Key, Offer, Tls, TlsVersion};
use strum::{Display, VariantArray};

use crate::outcome::Method;

/// Support for one part of the negotiation.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    Display,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Level {
    /// Required.
    Required,
    /// Used if the partner supports it.
    Optional,
    /// Neither offered nor used.
    NotSupported,
}

impl Level {
    /// All levels, in order of the rows.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// `R`, `O` or `N`.
    pub fn letter(self) -> char {
        match self {
            Self::Required => 'R',
            Self::Optional => 'O',
            Self::NotSupported => 'N',
        }
    }
}

/// How to interpret a policy that requires SASL and allows dialback (rows 3 and 5).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As in the negotiation matrix: dialback stays possible.
    #[default]
    Matrix,
    /// Literally: EXTERNAL or nothing.
    Strict,
}

/// TLS × SASL × dialback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// `TlsNegotiation`.
    pub tls: Level,
    /// `SaslNegotiation`.
    pub sasl: Level,
    /// `SupportDialbackNegotiation`.
    pub dialback: bool,
}

impl Policy {
    /// Row 18: nothing supported.
    pub(crate) const LEAST: Self = Self {
        tls: Level::NotSupported,
        sasl: Level::NotSupported,
        dialback: false,
    };

    /// The methods that the policy allows.
    pub fn methods(self, mode: Mode) -> Methods {
        let tls = self.tls != Level::NotSupported;
        let only_external = match mode {
            Mode::Matrix => false,
            Mode::Strict => self.sasl == Level::Required,
        };
        let inert = self.tls == Level::Required && self.sasl == Level::Required;
        Methods {
            sasl_tls: tls && self.sasl != Level::NotSupported,
            tls_dialback: self.dialback && tls && !inert && !only_external,
            tcp_dialback: self.dialback && self.tls != Level::Required && !only_external,
        }
    }

    /// Whether the matrix calls the row valid: at least one method is allowed.
    pub fn valid(self) -> bool {
        !self.methods(Mode::Matrix).is_empty()
    }

    /// Its row.
    pub fn row(self) -> PolicyNumber {
        let rank = |level| match level {
            Level::Required => 0,
            Level::Optional => 1,
            Level::NotSupported => 2,
        };
        PolicyNumber(6 * rank(self.sasl) + 2 * rank(self.tls) + u8::from(!self.dialback) + 1)
    }

    /// The note shown to an administrator who configures this row.
    pub fn note(self) -> Note {
        let Self {
            tls,
            sasl,
            dialback,
        } = self;
        match (tls, sasl, dialback) {
            (Level::Required, Level::Required, true) => {
                Note::Warning("with TLS and SASL both required, dialback never runs")
            }
            (Level::NotSupported, Level::Required, false) => Note::Invalid(
                "SASL cannot run without TLS, and dialback is disabled: no method is left",
            ),
            (Level::NotSupported, Level::Optional, false) => Note::Invalid(
                "without TLS there is no SASL either, and dialback is disabled: no method is left",
            ),
            (_, Level::NotSupported, false) => {
                Note::Invalid("neither SASL nor dialback is enabled: no method is left")
            }
            (Level::Optional | Level::NotSupported, Level::Required | Level::Optional, _) => {
                Note::Warning("SASL needs TLS; if TLS fails, the negotiation may fail")
            }
            (Level::Required, Level::NotSupported, true) => {
                Note::Plain("dialback over TLS is the only method left")
            }
            (Level::Optional, Level::NotSupported, true) => {
                Note::Plain("the partner decides whether dialback runs over TLS or in plaintext")
            }
            (Level::NotSupported, Level::NotSupported, true) => {
                Note::Plain("plaintext dialback is the only method")
            }
            (Level::Required, Level::Required | Level::Optional, _) => Note::None,
        }
    }

    /// A partner with this policy and a good certificate: what it offers when dialled and
    /// uses when dialling.
    ///
    /// EXTERNAL and dialback follow from the methods that the policy allows, so the inert
    /// dialback of row 1 and the impossible SASL of row 5 are not offered.
    pub fn as_offer(self) -> Offer {
        let methods = self.methods(Mode::Matrix);
        let dialback = methods.tls_dialback || methods.tcp_dialback;
        Offer {
            tls: match self.tls {
                Level::Required => Tls::Required,
                Level::Optional => Tls::Offered,
                Level::NotSupported => Tls::None,
            },
            external: methods.sasl_tls,
            external_on_plaintext: false,
            dialback,
            insists_on_db_namespace: false,
            needs_external: methods.sasl_tls && !dialback,
            certificate: Certificate::Good,
            key: Key::P256,
            tls_versions: vec![TlsVersion::V12, TlsVersion::V13],
        }
    }
}

/// The settings of a correct server that offers this, as far as settings say it: a partner in direct TLS alone
/// requires TLS.
impl From<&Offer> for Policy {
    fn from(offer: &Offer) -> Self {
        Self {
            tls: match offer.tls {
                Tls::None => Level::NotSupported,
                Tls::Offered => Level::Optional,
                Tls::Required | Tls::Direct => Level::Required,
            },
            sasl: match (offer.needs_external, offer.external) {
                (true, _) => Level::Required,
                (false, true) => Level::Optional,
                (false, false) => Level::NotSupported,
            },
            dialback: offer.dialback,
        }
    }
}

/// The short form: TLS, SASL and dialback as in `R/O/T`.
impl fmt::Display for Policy {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dialback = if self.dialback { 'T' } else { 'F' };
        to.pad(&format!(
            "{}/{}/{dialback}",
            self.tls.letter(),
            self.sasl.letter()
        ))
    }
}

/// A set of methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Methods {
    /// SASL EXTERNAL over TLS.
    pub sasl_tls: bool,
    /// Dialback over TLS.
    pub tls_dialback: bool,
    /// Dialback in clear.
    pub tcp_dialback: bool,
}

impl Methods {
    /// All methods, best first.
    pub const PREFERENCE: [Method; 3] = [Method::SaslTls, Method::TlsDialback, Method::TcpDialback];

    /// Whether a method is in the set.
    pub fn contains(self, method: Method) -> bool {
        match method {
            Method::SaslTls => self.sasl_tls,
            Method::TlsDialback => self.tls_dialback,
            Method::TcpDialback => self.tcp_dialback,
        }
    }

    /// The methods in the set, best first.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Self::PREFERENCE
            .into_iter()
            .filter(move |method| self.contains(*method))
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// A note about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "text")]
pub enum Note {
    /// Nothing.
    None,
    /// An explanation.
    Plain(&'static str),
    /// It works, but perhaps not as expected.
    Warning(&'static str),
    /// It allows no method; the configuration must be rejected.
    Invalid(&'static str),
}

impl Note {
    /// The text, if any.
    pub fn text(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Plain(text) | Self::Warning(text) | Self::Invalid(text) => Some(text),
        }
    }
}

/// Number of a row in the negotiation table, 1 to 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyNumber(u8);

impl PolicyNumber {
    /// The number of rows.
    pub const COUNT: u8 = 18;

    /// The row with this number, if there is one.
    pub fn new(number: u8) -> Option<Self> {
        (1..=Self::COUNT).contains(&number).then_some(Self(number))
    }

    /// All rows in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..Self::COUNT).map(|before| Self(before + 1))
    }

    /// The number, from 1.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The policy of the row.
    pub fn policy(self) -> Policy {
        let index = usize::from(self.0 - 1);
        Policy {
            tls: Level::ALL[index / 2 % 3],
            sasl: Level::ALL[index / 6],
            dialback: index.is_multiple_of(2),
        }
    }

    /// Its name in ids, such as `row07`.
    pub fn label(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for PolicyNumber {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.pad(&format!("row{:02}", self.0))
    }
}

impl Serialize for PolicyNumber {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Policy, methods (S, L, C) and kind of note as documented.
    #[rstest]
    #[case(1, "R/R/T", "S", "warning")]
    #[case(2, "R/R/F", "S", "none")]
    #[case(3, "O/R/T", "SLC", "warning")]
    #[case(4, "O/R/F", "S", "warning")]
    #[case(5, "N/R/T", "C", "warning")]
    #[case(6, "N/R/F", "", "invalid")]
    #[case(7, "R/O/T", "SL", "none")]
    #[case(8, "R/O/F", "S", "none")]
    #[case(9, "O/O/T", "SLC", "warning")]
    #[case(10, "O/O/F", "S", "warning")]
    #[case(11, "N/O/T", "C", "warning")]
    #[case(12, "N/O/F", "", "invalid")]
    #[case(13, "R/N/T", "L", "plain")]
    #[case(14, "R/N/F", "", "invalid")]
    #[case(15, "O/N/T", "LC", "plain")]
    #[case(16, "O/N/F", "", "invalid")]
    #[case(17, "N/N/T", "C", "plain")]
    #[case(18, "N/N/F", "", "invalid")]
    fn rows_are_those_of_the_negotiation_matrix(
        #[case] number: u8,
        #[case] short: &str,
        #[case] methods: &str,
        #[case] note: &str,
    ) {
        let row = PolicyNumber::new(number).expect("1 to 18");
        let policy = row.policy();
        assert_eq!(policy.to_string(), short);
        assert_eq!(policy.row(), row);
        assert_eq!(row.label(), format!("row{number:02}"));
        let letters: String = policy
            .methods(Mode::Matrix)
            .iter()
            .map(|method| match method {
                Method::SaslTls => 'S',
                Method::TlsDialback => 'L',
                Method::TcpDialback => 'C',
            })
            .collect();
        assert_eq!(letters, methods);
        let kind = match policy.note() {
            Note::None => "none",
            Note::Plain(_) => "plain",
            Note::Warning(_) => "warning",
            Note::Invalid(_) => "invalid",
        };
        assert_eq!(kind, note);
        assert_eq!(policy.valid(), note != "invalid");
    }

    #[test]
    fn strict_reading_changes_rows_3_and_5_only() {
        let changed: Vec<(u8, Vec<Method>)> = PolicyNumber::all()
            .filter(|row| row.policy().methods(Mode::Matrix) != row.policy().methods(Mode::Strict))
            .map(|row| {
                let left = row.policy().methods(Mode::Strict);
                (row.number(), left.iter().collect())
            })
            .collect();
        assert_eq!(changed, [(3, vec![Method::SaslTls]), (5, vec![])]);
    }

    #[test]
    fn settings_follow_from_an_offer_as_an_offer_from_settings() {
        for row in PolicyNumber::all() {
            let policy = row.policy();
            let offer = policy.as_offer();
            let again = Policy::from(&offer);
            // Some rows offer the same as others.
            assert_eq!(again.as_offer(), offer, "{row} and {}", again.row());
            let methods = |policy: Policy| policy.methods(Mode::Matrix);
            assert_eq!(methods(again), methods(policy), "{row}");
        }
    }

    #[test]
    fn there_is_no_row_outside_1_to_18() {
        assert_eq!(PolicyNumber::new(0), None);
        assert_eq!(PolicyNumber::new(19), None);
        assert_eq!(PolicyNumber::all().len(), 18);
    }
}
