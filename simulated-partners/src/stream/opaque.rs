//! After a handshake was broken deliberately: hand-made records are sent, and the answer
//! is read as far as it shows a refusal.

use super::machine::Machine;
use super::state::{State, Step};
use crate::event::{EventKind, Party, TlsSignal};
use crate::reaction::{Hello, Renegotiate};
use crate::tls::{self, Found, Heard, handmade, legacy};

/// The size of the largest hello that occurs, with an alert after it.
const KEPT: usize = 32 * 1024;

/// What was received instead of a handshake.
#[derive(Debug, Default)]
pub(super) struct Opaque {
    kind: Option<Broken>,
    received: Vec<u8>,
    told: bool,
    /// How many of the parsed messages were shown.
    shown: usize,
    /// A plaintext answer may come before the handshake: it was not waited for.
    preface: bool,
}

/// How a handshake is broken. A listening side waits for the hello, because what it sent earlier would
/// count as plaintext after `<proceed/>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// With bytes that are not TLS.
    Garbage,
    /// With records of TLS 1.0.
    Legacy,
    /// With a hello made by hand.
    Hello(Box<Hello>),
    /// With silence.
    Silence,
    /// After completing it, with a request for another.
    Renegotiation(Renegotiate),
}

impl Broken {
    /// Whether input is read message by message.
    fn is_by_hand(&self) -> bool {
        matches!(
            self,
            Self::Hello(_) | Self::Silence | Self::Renegotiation(_)
        )
    }
}

impl Machine {
    /// Breaks the upcoming handshake.
    pub(super) fn break_tls(&mut self, how: Broken) {
        let asks = self.script.asks_for_tls() || self.state == State::AwaitProceed;
        self.opaque.preface = !self.is_listening() && asks;
        self.go(Step::BreakTls);
        self.opaque.kind = Some(how.clone());
        if let Broken::Renegotiation(how) = how {
            return self.renegotiate(how);
        }
        if how.is_by_hand() && self.is_listening() {
            // The hello may have arrived with what was read before.
            let unread = self.unread().to_vec();
            self.opaque_bytes(&unread);
        }
        match how {
            _ if self.is_listening() => {}
            Broken::Silence | Broken::Renegotiation(_) => {}
            Broken::Hello(hello) => {
                let bytes = handmade::client_hello(&hello, self.addressed());
                self.send_opaque(bytes);
            }
            Broken::Garbage => self.send_opaque(legacy::garbage().to_vec()),
            Broken::Legacy => {
                let hello = legacy::client_hello_tls10(Some(self.addressed()));
                self.send_opaque(hello);
            }
        }
    }

    /// Requests another handshake after a completed one, and ends the stream: some targets
    /// delay their refusal until they have something else to send.
    fn renegotiate(&mut self, how: Renegotiate) {
        self.opaque.preface = false;
        let mut records = if self.is_listening() {
            handmade::hello_request()
        } else {
            handmade::second_hello(how, self.addressed())
        };
        records.extend(handmade::data(b"</stream:stream>"));
        self.show_sent(&records);
        self.actions.push(super::Action::TakeOver(records));
    }

    pub(super) fn opaque_bytes(&mut self, bytes: &[u8]) {
        let room = KEPT - self.opaque.received.len();
        self.opaque
            .received
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.opaque.told {
            return;
        }
        if self.opaque.kind.as_ref().is_some_and(Broken::is_by_hand) {
            return self.by_hand();
        }
        match legacy::read_answer(&self.opaque.received) {
            legacy::Answer::Alert(name) => self.tell(Party::Target, TlsSignal::Alert(name)),
            legacy::Answer::ClientHello => {
                // Once; only what follows the hello is read from now on.
                match self.opaque.kind.take() {
                    Some(Broken::Garbage) => self.send_opaque(legacy::garbage().to_vec()),
                    Some(Broken::Legacy) => {
                        self.send_opaque(legacy::server_hello_tls10([0x53; 32]));
                    }
                    Some(Broken::Hello(_) | Broken::Silence | Broken::Renegotiation(_)) | None => {}
                }
                if let Some(name) = legacy::read_alert(&self.opaque.received) {
                    self.tell(Party::Target, TlsSignal::Alert(name));
                }
            }
            legacy::Answer::ServerHello => self.show("a hello of TLS 1.0 was accepted"),
            legacy::Answer::NotTls => self.show("no TLS where a handshake is due"),
            legacy::Answer::Incomplete => {}
        }
    }

    /// Shows input message by message, and answers the first hello.
    fn by_hand(&mut self) {
        let mut received = self.opaque.received.as_slice();
        if self.opaque.preface && received.first() == Some(&b'<') {
            match received.iter().position(|byte| *byte == b'>') {
                Some(end) => received = &received[end + 1..],
                None => return,
            }
        }
        let found = match self.opaque.kind {
            Some(Broken::Renegotiation(_)) => tls::read_opened(received),
            _ => tls::read(received),
        };
        let news: Vec<Found> = found.into_iter().skip(self.opaque.shown).collect();
        self.opaque.shown += news.len();
        for found in news {
            match found {
                Found::Message(heard) => {
                    self.observe(EventKind::Handshake(heard.facts.clone()));
                    if self.is_listening() && heard.is_message("client-hello") {
                        self.answer_by_hand(&heard);
                    }
                }
                Found::Alert(name) => self.tell(Party::Target, TlsSignal::Alert(name)),
                Found::Encrypted => {}
                Found::NotTls => self.show("no TLS where a handshake is due"),
            }
        }
    }

    fn answer_by_hand(&mut self, heard: &Heard) {
        let Some(Broken::Hello(hello)) = &self.opaque.kind else {
            return;
        };
        let shown = self.config.identity.as_ref();
        let shown = shown.map(|identity| &**identity.certified());
        let bytes = handmade::server_hello(hello, heard, shown);
        self.send_opaque(bytes);
    }

    /// TCP ended before any such sign.
    pub(super) fn opaque_closed(&mut self) {
        self.tell(Party::Target, TlsSignal::Closed);
    }

    fn tell(&mut self, by: Party, signal: TlsSignal) {
        if !self.opaque.told {
            self.opaque.told = true;
            self.observe(EventKind::TlsFailed { by, signal });
        }
    }

    fn show(&mut self, fault: &str) {
        self.opaque.told = true;
        let received = &self.opaque.received;
        let bytes = received[..received.len().min(1024)].to_vec();
        self.observe(EventKind::Raw {
            from: Party::Target,
            bytes,
            fault: Some(fault.to_owned()),
        });
    }

    fn send_opaque(&mut self, bytes: Vec<u8>) {
        self.show_sent(&bytes);
        self.actions.push(super::Action::Send(bytes));
    }

    fn show_sent(&mut self, bytes: &[u8]) {
        self.observe(EventKind::Raw {
            from: Party::Partner,
            bytes: bytes.to_vec(),
            fault: None,
        });
    }
}
