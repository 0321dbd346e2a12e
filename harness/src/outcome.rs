//! How a case ended, as the partner saw it on the wire.

use serde::Serialize;

pub use simulated_partners::event::Method;

/// The end of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A stanza got through, authenticated by this method.
    Established(#[serde(with = "method")] Method),
    /// It was refused.
    Refused(Refusal),
    /// Nothing more happened before the case's deadline.
    Stalled(Phase),
}

/// Where, by whom and how it was refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Refusal {
    /// How far it had come.
    pub phase: Phase,
    /// Who ended it first.
    pub closer: Closer,
    /// What that looked like.
    pub signal: Signal,
}

/// Phases of a negotiation, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The target does not take the configuration.
    Config,
    /// TCP connect.
    Connect,
    /// From the first header to the features.
    Stream,
    /// From `<starttls/>` to `<proceed/>` or `<failure/>`.
    Starttls,
    /// The TLS handshake.
    Tls,
    /// After the features of the last stream (restarted or not): a method has to be chosen.
    Method,
    /// From `<auth/>` to its answer and the restart.
    Sasl,
    /// From the untyped `db:result` to its typed answer.
    Dialback,
    /// Authenticated: the stanza.
    Stanza,
}

/// Who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closer {
    /// The server under test.
    Target,
    /// The simulated server.
    Partner,
    /// Neither: it stayed open, and the case ended on other evidence (the bounce).
    Nobody,
}

/// The first thing that told of the refusal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// The target refused the configuration, with this reason.
    ConfigRefused(String),
    /// No connection was made: outbound the target never dialled, inbound TCP was refused.
    NoConnection,
    /// `<stream:error/>` with this condition.
    StreamError(String),
    /// SASL `<failure/>` with this condition.
    SaslFailure(String),
    /// Typed dialback element of type `error` with this condition.
    DialbackError(String),
    /// Typed `db:result` of type `invalid`.
    DialbackInvalid,
    /// STARTTLS `<failure/>`.
    TlsFailure,
    /// A TLS alert by name; sent by the closer.
    TlsAlert(String),
    /// The handshake was cut or answered with something that is no TLS.
    TlsBroken,
    /// `</stream:stream>` with no error.
    StreamEnd,
    /// TCP end without `</stream:stream>`.
    Fin,
    /// TCP reset.
    Reset,
    /// Nothing: the connection stayed open and silent.
    Silence,
}

mod method {
    use super::Method;
    use serde::Serializer;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(super::method_name(*method))
    }
}

/// The name of a method as the documents write it.
pub fn method_name(method: Method) -> &'static str {
    match method {
        Method::SaslTls => "sasl-tls",
        Method::TlsDialback => "tls-dialback",
        Method::TcpDialback => "tcp-dialback",
    }
}
