//! The state of a connection after a list of actions: what was sent by hand counts as if a correct server
//! had sent it.

use std::time::Duration;

use super::action::Action;
use super::machine::Machine;
use super::points::ends;
use super::state::{State, Step};
use crate::event::{Close, EventKind, Party};
use crate::negotiate::dialback;
use crate::reaction::{Await, Line, Values, When};
use crate::wire::{Element, Framer, Kind, Limits, NS_STREAM, Unit};

/// How much is shown of sent bytes that are not a whole unit.
const SHOWN: usize = 1024;

/// What the current list has sent so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Script {
    /// What it explicitly waits for.
    wanted: Option<Await>,
    /// What the last request waits for (dialling).
    inferred: Option<Await>,
    /// Something was sent.
    pub(super) sends: bool,
    /// A typed valid `db:result` was sent (listening).
    valid: bool,
    /// `<proceed/>` was sent (listening).
    proceeds: bool,
}

impl Script {
    pub(super) fn expects(&mut self, wanted: Await) {
        self.wanted = Some(wanted);
    }

    /// Whether the current list requested TLS, so the answer is still to come.
    pub(super) fn asks_for_tls(&self) -> bool {
        self.inferred == Some(Await::Proceed)
    }

    pub(super) fn sent_header(&mut self) {
        self.inferred = Some(Await::Header);
    }

    fn sent(&mut self, element: &Element) {
        let typed = element.attribute("type");
        match Unit::of(element) {
            Some(Unit::Starttls) => self.inferred = Some(Await::Proceed),
            Some(Unit::Auth | Unit::Response) => self.inferred = Some(Await::Success),
            Some(Unit::DbResult) if typed.is_none() => self.inferred = Some(Await::Result),
            Some(Unit::DbVerify) if typed.is_none() => self.inferred = Some(Await::Answer),
            Some(Unit::DbResult) => self.valid |= typed == Some("valid"),
            _ => {}
        }
    }
}

impl Machine {
    /// The values of placeholders in a text.
    pub(super) fn fill<T>(
        &self,
        element: Option<&Element>,
        fill: impl FnOnce(&Values<'_>) -> T,
    ) -> T {
        let attribute = |name| element.and_then(|element| element.attribute(name));
        let config = &self.config;
        let key = element.map(Element::content).unwrap_or_default();
        let stream_id = self.stream.id.as_deref().unwrap_or_default();
        let own_key = dialback::key(&config.secret, self.addressed(), &config.domain, stream_id);
        fill(&Values {
            id: attribute("id").unwrap_or(stream_id),
            from: attribute("from")
                .or(self.stream.from.as_deref())
                .unwrap_or_default(),
            to: attribute("to").unwrap_or(&config.domain),
            domain: &config.domain,
            target: &config.target_domain,
            key: key.trim(),
            stream_id,
            dialback_key: &own_key,
            fixed: Some(&config.values),
            board: Some(&self.board),
        })
    }

    /// Sends text unchanged, and shows it as units where it is.
    pub(super) fn send_text(&mut self, text: &str) {
        if self.shut {
            return;
        }
        let (units, rest) = self.units(text);
        for (kind, raw) in units {
            let said = kind.clone();
            self.send(kind, raw);
            match said {
                Kind::Header(header) => self.sent_header(&header),
                Kind::Element(element) => self.sent_element(&element),
                Kind::Declaration | Kind::Whitespace(_) | Kind::End => {}
            }
        }
        self.send_raw(rest);
    }

    /// Sends bytes given in hexadecimal.
    pub(super) fn send_hex(&mut self, text: &str) {
        match crate::reaction::hex(text) {
            Some(bytes) => self.send_raw(bytes),
            None => tracing::warn!(text, "no hexadecimal"),
        }
    }

    fn send_raw(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() || self.shut {
            return;
        }
        self.observe(EventKind::Raw {
            from: Party::Partner,
            bytes: bytes[..bytes.len().min(SHOWN)].to_vec(),
            fault: None,
        });
        self.actions.push(Action::Send(bytes));
    }

    pub(super) fn send_many(&mut self, line: Line, times: u32, every: Option<Duration>) {
        if self.shut {
            return;
        }
        let mut bytes = Vec::new();
        line.write(1, &mut bytes);
        if bytes.is_empty() {
            return;
        }
        bytes.truncate(SHOWN);
        self.observe(EventKind::Repeated { bytes, times });
        self.actions.push(Action::SendMany { line, times, every });
    }

    fn sent_header(&mut self, header: &Element) {
        if !header.is(NS_STREAM, "stream") {
            return;
        }
        if let Some(to) = header.attribute("to") {
            self.named = Some(to.to_owned());
        }
        if self.is_listening() && !self.stream.opened {
            self.stream.id = header.attribute("id").map(str::to_owned);
        }
        self.stream.opened = true;
        self.script.sent_header();
    }

    fn sent_element(&mut self, element: &Element) {
        self.script.sent(element);
        if !self.is_listening() {
            return;
        }
        if Unit::Success.is(element) && self.state.after(Step::RestartStream).is_ok() {
            // Input from the target now belongs to a new stream.
            self.sasl_done = true;
            self.authenticated.clone_from(&self.stream.from);
            self.restart(Step::RestartStream);
        }
        if Unit::Proceed.is(element) && !self.encrypted {
            self.proceeds = true;
            self.script.proceeds = true;
        }
    }

    /// The whole units of the text, and the rest.
    fn units(&self, text: &str) -> (Vec<(Kind, String)>, Vec<u8>) {
        let mut framer = Framer::new(Limits::default());
        if !begins_stream(text) {
            framer.push(self.header_in_scope().as_bytes());
            if !matches!(framer.next(), Ok(Some(_))) {
                return (Vec::new(), text.as_bytes().to_vec());
            }
        }
        framer.push(text.as_bytes());
        let (mut units, mut used) = (Vec::new(), 0);
        while let Ok(Some(frame)) = framer.next() {
            let length = frame.raw.len();
            let Ok(raw) = String::from_utf8(frame.raw) else {
                break;
            };
            let restarts = self.is_listening()
                && matches!(&frame.kind, Kind::Element(element) if Unit::Success.is(element));
            let ends = frame.kind == Kind::End;
            used += length;
            units.push((frame.kind, raw));
            if restarts {
                framer.restart();
            }
            if ends {
                break;
            }
        }
        (units, text.as_bytes()[used..].to_vec())
    }

    /// A list has ended without asking for the correct behaviour.
    pub(super) fn through_list(&mut self, when: When) {
        if when == When::TlsFailed
            || matches!(
                self.state,
                State::AwaitTls
                    | State::Opaque
                    | State::Held
                    | State::Closing
                    | State::Ended
                    | State::Idle
            )
        {
            return;
        }
        if self.end_sent {
            match self.peer_end {
                false if self.reacts_to_the_end() => self.go(Step::Script),
                false => self.go(Step::EndStream),
                true => {
                    self.go(Step::EndStream);
                    self.close(Close::Stream);
                }
            }
            return;
        }
        let script = self.script;
        match script.wanted {
            Some(wanted) => self.expect(wanted),
            None if ends(when) => self.go(Step::Script),
            None if self.is_listening() => self.listen_on(script),
            None if self.was_awaited(when) => match script.inferred {
                Some(wanted) => self.expect(wanted),
                None => self.go(Step::Script),
            },
            // The awaited element is still to come.
            None => {}
        }
    }

    fn listen_on(&mut self, script: Script) {
        self.proceeds = false;
        if script.proceeds && self.state.after(Step::BeginTls).is_ok() {
            self.start_tls();
        } else if script.valid && self.state.after(Step::Establish).is_ok() {
            self.establish();
        }
    }

    /// Whether the point was the next step of a dialling connection.
    fn was_awaited(&self, when: When) -> bool {
        match self.state {
            State::Scripted => true,
            State::AwaitHeader => {
                matches!(when, When::Connected | When::Secured | When::HeaderReceived)
            }
            State::AwaitFeatures => when == When::FeaturesReceived,
            State::AwaitProceed => when == When::ProceedReceived,
            State::AwaitSuccess => matches!(
                when,
                When::ChallengeReceived | When::SuccessReceived | When::FailureReceived
            ),
            State::AwaitResult => when == When::ResultReceived,
            State::AwaitAnswer => when == When::VerificationReceived,
            _ => false,
        }
    }

    /// Enters the state in which a correct server would wait for this.
    fn expect(&mut self, wanted: Await) {
        self.go(Step::Script);
        match wanted {
            Await::Header => {
                let opened = self.stream.opened && !self.is_listening();
                self.restart(Step::RestartStream);
                self.stream.opened = opened;
            }
            // A listening partner sends no requests.
            _ if self.is_listening() => {}
            Await::Features => self.go(Step::Header),
            Await::Proceed => self.go(Step::AskTls),
            Await::Success => self.go(Step::AskSasl),
            Await::Result => self.go(Step::AskResult),
            Await::Answer => self.go(Step::AskVerify),
            Await::Nothing => {}
        }
    }
}

/// Whether a text is the beginning of a stream.
fn begins_stream(text: &str) -> bool {
    let text = text.trim_start();
    if text.starts_with("<?xml") {
        return true;
    }
    let Some(tag) = text.strip_prefix('<') else {
        return false;
    };
    let name = tag
        .split(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/')
        .next()
        .unwrap_or_default();
    name.rsplit(':').next() == Some("stream")
}
