//! Inputs and actions of a machine.

use std::time::Duration;

use crate::board::Snapshot;
use crate::event::{EventKind, Party, TlsSession, TlsSignal};
use crate::reaction::Line;
use crate::wire::Element;

/// An event on a connection.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// TCP is connected.
    Opened,
    /// Bytes arrived, decrypted under TLS.
    Bytes(&'a [u8]),
    /// The handshake started by [`Action::StartTls`] was completed.
    TlsUp(TlsSession),
    /// That handshake failed, or TLS broke down later.
    TlsFailed {
        /// Who ended it.
        by: Party,
        /// How it failed.
        signal: TlsSignal,
    },
    /// The peer will send nothing more: FIN, or close_notify.
    PeerClosed,
    /// The peer reset the connection, or it broke.
    PeerReset,
    /// The deadline set by [`Action::Deadline`] has passed.
    Deadline,
    /// The time set by [`Action::Timer`] has come.
    Timer,
    /// The current state of the scenario's board.
    Board(Snapshot),
    /// A question asked with [`Action::Ask`] is decided.
    Verified {
        /// The question.
        ticket: u32,
        /// The answer.
        answer: KeyAnswer,
    },
    /// A stanza for an authenticated connection of [`Purpose::Enter`]; on any other it is dropped.
    ///
    /// [`Purpose::Enter`]: super::Purpose::Enter
    Send(Element),
    /// The partner is being stopped.
    Stop,
}

/// An action requested by a machine, to be carried out in the given order.
#[derive(Clone, Debug)]
pub enum Action {
    /// Add to the transcript.
    Observe(EventKind),
    /// Send these bytes, under TLS if it is up.
    Send(Vec<u8>),
    /// Send this many times, numbered from 1, before what comes after; keep reading meanwhile.
    /// If the peer stops reading, the rest is dropped.
    SendMany {
        /// The repeated text.
        line: Line,
        /// The count.
        times: u32,
        /// The interval.
        every: Option<Duration>,
    },
    /// Make what was sent so far a separate segment.
    Flush,
    /// From now on, send in segments, or under TLS in records, of this many bytes; zero means no limit.
    Segments(usize),
    /// Send nothing more: FIN, preceded by close_notify under TLS. Reading continues.
    ShutWrite,
    /// Resume or stop reading from the socket.
    Read(bool),
    /// Pass in [`Input::Timer`] after a time. Replaces the previous one.
    Timer {
        /// The time.
        time: Duration,
        /// The time starts when all pending output has been sent.
        after_sent: bool,
    },
    /// Raise this signal.
    Raise {
        name: String,
        /// Its text.
        value: String,
        /// Wait until all pending output has been sent.
        after_sent: bool,
    },
    /// Start a handshake; nothing else may be read from TCP before it ends.
    StartTls(TlsRole),
    /// Take over the TLS 1.2 keys and send these plaintext records under them. Received records
    /// are passed in as plaintext from then on.
    TakeOver(Vec<u8>),
    /// From now on, wait this long for the next step, or without limit. Replaces the previous limit.
    Deadline(Option<Duration>),
    /// Have a dialback key verified by the authoritative server on a separate connection, and return
    /// the result as [`Input::Verified`] (XEP-0220 §2.1.2).
    Ask {
        /// The number of the question.
        ticket: u32,
        question: Question,
    },
    /// Send this answer to the target on a separate connection (RFC 6120 §4.5).
    Answer(Element),
    /// The verification is finished.
    Decide(KeyAnswer),
    /// Close TLS and TCP cleanly. Further inputs do not matter.
    Close,
    /// Close TCP without closing TLS. Further inputs do not matter.
    Cut,
    /// Reset TCP. Further inputs do not matter.
    Reset,
}

/// A side of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRole {
    /// The side that sends the ClientHello, asking for the target's domain.
    Client,
    /// The side that answers it.
    Server,
}

/// A dialback key sent by an initiating entity, to be verified with the authoritative server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The domain that the initiating entity claims, whose authoritative server is asked.
    pub sender: String,
    /// The partner's domain, to which the key was sent.
    pub receiver: String,
    /// The partner's stream id on the connection that the key was received on.
    pub id: String,
    /// The key, as received.
    pub key: String,
}

/// The answer to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAnswer {
    /// The authoritative server knows the key.
    Valid,
    /// The authoritative server denies the key.
    Invalid,
    /// Unknown; the dialback error condition to pass on (XEP-0220 §2.5).
    Undecided(&'static str),
}
