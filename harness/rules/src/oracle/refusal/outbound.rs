//! Refusals as they look at a target that dialled.

use crate::outcome::Phase;

use super::Shape::{
    AnyDialbackError, AnySaslFailure, AnyStreamError, AnyTlsAlert, ConfigRefused, DialbackInvalid,
    Fin, NoConnection, Reset, StreamEnd, StreamErrors, TlsBroken, TlsFailure,
};
use super::{
    ABRUPT, ANY_END, ANYBODY, KEY_WITHOUT_ID, Look, OTHER_CONDITION, PARTNER, Reason, TARGET,
    WORDLESS,
};

/// The table, by reason; within a reason what is expected comes before what is tolerated.
pub(super) static LOOKS: &[Look] = &[
    // Config: whatever ends it before any authentication.
    // A partner that breaks things on its own ends it before the configuration can.
    Look {
        reason: Reason::Config,
        closers: ANYBODY,
        phases: (Phase::Stream, Phase::Tls),
        signals: &[TlsFailure, AnyTlsAlert, TlsBroken],
        tolerated: None,
    },
    Look {
        reason: Reason::Config,
        closers: PARTNER,
        phases: (Phase::Stream, Phase::Tls),
        signals: &[AnyStreamError, Fin, Reset],
        tolerated: None,
    },
    Look {
        reason: Reason::Config,
        closers: ANYBODY,
        phases: (Phase::Config, Phase::Connect),
        signals: &[ConfigRefused, NoConnection],
        tolerated: None,
    },
    Look {
        reason: Reason::Config,
        closers: TARGET,
        phases: (Phase::Connect, Phase::Method),
        signals: ANY_END,
        tolerated: None,
    },
    // TLS is missing at the partner.
    Look {
        reason: Reason::NoTls,
        closers: TARGET,
        phases: (Phase::Stream, Phase::Method),
        signals: &[
            StreamErrors(&["policy-violation", "unsupported-feature"]),
            StreamEnd,
        ],
        tolerated: None,
    },
    Look {
        reason: Reason::NoTls,
        closers: TARGET,
        phases: (Phase::Stream, Phase::Method),
        signals: &[AnyStreamError],
        tolerated: Some(OTHER_CONDITION),
    },
    Look {
        reason: Reason::NoTls,
        closers: TARGET,
        phases: (Phase::Stream, Phase::Method),
        signals: &[Fin, Reset],
        tolerated: Some(ABRUPT),
    },
    // RFC 7590 §3.1: TLS may be tried although it is not offered.
    Look {
        reason: Reason::NoTls,
        closers: PARTNER,
        phases: (Phase::Starttls, Phase::Starttls),
        signals: &[TlsFailure, StreamEnd, AnyStreamError, Fin, Reset],
        tolerated: None,
    },
    // The partner demands TLS; the target may find out by trying a key.
    Look {
        reason: Reason::PeerTls,
        closers: TARGET,
        phases: (Phase::Stream, Phase::Method),
        signals: &[StreamErrors(&["unsupported-feature"]), StreamEnd],
        tolerated: None,
    },
    Look {
        reason: Reason::PeerTls,
        closers: ANYBODY,
        phases: (Phase::Dialback, Phase::Dialback),
        signals: &[AnyDialbackError],
        tolerated: None,
    },
    Look {
        reason: Reason::PeerTls,
        closers: PARTNER,
        phases: (Phase::Stream, Phase::Dialback),
        signals: ANY_END,
        tolerated: None,
    },
    Look {
        reason: Reason::PeerTls,
        closers: TARGET,
        phases: (Phase::Stream, Phase::Method),
        signals: &[AnyStreamError],
        tolerated: Some(OTHER_CONDITION),
    },
    Look {
        reason: Reason::PeerTls,
        closers: TARGET,
        phases: (Phase::Stream, Phase::Method),
        signals: &[Fin, Reset],
        tolerated: Some(ABRUPT),
    },
    // TLS fails: whoever ends it, and however.
    Look {
        reason: Reason::TlsFail,
        closers: ANYBODY,
        phases: (Phase::Starttls, Phase::Tls),
        signals: &[
            TlsFailure,
            AnyTlsAlert,
            TlsBroken,
            StreamEnd,
            AnyStreamError,
            Fin,
            Reset,
        ],
        tolerated: None,
    },
    // The certificate.
    Look {
        reason: Reason::BadCert,
        closers: TARGET,
        phases: (Phase::Tls, Phase::Method),
        signals: &[
            AnyTlsAlert,
            StreamErrors(&["not-authorized", "policy-violation", "undefined-condition"]),
            StreamEnd,
            TlsBroken,
            Fin,
            Reset,
        ],
        tolerated: None,
    },
    Look {
        reason: Reason::BadCert,
        closers: TARGET,
        phases: (Phase::Tls, Phase::Method),
        signals: &[AnyStreamError],
        tolerated: Some(OTHER_CONDITION),
    },
    // EXTERNAL was refused by the partner.
    Look {
        reason: Reason::SaslFail,
        closers: ANYBODY,
        phases: (Phase::Sasl, Phase::Sasl),
        signals: &[AnySaslFailure],
        tolerated: None,
    },
    Look {
        reason: Reason::SaslFail,
        closers: TARGET,
        phases: (Phase::Method, Phase::Sasl),
        signals: &[
            StreamEnd,
            StreamErrors(&["not-authorized", "undefined-condition"]),
        ],
        tolerated: None,
    },
    Look {
        reason: Reason::SaslFail,
        closers: PARTNER,
        phases: (Phase::Sasl, Phase::Sasl),
        signals: ANY_END,
        tolerated: None,
    },
    Look {
        reason: Reason::SaslFail,
        closers: TARGET,
        phases: (Phase::Method, Phase::Sasl),
        signals: &[AnyStreamError],
        tolerated: Some(OTHER_CONDITION),
    },
    Look {
        reason: Reason::SaslFail,
        closers: TARGET,
        phases: (Phase::Method, Phase::Sasl),
        signals: &[Fin, Reset],
        tolerated: Some(ABRUPT),
    },
    // No common method; a target that has dialback may find out by trying a key.
    Look {
        reason: Reason::NoMethod,
        closers: TARGET,
        phases: (Phase::Stream, Phase::Method),
        signals: &[
            StreamErrors(&["unsupported-feature", "policy-violation"]),
            StreamEnd,
        ],
        tolerated: None,
    },
    Look {
        reason: Reason::NoMethod,
        closers: ANYBODY,
        phases: (Phase::Dialback, Phase::Dialback),
        signals: &[AnyDialbackError],
        tolerated: None,
    },
    Look {
        reason: Reason::NoMethod,
        closers: PARTNER,
        phases: (Phase::Dialback, Phase::Dialback),
        signals: &[StreamEnd, AnyStreamError, Fin, Reset, DialbackInvalid],
        tolerated: None,
    },
    Look {
        reason: Reason::NoMethod,
        closers: TARGET,
        phases: (Phase::Stream, Phase::Method),
        signals: &[AnyStreamError],
        tolerated: Some(OTHER_CONDITION),
    },
    Look {
        reason: Reason::NoMethod,
        closers: TARGET,
        phases: (Phase::Stream, Phase::Method),
        signals: &[Fin, Reset],
        tolerated: Some(ABRUPT),
    },
    // The partner's own demands.
    Look {
        reason: Reason::PeerGivesUp,
        closers: PARTNER,
        phases: (Phase::Stream, Phase::Dialback),
        signals: ANY_END,
        tolerated: None,
    },
    Look {
        reason: Reason::PeerGivesUp,
        closers: ANYBODY,
        phases: (Phase::Dialback, Phase::Dialback),
        signals: &[AnyDialbackError],
        tolerated: None,
    },
    // The partner's fault.
    Look {
        reason: Reason::PeerBroken,
        closers: ANYBODY,
        phases: (Phase::Connect, Phase::Connect),
        signals: &[NoConnection],
        tolerated: None,
    },
    Look {
        reason: Reason::PeerBroken,
        closers: PARTNER,
        phases: (Phase::Connect, Phase::Method),
        signals: WORDLESS,
        tolerated: None,
    },
    Look {
        reason: Reason::PeerBroken,
        closers: TARGET,
        phases: (Phase::Connect, Phase::Method),
        signals: ANY_END,
        tolerated: None,
    },
    Look {
        reason: Reason::PeerBroken,
        closers: ANYBODY,
        phases: (Phase::Dialback, Phase::Dialback),
        signals: &[DialbackInvalid, AnyDialbackError, StreamEnd, AnyStreamError],
        tolerated: Some(KEY_WITHOUT_ID),
    },
];
