//! What a partner does in place of a correct answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::AsRefStr;

use super::hello::Hello;

/// What a partner does at a point.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema, AsRefStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Do {
    /// Sends text as it is, with the placeholders of [`Values`](super::Values) filled in. What is
    /// sent at one point without a `flush` between goes out in one piece.
    Send(String),
    /// Sends bytes, written as pairs of hexadecimal digits with blanks anywhere between pairs.
    SendBytes(String),
    /// Sends a text many times over.
    Repeat(Repeat),
    /// From here on sends everything in segments, or under TLS in records, of so many bytes. Zero
    /// ends it.
    Split(u16),
    /// Makes what was sent so far a segment of its own.
    Flush,
    /// Answers with a correct stream header without these attributes.
    HeaderWithout(Vec<String>),
    /// Sends the correct features for this state.
    Features,
    /// Goes on with the list after so many milliseconds; the connection goes on reading.
    Wait(#[schemars(range(min = 1, max = 600_000))] u32),
    /// Goes on with the list when this name is on the board; at once if it already is.
    WaitFor(String),
    /// Puts a name on the board, which other connections and partners of the scenario see.
    Raise(String),
    /// Puts a filled-in text on the board, and its name with it.
    Capture(Capture),
    /// Goes on from here as if a correct server stood there, once the list is through.
    Await(Await),
    /// Stops reading; the connection stays.
    StopReading,
    /// Sends FIN after what was sent, and goes on reading.
    ShutdownWrite,
    /// Begins a TLS handshake in the natural role: client on dialled connections, else server.
    StartTls,
    /// Ends the stream and closes TCP.
    Close,
    /// Closes TCP with neither an end of the stream nor of TLS.
    CloseTcp,
    /// Resets TCP.
    Reset,
    /// Says nothing more on this connection and leaves it open.
    StaySilent,
    /// Says nothing to what was received; the connection goes on.
    NoReply,
    /// Sends bytes that are no TLS where the handshake should be, then closes.
    BreakTls,
    /// Speaks TLS 1.0 at the record layer.
    LegacyTls,
    /// Sends a hello made by hand where the handshake should be, and looks at the answer.
    Hello(Box<Hello>),
    /// Stays silent where the handshake should be, and looks at what comes.
    StallTls,
    /// Asks for another handshake under the keys of TLS 1.2, ends the stream, and looks at the answer.
    Renegotiate(Renegotiate),
    /// Goes on as a correct server would, after the actions before.
    Proceed,
}

/// A text that is sent many times over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repeat {
    /// The text; `{n}` in it is the number of the repetition, counted from 1.
    pub send: String,
    /// How often.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub times: u32,
    /// Milliseconds between two of them, for a peer that is to be kept busy slowly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600_000))]
    pub every: Option<u32>,
}

/// What a ClientHello under the keys of a connection says of the handshake before it. A listening
/// side sends a HelloRequest, which says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Renegotiate {
    /// Nothing, as before RFC 5746.
    WithoutInfo,
    /// Something that is not what the handshake before ended in (RFC 5746 §3.5).
    WrongInfo,
}

/// A text for the board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Capture {
    /// The name under which it is kept, and by which it becomes a placeholder.
    pub name: String,
    /// The text, with placeholders.
    pub value: String,
    /// In place of the text, the dialback key that this secret, with placeholders, makes of it
    /// (XEP-0185 §3). It should then be `{domain} {target} {stream-id}`: receiving domain,
    /// originating domain and stream id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What a connection waits for after a reaction, where it does not show from what was sent.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Await {
    /// A stream header: the stream starts again.
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
    /// Nothing: whatever comes is matched to its point and has no effect otherwise.
    Nothing,
}

impl Do {
    /// Nothing can come after it at the same point.
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

    /// Whether bytes go out by it.
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

    /// Its texts: what is sent, and names of the board.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (one, two, three) = match self {
            Self::Send(text) | Self::SendBytes(text) | Self::WaitFor(text) | Self::Raise(text) => {
                (Some(text), None, None)
            }
            Self::Repeat(repeat) => (Some(&repeat.send), None, None),
            Self::Capture(keep) => (Some(&keep.name), Some(&keep.value), keep.secret.as_ref()),
            _ => (None, None, None),
        };
        one.into_iter().chain(two).chain(three).map(String::as_str)
    }

    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let (one, two, three) = match self {
            Self::Send(text) | Self::SendBytes(text) | Self::WaitFor(text) | Self::Raise(text) => {
                (Some(text), None, None)
            }
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

/// Bytes from pairs of hexadecimal digits; nothing where it is something else.
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
