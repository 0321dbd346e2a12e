//! What each point and each action does, partner against partner and against a hand-made target.

use std::sync::Arc;

use super::network::Network;
use super::target::HEADER;
use super::{brief, offer, persona, ping, profile};
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

/// A machine and all that it said.
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
        let profile = PartnerConfig {
            values: Arc::new(values),
            ..(*profile(DOMAIN, TARGET, &reacting(offer, reactions))).clone()
        };
        let mut hand = Self {
            machine: Machine::new(Arc::new(profile), 1, purpose).as_connection(number),
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
        reacting(&clear(), &[(&head, "'ignore'")])
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
fn what_was_sent_tells_what_a_dialler_waits_for() {
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
    let ignore = ("when = 'header-received'", "'ignore'");
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
            ("when = 'element'", "'ignore'"),
        ],
    );
    hand.told(HEADER).told("<stream:features/>");
    hand.told("<message/>").told("<odd xmlns='urn:x'/>");
    assert_eq!(hand.state(), State::AwaitResult);
    hand.told(VALID);
    assert_eq!(hand.state(), State::Established);
}

#[test]
fn a_hand_sent_success_restarts_the_stream_of_a_listener() {
    let success = format!("{{ send = \"<success {SASL}/>\" }}, {{ wait = 5 }}");
    let mut hand = Hand::listening(&modern(), &[("when = 'auth'", &success)]);
    hand.told(HEADER)
        .told(&format!("<auth {SASL}/>"))
        .told(HEADER);
    hand.feed(Input::Timer);
    assert_eq!(hand.state(), State::Established, "{:?}", hand.said);
    hand.has_said("established SaslTls");
}

#[test]
fn a_challenge_is_answered_by_hand_on_both_sides() {
    let challenge = format!("{{ send = \"<challenge {SASL}/>\" }}");
    let success = format!("{{ send = \"<success {SASL}/>\" }}");
    let response = format!("{{ send = \"<response {SASL}>{{domain|base64}}</response>\" }}");
    let a = reacting(&modern(), &[("when = 'challenge-received'", &response)]);
    let b = reacting(
        &modern(),
        &[
            ("when = 'auth'", &challenge),
            ("when = 'response'", &success),
        ],
    );
    let network = meet(&a, &b);
    assert_eq!(network.established(), 4, "{}", network.transcript());
    assert!(network.saw("←* <response>"), "{}", network.transcript());
}

#[test]
fn a_hand_sent_proceed_begins_the_handshake_when_the_list_is_through() {
    let proceed =
        format!("{{ send = \"<proceed {TLS}/>\" }}, {{ wait = 5 }}, {{ raise = 'late' }}");
    let mut hand = Hand::listening(&modern(), &[("when = 'starttls'", &proceed)]);
    hand.told(HEADER).told(&format!("<starttls {TLS}/>"));
    // What comes now belongs to the handshake.
    hand.has_said("Read(false)");
    assert_eq!(hand.state(), State::Negotiating);
    hand.feed(Input::Timer);
    hand.has_said("raised late");
    hand.has_said(&format!("{:?}", Action::StartTls(TlsRole::Server)));
    let pipelined = format!("{{ send = \"<proceed {TLS}/><message/>\" }}, 'hold'");
    let mut holding = Hand::listening(&modern(), &[("when = 'starttls'", &pipelined)]);
    holding.told(HEADER).told(&format!("<starttls {TLS}/>"));
    assert_eq!(holding.state(), State::Held);
    holding.has_said("→ <message>");
}

#[test]
fn start_tls_takes_the_natural_role() {
    let now = [
        ("when = 'connected'", "'start-tls'"),
        ("when = 'accepted'", "'start-tls'"),
    ];
    let mut dialling = Hand::dialling(&modern(), &now);
    dialling.has_said("StartTls(Client)");
    dialling.secured();
    dialling.has_said("→* <stream version db>");
    let mut listening = Hand::listening(&modern(), &now);
    listening.has_said("StartTls(Server)");
    listening.secured().told(HEADER);
    listening.has_said("→* <features [mechanisms/mechanism dialback/errors]>");
}

#[test]
fn a_hand_sent_valid_establishes() {
    let valid = "{ send = \"<db:result from='{to}' to='{from}' type='valid'/>\" }";
    let mut hand = Hand::listening(
        &clear(),
        &[
            ("when = 'db-result'", valid),
            ("when = 'established'", "{ raise = 'in' }"),
        ],
    );
    hand.told(HEADER)
        .told("<db:result from='t.example' to='p.example'>key</db:result>");
    assert_eq!(hand.state(), State::Established);
    hand.has_said("raised in");
    let invalid = valid.replace("type='valid'", "type='invalid'");
    let mut refused = Hand::listening(&clear(), &[("when = 'db-result'", &invalid)]);
    refused
        .told(HEADER)
        .told("<db:result from='t.example' to='p.example'>key</db:result>");
    assert_eq!(refused.state(), State::Negotiating);
}

#[test]
fn established_takes_the_place_of_the_stanza() {
    let mut hand = Hand::dialling(
        &clear(),
        &[("when = 'established'", "{ send = '<message/>' }")],
    );
    hand.told(HEADER).told("<stream:features/>").told(VALID);
    hand.has_said("→ <message>");
    assert!(!hand.sent.contains("<iq"), "{}", hand.sent);
    assert_eq!(hand.state(), State::Established);
}

#[test]
fn the_end_of_a_stream_can_be_answered_late_or_not_at_all() {
    let error = "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let mut hand = Hand::dialling(
        &clear(),
        &[
            ("when = 'stream-error'", "{ raise = 'error' }"),
            (
                "when = 'stream-end'",
                "{ send = '<message/>' }, { wait = 5 }, 'close'",
            ),
        ],
    );
    hand.told(HEADER).told(error);
    assert_eq!(hand.state(), State::Scripted);
    hand.has_said("raised error");
    hand.told("</stream:stream>");
    hand.has_said("→ <message>");
    assert!(!hand.sent.contains("</stream:stream>"));
    hand.feed(Input::Timer);
    hand.has_said("→ </stream>");
    assert_eq!(hand.state(), State::Ended);
}

#[test]
fn a_failed_handshake_can_be_told_of() {
    let mut hand = Hand::dialling(
        &modern(),
        &[
            ("when = 'connected'", "'start-tls'"),
            (
                "when = 'tls-failed'",
                "{ raise = 'failed' }, { send = 'x' }",
            ),
        ],
    );
    hand.feed(Input::TlsFailed {
        by: crate::event::Party::Target,
        signal: crate::event::TlsSignal::Closed,
    });
    hand.has_said("raised failed");
    assert!(hand.sent.is_empty(), "there is nobody to send to");
    assert_eq!(hand.state(), State::Ended);
}

#[test]
fn failure_received_and_success_received_take_the_place_of_the_engine() {
    let negotiate = |reactions: &[(&str, &str)], answer: &str| {
        let mut hand = Hand::dialling(&modern(), reactions);
        hand.told(HEADER).told(FEATURES);
        hand.told(&format!("<proceed {TLS}/>")).secured();
        hand.told(HEADER).told(&format!(
            "<stream:features><mechanisms {SASL}><mechanism>EXTERNAL</mechanism></mechanisms></stream:features>"
        ));
        assert_eq!(hand.state(), State::AwaitSuccess);
        hand.told(answer);
        hand
    };
    let failure = format!("<failure {SASL}><not-authorized/></failure>");
    let again = format!("{{ send = \"<auth {SASL} mechanism='EXTERNAL'>=</auth>\" }}");
    let hand = negotiate(&[("when = 'failure-received'", &again)], &failure);
    assert_eq!(hand.state(), State::AwaitSuccess);
    assert_eq!(negotiate(&[], &failure).state(), State::AwaitResult);
    let success = format!("<success {SASL}/>");
    let mut hand = negotiate(
        &[("when = 'success-received'", "{ header-without = ['from'] }")],
        &success,
    );
    assert_eq!(hand.state(), State::AwaitHeader);
    hand.told(HEADER).told("<stream:features/>");
    assert_eq!(hand.state(), State::Established, "{:?}", hand.said);
}

#[test]
fn texts_know_the_stream_the_scenario_and_the_board() {
    let mut hand = Hand::dialling(
        &clear(),
        &[(
            "when = 'features-received'",
            "{ keep = { name = 'mine', value = '{stream-id}' } }, \
             { send = '<a>{dialback-key} {stream-id} {probe} {mine} {other} {x*3}</a>' }",
        )],
    );
    hand.raised("other", "o&o");
    hand.told(HEADER).told("<stream:features/>");
    let key = crate::negotiate::dialback::key("secret of p.example", TARGET, DOMAIN, "i1");
    assert!(
        hand.sent
            .ends_with(&format!("<a>{key} i1 &lt;p&gt; i1 o&amp;o xxx</a>")),
        "{}",
        hand.sent
    );
    hand.has_said("Raise { name: \"mine\", value: \"i1\", after_sent: false }");
}

#[test]
fn a_text_is_kept_as_the_key_that_a_secret_makes_of_it() {
    let mut hand = Hand::dialling(
        &clear(),
        &[(
            "when = 'features-received'",
            "{ keep = { name = 'k', value = '{domain} {target} {stream-id}', secret = '{other}' } }, \
             { send = '<a>{k}</a>' }",
        )],
    );
    hand.raised("other", "s3cr3t");
    hand.told(HEADER).told("<stream:features/>");
    let key = crate::negotiate::dialback::key("s3cr3t", DOMAIN, TARGET, "i1");
    assert!(
        hand.sent.ends_with(&format!("<a>{key}</a>")),
        "{}",
        hand.sent
    );
}

#[test]
fn the_id_of_a_hand_sent_header_is_the_id_of_the_stream() {
    let header = "{ send = \"<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
                  xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
                  id='D60000229F' from='p.example' version='1.0'>\" }, 'features'";
    let mut hand = Hand::listening(&clear(), &[("when = 'header'", header)]);
    hand.told(HEADER)
        .told("<db:result from='t.example' to='p.example'>key</db:result>");
    let question = Question {
        sender: TARGET.to_owned(),
        receiver: DOMAIN.to_owned(),
        id: "D60000229F".to_owned(),
        key: "key".to_owned(),
    };
    hand.has_said(&format!("{question:?}"));
}

#[test]
fn a_paused_list_waits_for_its_own_wake_and_keeps_what_comes() {
    let mut hand = Hand::listening(
        &clear(),
        &[
            ("when = 'header'", "{ wait-for = 'go' }, 'proceed'"),
            ("when = 'stanza'", "{ raise = 'stanza' }"),
        ],
    );
    hand.told(HEADER).told("<message/>");
    hand.feed(Input::Timer).raised("else", "");
    assert!(hand.sent.is_empty(), "{}", hand.sent);
    hand.raised("go", "");
    hand.has_said("→ <features [dialback/errors]>");
    hand.has_said("raised stanza");
    let mut ended = Hand::listening(&clear(), &[("when = 'header'", "{ wait = 5 }, 'proceed'")]);
    ended
        .told(HEADER)
        .told("</stream:stream>")
        .feed(Input::Timer);
    assert_eq!(ended.state(), State::Ended);
    assert!(ended.sent.is_empty(), "the list is dropped: {}", ended.sent);
}

#[test]
fn what_is_kept_while_a_list_is_paused_is_bounded() {
    let mut hand = Hand::listening(
        &clear(),
        &[
            ("when = 'established'", "{ wait-for = 'go' }"),
            (
                "when = 'db-result'",
                "{ send = \"<db:result type='valid'/>\" }",
            ),
            ("when = 'stanza'", "{ raise = 'stanza' }"),
        ],
    );
    hand.told(HEADER).told("<db:result>key</db:result>");
    for _ in 0..2000 {
        hand.told("<message/>");
    }
    hand.raised("go", "");
    let raised = hand.said.iter().filter(|line| *line == "raised stanza");
    assert_eq!(raised.count(), 256);
}

#[test]
fn shut_sends_nothing_more_and_cut_is_the_end() {
    let mut hand = Hand::dialling(
        &clear(),
        &[("when = 'features-received'", "{ send = '<a/>' }, 'shut'")],
    );
    hand.told(HEADER)
        .told("<stream:features/>")
        .told("</stream:stream>");
    assert!(hand.sent.ends_with("<a/>"), "{}", hand.sent);
    hand.has_said("ShutWrite");
    let mut cut = Hand::dialling(&clear(), &[("when = 'features-received'", "'cut'")]);
    cut.told(HEADER).told("<stream:features/>");
    cut.has_said("closed by Partner without a word");
    cut.has_said("Cut");
}

#[test]
fn raw_bytes_and_repetitions_are_shown_in_short() {
    let mut hand = Hand::dialling(
        &clear(),
        &[(
            "when = 'features-received'",
            "{ send-bytes = 'c0 af C0' }, { repeat = { send = '<a n=\"{n}\"/>', times = 100000000 } }, 'deafen'",
        )],
    );
    hand.told(HEADER).told("<stream:features/>");
    hand.has_said("→ 3 raw bytes");
    hand.has_said("→ 10 bytes 100000000 times");
    hand.has_said("Read(false)");
}
