//! One machine against a scripted target: every state with every input.

mod deeds;

use std::fmt::Write as _;
use std::sync::Arc;

use insta::assert_snapshot;

use super::{brief, config, offer, persona, ping};
use crate::event::{CertificateSeen, Party, TlsSession, TlsSignal};
use crate::negotiate::dialback;
use crate::persona::Persona;
use crate::stream::{Action, Input, KeyAnswer, Machine, Purpose, Question, State};
use crate::tls::legacy;

const DOMAIN: &str = "p.example";
const TARGET: &str = "t.example";

pub(super) const HEADER: &str = "<stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
    from='t.example' to='p.example' id='i1' version='1.0'>";
pub(super) const FEATURES: &str = "<stream:features>\
    <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
    <dialback xmlns='urn:xmpp:features:dialback'/></stream:features>";
const AFTER_TLS: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const TLS_FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const SASL_FAILURE: &str =
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
const RESULT: &str = "<db:result from='t.example' to='p.example'>key</db:result>";
const RESULT_VALID: &str = "<db:result from='t.example' to='p.example' type='valid'/>";
const RESULT_INVALID: &str = "<db:result from='t.example' to='p.example' type='invalid'/>";
const VERIFY: &str = "<db:verify from='t.example' to='p.example' id='i7'>key</db:verify>";
const VERIFY_VALID: &str = "<db:verify from='t.example' to='p.example' id='i1' type='valid'/>";
const STANZA: &str = "<message from='u@t.example' to='v@p.example'><body>hi</body></message>";
const ERROR: &str = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
    </stream:error>";
const END: &str = "</stream:stream>";

pub(super) const UNITS: [(&str, &str); 19] = [
    ("header", HEADER),
    ("features", FEATURES),
    ("features after TLS", AFTER_TLS),
    ("starttls", STARTTLS),
    ("proceed", PROCEED),
    ("TLS failure", TLS_FAILURE),
    ("auth", AUTH),
    ("success", SUCCESS),
    ("SASL failure", SASL_FAILURE),
    ("result", RESULT),
    ("result valid", RESULT_VALID),
    ("result invalid", RESULT_INVALID),
    ("verify", VERIFY),
    ("verify valid", VERIFY_VALID),
    ("stanza", STANZA),
    ("unknown", "<what xmlns='urn:x'/>"),
    ("error", ERROR),
    ("end", END),
    ("comment", "<!-- -->"),
];

pub(super) fn facts(certificate: CertificateSeen) -> TlsSession {
    let good = certificate == CertificateSeen::Good;
    TlsSession {
        version: "1.3",
        suite: "TLS_AES_128_GCM_SHA256".to_owned(),
        sni: None,
        certified_for: good.then(|| TARGET.to_owned()).into_iter().collect(),
        target_certificate: certificate,
        ..TlsSession::default()
    }
}

struct Hand {
    machine: Machine,
}

impl Hand {
    fn new(persona: &Arc<Persona>, purpose: Purpose) -> Self {
        let mut machine = Machine::new(config(DOMAIN, TARGET, persona), 1, purpose);
        machine.handle(Input::Opened);
        Self { machine }
    }

    fn serve(persona: &Arc<Persona>) -> Self {
        Self::new(persona, Purpose::Serve)
    }

    fn send(mut self, text: &str) -> Self {
        self.machine.handle(Input::Bytes(text.as_bytes()));
        self
    }

    fn secure(mut self, certificate: CertificateSeen) -> Self {
        self.machine.handle(Input::TlsUp(facts(certificate)));
        self
    }

    fn verified(mut self, ticket: u32, answer: KeyAnswer) -> Self {
        self.machine.handle(Input::Verified { ticket, answer });
        self
    }

    /// The effect of one more input.
    fn then(mut self, input: Input<'_>) -> String {
        let actions = self.machine.handle(input);
        let words: Vec<String> = actions.iter().filter_map(word).collect();
        format!("{:?}: {}", self.machine.state(), words.join(", "))
    }

    fn told(self, text: &str) -> String {
        self.then(Input::Bytes(text.as_bytes()))
    }
}

/// An action in a few words, leaving out what the target sent.
pub(super) fn word(action: &Action) -> Option<String> {
    match action {
        Action::Observe(what) => {
            Some(brief(what)).filter(|text| !text.starts_with("← <") && !text.starts_with("←* <"))
        }
        Action::Send(_)
        | Action::SendMany { .. }
        | Action::Flush
        | Action::Segments(_)
        | Action::Raise { .. } => None,
        Action::ShutWrite => Some("shut".to_owned()),
        Action::Read(reads) => Some(format!("read {reads}")),
        Action::Timer { time, .. } => Some(format!("timer {time:?}")),
        Action::Cut => Some("cut".to_owned()),
        Action::StartTls(role) => Some(format!("start TLS as {role:?}")),
        Action::TakeOver(_) => Some("take over".to_owned()),
        Action::Deadline(wait) => Some(wait.map_or("no deadline", |_| "deadline").to_owned()),
        Action::Ask { question, .. } => Some(format!("ask {}", question.sender)),
        Action::Answer(_) => Some("answer".to_owned()),
        Action::Decide(answer) => Some(format!("decide {answer:?}")),
        Action::Close => Some("close".to_owned()),
        Action::Reset => Some("reset".to_owned()),
    }
}

fn modern() -> Arc<Persona> {
    persona(&offer("offered", true, true))
}

fn question() -> Question {
    Question {
        sender: TARGET.to_owned(),
        receiver: DOMAIN.to_owned(),
        id: "i1".to_owned(),
        key: "key".to_owned(),
    }
}

/// A machine in each state that its role can reach.
fn machines(state: State, purpose: Purpose) -> Option<Hand> {
    let listening = matches!(purpose, Purpose::Serve);
    let verifying = matches!(purpose, Purpose::Verify(_));
    let hand = || Hand::new(&modern(), purpose.clone());
    let hand = match state {
        State::AwaitHeader => hand(),
        State::Negotiating => hand().send(HEADER),
        State::AwaitFeatures => hand().send(HEADER),
        State::AwaitProceed => hand().send(HEADER).send(FEATURES),
        State::AwaitTls if listening => hand().send(HEADER).send(STARTTLS),
        State::AwaitTls => hand().send(HEADER).send(FEATURES).send(PROCEED),
        State::AwaitSuccess => hand()
            .send(HEADER)
            .send(FEATURES)
            .send(PROCEED)
            .secure(CertificateSeen::Good)
            .send(HEADER)
            .send(AFTER_TLS),
        State::AwaitResult => hand().send(HEADER).send("<stream:features/>"),
        State::AwaitAnswer if verifying => hand().send(HEADER).send("<stream:features/>"),
        State::Established if listening => hand()
            .send(HEADER)
            .send(RESULT)
            .verified(1, KeyAnswer::Valid),
        State::Established => hand()
            .send(HEADER)
            .send("<stream:features/>")
            .send(RESULT_VALID),
        State::Scripted => {
            let scripted = persona(&format!(
                "{}[[reaction]]\nwhen = 'header'\ndo = [{{ await = 'nothing' }}]\n\
                 [[reaction]]\nwhen = 'header-received'\ndo = ['no-reply']\n",
                offer("offered", true, true)
            ));
            Hand::new(&scripted, purpose).send(HEADER)
        }
        State::Opaque => {
            let broken = persona(&format!(
                "{}[[reaction]]\nwhen = 'proceed-sent'\ndo = ['break-tls']\n\
                 [[reaction]]\nwhen = 'proceed-received'\ndo = ['break-tls']\n",
                offer("offered", true, true)
            ));
            let hand = Hand::new(&broken, purpose).send(HEADER);
            if listening {
                hand.send(STARTTLS)
            } else {
                hand.send(FEATURES).send(PROCEED)
            }
        }
        State::Held => {
            let silent = persona(&format!(
                "{}[[reaction]]\nwhen = 'accepted'\ndo = ['stay-silent']\n",
                offer("offered", true, true)
            ));
            Hand::new(&silent, purpose)
        }
        State::Closing => {
            let mut hand = hand().send(HEADER);
            hand.machine.handle(Input::Stop);
            hand
        }
        State::AwaitAnswer | State::Idle | State::Ended => return None,
    };
    (hand.machine.state() == state).then_some(hand)
}

fn table(purpose: &Purpose) -> String {
    let mut out = String::new();
    for &state in State::ALL {
        if machines(state, purpose.clone()).is_none() {
            continue;
        }
        writeln!(out, "{state:?}").expect("strings take everything");
        let fresh = || machines(state, purpose.clone()).expect("it was made before");
        let mut line = |name: &str, result: String| {
            writeln!(out, "  {name} → {result}").expect("strings take everything");
        };
        for (name, text) in UNITS {
            line(name, fresh().told(text));
        }
        line(
            "TLS up",
            fresh().then(Input::TlsUp(facts(CertificateSeen::Good))),
        );
        line(
            "TLS failed",
            fresh().then(Input::TlsFailed {
                by: Party::Target,
                signal: TlsSignal::Alert("bad_certificate".to_owned()),
            }),
        );
        line("closed", fresh().then(Input::PeerClosed));
        line("reset", fresh().then(Input::PeerReset));
        line("deadline", fresh().then(Input::Deadline));
        line("stop", fresh().then(Input::Stop));
    }
    out
}

#[test]
fn each_state_of_a_listener_knows_each_input() {
    assert_snapshot!("listener", table(&Purpose::Serve));
}

#[test]
fn each_state_of_a_dialler_knows_each_input() {
    assert_snapshot!("dialler", table(&Purpose::Deliver(ping(DOMAIN, TARGET))));
}

#[test]
fn each_state_of_a_verifier_knows_each_input() {
    assert_snapshot!("verifier", table(&Purpose::Verify(question())));
}

#[test]
fn a_header_is_answered_only_where_it_is_right() {
    let answer = |header: &str| Hand::serve(&modern()).told(header);
    let mut out = String::new();
    for (what, header) in [
        ("right", HEADER.to_owned()),
        (
            "client namespace",
            HEADER.replace("jabber:server'", "jabber:client'"),
        ),
        ("no to", HEADER.replace("to='p.example'", "")),
        (
            "to another",
            HEADER.replace("to='p.example'", "to='q.example'"),
        ),
        (
            "to in capitals",
            HEADER.replace("to='p.example'", "to='P.Example'"),
        ),
        ("no from", HEADER.replace("from='t.example'", "")),
        (
            "from ourselves",
            HEADER.replace("from='t.example'", "from='p.example'"),
        ),
        (
            "from an address",
            HEADER.replace("from='t.example'", "from='u@t.example'"),
        ),
        ("no version", HEADER.replace("version='1.0'", "")),
        ("version 0.9", HEADER.replace("1.0", "0.9")),
        ("version 1.1", HEADER.replace("1.0", "1.1")),
        ("version 2.0", HEADER.replace("1.0", "2.0")),
        ("no XML", "GET / HTTP/1.1\r\n\r\n".to_owned()),
    ] {
        writeln!(out, "{what} → {}", answer(&header)).expect("strings take everything");
    }
    assert_snapshot!("headers", out);
}

#[test]
fn what_is_pipelined_behind_starttls_is_refused() {
    let both = format!("{STARTTLS}{STANZA}");
    assert_eq!(
        Hand::serve(&modern()).send(HEADER).told(&both),
        format!(
            "Closing: ← {} raw bytes: bytes in clear after <starttls/>, → <failure>, → </stream>, \
             deadline",
            STANZA.len()
        )
    );
    assert_eq!(
        Hand::serve(&modern()).send(HEADER).told(STARTTLS),
        "AwaitTls: → <proceed>, start TLS as Server, deadline"
    );
}

#[test]
fn what_is_pipelined_behind_proceed_breaks_the_connection() {
    let both = format!("{PROCEED} ");
    let hand = || {
        Hand::new(&modern(), Purpose::Deliver(ping(DOMAIN, TARGET)))
            .send(HEADER)
            .send(FEATURES)
    };
    assert_eq!(
        hand().told(&both),
        "Ended: ← 1 raw bytes: bytes in clear after <proceed/>, \
         closed by Partner with a reset, reset"
    );
    assert_eq!(
        hand().told(PROCEED),
        "AwaitTls: start TLS as Client, deadline"
    );
}
