//! Broken handshakes, names, keys and answers: a machine's response to each.

use super::*;

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
    let answer = |ticket, answer| Input::Verified { ticket, answer };
    assert_eq!(
        asked().then(answer(1, KeyAnswer::Valid)),
        "Established: → <result valid>, established TcpDialback, no deadline"
    );
    assert_eq!(asked().then(answer(2, KeyAnswer::Valid)), "Negotiating: ");
    assert_eq!(
        asked().then(answer(1, KeyAnswer::Invalid)),
        "Closing: → <result invalid>, → </stream>, deadline"
    );
    assert_eq!(
        asked().then(answer(1, KeyAnswer::Undecided("remote-server-timeout"))),
        "Negotiating: → <result error [error/remote-server-timeout]>, deadline"
    );
    assert_eq!(
        asked()
            .verified(1, KeyAnswer::Valid)
            .then(answer(1, KeyAnswer::Invalid)),
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
        let mut config = (*config(DOMAIN, TARGET, &modern())).clone();
        config.seed = seed;
        (0..20)
            .flat_map(|connection| (0..20).map(move |stream| (connection, stream)))
            .map(|(connection, stream)| config.stream_id(connection, stream))
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(ids(1).len(), 400);
    assert_eq!(ids(1), ids(1));
    assert!(ids(1).is_disjoint(&ids(2)));
}
