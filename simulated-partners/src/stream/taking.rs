//! Input from the target: bytes are cut into units, and each unit has its point. Ends and timeouts.

use std::collections::VecDeque;
use std::sync::Arc;

use super::action::KeyAnswer;
use super::config::Purpose;
use super::header;
use super::machine::{Machine, SHOWN, STRANGERS_BYTES};
use super::state::State;
use crate::event::{Close, EventKind, Party};
use crate::reaction::When;
use crate::wire::{Element, Frame, Kind, Unit};

/// Limits on units kept while a list is paused, and on their bytes. Anything more is only
/// observed.
const KEPT_UNITS: usize = 256;
const KEPT_BYTES: usize = 262_144;

/// What was received while a list was paused.
#[derive(Debug, Default)]
pub(super) struct Kept {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
}

impl Kept {
    fn push(&mut self, frame: Arc<Frame>) {
        if self.frames.len() < KEPT_UNITS && self.bytes + frame.raw.len() <= KEPT_BYTES {
            self.bytes += frame.raw.len();
            self.frames.push_back(frame);
        }
    }

    fn pop(&mut self) -> Option<Arc<Frame>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.raw.len();
        Some(frame)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Machine {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        match self.state {
            State::Opaque => return self.opaque_bytes(bytes),
            // The driver reads nothing during the handshake.
            State::AwaitTls | State::Idle | State::Ended => return,
            _ if self.unreadable => return,
            _ => self.framer.push(bytes),
        }
        self.received = self.received.saturating_add(bytes.len());
        if self.is_stranger() && self.received > STRANGERS_BYTES {
            self.show_unread("more bytes than a stranger may send");
            self.unreadable = true;
            if !matches!(self.state, State::Held | State::Closing) {
                self.fail_stream("policy-violation");
            }
            // A peer that sends endlessly would not end its stream either.
            return self.close(Close::Fin);
        }
        while !matches!(self.state, State::AwaitTls | State::Opaque | State::Ended) {
            match self.framer.next() {
                Ok(Some(frame)) => {
                    let frame = Arc::new(frame);
                    self.observe(EventKind::Frame {
                        from: Party::Target,
                        encrypted: self.encrypted,
                        frame: Arc::clone(&frame),
                    });
                    self.take_frame(frame);
                }
                Ok(None) => break,
                Err(error) => {
                    let shown = self.framer.pending();
                    let shown = shown[..shown.len().min(SHOWN)].to_vec();
                    self.observe(EventKind::Raw {
                        from: Party::Target,
                        bytes: shown,
                        fault: Some(error.to_string()),
                    });
                    self.unreadable = true;
                    if !matches!(self.state, State::Held | State::Closing) && !self.peer_end {
                        self.fail_stream(error.condition);
                    }
                    break;
                }
            }
        }
    }

    /// A received unit, which is kept for later while a list is paused.
    pub(super) fn take_frame(&mut self, frame: Arc<Frame>) {
        let is_urgent = match &frame.kind {
            Kind::End => true,
            Kind::Element(element) => Unit::StreamError.is(element),
            Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) => false,
        };
        if self.lists.is_paused() && !is_urgent {
            if matches!(frame.kind, Kind::Header(_) | Kind::Element(_)) {
                self.kept.push(frame);
            }
        } else {
            self.frame(&frame);
            self.settle();
        }
    }

    /// Does what is due after the current step, and handles what was received while a list was paused.
    pub(super) fn settle(&mut self) {
        loop {
            match self.state {
                State::Closing | State::Ended | State::Held | State::Opaque => {
                    self.lists.clear();
                    self.kept.clear();
                    self.due.clear();
                    return;
                }
                State::AwaitTls => return,
                _ if self.lists.is_paused() => return,
                _ => {}
            }
            if let Some(when) = self.due.pop_front() {
                self.point(when, None);
            } else if let Some(frame) = self.kept.pop() {
                self.frame(&frame);
            } else if !self.continue_later() {
                return;
            }
        }
    }

    /// Whether the target is still unauthenticated.
    pub(super) fn is_stranger(&self) -> bool {
        self.established.is_none() && !self.served
    }

    /// Handles a unit.
    pub(super) fn frame(&mut self, frame: &Frame) {
        match (&frame.kind, self.state) {
            (Kind::Declaration, _) | (_, State::Held) => {}
            (Kind::End, _) => self.peer_ended(),
            (_, State::Closing) => {}
            (Kind::Whitespace(_), _) => self.point(When::Whitespace, None),
            (Kind::Header(header), State::AwaitHeader) => {
                if self.is_listening() {
                    self.answer_header(header);
                } else {
                    self.read_header(header);
                }
            }
            (Kind::Header(header), State::Scripted) => self.scripted_header(header),
            // The framer returns a header only first, and after a restart.
            (Kind::Header(_), _) => self.fail_stream("bad-format"),
            (Kind::Element(element), _) if Unit::StreamError.is(element) => {
                self.peer_failed(element);
            }
            (Kind::Element(element), _) => {
                if !self.is_premature(element) {
                    let when = point_of(element);
                    self.sasl_done |= when == When::SuccessReceived && self.awaits_success();
                    self.point(when, Some(element));
                }
            }
        }
    }

    /// Handles `</stream:stream>`: answer it, and TCP may close (RFC 6120 §4.4).
    pub(super) fn peer_ended(&mut self) {
        self.ended_by.get_or_insert(Party::Target);
        self.stream_ended = true;
        self.peer_end = true;
        if self.state == State::Closing {
            return self.close(Close::Stream);
        }
        self.decide(KeyAnswer::Undecided("remote-server-timeout"));
        self.point(When::StreamEnd, None);
    }

    /// Handles a stream error; the end must follow (RFC 6120 §4.9.1.1).
    pub(super) fn peer_failed(&mut self, error: &Element) {
        let unknown = ["host-unknown", "host-gone"];
        let condition = Unit::StreamError.condition(error).unwrap_or_default();
        self.decide(KeyAnswer::Undecided(if unknown.contains(&condition) {
            "remote-server-not-found"
        } else {
            "remote-server-timeout"
        }));
        self.ended_by.get_or_insert(Party::Target);
        self.point(When::StreamError, Some(error));
    }

    /// A header while a script replaces the engine.
    pub(super) fn scripted_header(&mut self, header: &Element) {
        self.stream.from = header.attribute("from").map(str::to_owned);
        if self.is_listening() {
            self.stream.without_features = !header::has_version(header);
            self.point(When::Header, Some(header));
        } else {
            self.stream.id = header.attribute("id").map(str::to_owned);
            self.point(When::HeaderReceived, Some(header));
        }
    }

    pub(super) fn peer_gone(&mut self, how: Close) {
        if self.state == State::Opaque {
            self.opaque_closed();
        }
        self.decide(KeyAnswer::Undecided("remote-server-timeout"));
        self.ended_by.get_or_insert(Party::Target);
        self.close(how);
    }

    pub(super) fn out_of_time(&mut self) {
        let Some(waiting_for) = self.state.waits_for() else {
            return;
        };
        if self.state == State::Closing {
            // Whoever began the end, the target has left it to us.
            if !self.stopped {
                self.ended_by = Some(Party::Partner);
            }
            return self.close(Close::Fin);
        }
        self.observe(EventKind::GaveUp { waiting_for });
        self.decide(KeyAnswer::Undecided("remote-server-timeout"));
        match self.state {
            State::AwaitTls | State::Opaque => self.close(Close::Fin),
            _ => self.fail_stream("connection-timeout"),
        }
    }

    /// A stanza on a connection that waits for one.
    pub(super) fn send_later(&mut self, stanza: Element) {
        if matches!(self.purpose, Purpose::Enter) && self.state == State::Established {
            self.send_element(stanza);
        }
    }
}

/// The point of an element, on either side.
fn point_of(element: &Element) -> When {
    let typed = element.attribute("type").is_some();
    match Unit::of(element) {
        Some(Unit::Features) => When::FeaturesReceived,
        Some(Unit::StreamError) => When::StreamError,
        Some(Unit::Starttls) => When::Starttls,
        Some(Unit::Proceed) => When::ProceedReceived,
        Some(Unit::Auth) => When::Auth,
        Some(Unit::Challenge) => When::ChallengeReceived,
        Some(Unit::Response) => When::Response,
        Some(Unit::Success) => When::SuccessReceived,
        Some(Unit::SaslFailure) => When::FailureReceived,
        Some(Unit::DbResult) if typed => When::ResultReceived,
        Some(Unit::DbResult) => When::DbResult,
        Some(Unit::DbVerify) if typed => When::VerificationReceived,
        Some(Unit::DbVerify) => When::DbVerify,
        Some(Unit::Iq | Unit::Message | Unit::Presence) => When::Stanza,
        Some(Unit::TlsFailure | Unit::Abort) | None => When::Element,
    }
}
