//! Negotiation with a partner: TLS, SASL and dialback, and which of the 18 combinations
//! work.
//!
//! Knows nothing about streams. It says which methods the terms allow; the streams obey.

use serde::Deserialize;
use strum::Display;

/// What becomes of TLS or SASL with a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// Nothing else happens without it.
    #[default]
    Required,
    /// Used if the partner supports it.
    Optional,
    /// Neither offered nor used.
    NotSupported,
}

/// The settings for one partner. The default is row 1, as with the cmdlets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// STARTTLS (RFC 6120 §5).
    pub tls: Support,
    /// SASL EXTERNAL (RFC 6120 §6, XEP-0178).
    pub sasl: Support,
    /// Server dialback (XEP-0220).
    pub dialback: bool,
}

/// How a pair of domains is authenticated, in the order in which the methods are tried.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
pub enum Method {
    /// SASL EXTERNAL over TLS (RFC 6120 §6, XEP-0178).
    SaslTls,
    /// Dialback (XEP-0220) over TLS.
    TlsDialback,
    /// Dialback over plain TCP.
    TcpDialback,
}

impl Method {
    /// Dialback on a stream that TLS secures or not.
    pub(crate) fn dialback(secured: bool) -> Self {
        match secured {
            true => Self::TlsDialback,
            false => Self::TcpDialback,
        }
    }
}

/// How strictly terms are checked where the sources of the 18 rows disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// Refuses SASL without TLS (rows 5 and 11), as the Control Panel does at *Commit*.
    #[default]
    ControlPanel,
    /// Loads rows 5 and 11 with a warning, as the table of the 18 rows has it.
    Matrix,
}

/// Why a valid row may not work as expected.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub(crate) enum Warning {
    #[strum(to_string = "dialback is never used while TLS and SASL are both required")]
    DialbackInoperative,
    #[strum(to_string = "SASL depends on TLS: negotiation can fail unless TLS is required")]
    SaslDependsOnTls,
}

/// Why a row is not valid.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub(crate) enum InvalidReason {
    /// Rows 14, 16 and 18.
    #[strum(to_string = "either SASL or dialback has to be on")]
    NoMethod,
    /// Rows 6 and 12.
    #[strum(to_string = "SASL needs TLS, which is not supported here, and dialback is off")]
    SaslNeedsTls,
    /// Rows 5 and 11 under [`Validation::ControlPanel`].
    #[strum(to_string = "SASL needs TLS, which is not supported here")]
    SaslWithoutTls,
}

impl InvalidReason {
    /// What would make the row valid.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::NoMethod => "set sasl to required or optional with TLS, or dialback to true",
            Self::SaslNeedsTls => {
                "set tls to required or optional, or sasl to not-supported and dialback to true"
            }
            Self::SaslWithoutTls => {
                "set tls to required or optional, or sasl to not-supported; \
                 validation = \"matrix\" loads such a row with a warning"
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row} of the negotiation table is not a valid configuration: {reason}")]
pub(crate) struct Invalid {
    pub(crate) row: u8,
    pub(crate) reason: InvalidReason,
}

impl Terms {
    /// The number of the row in the negotiation table, 1 to 18.
    #[must_use]
    pub fn row(self) -> u8 {
        let place = |support| match support {
            Support::Required => 0,
            Support::Optional => 1,
            Support::NotSupported => 2,
        };
        1 + 6 * place(self.sasl) + 2 * place(self.tls) + u8::from(!self.dialback)
    }

    /// Whether only STARTTLS is allowed on a plaintext stream.
    pub(crate) fn requires_tls(self) -> bool {
        self.tls == Support::Required
    }

    pub(crate) fn allows_tls(self) -> bool {
        self.tls != Support::NotSupported
    }

    /// Whether partners may be authenticated so.
    #[must_use]
    pub fn allows(self, method: Method) -> bool {
        match method {
            Method::SaslTls => self.sasl != Support::NotSupported && self.allows_tls(),
            Method::TlsDialback => {
                let sasl_only = self.requires_tls() && self.sasl == Support::Required;
                self.dialback && self.allows_tls() && !sasl_only
            }
            Method::TcpDialback => self.dialback && !self.requires_tls(),
        }
    }

    pub(crate) fn allows_dialback(self) -> bool {
        self.allows(Method::TlsDialback) || self.allows(Method::TcpDialback)
    }

    /// Whether the row may be loaded, and with which warning.
    pub(crate) fn check(self, validation: Validation) -> Result<Option<Warning>, Invalid> {
        let sasl_wanted = self.sasl != Support::NotSupported;
        let invalid = |reason| {
            let row = self.row();
            Err(Invalid { row, reason })
        };
        if !self.allows(Method::SaslTls) && !self.allows_dialback() {
            return invalid(match sasl_wanted {
                true => InvalidReason::SaslNeedsTls,
                false => InvalidReason::NoMethod,
            });
        }
        if sasl_wanted && !self.allows_tls() && validation == Validation::ControlPanel {
            return invalid(InvalidReason::SaslWithoutTls);
        }
        Ok(if sasl_wanted && !self.requires_tls() {
            Some(Warning::SaslDependsOnTls)
        } else if self.dialback && !self.allows_dialback() {
            Some(Warning::DialbackInoperative)
        } else {
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Support::{NotSupported as N, Optional as O, Required as R};
    use super::*;

    /// Row by row: TLS, SASL, dialback, methods, then `.` clean, `d` and `w` warned, `x` invalid,
    /// `c` warned but refused by the Control Panel.
    const TABLE: [(Support, Support, bool, &str, char); 18] = [
        (R, R, true, "S", 'd'),
        (R, R, false, "S", '.'),
        (O, R, true, "SLC", 'w'),
        (O, R, false, "S", 'w'),
        (N, R, true, "C", 'c'),
        (N, R, false, "", 'x'),
        (R, O, true, "SL", '.'),
        (R, O, false, "S", '.'),
        (O, O, true, "SLC", 'w'),
        (O, O, false, "S", 'w'),
        (N, O, true, "C", 'c'),
        (N, O, false, "", 'x'),
        (R, N, true, "L", '.'),
        (R, N, false, "", 'x'),
        (O, N, true, "LC", '.'),
        (O, N, false, "", 'x'),
        (N, N, true, "C", '.'),
        (N, N, false, "", 'x'),
    ];

    fn terms(tls: Support, sasl: Support, dialback: bool) -> Terms {
        Terms {
            tls,
            sasl,
            dialback,
        }
    }

    fn rows() -> impl Iterator<Item = (u8, Terms, &'static str, char)> {
        (1..)
            .zip(TABLE)
            .map(|(row, (tls, sasl, dialback, methods, mark))| {
                (row, terms(tls, sasl, dialback), methods, mark)
            })
    }

    #[test]
    fn rows_are_numbered_as_in_the_table() {
        for (row, terms, ..) in rows() {
            assert_eq!(terms.row(), row);
        }
        assert_eq!(terms(Support::default(), Support::default(), true).row(), 1);
    }

    #[test]
    fn methods_are_those_of_the_table() {
        for (row, terms, expected, _) in rows() {
            let letters = [
                (Method::SaslTls, 'S'),
                (Method::TlsDialback, 'L'),
                (Method::TcpDialback, 'C'),
            ];
            let allowed = letters.iter().filter(|(method, _)| terms.allows(*method));
            let found: String = allowed.map(|(_, letter)| letter).collect();
            assert_eq!(found, expected, "row {row}");
        }
    }

    #[test]
    fn matrix_refuses_five_rows_and_loads_the_others() {
        for (row, terms, _, mark) in rows() {
            let checked = terms.check(Validation::Matrix);
            match mark {
                'x' => assert_eq!(checked.expect_err("refused").row, row),
                'd' => assert_eq!(checked, Ok(Some(Warning::DialbackInoperative))),
                'w' | 'c' => assert_eq!(checked, Ok(Some(Warning::SaslDependsOnTls)), "row {row}"),
                _ => assert_eq!(checked, Ok(None), "row {row}"),
            }
        }
    }

    #[test]
    fn control_panel_refuses_sasl_without_tls_as_well() {
        for (row, terms, _, mark) in rows() {
            let checked = terms.check(Validation::ControlPanel);
            if mark == 'c' {
                let reason = InvalidReason::SaslWithoutTls;
                assert_eq!(checked, Err(Invalid { row, reason }));
            } else {
                assert_eq!(checked, terms.check(Validation::Matrix), "row {row}");
            }
        }
    }

    #[test]
    fn refusal_says_row_and_reason() {
        assert_eq!(
            terms(R, N, false)
                .check(Validation::Matrix)
                .expect_err("refused")
                .to_string(),
            "row 14 of the negotiation table is not a valid configuration: \
             either SASL or dialback has to be on"
        );
    }
}
