//! Each point and each action, between partners and against a scripted target.

mod by_script;

use std::sync::Arc;

use super::network::Network;
use super::target::HEADER;
use super::{brief, config, offer, persona, ping};
use crate::event::TlsSession;
use crate::persona::Persona;
use crate::reaction::When;
use crate::stream::{Action, Input, Machine, PartnerConfig, Purpose, Question, State, TlsRole};

const DOMAIN: &str = "p.example";
const TARGET: &str = "t.example";

const FEATURES: &str =
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
const SASL: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
const TLS: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-tls'";
const VALID: &str = "<db:result from='t.example' to='p.example' type='valid'/>";

fn reacting(offer: &str, reactions: &[(&str, &str)]) -> Arc<Persona> {
    let reactions: String = reactions
        .iter()
        .map(|(head, actions)| format!("[[reaction]]\n{head}\ndo = [{actions}]\n"))
        .collect();
    persona(&format!("{offer}{reactions}"))
}

fn modern() -> String {
    offer("offered", true, true)
}

fn clear() -> String {
    offer("none", false, true)
}

fn meet(a: &Arc<Persona>, b: &Arc<Persona>) -> Network {
    let mut network = Network::new(a, b, usize::MAX);
    network.dial(ping("a.example", "b.example"));
    network
}

/// The same reaction at all points.
fn everywhere(offer: &str, actions: &str) -> Arc<Persona> {
    let mut all = Vec::new();
    for &when in When::ALL {
        let word = when.word();
        let actions = actions.replace("POINT", word);
        all.push((format!("when = '{word}'"), actions.clone()));
        all.push((format!("when = '{word}'\non = 'verification'"), actions));
    }
    let all: Vec<(&str, &str)> = all
        .iter()
        .map(|(head, actions)| (head.as_str(), actions.as_str()))
        .collect();
    reacting(offer, &all)
}

/// A machine and its output.
struct Hand {
    machine: Machine,
    said: Vec<String>,
    sent: String,
}

impl Hand {
    fn dialling(offer: &str, reactions: &[(&str, &str)]) -> Self {
        Self::new(offer, reactions, Purpose::Deliver(ping(DOMAIN, TARGET)), 1)
    }

    fn listening(offer: &str, reactions: &[(&str, &str)]) -> Self {
        Self::new(offer, reactions, Purpose::Serve, 1)
    }

    fn new(offer: &str, reactions: &[(&str, &str)], purpose: Purpose, number: u16) -> Self {
        let values = [("probe".to_owned(), "<p>".to_owned())].into();
        let config = PartnerConfig {
            values: Arc::new(values),
            ..(*config(DOMAIN, TARGET, &reacting(offer, reactions))).clone()
        };
        let mut hand = Self {
            machine: Machine::new(Arc::new(config), 1, purpose).as_nth(number),
            said: Vec::new(),
            sent: String::new(),
        };
        hand.feed(Input::Opened);
        hand
    }

    fn feed(&mut self, input: Input<'_>) -> &mut Self {
        for action in self.machine.handle(input) {
            match action {
                Action::Observe(what) => self.said.push(brief(&what)),
                Action::Send(bytes) => self.sent += &String::from_utf8_lossy(&bytes),
                Action::Deadline(_) => {}
                other => self.said.push(format!("{other:?}")),
            }
        }
        self
    }

    fn told(&mut self, text: &str) -> &mut Self {
        self.feed(Input::Bytes(text.as_bytes()))
    }

    fn secured(&mut self) -> &mut Self {
        let facts = super::target::facts(crate::event::CertificateSeen::Good);
        self.feed(Input::TlsUp(TlsSession { ..facts }))
    }

    fn raised(&mut self, name: &str, text: &str) -> &mut Self {
        let board = [(name.to_owned(), text.to_owned())].into();
        self.feed(Input::Board(Arc::new(board)))
    }

    fn state(&self) -> State {
        self.machine.state()
    }

    #[track_caller]
    fn has_said(&self, wanted: &str) {
        assert!(
            self.said.iter().any(|line| line.contains(wanted)),
            "{wanted} is not in\n{}",
            self.said.join("\n")
        );
    }
}

#[test]
fn proceed_at_every_point_changes_nothing() {
    for offer in [modern(), offer("required", false, true), clear()] {
        let plain = persona(&offer);
        let plain = meet(&plain, &plain).transcript();
        let told = everywhere(&offer, "{ raise = 'POINT' }, 'proceed'");
        let network = meet(&told, &told);
        let without: String = network
            .transcript()
            .split_inclusive('\n')
            .filter(|line| !line.contains("raised"))
            .collect();
        assert_eq!(without, plain);
    }
}

#[test]
fn every_step_of_a_negotiation_is_a_point() {
    let reached = |offer: &str| -> Vec<String> {
        let told = everywhere(offer, "{ raise = 'POINT' }, 'proceed'");
        let mut network = meet(&told, &told);
        network.stop();
        network.board.snapshot().keys().cloned().collect()
    };
    assert_eq!(
        reached(&modern()),
        [
            "accepted",
            "auth",
            "connected",
            "established",
            "features",
            "features-received",
            "header",
            "header-received",
            "proceed-received",
            "proceed-sent",
            "secured",
            "stanza",
            "starttls",
            "success-received",
        ]
    );
    let dialback = reached(&clear());
    for point in [
        "db-result",
        "db-verify",
        "result-received",
        "stream-end",
        "verification-received",
    ] {
        assert!(dialback.iter().any(|one| one == point), "{dialback:?}");
    }
}

#[test]
fn a_pause_at_every_point_changes_nothing_but_the_time() {
    for pause in ["{ wait = 1 }", "{ wait-for = 'go' }"] {
        for offer in [modern(), offer("required", false, true), clear()] {
            for chunk in [usize::MAX, 1] {
                let slow = everywhere(&offer, &format!("{pause}, 'proceed'"));
                let mut network = Network::new(&slow, &slow, chunk);
                network.dial(ping("a.example", "b.example"));
                if pause.contains("go") {
                    assert_eq!(network.delivered, 0, "it waits");
                    network.raise("go");
                }
                assert_eq!(network.delivered, 1, "{}", network.transcript());
                network.stop();
                assert!(network.all_ended(), "{}", network.transcript());
            }
        }
    }
}

#[test]
fn a_verification_reacts_only_where_it_is_meant() {
    let ignoring = |on: &str| {
        let head = format!("when = 'connected'\nnth = 1\n{on}");
        reacting(&clear(), &[(&head, "'no-reply'")])
    };
    let plain = persona(&clear());
    let meant = meet(&plain, &ignoring("on = 'verification'"));
    assert_eq!(meant.delivered, 0, "{}", meant.transcript());
    let not_meant = meet(&plain, &ignoring(""));
    assert_eq!(not_meant.delivered, 1, "{}", not_meant.transcript());
}

#[test]
fn filters_choose_the_first_reaction_that_fits() {
    let reactions = [
        ("when = 'stanza'\nnth = 2", "{ raise = 'second' }"),
        ("when = 'stanza'\nstage = 'clear'", "{ raise = 'clear' }"),
        ("when = 'stanza'\non = 'inbound'", "{ raise = 'dialled' }"),
        ("when = 'stanza'\nconnection = 2", "{ raise = 'other' }"),
        ("when = 'stanza'", "{ raise = 'any' }"),
    ];
    let mut hand = Hand::listening(&modern(), &reactions);
    let stanza = "<message/>";
    hand.told(HEADER).told(stanza).told(stanza).told(stanza);
    let raised = |hand: &Hand| -> Vec<String> {
        let raised = hand.said.iter();
        raised
            .filter_map(|line| line.strip_prefix("raised ").map(str::to_owned))
            .collect()
    };
    assert_eq!(raised(&hand), ["clear", "second", "clear"]);
    let mut other = Hand::new(&modern(), &reactions, Purpose::Serve, 2);
    other.told(HEADER).told("<starttls ").told(TLS).told("/>");
    other.secured().told(HEADER).told(stanza);
    assert_eq!(raised(&other), ["other"]);
}

#[test]
fn a_dialler_waits_for_the_answer_to_what_was_sent() {
    let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
                  xmlns:stream='http://etherx.jabber.org/streams' to='t.example' version='1.0'>";
    for (sent, state) in [
        (format!("<starttls {TLS}/>"), State::AwaitProceed),
        (
            format!("<auth {SASL} mechanism='EXTERNAL'/>"),
            State::AwaitSuccess,
        ),
        (format!("<response {SASL}/>"), State::AwaitSuccess),
        ("<db:result>key</db:result>".to_owned(), State::AwaitResult),
        ("<db:verify>key</db:verify>".to_owned(), State::AwaitAnswer),
        (header.to_owned(), State::AwaitHeader),
        ("<message/>".to_owned(), State::Scripted),
        ("<half".to_owned(), State::Scripted),
        ("</stream:stream>".to_owned(), State::Closing),
    ] {
        let actions = format!("{{ send = \"{sent}\" }}");
        let mut hand = Hand::dialling(&modern(), &[("when = 'features-received'", &actions)]);
        hand.told(HEADER).told(FEATURES);
        assert_eq!(hand.state(), state, "{sent}");
    }
}

#[test]
fn await_says_where_the_engine_goes_on() {
    for (word, state) in [
        ("header", State::AwaitHeader),
        ("features", State::AwaitFeatures),
        ("proceed", State::AwaitProceed),
        ("success", State::AwaitSuccess),
        ("result", State::AwaitResult),
        ("answer", State::AwaitAnswer),
        ("nothing", State::Scripted),
    ] {
        let actions = format!("{{ await = '{word}' }}");
        let mut hand = Hand::dialling(&modern(), &[("when = 'features-received'", &actions)]);
        hand.told(HEADER).told(FEATURES);
        assert_eq!(hand.state(), state, "{word}");
    }
    let nothing = [("when = 'features'", "'features', { await = 'nothing' }")];
    let mut hand = Hand::listening(&modern(), &nothing);
    hand.told(HEADER).told("<message/>");
    assert_eq!(hand.state(), State::Scripted);
    let mut other = Hand::listening(&modern(), &[]);
    other.told(HEADER).told("<message/>");
    assert_eq!(other.state(), State::Closing, "a correct server refuses it");
}

#[test]
fn a_script_can_be_left_at_any_point() {
    let ignore = ("when = 'header-received'", "'no-reply'");
    let mut scripted = Hand::dialling(&modern(), &[ignore]);
    scripted.told(HEADER).told(FEATURES);
    assert_eq!(scripted.state(), State::Scripted);
    let proceed = ("when = 'features-received'", "'proceed'");
    let mut hand = Hand::dialling(&modern(), &[ignore, proceed]);
    hand.told(HEADER).told(FEATURES);
    assert_eq!(hand.state(), State::AwaitProceed, "{:?}", hand.said);
    scripted.told("</stream:stream>");
    scripted.has_said("→ </stream>");
    assert_eq!(scripted.state(), State::Ended);
}

#[test]
fn what_was_not_waited_for_leaves_the_wait() {
    let mut hand = Hand::dialling(
        &clear(),
        &[
            ("when = 'stanza'", "{ send = '<message/>' }"),
            ("when = 'element'", "'no-reply'"),
        ],
    );
    hand.told(HEADER).told("<stream:features/>");
    hand.told("<message/>").told("<odd xmlns='urn:x'/>");
    assert_eq!(hand.state(), State::AwaitResult);
    hand.told(VALID);
    assert_eq!(hand.state(), State::Established);
}
