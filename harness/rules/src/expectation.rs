//! The allowed ends of a case: a rule, its clause and its ends.

use std::fmt;

use strum::{Display, VariantArray};

use crate::outcome::Method;

/// The allowed ends of a situation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expectation {
    /// The rule that decided, such as `out.6.good.external`.
    pub rule: &'static str,
    /// The clause behind it, such as `XEP-0178 §3 step 11`.
    pub clause: &'static str,
    /// All allowed ends, the expected one first.
    pub allowed: Vec<Allowed>,
}

impl Expectation {
    /// Whether every allowed end is an established session, so a refusal is wrong.
    pub fn unanimously_established(&self) -> bool {
        self.allowed
            .iter()
            .all(|allowed| matches!(allowed.end, End::Established(_)))
    }

    /// Whether every allowed end is a refusal.
    pub fn unanimously_refused(&self) -> bool {
        self.allowed
            .iter()
            .all(|allowed| matches!(allowed.end, End::Refused(_)))
    }

    /// The allowed end for a session established by this method, if there is one.
    pub fn established(&self, method: Method) -> Option<&Allowed> {
        let end = End::Established(method);
        self.allowed.iter().find(|allowed| allowed.end == end)
    }

    /// The reasons for which it may be refused, the expected one first.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, Option<&'static str>)> {
        self.allowed.iter().filter_map(|allowed| match allowed.end {
            End::Refused(reason) => Some((reason, allowed.warn)),
            End::Established(_) => None,
        })
    }
}

/// One allowed end.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Allowed {
    pub end: End,
    /// Why it is only tolerated, in which case the verdict is `warn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn: Option<&'static str>,
}

impl Allowed {
    /// An expected session.
    pub fn established(method: Method) -> Self {
        Self {
            end: End::Established(method),
            warn: None,
        }
    }

    /// An expected refusal.
    pub fn refused(reason: Reason) -> Self {
        Self {
            end: End::Refused(reason),
            warn: None,
        }
    }

    /// The same end, only tolerated, for this reason.
    pub fn warned(self, ground: &'static str) -> Self {
        Self {
            warn: Some(ground),
            ..self
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}", self.end)?;
        match self.warn {
            Some(ground) => write!(to, " (warn: {ground})"),
            None => Ok(()),
        }
    }
}

/// An end as the oracle sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// A stanza gets through, authenticated by this method.
    Established(Method),
    Refused(Reason),
}

impl fmt::Display for End {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Established(method) => write!(to, "{method}"),
            Self::Refused(reason) => write!(to, "refused {reason}"),
        }
    }
}

/// Why a negotiation may be refused.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    Display,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Reason {
    /// The policy allows no method.
    Config,
    /// The target requires TLS, and the partner has none.
    NoTls,
    /// The partner requires TLS, and the target has none.
    PeerTls,
    /// STARTTLS was refused or the handshake failed.
    TlsFail,
    /// The partner's certificate is not good enough.
    BadCert,
    /// EXTERNAL failed.
    SaslFail,
    /// There is no common method.
    NoMethod,
    /// The authoritative server denied the key.
    VerificationNegative,
    /// The authoritative server could not be asked, or did not answer.
    VerificationImpossible,
    /// The partner gave up because its own requirements were not met.
    PeerGivesUp,
    /// The partner broke the stream: no id, silence, reset, no listener.
    PeerBroken,
}

impl Reason {
    /// All reasons.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// A sentence for readers.
    pub fn says(self) -> &'static str {
        match self {
            Self::Config => "the policy allows no method",
            Self::NoTls => "the target requires TLS and the partner has none",
            Self::PeerTls => "the partner requires TLS and the target has none",
            Self::TlsFail => "STARTTLS was refused or the handshake failed",
            Self::BadCert => "the partner's certificate is not good enough",
            Self::SaslFail => "EXTERNAL failed",
            Self::NoMethod => "no method is common to both",
            Self::VerificationNegative => "the authoritative server denied the key",
            Self::VerificationImpossible => "the authoritative server gave no usable answer",
            Self::PeerGivesUp => "the partner's own requirements are not met",
            Self::PeerBroken => "the partner broke the stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation() -> Expectation {
        Expectation {
            rule: "out.5.clear-retry",
            clause: "RFC 6120 §5.4.3.2",
            allowed: vec![
                Allowed::refused(Reason::TlsFail),
                Allowed::established(Method::TcpDialback).warned("downgradable"),
            ],
        }
    }

    #[test]
    fn unanimity_looks_at_all_ends() {
        let mut expectation = expectation();
        assert!(!expectation.unanimously_established());
        assert!(!expectation.unanimously_refused());
        let tolerated = expectation.allowed.pop();
        assert!(expectation.unanimously_refused());
        expectation.allowed = tolerated.into_iter().collect();
        assert!(expectation.unanimously_established());
    }

    #[test]
    fn ends_are_named_as_in_the_tables() {
        let allowed = expectation().allowed;
        assert_eq!(allowed[0].to_string(), "refused tls-fail");
        assert_eq!(allowed[1].to_string(), "tcp-dialback (warn: downgradable)");
        let json = serde_json::to_string(&allowed).expect("plain data");
        assert_eq!(
            json,
            r#"[{"end":{"refused":"tls-fail"}},{"end":{"established":"tcp-dialback"},"warn":"downgradable"}]"#
        );
    }
}
