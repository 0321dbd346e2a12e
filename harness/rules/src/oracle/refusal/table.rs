//! The table of how a negotiation is refused: who ends it, when, and how.

use std::ops::RangeInclusive;

use crate::case::Direction;
use crate::expectation::Reason;
use crate::outcome::{Closer, Phase};

use super::SignalPattern;
use Phase::{Connect, Dialback, Method, Sasl, Starttls, Stream, Tls};
use Reason::{
    BadCert, NoMethod, NoTls, PeerBroken, PeerGivesUp, PeerTls, SaslFail, TlsFail,
    VerificationImpossible, VerificationNegative,
};
use SignalPattern::{
    AnyDialbackError, AnySaslFailure, AnyStreamError, AnyTlsAlert, ConfigRefused, DialbackError,
    DialbackInvalid, Fin, NoConnection, Reset, SaslFailure, Silence, StreamEnd, StreamError,
    TlsBroken, TlsFailure,
};

/// A row of the table: refusals of this form match the reason to this degree.
pub(super) struct RefusalPattern {
    /// Who dials; `None` means either.
    pub(super) direction: Option<Direction>,
    pub(super) reason: Reason,
    pub(super) closers: &'static [Closer],
    /// The phases in which it may happen. What a reason forbids (such as a plaintext key if TLS
    /// is missing) belongs to a later phase and so matches no row.
    pub(super) phases: RangeInclusive<Phase>,
    pub(super) signals: &'static [SignalPattern],
    /// The reason, if only tolerated.
    pub(super) tolerated: Option<&'static str>,
}

const ANYBODY: &[Closer] = &[Closer::Target, Closer::Partner, Closer::Nobody];
const TARGET: &[Closer] = &[Closer::Target];
const PARTNER: &[Closer] = &[Closer::Partner];

/// Plain ends of a stream or of TCP.
const WORDLESS: &[SignalPattern] = &[StreamEnd, Fin, Reset];
/// All ends of a stream or of TCP.
const ANY_END: &[SignalPattern] = &[StreamEnd, AnyStreamError, Fin, Reset];
/// Ends of STARTTLS or of a handshake.
const TLS_ENDS: &[SignalPattern] = &[TlsFailure, AnyTlsAlert, TlsBroken];
/// Answers to a key for a partner whose certificate is not good enough.
const NOT_WITH_THIS: &str =
    "policy-violation not-authorized not-allowed forbidden service-unavailable";
/// Answers to a key with dialback disabled.
const NO_DIALBACK: &str = "policy-violation not-authorized not-allowed service-unavailable";
/// Answers to a key that could not be verified (XEP-0220 §2.4.2).
const NOT_VERIFIED: &str = "remote-server-not-found remote-connection-failed remote-server-timeout";

const OTHER_CONDITION: &str = "another error condition than the standards name for it";
const ABRUPT: &str = "TCP was ended without an end of the stream";
const NO_REASON_GIVEN: &str = "ended without saying why";
const NO_ANSWER: &str = "no answer at all: only a timeout ends it";
const CALLED_INVALID: &str = "the key is called invalid without having been verified";
const ANSWER_MISSING: &str = "the typed answer to the key is missing";
const KEY_WITHOUT_ID: &str = "a key was made for a stream that cannot carry dialback";

/// By reason. Of the rows for a reason and direction, the first match decides, so expected rows
/// come before tolerated ones. What matches no row does not fit.
#[rustfmt::skip]
pub(super) static PATTERNS: &[RefusalPattern] = &[
    // Any end before authentication. A partner that breaks the stream ends it
    // before the configuration can.
    both(Reason::Config, ANYBODY, Stream..=Tls, TLS_ENDS),
    both(Reason::Config, ANYBODY, Phase::Config..=Connect, &[ConfigRefused, NoConnection]),
    outbound(Reason::Config, PARTNER, Stream..=Tls, &[AnyStreamError, Fin, Reset]),
    outbound(Reason::Config, TARGET, Connect..=Method, ANY_END),
    inbound(Reason::Config, PARTNER, Stream..=Tls, &[Silence]),
    inbound(Reason::Config, PARTNER, Stream..=Sasl, ANY_END),
    inbound(Reason::Config, TARGET, Connect..=Dialback, WORDLESS),
    inbound(Reason::Config, TARGET, Connect..=Dialback, &[StreamError("policy-violation internal-server-error")]),
    inbound(Reason::Config, ANYBODY, Connect..=Dialback, &[AnyDialbackError, Silence]),
    inbound(Reason::Config, ANYBODY, Stream..=Dialback, &[AnyStreamError, AnySaslFailure]).tolerated(OTHER_CONDITION),
    inbound(Reason::Config, ANYBODY, Dialback..=Dialback, &[DialbackInvalid]).tolerated(CALLED_INVALID),

    outbound(NoTls, TARGET, Stream..=Method, &[StreamError("policy-violation unsupported-feature"), StreamEnd]),
    outbound(NoTls, TARGET, Stream..=Method, &[AnyStreamError]).tolerated(OTHER_CONDITION),
    outbound(NoTls, TARGET, Stream..=Method, &[Fin, Reset]).tolerated(ABRUPT),
    // RFC 7590 §3.1: TLS may be tried although it is not offered.
    outbound(NoTls, PARTNER, Starttls..=Starttls, &[TlsFailure, StreamEnd, AnyStreamError, Fin, Reset]),
    inbound(NoTls, ANYBODY, Dialback..=Dialback, &[DialbackError("policy-violation")]),
    inbound(NoTls, TARGET, Stream..=Dialback, &[StreamError("policy-violation not-authorized")]),
    inbound(NoTls, PARTNER, Stream..=Method, ANY_END),
    inbound(NoTls, ANYBODY, Dialback..=Dialback, &[AnyDialbackError]).tolerated(OTHER_CONDITION),
    inbound(NoTls, TARGET, Stream..=Dialback, &[AnyStreamError]).tolerated(OTHER_CONDITION),
    inbound(NoTls, TARGET, Stream..=Dialback, WORDLESS).tolerated(NO_REASON_GIVEN),
    inbound(NoTls, ANYBODY, Dialback..=Dialback, &[DialbackInvalid]).tolerated(CALLED_INVALID),
    inbound(NoTls, ANYBODY, Method..=Dialback, &[Silence]).tolerated(NO_ANSWER),

    // The partner demands TLS; the target may find out by trying a key.
    outbound(PeerTls, TARGET, Stream..=Method, &[StreamError("unsupported-feature"), StreamEnd]),
    outbound(PeerTls, ANYBODY, Dialback..=Dialback, &[AnyDialbackError]),
    outbound(PeerTls, PARTNER, Stream..=Dialback, ANY_END),
    outbound(PeerTls, TARGET, Stream..=Method, &[AnyStreamError]).tolerated(OTHER_CONDITION),
    outbound(PeerTls, TARGET, Stream..=Method, &[Fin, Reset]).tolerated(ABRUPT),

    // Whoever ends it, in any way.
    both(TlsFail, ANYBODY, Starttls..=Tls, TLS_ENDS),
    both(TlsFail, ANYBODY, Starttls..=Tls, ANY_END),

    outbound(BadCert, TARGET, Tls..=Method, &[AnyTlsAlert, TlsBroken, StreamEnd, Fin, Reset]),
    outbound(BadCert, TARGET, Tls..=Method, &[StreamError("not-authorized policy-violation undefined-condition")]),
    outbound(BadCert, TARGET, Tls..=Method, &[AnyStreamError]).tolerated(OTHER_CONDITION),
    inbound(BadCert, TARGET, Tls..=Dialback, &[AnyTlsAlert, TlsBroken, StreamEnd, Fin, Reset]),
    inbound(BadCert, TARGET, Tls..=Dialback, &[StreamError("policy-violation not-authorized")]),
    inbound(BadCert, TARGET, Dialback..=Dialback, &[StreamError("unsupported-stanza-type")]),
    inbound(BadCert, ANYBODY, Method..=Sasl, &[SaslFailure("not-authorized invalid-mechanism invalid-authzid")]),
    // EXTERNAL is not offered, and the partner has no other method.
    inbound(BadCert, PARTNER, Stream..=Dialback, ANY_END),
    inbound(BadCert, ANYBODY, Dialback..=Dialback, &[DialbackError(NOT_WITH_THIS)]),
    inbound(BadCert, ANYBODY, Tls..=Dialback, &[AnyStreamError, AnySaslFailure]).tolerated(OTHER_CONDITION),
    inbound(BadCert, ANYBODY, Tls..=Dialback, &[AnyDialbackError]).tolerated(OTHER_CONDITION),
    inbound(BadCert, ANYBODY, Dialback..=Dialback, &[DialbackInvalid]).tolerated(CALLED_INVALID),
    inbound(BadCert, ANYBODY, Tls..=Dialback, &[Silence]).tolerated(NO_ANSWER),

    // EXTERNAL was refused by the partner.
    outbound(SaslFail, ANYBODY, Sasl..=Sasl, &[AnySaslFailure]),
    outbound(SaslFail, TARGET, Method..=Sasl, &[StreamError("not-authorized undefined-condition"), StreamEnd]),
    outbound(SaslFail, PARTNER, Sasl..=Sasl, ANY_END),
    outbound(SaslFail, TARGET, Method..=Sasl, &[AnyStreamError]).tolerated(OTHER_CONDITION),
    outbound(SaslFail, TARGET, Method..=Sasl, &[Fin, Reset]).tolerated(ABRUPT),

    // A target that has dialback may find out by trying a key.
    outbound(NoMethod, TARGET, Stream..=Method, &[StreamError("unsupported-feature policy-violation"), StreamEnd]),
    outbound(NoMethod, ANYBODY, Dialback..=Dialback, &[AnyDialbackError]),
    outbound(NoMethod, PARTNER, Dialback..=Dialback, &[StreamEnd, AnyStreamError, Fin, Reset, DialbackInvalid]),
    outbound(NoMethod, TARGET, Stream..=Method, &[AnyStreamError]).tolerated(OTHER_CONDITION),
    outbound(NoMethod, TARGET, Stream..=Method, &[Fin, Reset]).tolerated(ABRUPT),
    inbound(NoMethod, PARTNER, Stream..=Dialback, ANY_END),
    inbound(NoMethod, TARGET, Stream..=Dialback, &[StreamError("policy-violation not-authorized unsupported-stanza-type")]),
    inbound(NoMethod, ANYBODY, Dialback..=Dialback, &[DialbackError(NO_DIALBACK)]),
    // A request for disabled dialback may be ignored.
    inbound(NoMethod, ANYBODY, Method..=Dialback, &[Silence]),
    inbound(NoMethod, ANYBODY, Stream..=Dialback, &[AnyStreamError, AnyDialbackError]).tolerated(OTHER_CONDITION),
    inbound(NoMethod, TARGET, Stream..=Dialback, WORDLESS).tolerated(NO_REASON_GIVEN),
    inbound(NoMethod, ANYBODY, Dialback..=Dialback, &[DialbackInvalid]).tolerated(CALLED_INVALID),

    // The authoritative server's answer.
    inbound(VerificationNegative, ANYBODY, Dialback..=Dialback, &[DialbackInvalid, DialbackError("forbidden")]),
    inbound(VerificationNegative, ANYBODY, Dialback..=Dialback, &[AnyDialbackError]).tolerated(OTHER_CONDITION),
    inbound(VerificationNegative, TARGET, Dialback..=Dialback, ANY_END).tolerated(ANSWER_MISSING),
    inbound(VerificationNegative, ANYBODY, Dialback..=Dialback, &[Silence]).tolerated(NO_ANSWER),
    inbound(VerificationImpossible, ANYBODY, Dialback..=Dialback, &[DialbackError(NOT_VERIFIED)]),
    inbound(VerificationImpossible, ANYBODY, Dialback..=Dialback, &[AnyDialbackError]).tolerated(OTHER_CONDITION),
    inbound(VerificationImpossible, ANYBODY, Dialback..=Dialback, &[DialbackInvalid]).tolerated(CALLED_INVALID),
    inbound(VerificationImpossible, TARGET, Dialback..=Dialback, ANY_END).tolerated(ANSWER_MISSING),

    // The partner's own demands.
    outbound(PeerGivesUp, PARTNER, Stream..=Dialback, ANY_END),
    outbound(PeerGivesUp, ANYBODY, Dialback..=Dialback, &[AnyDialbackError]),
    inbound(PeerGivesUp, PARTNER, Stream..=Sasl, ANY_END),
    inbound(PeerGivesUp, ANYBODY, Starttls..=Starttls, &[TlsFailure]),

    // The partner's fault.
    outbound(PeerBroken, ANYBODY, Connect..=Connect, &[NoConnection]),
    outbound(PeerBroken, PARTNER, Connect..=Method, WORDLESS),
    outbound(PeerBroken, TARGET, Connect..=Method, ANY_END),
    outbound(PeerBroken, ANYBODY, Dialback..=Dialback, &[DialbackInvalid, AnyDialbackError]).tolerated(KEY_WITHOUT_ID),
    outbound(PeerBroken, ANYBODY, Dialback..=Dialback, &[StreamEnd, AnyStreamError]).tolerated(KEY_WITHOUT_ID),
];

const fn both(
    reason: Reason,
    closers: &'static [Closer],
    phases: RangeInclusive<Phase>,
    signals: &'static [SignalPattern],
) -> RefusalPattern {
    RefusalPattern {
        direction: None,
        reason,
        closers,
        phases,
        signals,
        tolerated: None,
    }
}

const fn outbound(
    reason: Reason,
    closers: &'static [Closer],
    phases: RangeInclusive<Phase>,
    signals: &'static [SignalPattern],
) -> RefusalPattern {
    both(reason, closers, phases, signals).only(Direction::Outbound)
}

const fn inbound(
    reason: Reason,
    closers: &'static [Closer],
    phases: RangeInclusive<Phase>,
    signals: &'static [SignalPattern],
) -> RefusalPattern {
    both(reason, closers, phases, signals).only(Direction::Inbound)
}

impl RefusalPattern {
    const fn only(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }

    const fn tolerated(mut self, ground: &'static str) -> Self {
        self.tolerated = Some(ground);
        self
    }
}
