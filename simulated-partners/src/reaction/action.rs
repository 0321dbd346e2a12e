//! What a partner does instead of the correct answer.

use serde::{Deserialize, Serialize};
use strum::AsRefStr;

use super::hello::Hello;

/// What a partner does at a point.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, AsRefStr)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Do {
    /// Sends text unchanged, with the placeholders of [`Values`](super::Values) filled in. What is
    /// sent at one point without a `flush` in between is sent in one piece.
    Send(String),
    /// Sends bytes, written as pairs of hexadecimal digits with optional spaces between pairs.
    SendBytes(String),
    /// Sends a text many times.
    Repeat(Repeat),
    /// From now on, sends everything in segments, or under TLS in records, of this many bytes. Zero
    /// ends it.
    Split(u16),
    /// Makes what was sent so far a separate segment.
    Flush,
    /// Answers with a correct stream header without these attributes.
    HeaderWithout(Vec<String>),
    /// Sends the correct features for this state.
    Features,
    /// Continues with the list after this many milliseconds; the connection keeps reading.
    Wait(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = 600_000)))] u32),
    /// Continues with the list when this signal is raised; at once if it already is.
    WaitFor(String),
    /// Leaves the rest of the list until this signal is raised; the connection goes on meanwhile, as
    /// after `no-reply`. The rest follows at once if the signal already is raised.
    Later(String),
    /// Raises a signal, visible to other connections and partners of the scenario.
    Raise(String),
    /// Raises a signal with a filled-in text.
    Capture(Capture),
    /// Continues from here as a correct server would, once the list has ended.
    Await(Await),
    /// Stops reading; the connection stays open.
    StopReading,
    /// Sends FIN after what was sent, and keeps reading.
    ShutdownWrite,
    /// Starts a TLS handshake in the natural role: client on dialled connections, else server.
    StartTls,
    /// Ends the stream and closes TCP.
    Close,
    /// Closes TCP without ending the stream or TLS.
    CloseTcp,
    /// Resets TCP.
    Reset,
    /// Sends nothing more on this connection and leaves it open.
    StaySilent,
    /// Does not answer this element; the connection continues.
    NoReply,
    /// Sends bytes that are not TLS instead of the handshake, then closes.
    BreakTls,
    /// Speaks TLS 1.0 at the record layer.
    LegacyTls,
    /// Sends a hello made by hand instead of the handshake, and reads the answer.
    Hello(Box<Hello>),
    /// Stays silent instead of the handshake, and reads what arrives.
    StallTls,
    /// Requests another handshake under TLS 1.2 keys, ends the stream, and reads the answer.
    Renegotiate(Renegotiate),
    /// Continues as a correct server would, after the preceding actions.
    Proceed,
}

/// A text to send many times.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repeat {
    /// The text; `{n}` is the number of the repetition, counted from 1.
    pub send: String,
    /// How often.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000_000)))]
    pub times: u32,
    /// Milliseconds between repetitions, to keep a peer busy slowly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 600_000)))]
    pub every: Option<u32>,
}

/// What a ClientHello under a connection's keys says about the previous handshake. A listening
/// side sends a HelloRequest, which says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Renegotiate {
    /// Nothing, as before RFC 5746.
    WithoutInfo,
    /// Something that does not match the previous handshake (RFC 5746 §3.5).
    WrongInfo,
}

/// A text to capture.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Capture {
    /// The signal that is raised, which is also the name of the placeholder.
    pub name: String,
    /// The text, with placeholders.
    pub value: String,
    /// Instead of the text, the dialback key that this secret, with placeholders, makes of it
    /// (XEP-0185 §3). The text should then be `{domain} {target} {stream-id}`: receiving domain,
    /// originating domain and stream id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What a connection waits for after a reaction, if that does not follow from what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Await {
    /// A stream header: the stream restarts.
    Header,
    /// Features.
    Features,
    /// The answer to `<starttls/>`.
    Proceed,
    /// The answer to `<auth/>`.
    Success,
    /// The answer to an untyped `db:result`.
    Result,
    /// The answer to an untyped `db:verify`.
    Answer,
    /// Nothing: anything received triggers its point and has no other effect.
    Nothing,
}

/// The part of an action in a signal, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal<'a> {
    /// It waits for the signal.
    Awaited(&'a str),
    /// It raises the signal.
    Raised(&'a str),
}

impl Do {
    /// Whether nothing can be sent after it.
    pub const fn ends_sending(&self) -> bool {
        matches!(
            self,
            Self::Close | Self::CloseTcp | Self::Reset | Self::ShutdownWrite
        )
    }

    /// Whether nothing can follow it at the same point.
    pub const fn is_last(&self) -> bool {
        match self {
            Self::Send(_)
            | Self::SendBytes(_)
            | Self::Repeat(_)
            | Self::Split(_)
            | Self::Flush
            | Self::HeaderWithout(_)
            | Self::Features
            | Self::Wait(_)
            | Self::WaitFor(_)
            | Self::Later(_)
            | Self::Raise(_)
            | Self::Capture(_)
            | Self::Await(_)
            | Self::StopReading
            | Self::ShutdownWrite => false,
            Self::StartTls
            | Self::Close
            | Self::CloseTcp
            | Self::Reset
            | Self::StaySilent
            | Self::NoReply
            | Self::BreakTls
            | Self::LegacyTls
            | Self::Hello(_)
            | Self::StallTls
            | Self::Renegotiate(_)
            | Self::Proceed => true,
        }
    }

    /// Whether it sends bytes.
    pub const fn sends(&self) -> bool {
        matches!(
            self,
            Self::Send(_)
                | Self::SendBytes(_)
                | Self::Repeat(_)
                | Self::HeaderWithout(_)
                | Self::Features
        )
    }

    /// The signal that it waits for or raises, if any.
    pub fn signal(&self) -> Option<Signal<'_>> {
        match self {
            Self::WaitFor(name) | Self::Later(name) => Some(Signal::Awaited(name)),
            Self::Raise(name) | Self::Capture(Capture { name, .. }) => Some(Signal::Raised(name)),
            _ => None,
        }
    }

    /// Its texts: sent ones, and names of signals.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (one, two, three) = match self {
            Self::Send(text)
            | Self::SendBytes(text)
            | Self::WaitFor(text)
            | Self::Later(text)
            | Self::Raise(text) => (Some(text), None, None),
            Self::Repeat(repeat) => (Some(&repeat.send), None, None),
            Self::Capture(keep) => (Some(&keep.name), Some(&keep.value), keep.secret.as_ref()),
            _ => (None, None, None),
        };
        one.into_iter().chain(two).chain(three).map(String::as_str)
    }

    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let (one, two, three) = match self {
            Self::Send(text)
            | Self::SendBytes(text)
            | Self::WaitFor(text)
            | Self::Later(text)
            | Self::Raise(text) => (Some(text), None, None),
            Self::Repeat(repeat) => (Some(&mut repeat.send), None, None),
            Self::Capture(keep) => (
                Some(&mut keep.name),
                Some(&mut keep.value),
                keep.secret.as_mut(),
            ),
            _ => (None, None, None),
        };
        one.into_iter().chain(two).chain(three)
    }
}

/// Parses pairs of hexadecimal digits; `None` if the text is something else.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for group in text.split_ascii_whitespace() {
        if group.len() % 2 != 0 {
            return None;
        }
        for pair in group.as_bytes().chunks(2) {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(pair[0])?, digit(pair[1])?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        }
    }
    Some(bytes)
}
