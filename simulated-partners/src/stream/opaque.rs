//! What happens after a handshake was broken on purpose: hand-made records go out, and the answer
//! is read as far as it tells of a refusal.

use super::machine::Machine;
use super::state::Step;
use crate::event::{Party, TlsSignal, What};
use crate::tls::legacy;

/// A hello of any size that occurs, and an alert after it.
const KEPT: usize = 32 * 1024;

/// What came in place of a handshake.
#[derive(Debug, Default)]
pub(super) struct Opaque {
    kind: Option<Broken>,
    received: Vec<u8>,
    told: bool,
}

/// How a handshake is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// With bytes that are no TLS.
    Garbage,
    /// With records of TLS 1.0; a listening side speaks after it saw a hello.
    Legacy,
}

impl Machine {
    /// Breaks the handshake that is due now.
    pub(super) fn break_tls(&mut self, how: Broken) {
        self.go(Step::BreakTls);
        self.opaque.kind = Some(how);
        match how {
            Broken::Garbage => self.send_opaque(legacy::garbage().to_vec()),
            Broken::Legacy if self.is_listening() => {}
            Broken::Legacy => {
                let hello = legacy::client_hello_tls10(Some(&self.profile.target_domain));
                self.send_opaque(hello);
            }
        }
    }

    pub(super) fn opaque_bytes(&mut self, bytes: &[u8]) {
        let room = KEPT - self.opaque.received.len();
        self.opaque
            .received
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.opaque.told {
            return;
        }
        match legacy::read_answer(&self.opaque.received) {
            legacy::Answer::Alert(name) => self.tell(Party::Target, TlsSignal::Alert(name)),
            legacy::Answer::ClientHello => {
                if self.opaque.kind == Some(Broken::Legacy) {
                    // Once; what follows the hello is all that is read from now on.
                    self.opaque.kind = None;
                    self.send_opaque(legacy::server_hello_tls10([0x53; 32]));
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

    /// TCP ended before anything was told.
    pub(super) fn opaque_closed(&mut self) {
        self.tell(Party::Target, TlsSignal::Closed);
    }

    fn tell(&mut self, by: Party, signal: TlsSignal) {
        if !self.opaque.told {
            self.opaque.told = true;
            self.observe(What::TlsFailed { by, signal });
        }
    }

    fn show(&mut self, fault: &str) {
        self.opaque.told = true;
        let received = &self.opaque.received;
        let bytes = received[..received.len().min(1024)].to_vec();
        self.observe(What::Raw {
            from: Party::Target,
            bytes,
            fault: Some(fault.to_owned()),
        });
    }

    fn send_opaque(&mut self, bytes: Vec<u8>) {
        self.observe(What::Raw {
            from: Party::Partner,
            bytes: bytes.clone(),
            fault: None,
        });
        self.actions.push(super::Action::Send(bytes));
    }
}
