//! One machine against a hand that plays the target: what each state makes of each input.

use std::fmt::Write as _;
use std::sync::Arc;

use insta::assert_snapshot;

use super::{brief, offer, persona, ping, profile};
use crate::event::{CertificateSeen, Party, TlsSession, TlsSignal};
use crate::negotiate::dialback;
use crate::persona::Persona;
use crate::stream::{Action, Input, Machine, Purpose, Question, State, Verdict};
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
    TlsSession {
        version: "1.3",
        suite: "TLS_AES_128_GCM_SHA256".to_owned(),
        sni: None,
        target_certificate: certificate,
        ..TlsSession::default()
    }
}

struct Hand {
    machine: Machine,
}

impl Hand {
    fn new(persona: &Arc<Persona>, purpose: Purpose) -> Self {
        let mut machine = Machine::new(profile(DOMAIN, TARGET, persona), 1, purpose);
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

    fn verified(mut self, ticket: u32, verdict: Verdict) -> Self {
        self.machine.handle(Input::Verified { ticket, verdict });
        self
    }

    /// What one more input does.
    fn then(mut self, input: Input<'_>) -> String {
        let actions = self.machine.handle(input);
        let words: Vec<String> = actions.iter().filter_map(word).collect();
        format!("{:?}: {}", self.machine.state(), words.join(", "))
    }

    fn told(self, text: &str) -> String {
        self.then(Input::Bytes(text.as_bytes()))
    }
}

/// An action in a few words; what the target sent is known.
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
        Action::Decide(verdict) => Some(format!("decide {verdict:?}")),
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

/// A machine in each state that the role can reach.
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
        State::Established if listening => {
            hand().send(HEADER).send(RESULT).verified(1, Verdict::Valid)
        }
        State::Established => hand()
            .send(HEADER)
            .send("<stream:features/>")
            .send(RESULT_VALID),
        State::Scripted => {
            let scripted = persona(&format!(
                "{}[[reaction]]\nwhen = 'header'\ndo = [{{ await = 'nothing' }}]\n\
                 [[reaction]]\nwhen = 'header-received'\ndo = ['ignore']\n",
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
                "{}[[reaction]]\nwhen = 'accepted'\ndo = ['hold']\n",
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

/// A fatal alert, `protocol_version`, as a record of TLS 1.0.
const ALERT: &[u8] = &[21, 3, 1, 0, 2, 2, 70];

fn breaking(how: &str) -> Arc<Persona> {
    persona(&format!(
        "{}[[reaction]]\nwhen = 'proceed-sent'\ndo = ['{how}']\n\
         [[reaction]]\nwhen = 'proceed-received'\ndo = ['{how}']\n",
        offer("offered", true, true)
    ))
}

#[test]
fn a_listener_breaks_the_handshake_after_the_hello() {
    let hello = legacy::client_hello_tls10(None);
    for (how, length) in [("break-tls", 16), ("legacy-tls", 47)] {
        let hand = || Hand::serve(&breaking(how)).send(HEADER).send(STARTTLS);
        assert_eq!(hand().machine.state(), State::Opaque);
        assert_eq!(
            hand().then(Input::Bytes(&hello)),
            format!("Opaque: → {length} raw bytes")
        );
        let mut told = hand();
        for byte in &hello {
            told.machine.handle(Input::Bytes(&[*byte]));
        }
        assert_eq!(
            told.then(Input::Bytes(ALERT)),
            "Opaque: TLS failed by Target: Alert(\"protocol_version\")"
        );
    }
}

#[test]
fn a_dialler_breaks_the_handshake_at_once() {
    for how in ["break-tls", "legacy-tls"] {
        let mut hand = Hand::new(&breaking(how), Purpose::Deliver(ping(DOMAIN, TARGET)))
            .send(HEADER)
            .send(FEATURES);
        let actions = hand.machine.handle(Input::Bytes(PROCEED.as_bytes()));
        assert!(
            actions
                .iter()
                .any(|action| matches!(action, Action::Send(_)))
        );
        assert_eq!(hand.machine.state(), State::Opaque);
        assert_eq!(
            hand.then(Input::Bytes(ALERT)),
            "Opaque: TLS failed by Target: Alert(\"protocol_version\")"
        );
    }
    let hand = Hand::new(
        &breaking("legacy-tls"),
        Purpose::Deliver(ping(DOMAIN, TARGET)),
    )
    .send(HEADER)
    .send(FEATURES)
    .send(PROCEED);
    let taken_up = legacy::server_hello_tls10([0; 32]);
    assert_eq!(
        hand.then(Input::Bytes(&taken_up)),
        "Opaque: ← 47 raw bytes: a hello of TLS 1.0 was accepted"
    );
}

fn by_hand(action: &str) -> Arc<Persona> {
    persona(&format!(
        "{}[[reaction]]\nwhen = 'proceed-sent'\ndo = [{action}]\n\
         [[reaction]]\nwhen = 'proceed-received'\ndo = [{action}]\n",
        offer("offered", true, true)
    ))
}

#[test]
fn a_hello_by_hand_is_sent_and_its_answer_shown() {
    let persona = by_hand("{ hello = { version = '1.1' } }");
    let hello = legacy::client_hello_tls10(None);
    let told = Hand::serve(&persona)
        .send(HEADER)
        .send(STARTTLS)
        .then(Input::Bytes(&hello));
    assert!(
        told.starts_with("Opaque: ← by hand: ")
            && told.contains("\"message\": \"client-hello\"")
            && told.ends_with("raw bytes"),
        "{told}"
    );

    let hand = Hand::new(&persona, Purpose::Deliver(ping(DOMAIN, TARGET)))
        .send(HEADER)
        .send(FEATURES)
        .send(PROCEED);
    assert_eq!(hand.machine.state(), State::Opaque);
    let told = hand.then(Input::Bytes(&legacy::server_hello_tls10([0; 32])));
    assert!(told.contains("\"version\": \"1.0\""), "{told}");
}

#[test]
fn silence_in_place_of_a_handshake_shows_what_comes() {
    let hello = legacy::client_hello_tls10(None);
    let hand = || {
        Hand::serve(&by_hand("'stall-tls'"))
            .send(HEADER)
            .send(STARTTLS)
    };
    let told = hand().then(Input::Bytes(&hello));
    assert!(
        told.contains("client-hello") && !told.contains("raw bytes"),
        "{told}"
    );
    assert_eq!(
        hand().then(Input::Bytes(b"<stream:error/>")),
        "Opaque: ← 15 raw bytes: no TLS where a handshake is due"
    );
    assert_eq!(
        hand().then(Input::Bytes(ALERT)),
        "Opaque: TLS failed by Target: Alert(\"protocol_version\")"
    );
}

#[test]
fn external_needs_a_good_certificate_for_the_stream_s_name() {
    let after = |certificate, header: &str| {
        Hand::serve(&modern())
            .send(HEADER)
            .send(STARTTLS)
            .secure(certificate)
            .told(header)
    };
    assert!(after(CertificateSeen::Good, HEADER).contains("mechanisms"));
    for bad in [
        CertificateSeen::None,
        CertificateSeen::Bad("expired".to_owned()),
    ] {
        let shown = after(bad, HEADER);
        assert!(
            !shown.contains("mechanisms") && shown.contains("dialback"),
            "{shown}"
        );
    }
    let other = HEADER.replace("from='t.example'", "from='other.example'");
    assert!(!after(CertificateSeen::Good, &other).contains("mechanisms"));
    let nobody = HEADER.replace("from='t.example'", "");
    assert!(!after(CertificateSeen::Good, &nobody).contains("mechanisms"));
}

fn authenticated() -> Hand {
    Hand::serve(&modern())
        .send(HEADER)
        .send(STARTTLS)
        .secure(CertificateSeen::Good)
        .send(HEADER)
        .send(AUTH)
}

#[test]
fn a_name_cannot_change_after_it_was_authenticated() {
    assert_eq!(
        authenticated().told(HEADER),
        "Established: →* <?xml?>, →* <stream id version db>, →* <features>, \
         established SaslTls, no deadline"
    );
    let other = HEADER.replace("from='t.example'", "from='other.example'");
    assert!(authenticated().told(&other).contains("[invalid-from]"));
}

#[test]
fn stanzas_stay_within_the_authenticated_pair() {
    let with = |from: &str, to: &str| {
        authenticated()
            .send(HEADER)
            .told(&format!("<iq type='get' id='1' from='{from}' to='{to}'/>"))
    };
    assert_eq!(with("u@t.example/r", "p.example"), "Established: answer");
    assert_eq!(with("T.Example", "P.example"), "Established: answer");
    assert!(with("sub.t.example", "p.example").contains("[invalid-from]"));
    assert!(with("t.example", "q.example").contains("[improper-addressing]"));
    let nowhere = authenticated()
        .send(HEADER)
        .told("<message to='p.example'/>");
    assert!(nowhere.contains("[improper-addressing]"));
}

#[test]
fn only_requests_are_answered() {
    let with = |kind: &str| {
        authenticated().send(HEADER).told(&format!(
            "<iq type='{kind}' id='1' from='t.example' to='p.example'/>"
        ))
    };
    assert_eq!(with("get"), "Established: answer");
    assert_eq!(with("result"), "Established: ");
    assert_eq!(with("error"), "Established: ");
}

fn plain() -> Hand {
    Hand::serve(&persona(&offer("none", false, true))).send(HEADER)
}

#[test]
fn keys_for_what_cannot_be_checked_are_refused() {
    let with = |from: &str, to: &str| {
        plain().told(&format!("<db:result from='{from}' to='{to}'>k</db:result>"))
    };
    let refused = |condition: &str| format!("Negotiating: → <result error [error/{condition}]>");
    assert_eq!(
        with("t.example", "p.example"),
        "Negotiating: ask t.example, no deadline"
    );
    assert_eq!(with("t.example", "q.example"), refused("item-not-found"));
    assert_eq!(with("p.example", "p.example"), refused("policy-violation"));
    assert_eq!(with("u@t.example", "p.example"), refused("not-acceptable"));
    assert_eq!(
        with("x.example", "p.example"),
        refused("remote-server-not-found")
    );
    let nobody = plain().told("<db:result to='p.example'>k</db:result>");
    assert!(nobody.contains("[improper-addressing]"), "{nobody}");
}

#[test]
fn keys_that_are_checked_at_a_time_are_limited() {
    let hand = (0..8).fold(plain(), |hand, _| hand.send(RESULT));
    assert_eq!(
        hand.told(RESULT),
        "Negotiating: → <result error [error/resource-constraint]>"
    );
}

#[test]
fn a_verdict_counts_once_and_for_its_own_question() {
    let asked = || plain().send(RESULT);
    let verdict = |ticket, verdict| Input::Verified { ticket, verdict };
    assert_eq!(
        asked().then(verdict(1, Verdict::Valid)),
        "Established: → <result valid>, established TcpDialback, no deadline"
    );
    assert_eq!(asked().then(verdict(2, Verdict::Valid)), "Negotiating: ");
    assert_eq!(
        asked().then(verdict(1, Verdict::Invalid)),
        "Closing: → <result invalid>, → </stream>, deadline"
    );
    assert_eq!(
        asked().then(verdict(1, Verdict::Undecided("remote-server-timeout"))),
        "Negotiating: → <result error [error/remote-server-timeout]>, deadline"
    );
    assert_eq!(
        asked()
            .verified(1, Verdict::Valid)
            .then(verdict(1, Verdict::Invalid)),
        "Established: "
    );
}

#[test]
fn only_keys_of_our_own_making_are_valid() {
    let key = dialback::key("secret of p.example", TARGET, DOMAIN, "i7");
    let ask = |to: &str, id: &str, key: &str| {
        plain().told(&format!(
            "<db:verify from='t.example' to='{to}' id='{id}'>{key}</db:verify>"
        ))
    };
    let said = |what: &str| format!("Negotiating: → <verify {what}>, no deadline");
    assert_eq!(ask("p.example", "i7", &key), said("valid"));
    assert_eq!(
        ask("p.example", "i7", &format!("\n {key}\n")),
        said("valid")
    );
    assert_eq!(ask("p.example", "i8", &key), said("invalid"));
    assert_eq!(ask("p.example", "i7", "key"), said("invalid"));
    assert_eq!(
        ask("q.example", "i7", &key),
        said("error [error/item-not-found]")
    );
}

#[test]
fn answers_for_another_pair_are_not_heard() {
    let waiting = || {
        Hand::new(&modern(), Purpose::Deliver(ping(DOMAIN, TARGET)))
            .send(HEADER)
            .send("<stream:features/>")
    };
    let with = |from: &str, to: &str, kind: &str| {
        waiting().told(&format!(
            "<db:result from='{from}' to='{to}' type='{kind}'/>"
        ))
    };
    assert!(with("t.example", "p.example", "valid").starts_with("Established: "));
    assert_eq!(with("x.example", "p.example", "valid"), "AwaitResult: ");
    assert_eq!(with("t.example", "x.example", "valid"), "AwaitResult: ");
    assert_eq!(with("t.example", "p.example", "maybe"), "AwaitResult: ");
}

#[test]
fn stream_ids_never_come_back() {
    let ids = |seed| {
        let mut profile = (*profile(DOMAIN, TARGET, &modern())).clone();
        profile.seed = seed;
        (0..20)
            .flat_map(|connection| (0..20).map(move |stream| (connection, stream)))
            .map(|(connection, stream)| profile.stream_id(connection, stream))
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(ids(1).len(), 400);
    assert_eq!(ids(1), ids(1));
    assert!(ids(1).is_disjoint(&ids(2)));
}
