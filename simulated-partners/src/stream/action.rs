//! What a machine takes in and what it wants done.

use std::time::Duration;

use crate::board::Snapshot;
use crate::event::{EventKind, Party, TlsSession, TlsSignal};
use crate::reaction::Line;
use crate::wire::Element;

/// Something that happened to a connection.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// TCP is connected.
    Opened,
    /// Bytes arrived, decrypted where TLS is up.
    Bytes(&'a [u8]),
    /// The handshake that [`Action::StartTls`] asked for is complete.
    TlsUp(TlsSession),
    /// That handshake failed, or TLS broke down later.
    TlsFailed {
        /// Who ended it.
        by: Party,
        /// What it looked like.
        signal: TlsSignal,
    },
    /// The peer will send nothing more: FIN, or close_notify.
    PeerClosed,
    /// The peer reset the connection, or it broke.
    PeerReset,
    /// The time of [`Action::Deadline`] has come.
    Deadline,
    /// The time of [`Action::Timer`] has come.
    Timer,
    /// What is on the board of the scenario now.
    Board(Snapshot),
    /// A question of [`Action::Ask`] is decided.
    Verified {
        /// Which question.
        ticket: u32,
        /// How.
        verdict: Verdict,
    },
    /// A stanza for an authenticated connection of [`Purpose::Enter`]; on any other it is dropped.
    ///
    /// [`Purpose::Enter`]: super::Purpose::Enter
    Send(Element),
    /// The partner is being stopped.
    Stop,
}

/// Something that a machine wants done, in the order given.
#[derive(Clone, Debug)]
pub enum Action {
    /// Add to the transcript.
    Observe(EventKind),
    /// Send these bytes, under TLS where it is up.
    Send(Vec<u8>),
    /// Send this so many times, numbered from 1, before what comes after; go on reading meanwhile.
    /// Without a peer that takes it, the rest is left out.
    SendMany {
        /// What is repeated.
        line: Line,
        /// How often.
        times: u32,
        /// How long after one the next is due.
        every: Option<Duration>,
    },
    /// Let what was sent so far be a segment of its own.
    Flush,
    /// From here on send in segments, under TLS in records, of so many bytes; zero is no bound.
    Segments(usize),
    /// Send nothing more: FIN, and close_notify before it under TLS. Reading goes on.
    ShutWrite,
    /// Read from the socket or, from now on, do not.
    Read(bool),
    /// Hand in [`Input::Timer`] after a time. Replaces the one before.
    Timer {
        /// How long after.
        time: Duration,
        /// The time begins when all is out that was sent before.
        after_sent: bool,
    },
    /// Put this on the board.
    Raise {
        name: String,
        /// Its text.
        value: String,
        /// Not before all is out that was sent before.
        after_sent: bool,
    },
    /// Start a handshake; nothing else may be read from TCP before it ends.
    StartTls(TlsRole),
    /// Take the keys of TLS 1.2 over and send these records, in clear here, under them. What comes
    /// is handed in as records in clear from then on.
    TakeOver(Vec<u8>),
    /// From now on wait this long for the next step, or without limit. Replaces the wait before.
    Deadline(Option<Duration>),
    /// Have a dialback key checked by the authoritative server on a connection of its own, and hand
    /// the result back as [`Input::Verified`] (XEP-0220 §2.1.2).
    Ask {
        /// Names the question.
        ticket: u32,
        question: Question,
    },
    /// Get this answer to the target on a connection of its own (RFC 6120 §4.5).
    Answer(Element),
    /// The purpose of a verifying connection is done.
    Decide(Verdict),
    /// Close TLS and TCP in order. No input matters after it.
    Close,
    /// Close TCP without a word of TLS. No input matters after it.
    Cut,
    /// Reset TCP. No input matters after it.
    Reset,
}

/// Which side of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRole {
    /// The side that sends the ClientHello, asking for the target's domain.
    Client,
    /// The side that answers it.
    Server,
}

/// A dialback key that an initiating entity sent, to be checked with who can know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The domain that the initiating entity claims, whose authoritative server is asked.
    pub sender: String,
    /// The partner's domain, to which the key was sent.
    pub receiver: String,
    /// The partner's stream id on the connection that the key came on.
    pub id: String,
    /// The key, as received.
    pub key: String,
}

/// What became of a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The authoritative server knows the key.
    Valid,
    /// It does not.
    Invalid,
    /// Nobody could tell; the dialback error condition to pass on (XEP-0220 §2.5).
    Undecided(&'static str),
}
