//! How the lists of actions of reactions run, pause and end.

use std::sync::Arc;
use std::time::Duration;

use super::action::{Action, TlsRole};
use super::machine::Machine;
use super::opaque::Broken;
use super::script::Script;
use super::state::{State, Step};
use crate::board::Snapshot;
use crate::event::{Close, EventKind};
use crate::negotiate::dialback;
use crate::reaction::{Do, When};
use crate::wire::Element;

/// The limit on lists that are put off: a target may reach their point as often as it likes.
const LATER: usize = 256;

/// A running list of actions.
#[derive(Debug)]
pub(super) struct List {
    /// The reaction, by its index in the persona.
    reaction: usize,
    /// The next action.
    next: usize,
    pub(super) when: When,
    pub(super) element: Option<Element>,
}

/// The lists of a connection that are not through.
#[derive(Debug, Default)]
pub(super) struct Lists {
    paused: Option<Paused>,
    /// Those that a signal continues while the connection goes on, each with the signal.
    later: Vec<(String, List)>,
}

impl Lists {
    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Whether there was room for it.
    fn put_off(&mut self, list: List, name: String) -> bool {
        let has_room = self.later.len() < LATER;
        if has_room {
            self.later.push((name, list));
        }
        has_room
    }

    /// The first of those put off whose signal is raised.
    fn take_due(&mut self, board: &Snapshot) -> Option<List> {
        let is_due = |(name, _): &(String, List)| board.contains_key(name);
        let at = self.later.iter().position(is_due)?;
        Some(self.later.remove(at).1)
    }

    /// Ends them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A list that waits for something.
#[derive(Debug)]
struct Paused {
    list: List,
    wake: Wake,
}

/// What a paused list waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wake {
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
    /// The rest, once this signal is raised; the connection goes on.
    Later(String),
    /// Nothing: the connection stays where the action left it.
    Over,
    /// The list ends.
    Through,
    /// The correct behaviour.
    Proceed,
}

impl Machine {
    /// Runs the list of a reaction. A list that is paused ends.
    pub(super) fn react(&mut self, reaction: usize, when: When, element: Option<&Element>) {
        self.lists.paused = None;
        self.script = Script::default();
        self.run(List {
            reaction,
            next: 0,
            when,
            element: element.cloned(),
        });
    }

    fn run(&mut self, mut list: List) {
        let persona = Arc::clone(&self.config.persona);
        let actions = &persona.reactions[list.reaction].actions;
        let mut announced = None;
        while let Some(action) = actions.get(list.next) {
            list.next += 1;
            announced = match action {
                Do::Raise(_) | Do::Capture(_) => announced.or(Some(self.actions.len())),
                _ if action.ends_sending() => announced,
                _ => None,
            };
            let next = self.act(action, &list);
            if let (true, Some(since)) = (action.ends_sending(), announced) {
                self.raise_behind(since);
            }
            match next {
                Next::On => {}
                Next::Pause(wake) => return self.pause(list, wake),
                Next::Later(name) => {
                    let when = list.when;
                    if !self.lists.put_off(list, name) {
                        self.observe(EventKind::LeftOut("a list that waits for later"));
                    }
                    return self.through_list(when);
                }
                Next::Over => return,
                Next::Through => break,
                Next::Proceed => return self.standard(list.when, list.element.as_ref(), true),
            }
            if self.state == State::Ended {
                return;
            }
        }
        self.through_list(list.when);
    }

    fn act(&mut self, action: &Do, list: &List) -> Next {
        let is_text = matches!(action, Do::Raise(_) | Do::Capture(_) | Do::Proceed);
        if list.when == When::TlsFailed && !is_text {
            // There is no receiver left.
            return Next::On;
        }
        self.script.sends |= action.sends();
        match action {
            Do::Send(template) => {
                let text = self.fill(list.element.as_ref(), |values| values.fill(template));
                self.send_text(&text);
            }
            Do::SendBytes(text) => self.send_hex(text),
            Do::Repeat(repeat) => {
                let line = self.fill(list.element.as_ref(), |values| {
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
            Do::WaitFor(name) | Do::Later(name) if self.board.contains_key(name) => {}
            Do::Later(name) => return Next::Later(name.clone()),
            Do::WaitFor(name) => return Next::Pause(Wake::Name(name.clone())),
            Do::Raise(name) => self.raise(name, None),
            Do::Capture(keep) => {
                let value = self.fill(list.element.as_ref(), |values| {
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

    /// Signals raised just before the end of a stream come behind it: who waits for one may rely on the end.
    fn raise_behind(&mut self, since: usize) {
        let late = self.actions.split_off(since);
        let (raised, others): (Vec<_>, Vec<_>) = late
            .into_iter()
            .partition(|action| matches!(action, Action::Raise { .. }));
        self.actions.extend(others);
        for mut action in raised {
            if let Action::Raise { after_sent, .. } = &mut action {
                *after_sent = true;
            }
            self.actions.push(action);
        }
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

    fn pause(&mut self, list: List, wake: Wake) {
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
        self.lists.paused = Some(Paused { list, wake });
        self.moved = true;
    }

    fn resume(&mut self) {
        let Some(Paused { list, .. }) = self.lists.paused.take() else {
            return;
        };
        if self.proceeds && !self.deaf {
            self.actions.push(Action::Read(true));
        }
        self.moved = true;
        self.run(list);
    }

    /// Continues a list that was put off, if its signal is raised.
    pub(super) fn continue_later(&mut self) -> bool {
        let Some(list) = self.lists.take_due(&self.board) else {
            return false;
        };
        self.script = Script::default();
        self.moved = true;
        self.run(list);
        true
    }

    /// The time of [`Action::Timer`] has come.
    pub(super) fn timer(&mut self) {
        if matches!(&self.lists.paused, Some(paused) if matches!(paused.wake, Wake::Timer(_))) {
            self.resume();
        }
    }

    /// The board has changed.
    pub(super) fn board_changed(&mut self, board: Snapshot) {
        self.board = board;
        let is_there = match &self.lists.paused {
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
        match &self.lists.paused {
            Some(Paused {
                wake: Wake::Timer(time),
                ..
            }) => *time,
            _ => Duration::ZERO,
        }
    }
}
