use proptest::prelude::*;

use super::receiving::{Action, Input, Receiving};
use crate::certificate::{Fault, Judged};
use crate::config::Config;
use crate::config::fixture::{CONFIG, STRICT};
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::negotiation::Method;
use crate::stanza::StanzaError;
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

/// A peer whose bytes reach the state without sockets.
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
            state: Receiving::new(),
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

#[test]
fn features_follow_the_row_and_the_certificate() {
    // Row; before TLS: STARTTLS, required, dialback; after TLS with a good certificate and with a
    // bad one: EXTERNAL, dialback, or the end.
    let table = [
        (1, "tls required", "external", "end"),
        (2, "tls required", "external", "end"),
        (3, "tls dialback", "external dialback", "dialback"),
        (4, "tls", "external", "end"),
        (5, "dialback", "", ""),
        (7, "tls required", "external dialback", "dialback"),
        (8, "tls required", "external", "end"),
        (9, "tls dialback", "external dialback", "dialback"),
        (10, "tls", "external", "end"),
        (11, "dialback", "", ""),
        (13, "tls required", "dialback", "dialback"),
        (15, "tls dialback", "dialback", "dialback"),
        (17, "dialback", "", ""),
    ];
    let shown = |text: &str| {
        if text.contains("<stream:error>") {
            assert!(text.contains("<policy-violation "), "{text}");
            return "end".to_owned();
        }
        let declared = text.contains("xmlns:db='jabber:server:dialback'");
        assert_eq!(
            declared,
            text.contains("urn:xmpp:features:dialback"),
            "{text}"
        );
        let mut words = Vec::new();
        for (mark, word) in [
            ("<starttls", "tls"),
            ("<required/>", "required"),
            ("EXTERNAL", "external"),
            ("<errors/>", "dialback"),
        ] {
            if text.contains(mark) {
                words.push(word);
            }
        }
        words.join(" ")
    };
    for (row, plain, good, bad) in table {
        let name = format!("row{row}.example");
        let opened = Peer::new(&CONFIG).send(&header(&name, "a.example"));
        assert_eq!(shown(&text(&opened)), plain, "row {row}");
        if plain.contains("tls") {
            let (_, opened) = Peer::secured(&CONFIG, &name, GOOD);
            assert_eq!(shown(&text(&opened)), good, "row {row}, good");
            let (_, opened) = Peer::secured(&CONFIG, &name, BAD);
            assert_eq!(shown(&text(&opened)), bad, "row {row}, bad");
            let (_, opened) = Peer::secured(&STRICT, &name, BAD);
            assert_eq!(shown(&text(&opened)), "end", "row {row}, strict");
        }
    }
}

#[test]
fn ids_and_addresses_of_headers_are_this_sides() {
    let opened = Peer::new(&CONFIG)
        .send(&header("Row9.Example", "A.example").replace("from=", "id='x' xml:lang='de' from="));
    let text = text(&opened);
    assert!(
        text.contains(" id='id1' from='a.example' to='row9.example' xml:lang='de' version='1.0'>"),
        "{text}"
    );
}

#[test]
fn required_tls_cannot_be_passed_by() {
    for (request, answer) in [
        (
            "<db:result from='row7.example' to='a.example'>k</db:result>",
            "<policy-violation ",
        ),
        (
            "<db:verify from='row7.example' to='a.example' id='1'>k</db:verify>",
            "<policy-violation ",
        ),
        (
            "<message from='row7.example' to='a.example'/>",
            "<policy-violation ",
        ),
        (
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
            "<encryption-required/>",
        ),
    ] {
        let mut peer = Peer::new(&CONFIG);
        peer.send(&header("row7.example", "a.example"));
        let actions = peer.send(request);
        assert!(
            matches!(actions.as_slice(), [Action::Send(_), ..]),
            "{actions:?}"
        );
        let text = text(&actions);
        assert!(text.contains(answer), "{text}");
        assert!(text.ends_with("</stream:stream>"), "{text}");
        assert!(matches!(peer.state, Receiving::Ended));
    }
}

#[test]
fn starttls_where_it_is_off_fails_and_closes() {
    let mut peer = Peer::new(&CONFIG);
    peer.send(&header("row17.example", "a.example"));
    let actions = peer.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(
        text(&actions),
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"
    );
    let (mut peer, _) = Peer::secured(&CONFIG, "row9.example", GOOD);
    let actions = peer.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert!(text(&actions).starts_with("<failure "), "no second layer");
}

#[test]
fn external_gives_success_only_for_the_streams_own_name() {
    for (payload, answer) in [
        ("=", "<success "),
        ("cm93OS5leGFtcGxl", "<success "),
        ("", "<challenge "),
        ("Z2FtbWEuZXhhbXBsZQ==", "<invalid-authzid/>"),
        ("***", "<incorrect-encoding/>"),
    ] {
        let (mut peer, _) = Peer::secured(&CONFIG, "row9.example", GOOD);
        let auth = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{payload}</auth>"
        );
        let actions = peer.send(&auth);
        assert!(text(&actions).contains(answer), "{payload}: {actions:?}");
        let authenticated =
            Action::Authenticated(pair("row9.example", "a.example"), Method::SaslTls);
        assert_eq!(actions.contains(&authenticated), answer == "<success ");
    }
}

#[test]
fn failures_of_sasl_name_their_reason_and_are_counted() {
    let auth = |mechanism: &str| {
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>=</auth>")
    };
    for (row, certificate, request, answer) in [
        (9, GOOD, auth("PLAIN"), "<invalid-mechanism/>"),
        (9, GOOD, auth("external"), "<invalid-mechanism/>"),
        (9, BAD, auth("EXTERNAL"), "<not-authorized/>"),
        (13, GOOD, auth("EXTERNAL"), "<invalid-mechanism/>"),
        (
            9,
            GOOD,
            "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(),
            "<aborted/>",
        ),
        (
            9,
            GOOD,
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(),
            "<malformed-request/>",
        ),
    ] {
        let (mut peer, _) = Peer::secured(&CONFIG, &format!("row{row}.example"), certificate);
        let actions = peer.send(&request);
        assert!(text(&actions).contains(answer), "{request}: {actions:?}");
        assert!(
            matches!(peer.state, Receiving::AwaitRequest(_)),
            "dialback may follow"
        );
        let rest: String = (0..4).map(|_| text(&peer.send(&request))).collect();
        assert!(rest.ends_with("</stream:stream>"), "{rest}");
    }
}

#[test]
fn restart_never_changes_who_the_peer_is() {
    let (mut peer, _) = Peer::secured(&CONFIG, "row9.example", GOOD);
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    let actions = peer.send(&header("row3.example", "a.example"));
    assert!(text(&actions).contains("<invalid-from "), "{actions:?}");

    let (mut peer, _) = Peer::secured(&CONFIG, "row9.example", GOOD);
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    let actions = peer.send(&header("row9.example", "a2.example"));
    assert!(text(&actions).contains("<policy-violation "), "{actions:?}");

    // A name that was only said before TLS is forgotten with it.
    let mut peer = Peer::new(&CONFIG);
    peer.send(&header("row9.example", "a.example"));
    peer.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.reader = reader();
    peer.certificate = GOOD;
    peer.input(Input::Secured);
    let opened = peer.send(&header("", "a.example").replace("from='' ", ""));
    assert!(!text(&opened).contains("EXTERNAL"), "{opened:?}");
}

#[test]
fn pairs_are_verified_one_by_one() {
    let mut peer = Peer::new(&CONFIG);
    peer.send(&header("row9.example", "a.example"));
    let first = pair("row9.example", "a.example");
    let second = pair("row17.example", "a2.example");
    let stanza = "<message from='row9.example' to='a.example'/>";
    let asked = peer.send(
        "<db:result from='row9.example' to='a.example'>k1</db:result>\
         <db:result from='row17.example' to='a2.example'>k2</db:result>\
         <db:result from='row9.example' to='a.example'>k1</db:result>",
    );
    assert_eq!(
        asked.len(),
        2,
        "a request that waits is not asked again: {asked:?}"
    );
    // Answers that nobody asked for have no effect.
    assert!(
        peer.send("<db:result from='row9.example' to='a.example' type='valid'/>")
            .is_empty()
    );
    assert!(
        peer.send("<db:verify from='row9.example' to='a.example' id='id1' type='valid'/>")
            .is_empty()
    );
    let verdict = |pair: &Pair, verdict| Input::Verified {
        pair: pair.clone(),
        verdict,
    };
    let actions = peer.input(verdict(&first, KeyStatus::Valid));
    assert_eq!(
        actions[0],
        Action::Authenticated(first, Method::TcpDialback)
    );
    assert!(matches!(
        peer.send(stanza).as_slice(),
        [Action::Deliver(..)]
    ));
    let actions = peer.input(verdict(&second, KeyStatus::Invalid));
    assert!(
        text(&actions).contains("<forbidden "),
        "the first pair goes on: {actions:?}"
    );
    assert!(matches!(
        peer.send(stanza).as_slice(),
        [Action::Deliver(..)]
    ));
    assert!(
        peer.input(verdict(&second, KeyStatus::Valid)).is_empty(),
        "decided already"
    );
    let actions = peer.send("<message from='row17.example' to='a2.example'/>");
    assert!(text(&actions).contains("<invalid-from "), "{actions:?}");
}

#[test]
fn stanzas_of_no_verified_pair_end_the_stream() {
    for (stanza, condition) in [
        ("<message from='row9.example' to='a.example'/>", None),
        (
            "<iq from='u@ROW9.example/r' to='v@A.example' type='get' id='1'/>",
            None,
        ),
        (
            "<message from='row17.example' to='a.example'/>",
            Some("invalid-from"),
        ),
        (
            "<message from='chat.row9.example' to='a.example'/>",
            Some("invalid-from"),
        ),
        (
            "<message from='u@row9.example.evil.example' to='a.example'/>",
            Some("invalid-from"),
        ),
        (
            "<message from='row9.example' to='a2.example'/>",
            Some("not-authorized"),
        ),
        (
            "<message from='row9.example' to='other.example'/>",
            Some("host-unknown"),
        ),
        ("<message to='a.example'/>", Some("improper-addressing")),
        (
            "<message from='row9.example'/>",
            Some("improper-addressing"),
        ),
        (
            "<message from='row9.example' to='@a.example'/>",
            Some("improper-addressing"),
        ),
        ("<pubsub/>", Some("unsupported-stanza-type")),
        (
            "<bidi xmlns='urn:xmpp:bidi'/>",
            Some("unsupported-stanza-type"),
        ),
        (
            "<stream:stream from='row17.example' to='a.example'/>",
            Some("bad-format"),
        ),
        ("hello<message/>", Some("bad-format")),
    ] {
        let mut peer = Peer::new(&CONFIG);
        peer.send(&header("row9.example", "a.example"));
        peer.send("<db:result from='row9.example' to='a.example'>k</db:result>");
        let waiting = peer.send("");
        assert!(waiting.is_empty());
        peer.input(Input::Verified {
            pair: pair("row9.example", "a.example"),
            verdict: KeyStatus::Valid,
        });
        let actions = peer.send(stanza);
        match condition {
            None => assert!(
                matches!(actions.as_slice(), [Action::Deliver(..)]),
                "{actions:?}"
            ),
            Some(condition) => {
                let text = text(&actions);
                assert!(text.contains(&format!("<{condition} ")), "{stanza}: {text}");
                assert!(matches!(peer.state, Receiving::Ended));
            }
        }
    }
}

#[test]
fn nothing_counts_before_the_pair_is_verified() {
    for early in [
        "<message from='row9.example' to='a.example'/>",
        "<db:result from='row9.example' to='a.example'>k</db:result>\
         <message from='row9.example' to='a.example'/>",
    ] {
        let mut peer = Peer::new(&CONFIG);
        peer.send(&header("row9.example", "a.example"));
        let actions = peer.send(early);
        assert!(text(&actions).contains("<not-authorized "), "{actions:?}");
        let late = peer.input(Input::Verified {
            pair: pair("row9.example", "a.example"),
            verdict: KeyStatus::Valid,
        });
        assert!(late.is_empty());
    }
}

#[test]
fn requests_refused_by_rule_ask_nobody() {
    for (request, problem) in [
        (
            "from='row9.example' to='nosuch.example'",
            StanzaError::ItemNotFound,
        ),
        (
            "from='a2.example' to='a.example'",
            StanzaError::NotAcceptable,
        ),
        (
            "from='unlisted.example' to='a.example'",
            StanzaError::PolicyViolation,
        ),
        (
            "from='row7.example' to='a.example'",
            StanzaError::PolicyViolation,
        ),
    ] {
        let mut peer = Peer::new(&CONFIG);
        peer.send(&header("row9.example", "a.example"));
        let actions = peer.send(&format!("<db:result {request}>k</db:result>"));
        let [Action::Send(text)] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        assert!(text.contains(&format!("<{problem} ")), "{text}");
        assert!(
            matches!(peer.state, Receiving::AwaitRequest(_)),
            "the stream stays"
        );
    }
    // An illegal name ends it, and still nobody is asked.
    for request in [
        "from='u@b.example' to='a.example'",
        "from='' to='a.example'",
        "to='a.example'",
    ] {
        let mut peer = Peer::new(&CONFIG);
        peer.send(&header("row9.example", "a.example"));
        let actions = peer.send(&format!("<db:result {request}>k</db:result>"));
        assert!(
            text(&actions).contains("<improper-addressing "),
            "{actions:?}"
        );
    }
}

#[test]
fn legacy_peer_gets_no_features() {
    let legacy = |name| header(name, "a.example").replace(" version='1.0'", "");
    let opened = text(&Peer::new(&CONFIG).send(&legacy("row9.example")));
    assert!(
        !opened.contains("features") && !opened.contains(" version='1.0'>"),
        "{opened}"
    );
    let refused = text(&Peer::new(&CONFIG).send(&legacy("row7.example")));
    assert!(refused.contains("<policy-violation "), "{refused}");
}

#[test]
fn closing_tag_and_errors_are_answered_by_the_closing_tag_alone() {
    for end in [
        "</stream:stream>",
        "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    ] {
        let mut peer = Peer::new(&CONFIG);
        peer.send(&header("row9.example", "a.example"));
        assert_eq!(text(&peer.send(end)), "</stream:stream>");
        assert!(matches!(peer.state, Receiving::Ended));
    }
}

fn pieces() -> impl Strategy<Value = Vec<String>> {
    let names = prop::sample::select(vec![
        "row1", "row7", "row9", "row13", "row17", "a", "a2", "zz",
    ]);
    let piece = (0..12u8, names.clone(), names).prop_map(|(kind, from, to)| {
        let (from, to) = (format!("{from}.example"), format!("{to}.example"));
        match kind {
            0 => header(&from, &to),
            1 => "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".to_owned(),
            2 => "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
                .to_owned(),
            3 => "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>".to_owned(),
            4 => "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(),
            5 => format!("<db:result from='{from}' to='{to}'>k</db:result>"),
            6 => format!("<db:result from='{from}' to='{to}' type='valid'/>"),
            7 => format!("<db:verify from='{from}' to='{to}' id='x'>k</db:verify>"),
            8 => format!("<message from='u@{from}' to='v@{to}'/>"),
            9 => "<x xmlns='urn:x'/>".to_owned(),
            10 => "</stream:stream>".to_owned(),
            _ => "<".to_owned(),
        }
    });
    prop::collection::vec(piece, 0..12)
}

proptest! {
    /// Whatever comes: no panic, no stanza of a pair that was not authenticated, nothing after
    /// the end.
    #[test]
    fn any_conversation_keeps_the_invariants(
        from in prop::sample::select(vec!["row1", "row7", "row9", "row13", "row17"]),
        certificate in prop::sample::select(vec![GOOD, BAD, Judged::Absent]),
        pieces in pieces(),
    ) {
        let mut peer = Peer::new(&CONFIG);
        peer.certificate = certificate;
        let mut authenticated = Vec::new();
        let mut secured = false;
        peer.send(&header(&format!("{from}.example"), "a.example"));
        for piece in pieces {
            let over = matches!(peer.state, Receiving::Ended);
            let actions = peer.send(&piece);
            prop_assert!(!over || actions.is_empty());
            for action in actions {
                match action {
                    Action::Authenticated(pair, method) => {
                        prop_assert_eq!(method, Method::SaslTls);
                        prop_assert!(secured && certificate == GOOD);
                        authenticated.push(pair);
                    }
                    Action::Deliver(pair, _) => prop_assert!(authenticated.contains(&pair)),
                    Action::StartTls { .. } => {
                        prop_assert!(!secured);
                        secured = true;
                        peer.reader = reader();
                        peer.input(Input::Secured);
                    }
                    Action::Refund | Action::Restart | Action::Send(_) | Action::Verify { .. } => {}
                }
            }
        }
    }
}
