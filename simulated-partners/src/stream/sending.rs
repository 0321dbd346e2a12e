//! What a machine sends, and how it ends: all output is shown first.

use std::sync::Arc;

use super::action::{Action, KeyAnswer};
use super::config::Purpose;
use super::machine::Machine;
use super::state::{State, Step};
use super::{features, header};
use crate::event::{Close, EventKind, Party};
use crate::wire::{Element, Frame, Kind, Unit};

impl Machine {
    /// Sends a unit and shows it.
    pub(super) fn send(&mut self, kind: Kind, raw: String) {
        if self.shut {
            return;
        }
        let raw = raw.into_bytes();
        let offset = self.stream.sent;
        self.stream.sent += raw.len() as u64;
        if kind == Kind::End {
            self.ended_by.get_or_insert(Party::Partner);
            self.stream_ended = true;
            self.end_sent = true;
        }
        self.observe(EventKind::Frame {
            from: Party::Partner,
            encrypted: self.encrypted,
            frame: Arc::new(Frame {
                kind,
                raw: raw.clone(),
                offset,
            }),
        });
        self.actions.push(Action::Send(raw));
    }

    pub(super) fn send_element(&mut self, element: Element) {
        let raw = element.to_xml();
        self.send(Kind::Element(element), raw);
    }

    /// Sends declaration and header. A listening side chooses an id.
    pub(super) fn send_header(&mut self, without: &[String]) {
        self.streams += 1;
        if self.is_listening() {
            let id = self.config.stream_id(self.number, self.streams);
            let given = !without.iter().any(|name| name == "id");
            self.stream.id = Some(if given { id } else { String::new() });
        }
        let listening = self.is_listening();
        let element = header::Outgoing {
            config: &self.config,
            id: self.stream.id.as_deref().filter(|_| listening),
            to: if listening {
                self.stream.from.as_deref()
            } else {
                Some(self.addressed())
            },
            dialback: self.config.persona.offer.dialback
                || matches!(self.purpose, Purpose::Verify(_)),
            version: !(listening && self.stream.without_features),
        }
        .element(without);
        let raw = element.to_open_tag();
        self.stream.opened = true;
        self.send(Kind::Declaration, header::DECLARATION.to_owned());
        self.send(Kind::Header(element), raw);
    }

    pub(super) fn send_features(&mut self) {
        let standing = self.standing();
        self.send_element(features::offered(&self.config, standing));
    }

    /// A header with the declarations of ours.
    pub(super) fn header_in_scope(&self) -> String {
        header::Outgoing {
            config: &self.config,
            id: None,
            to: None,
            dialback: true,
            version: true,
        }
        .element(&[])
        .to_open_tag()
    }

    /// Ends the stream with an error (RFC 6120 §4.9), after a header.
    pub(super) fn fail_stream(&mut self, condition: &str) {
        if self.end_sent {
            return self.end_stream();
        }
        if !self.stream.opened {
            self.send_header(&[]);
        }
        self.insist();
        let error = Unit::StreamError;
        self.send_element(error.with_condition(error.element(), condition));
        self.end_stream();
    }

    /// Sends `</stream:stream>` and waits for the peer's (RFC 6120 §4.4).
    pub(super) fn end_stream(&mut self) {
        if !self.stream.opened {
            self.ended_by.get_or_insert(Party::Partner);
            return self.close(Close::Fin);
        }
        self.decide(KeyAnswer::Undecided("remote-server-timeout"));
        if !self.end_sent {
            self.insist();
            self.send(Kind::End, "</stream:stream>".to_owned());
        }
        self.go(Step::EndStream);
    }

    /// Sends the refused stanza, once: it must have no effect (RFC 6120 §4.9.3.12).
    fn insist(&mut self) {
        if let Purpose::Deliver(stanza) = &self.purpose
            && self.config.insists
            && self.established.is_none()
            && !self.insisted
        {
            let stanza = stanza.clone();
            self.insisted = true;
            self.send_element(stanza);
        }
    }

    /// Closes TCP, after closing TLS.
    pub(super) fn close(&mut self, how: Close) {
        if self.state == State::Ended {
            return;
        }
        self.end(if how == Close::Fin && self.stream_ended {
            Close::Stream
        } else {
            how
        });
        self.actions.push(Action::Close);
    }

    /// Sends nothing more, and keeps reading.
    pub(super) fn shut_write(&mut self) {
        if !self.shut {
            self.shut = true;
            self.ended_by.get_or_insert(Party::Partner);
            self.actions.push(Action::ShutWrite);
        }
    }

    /// Closes TCP abruptly.
    pub(super) fn cut(&mut self) {
        if self.state == State::Ended {
            return;
        }
        self.ended_by.get_or_insert(Party::Partner);
        self.end(Close::Fin);
        self.actions.push(Action::Cut);
    }

    /// Resets TCP.
    pub(super) fn reset(&mut self) {
        if self.state == State::Ended {
            return;
        }
        self.ended_by.get_or_insert(Party::Partner);
        self.end(Close::Reset);
        self.actions.push(Action::Reset);
    }

    fn end(&mut self, how: Close) {
        self.decide(KeyAnswer::Undecided("remote-server-timeout"));
        let by = self.ended_by.unwrap_or(Party::Partner);
        self.go(Step::End);
        self.observe(EventKind::Closed { by, how });
    }
}
