use super::*;
use crate::config::fixture::{CONFIG, STRICT};
use crate::negotiation::Method;

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
            "<not-authorized ",
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
            matches!(
                actions.as_slice(),
                [Action::Refused(_), Action::Send(_), ..]
            ),
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
fn restart_never_changes_the_peers_identity() {
    let (mut peer, _) = Peer::secured(&CONFIG, "row9.example", GOOD);
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    let actions = peer.send(&header("row3.example", "a.example"));
    assert!(text(&actions).contains("<invalid-from "), "{actions:?}");

    let (mut peer, _) = Peer::secured(&CONFIG, "row9.example", GOOD);
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    let actions = peer.send(&header("row9.example", "a2.example"));
    assert!(text(&actions).contains("<policy-violation "), "{actions:?}");

    // A name claimed only before TLS is discarded with it.
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
