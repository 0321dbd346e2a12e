//! What a partner is set to: TLS × SASL × dialback, and which of the 18 rows work.
//!
//! Knows nothing of streams: it says which methods a row allows, and the streams obey.

use std::fmt;

use serde::Deserialize;

/// Support for one part of the negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// Nothing happens without it.
    Required,
    /// Used where the partner has it.
    Optional,
    /// Neither offered nor used.
    NotSupported,
}

/// What the proxy is set to for one partner. The default is row 1, as the cmdlets have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Negotiation {
    /// STARTTLS (RFC 6120 §5).
    pub tls: Support,
    /// SASL EXTERNAL (RFC 6120 §6, XEP-0178).
    pub sasl: Support,
    /// Server dialback (XEP-0220).
    pub dialback: bool,
}

impl Default for Negotiation {
    fn default() -> Self {
        Self {
            tls: Support::Required,
            sasl: Support::Required,
            dialback: true,
        }
    }
}

/// The ways to authenticate that a row leaves. The preference is the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Methods {
    /// SASL EXTERNAL over TLS.
    pub sasl_tls: bool,
    /// Dialback over TLS.
    pub tls_dialback: bool,
    /// Dialback over plain TCP.
    pub tcp_dialback: bool,
}

impl Methods {
    /// Whether a stream can ever be authenticated.
    #[must_use]
    pub fn any(self) -> bool {
        self.sasl_tls || self.tls_dialback || self.tcp_dialback
    }

    /// Whether dialback is usable at all, over TLS or without it.
    #[must_use]
    pub fn dialback(self) -> bool {
        self.tls_dialback || self.tcp_dialback
    }
}

/// How a pair was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// SASL EXTERNAL over TLS.
    SaslTls,
    /// Dialback over TLS.
    TlsDialback,
    /// Dialback over TCP alone.
    TcpDialback,
}

impl Method {
    /// The method's name, as logs and reports have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SaslTls => "sasl-tls",
            Self::TlsDialback => "tls-dialback",
            Self::TcpDialback => "tcp-dialback",
        }
    }
}

/// How strictly a configuration is judged where the sources of the 18 rows disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// SASL without TLS is refused (rows 5 and 11), as the Control Panel does at *Commit*.
    #[default]
    ControlPanel,
    /// Rows 5 and 11 load with their warning, as the table of the 18 rows has it.
    Matrix,
}

/// Why a row that loads may yet disappoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// Row 1: dialback is on, but TLS and SASL are both required.
    DialbackInoperative,
    /// SASL is wanted, but TLS, which it depends on, is optional or absent.
    SaslDependsOnTls,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DialbackInoperative => {
                "dialback is never used while TLS and SASL are both required"
            }
            Self::SaslDependsOnTls => {
                "SASL depends on TLS: negotiation can fail unless TLS is required"
            }
        })
    }
}

/// Why a row is no valid configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvalidReason {
    /// Rows 14, 16, 18: SASL and dialback are both off.
    NoMethod,
    /// Rows 6 and 12: only SASL is left, and it cannot run without TLS.
    SaslNeedsTls,
    /// Rows 5 and 11 under [`Validation::ControlPanel`]: SASL is wanted and TLS is off.
    SaslWithoutTls,
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMethod => "either SASL or dialback has to be on",
            Self::SaslNeedsTls => {
                "SASL needs TLS, which is not supported here, and dialback is off"
            }
            Self::SaslWithoutTls => "SASL needs TLS, which is not supported here",
        })
    }
}

impl InvalidReason {
    /// What would make the row valid.
    #[must_use]
    pub fn remedy(self) -> &'static str {
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

/// A row that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row} of the negotiation table is not a valid configuration: {reason}")]
pub struct Invalid {
    /// Number of the row, 1 to 18.
    pub row: u8,
    /// Why it is refused.
    pub reason: InvalidReason,
}

impl Negotiation {
    /// Number of the row in the negotiation table, 1 to 18.
    #[must_use]
    pub fn row(self) -> u8 {
        let tls = match self.tls {
            Support::Required => 0,
            Support::Optional => 2,
            Support::NotSupported => 4,
        };
        let sasl = match self.sasl {
            Support::Required => 0,
            Support::Optional => 6,
            Support::NotSupported => 12,
        };
        1 + tls + sasl + u8::from(!self.dialback)
    }

    /// The methods that the row leaves. Only TLS and SASL both required suppress dialback.
    #[must_use]
    pub fn methods(self) -> Methods {
        let tls_possible = self.tls != Support::NotSupported;
        let sasl_only = self.tls == Support::Required && self.sasl == Support::Required;
        Methods {
            sasl_tls: self.sasl != Support::NotSupported && tls_possible,
            tls_dialback: self.dialback && tls_possible && !sasl_only,
            tcp_dialback: self.dialback && self.tls != Support::Required,
        }
    }

    /// Whether the row may be loaded, and with which warning.
    ///
    /// # Errors
    /// [`Invalid`] for rows 6, 12, 14, 16, 18, and for rows 5 and 11 unless the validation is
    /// [`Validation::Matrix`].
    pub fn verdict(self, validation: Validation) -> Result<Option<Warning>, Invalid> {
        let sasl_wanted = self.sasl != Support::NotSupported;
        let tls_off = self.tls == Support::NotSupported;
        let reason = if !self.methods().any() {
            Some(if sasl_wanted {
                InvalidReason::SaslNeedsTls
            } else {
                InvalidReason::NoMethod
            })
        } else if sasl_wanted && tls_off && validation == Validation::ControlPanel {
            Some(InvalidReason::SaslWithoutTls)
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(Invalid {
                row: self.row(),
                reason,
            });
        }
        Ok(if sasl_wanted && self.tls != Support::Required {
            Some(Warning::SaslDependsOnTls)
        } else if self.dialback && !self.methods().dialback() {
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

    fn rows() -> impl Iterator<Item = (u8, Negotiation, &'static str, char)> {
        (1..)
            .zip(TABLE)
            .map(|(row, (tls, sasl, dialback, methods, mark))| {
                let negotiation = Negotiation {
                    tls,
                    sasl,
                    dialback,
                };
                (row, negotiation, methods, mark)
            })
    }

    #[test]
    fn rows_are_numbered_as_in_the_table() {
        for (row, negotiation, ..) in rows() {
            assert_eq!(negotiation.row(), row);
        }
        assert_eq!(Negotiation::default().row(), 1);
    }

    #[test]
    fn methods_are_those_of_the_table() {
        for (row, negotiation, expected, _) in rows() {
            let methods = negotiation.methods();
            let mut found = String::new();
            for (present, letter) in [
                (methods.sasl_tls, 'S'),
                (methods.tls_dialback, 'L'),
                (methods.tcp_dialback, 'C'),
            ] {
                if present {
                    found.push(letter);
                }
            }
            assert_eq!(found, expected, "row {row}");
        }
    }

    #[test]
    fn matrix_refuses_five_rows_and_loads_the_others() {
        for (row, negotiation, _, mark) in rows() {
            let verdict = negotiation.verdict(Validation::Matrix);
            match mark {
                'x' => assert_eq!(verdict.expect_err("refused").row, row),
                'd' => assert_eq!(verdict, Ok(Some(Warning::DialbackInoperative))),
                'w' | 'c' => assert_eq!(verdict, Ok(Some(Warning::SaslDependsOnTls)), "row {row}"),
                _ => assert_eq!(verdict, Ok(None), "row {row}"),
            }
        }
    }

    #[test]
    fn control_panel_refuses_sasl_without_tls_as_well() {
        for (row, negotiation, _, mark) in rows() {
            let verdict = negotiation.verdict(Validation::ControlPanel);
            if mark == 'c' {
                let reason = InvalidReason::SaslWithoutTls;
                assert_eq!(verdict, Err(Invalid { row, reason }));
            } else {
                assert_eq!(
                    verdict,
                    negotiation.verdict(Validation::Matrix),
                    "row {row}"
                );
            }
        }
    }

    #[test]
    fn refusal_says_row_and_reason() {
        let row_14 = Negotiation {
            tls: R,
            sasl: N,
            dialback: false,
        };
        assert_eq!(
            row_14
                .verdict(Validation::Matrix)
                .expect_err("refused")
                .to_string(),
            "row 14 of the negotiation table is not a valid configuration: \
             either SASL or dialback has to be on"
        );
    }
}
