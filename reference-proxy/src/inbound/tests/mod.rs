//! Tests of the receiving entity without sockets.

mod dialback;
mod invariants;
mod negotiation;

use super::action::{Action, Input};
use super::receiving::Receiving;
use crate::certificate::{Fault, Judged};
use crate::config::Config;
use crate::domain::{Domain, Pair};
use crate::xml::{Bounds, Frame, Reader};

fn domain(name: &str) -> Domain {
    Domain::parse(name).expect("a domain")
}

fn pair(from: &str, to: &str) -> Pair {
    Pair {
        from: domain(from),
        to: domain(to),
    }
}

fn header(from: &str, to: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:db='jabber:server:dialback' from='{from}' to='{to}' version='1.0'>"
    )
}

/// A peer whose bytes reach the state machine directly.
struct Peer {
    reader: Reader,
    state: Receiving,
    config: &'static Config,
    certificate: Judged,
    ids: u32,
}

impl Peer {
    fn new(config: &'static Config) -> Self {
        Self {
            reader: reader(),
            state: Receiving::new(false),
            config,
            certificate: Judged::Absent,
            ids: 0,
        }
    }

    /// A peer behind TLS with its header sent again.
    fn secured(config: &'static Config, from: &str, certificate: Judged) -> (Self, Vec<Action>) {
        let mut peer = Self::new(config);
        peer.send(&header(from, "a.example"));
        peer.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        peer.certificate = certificate;
        peer.reader = reader();
        peer.input(Input::Secured);
        let actions = peer.send(&header(from, "a.example"));
        (peer, actions)
    }

    fn input(&mut self, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        let state = std::mem::replace(&mut self.state, Receiving::Ended);
        self.state = state.on(input, self.config, &mut out);
        out
    }

    fn send(&mut self, text: &str) -> Vec<Action> {
        let mut bytes = text.as_bytes();
        let mut out = Vec::new();
        loop {
            self.ids += 1;
            let id = format!("id{}", self.ids);
            let input = match self.reader.read(&mut bytes) {
                Ok(None) => return out,
                Ok(Some(Frame::Header(header))) => Input::Header {
                    header,
                    id,
                    certificate: self.certificate,
                },
                Ok(Some(Frame::Element(element))) => Input::Element(element),
                Ok(Some(Frame::Stanza(stanza))) => Input::Stanza(stanza),
                Ok(Some(Frame::Closed)) => Input::Closed,
                Ok(Some(Frame::Skipped(_))) => unreachable!("no partner is spared"),
                Err(error) => Input::Unreadable { error, id },
            };
            let over = matches!(input, Input::Closed | Input::Unreadable { .. });
            let actions = self.input(input);
            if actions.contains(&Action::Restart) {
                self.reader = reader();
            }
            out.extend(actions);
            if over {
                return out;
            }
        }
    }
}

fn reader() -> Reader {
    Reader::new(Bounds {
        bytes: 65_536,
        depth: 64,
        attributes: 64,
    })
}

fn text(actions: &[Action]) -> String {
    let sent = actions.iter().filter_map(|action| match action {
        Action::Send(text) => Some(text.as_str()),
        _ => None,
    });
    sent.collect()
}

const GOOD: Judged = Judged::Good;
const BAD: Judged = Judged::Bad(Fault::UnknownIssuer);
