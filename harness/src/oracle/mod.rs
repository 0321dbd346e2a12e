//! Which outcomes the tables allow for a case. Knows nothing of sockets, runner or proxy.

use crate::outcome::{Method, Refusal};

/// What a situation may end in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Expectation {
    /// The rule that decided, such as `I6.good.external`.
    pub rule: &'static str,
    /// The clause behind it, such as `XEP-0178 §3 step 11`.
    pub clause: &'static str,
    /// All allowed ends, the expected one first.
    pub allowed: Vec<Allowed>,
}

/// One allowed end.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Allowed {
    /// The end.
    pub end: End,
    /// Why it is only tolerated: the verdict becomes `warn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn: Option<&'static str>,
}

/// An end in the oracle's words.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// A stanza gets through by this method.
    Established(#[serde(serialize_with = "crate::oracle::method")] Method),
    /// It is refused for this reason.
    Refused(Reason),
}

fn method<S: serde::Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(crate::outcome::method_name(*method))
}

/// Why a negotiation may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The policy leaves no method.
    Config,
    /// The target demands TLS, the partner has none.
    NoTls,
    /// The partner demands TLS, the target has none.
    PeerTls,
    /// STARTTLS was refused or the handshake failed.
    TlsFail,
    /// The partner's certificate is not good enough.
    BadCert,
    /// EXTERNAL failed.
    SaslFail,
    /// No method is common to both.
    NoMethod,
    /// The authoritative server denied the key.
    VerificationNegative,
    /// The authoritative server could not be asked, or did not answer.
    VerificationImpossible,
    /// The partner gave up because its own demands were not met.
    PeerGivesUp,
    /// The partner broke the stream: no id, silence, reset, nobody listening.
    PeerBroken,
}

/// How well an observed refusal fits a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// As the tables want it.
    Expected,
    /// Tolerated, with the ground.
    Tolerated(&'static str),
    /// This reason does not look like that.
    No,
}

impl Reason {
    /// Whether a refusal seen on the wire is one for this reason (the table of who closes, and with what).
    pub fn admits(self, direction: crate::matrix::Direction, refusal: &Refusal) -> Fit {
        let _ = (direction, refusal);
        todo!()
    }
}
