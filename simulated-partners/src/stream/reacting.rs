//! Points and reactions: what happens at a point of the negotiation, and how lists of actions run,
//! pause and end.

use std::sync::Arc;
use std::time::Duration;

use super::action::{Action, TlsRole};
use super::machine::Machine;
use super::opaque::Broken;
use super::script::Script;
use super::state::{State, Step};
use crate::event::{Close, EventKind};
use crate::negotiate::dialback;
use crate::reaction::{Do, Reaction, Stage, When};
use crate::wire::{Element, Frame, Kind, Unit};

/// Limits on units kept while a list is paused, and on their bytes. Anything more is only
/// observed.
const KEPT_UNITS: usize = 256;
const KEPT_BYTES: usize = 262_144;

/// A running list of actions.
#[derive(Debug)]
pub(super) struct Run {
    /// The reaction, by its index in the persona.
    reaction: usize,
    /// The next action.
    next: usize,
    pub(super) when: When,
    pub(super) element: Option<Element>,
}

/// A list that waits for something.
#[derive(Debug)]
pub(super) struct Paused {
    run: Run,
    wake: Wake,
}

/// What a paused list waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// The time is over.
    Timer(Duration),
    /// A signal is raised.
    Name(String),
}

/// What follows an action.
enum Next {
    /// The next action.
    On,
    /// The rest, later.
    Pause(Wake),
    /// Nothing: the connection stays where the action left it.
    Over,
    /// The list ends.
    Through,
    /// The correct behaviour.
    Proceed,
}

/// What was received while a list was paused.
#[derive(Debug, Default)]
pub(super) struct Kept {
    frames: std::collections::VecDeque<Arc<Frame>>,
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
    /// A point is reached: run the matching reaction or the correct behaviour.
    pub(super) fn point(&mut self, when: When, element: Option<&Element>) {
        let reached = self.reached.entry(when).or_insert(0);
        *reached = reached.saturating_add(1);
        let nth = *reached;
        let fitting = self
            .profile
            .persona
            .reactions
            .iter()
            .position(|reaction| self.fits(reaction, when, nth));
        let Some(reaction) = fitting else {
            return self.standard(when, element, false);
        };
        if self.is_listening() {
            match when {
                // They replace the answer, so it counts as given.
                When::Header | When::Features => self.answered_header(),
                When::DbVerify => self.served = true,
                _ => {}
            }
        }
        self.paused = None;
        self.script = Script::default();
        self.run(Run {
            reaction,
            next: 0,
            when,
            element: element.cloned(),
        });
    }

    pub(super) fn fits(&self, reaction: &Reaction, when: When, nth: u32) -> bool {
        use crate::event::ConnectionKind;
        let kind = self.purpose.kind();
        reaction.when == when
            && match reaction.on {
                // A key is verified correctly whatever the partner does on its own streams.
                None => kind != ConnectionKind::Verification,
                Some(on) => on == kind,
            }
            && reaction.stage.is_none_or(|stage| stage == self.stage())
            && reaction.nth.is_none_or(|wanted| wanted == nth)
            && reaction
                .connection
                .is_none_or(|wanted| wanted == self.connection)
    }

    fn stage(&self) -> Stage {
        if self.sasl_done || self.established.is_some() {
            Stage::Authenticated
        } else if self.encrypted {
            Stage::Secured
        } else {
            Stage::Clear
        }
    }

    fn run(&mut self, mut run: Run) {
        let persona = Arc::clone(&self.profile.persona);
        let actions = &persona.reactions[run.reaction].actions;
        while let Some(action) = actions.get(run.next) {
            run.next += 1;
            match self.act(action, &run) {
                Next::On => {}
                Next::Pause(wake) => return self.pause(run, wake),
                Next::Over => return,
                Next::Through => break,
                Next::Proceed => return self.standard(run.when, run.element.as_ref(), true),
            }
            if self.state == State::Ended {
                return;
            }
        }
        self.through_list(run.when);
    }

    fn act(&mut self, action: &Do, run: &Run) -> Next {
        let is_text = matches!(action, Do::Raise(_) | Do::Capture(_) | Do::Proceed);
        if run.when == When::TlsFailed && !is_text {
            // There is no receiver left.
            return Next::On;
        }
        self.script.sends |= action.sends();
        match action {
            Do::Send(template) => {
                let text = self.fill(run.element.as_ref(), |values| values.fill(template));
                self.send_text(&text);
            }
            Do::SendBytes(text) => self.send_hex(text),
            Do::Repeat(repeat) => {
                let line = self.fill(run.element.as_ref(), |values| {
                    values.fill_line(&repeat.send)
                });
                let every = repeat.every.map(u64::from).map(Duration::from_millis);
                self.send_many(line, repeat.times, every);
            }
            Do::Split(length) => self.actions.push(Action::Segments(usize::from(*length))),
            Do::Flush => self.actions.push(Action::Flush),
            Do::HeaderWithout(attributes) => {
                self.send_header(attributes);
                self.script.sent_header();
            }
            Do::Features => self.send_features(),
            Do::Wait(time) => {
                return Next::Pause(Wake::Timer(Duration::from_millis(u64::from(*time))));
            }
            Do::WaitFor(name) if self.board.contains_key(name) => {}
            Do::WaitFor(name) => return Next::Pause(Wake::Name(name.clone())),
            Do::Raise(name) => self.raise(name, None),
            Do::Capture(keep) => {
                let value = self.fill(run.element.as_ref(), |values| {
                    let text = values.fill_plain(&keep.value);
                    match &keep.secret {
                        Some(secret) => dialback::key_of(&values.fill_plain(secret), &text),
                        None => text,
                    }
                });
                self.raise(&keep.name, Some(value));
            }
            Do::Await(wanted) => self.script.expects(*wanted),
            Do::StopReading => {
                self.deaf = true;
                self.actions.push(Action::Read(false));
            }
            Do::ShutdownWrite => self.shut_write(),
            Do::StartTls => {
                if self.state.after(Step::BeginTls).is_ok() {
                    self.start_tls();
                    return Next::Over;
                }
            }
            Do::Close => {
                self.end_stream();
                if self.peer_end {
                    self.close(Close::Stream);
                }
                return Next::Over;
            }
            Do::CloseTcp => {
                self.cut();
                return Next::Over;
            }
            Do::Reset => {
                self.reset();
                return Next::Over;
            }
            Do::StaySilent => {
                self.go(Step::Hold);
                return Next::Over;
            }
            Do::NoReply => return Next::Through,
            Do::BreakTls => {
                self.break_tls(Broken::Garbage);
                return Next::Over;
            }
            Do::LegacyTls => {
                self.break_tls(Broken::Legacy);
                return Next::Over;
            }
            Do::Hello(hello) => {
                self.break_tls(Broken::Hello(hello.clone()));
                return Next::Over;
            }
            Do::StallTls => {
                self.break_tls(Broken::Silence);
                return Next::Over;
            }
            Do::Renegotiate(how) => {
                self.break_tls(Broken::Renegotiation(*how));
                return Next::Over;
            }
            Do::Proceed => return Next::Proceed,
        }
        Next::On
    }

    fn raise(&mut self, name: &str, value: Option<String>) {
        let value = value
            .or_else(|| self.board.get(name).cloned())
            .unwrap_or_default();
        // Later actions of the same list have to see it.
        Arc::make_mut(&mut self.board).insert(name.to_owned(), value.clone());
        self.observe(EventKind::Raised(name.to_owned()));
        self.actions.push(Action::Raise {
            name: name.to_owned(),
            value,
            after_sent: self.script.sends,
        });
    }

    /// Starts the handshake in the natural role. Earlier plaintext input is lost.
    pub(super) fn start_tls(&mut self) {
        if !self.unread().is_empty() {
            self.show_unread("bytes in clear before a handshake");
        }
        self.begin_tls(if self.is_listening() {
            TlsRole::Server
        } else {
            TlsRole::Client
        });
    }

    fn pause(&mut self, run: Run, wake: Wake) {
        if let Wake::Timer(time) = wake {
            self.actions.push(Action::Timer {
                time,
                after_sent: self.script.sends,
            });
        }
        if self.proceeds {
            // What comes now is a handshake, not input for the framer.
            self.actions.push(Action::Read(false));
        }
        self.paused = Some(Paused { run, wake });
        self.moved = true;
    }

    fn resume(&mut self) {
        let Some(Paused { run, .. }) = self.paused.take() else {
            return;
        };
        if self.proceeds && !self.deaf {
            self.actions.push(Action::Read(true));
        }
        self.moved = true;
        self.run(run);
    }

    /// The time of [`Action::Timer`] has come.
    pub(super) fn timer(&mut self) {
        if matches!(&self.paused, Some(paused) if matches!(paused.wake, Wake::Timer(_))) {
            self.resume();
        }
    }

    /// The board has changed.
    pub(super) fn board_changed(&mut self, board: crate::board::Snapshot) {
        self.board = board;
        let is_there = match &self.paused {
            Some(Paused {
                wake: Wake::Name(name),
                ..
            }) => self.board.contains_key(name),
            _ => false,
        };
        if is_there {
            self.resume();
        }
    }

    /// How long a paused list waits by itself.
    pub(super) fn paused_for(&self) -> Duration {
        match &self.paused {
            Some(Paused {
                wake: Wake::Timer(time),
                ..
            }) => *time,
            _ => Duration::ZERO,
        }
    }

    /// A received unit, which is kept for later while a list is paused.
    pub(super) fn take_frame(&mut self, frame: Arc<Frame>) {
        let is_urgent = match &frame.kind {
            Kind::End => true,
            Kind::Element(element) => Unit::StreamError.is(element),
            Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) => false,
        };
        if self.paused.is_some() && !is_urgent {
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
                    self.paused = None;
                    self.kept.clear();
                    self.due.clear();
                    return;
                }
                State::AwaitTls => return,
                _ if self.paused.is_some() => return,
                _ => {}
            }
            if let Some(when) = self.due.pop_front() {
                self.point(when, None);
            } else if let Some(frame) = self.kept.pop() {
                self.frame(&frame);
            } else {
                return;
            }
        }
    }

    /// The correct behaviour at a point. `asked` if a list ended in "proceed": in a scripted
    /// state, received elements otherwise have no effect.
    fn standard(&mut self, when: When, element: Option<&Element>, asked: bool) {
        let is_own_step = ends(when) || matches!(when, When::Features | When::ProceedSent);
        if self.state == State::Scripted && !asked && element.is_some() && !is_own_step {
            return;
        }
        match (when, element) {
            (When::Accepted | When::Connected, _) if self.begins_with_tls() => self.start_tls(),
            (When::Accepted | When::TlsFailed, _) => {}
            (When::Connected, _) => self.open_stream(),
            (When::Secured, _) => {
                if !self.is_listening() {
                    self.open_stream();
                }
            }
            (When::Established, _) => self.deliver(),
            (When::StreamError, _) => self.end_stream(),
            (When::StreamEnd, _) => {
                self.end_stream();
                self.close(Close::Stream);
            }
            (When::Header, Some(header)) => self.answer_with_header(header),
            (When::Features, _) => self.answer_with_features(),
            (When::HeaderReceived, Some(header)) => self.header_came(header),
            (When::ProceedSent, _) => self.begin_tls(TlsRole::Server),
            (_, Some(element)) if self.is_listening() => self.asked(when, element),
            (_, Some(element)) => self.answered(when, element),
            (_, None) => {}
        }
    }
}

/// Points at the end of a stream.
pub(super) fn ends(when: When) -> bool {
    matches!(when, When::StreamError | When::StreamEnd)
}
