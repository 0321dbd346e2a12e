use super::*;
use crate::config::fixture::CONFIG;
use crate::dialback::KeyStatus;
use crate::negotiation::Method;
use crate::stanza::StanzaError;

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
    // Unsolicited answers have no effect.
    assert!(
        peer.send("<db:result from='row9.example' to='a.example' type='valid'/>")
            .is_empty()
    );
    assert!(
        peer.send("<db:verify from='row9.example' to='a.example' id='id1' type='valid'/>")
            .is_empty()
    );
    let verified = |pair: &Pair, status| Input::Verified {
        pair: pair.clone(),
        status,
    };
    let actions = peer.input(verified(&first, KeyStatus::Valid));
    assert_eq!(
        actions[0],
        Action::Authenticated(first, Method::TcpDialback)
    );
    assert!(matches!(
        peer.send(stanza).as_slice(),
        [Action::Deliver(..)]
    ));
    let actions = peer.input(verified(&second, KeyStatus::Invalid));
    assert!(
        text(&actions).contains("<forbidden "),
        "the first pair goes on: {actions:?}"
    );
    assert!(matches!(
        peer.send(stanza).as_slice(),
        [Action::Deliver(..)]
    ));
    assert!(
        peer.input(verified(&second, KeyStatus::Valid)).is_empty(),
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
            Some("host-unknown"),
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
            status: KeyStatus::Valid,
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
            status: KeyStatus::Valid,
        });
        assert!(late.is_empty());
    }
}

#[test]
fn refused_requests_trigger_no_verification() {
    for (request, error) in [
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
        let [Action::Refused(_), Action::Send(text)] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        assert!(text.contains(&format!("<{} ", error)), "{text}");
        assert!(
            matches!(peer.state, Receiving::AwaitRequest(_)),
            "the stream stays"
        );
    }
    // An invalid name ends it, and no server is asked.
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
fn failing_requests_are_limited() {
    let mut peer = Peer::new(&CONFIG);
    peer.send(&header("row9.example", "a.example"));
    let mut answered = 0;
    let end = loop {
        let asked = peer.send("<db:result from='row9.example' to='a.example'>k</db:result>");
        assert!(
            matches!(asked.as_slice(), [Action::Verify { .. }]),
            "{asked:?}"
        );
        let told = peer.input(Input::Verified {
            pair: pair("row9.example", "a.example"),
            status: KeyStatus::Failed(StanzaError::RemoteServerNotFound),
        });
        answered += 1;
        if told.len() > 2 {
            break text(&told);
        }
        assert!(answered < 100, "no limit");
    };
    assert!(end.contains("<remote-server-not-found "), "{end}");
    assert!(end.contains("<policy-violation "), "{end}");
}

#[test]
fn each_pair_of_a_stream_may_fail_and_a_success_forgives() {
    let mut peer = Peer::new(&CONFIG);
    peer.send(&header("row9.example", "a.example"));
    let mut ask = |from: &str, status| {
        peer.send(&format!(
            "<db:result from='{from}' to='a.example'>k</db:result>"
        ));
        let told = peer.input(Input::Verified {
            pair: pair(from, "a.example"),
            status,
        });
        text(&told)
    };
    let pairs = CONFIG.settings.limits.stream_pairs;
    for _ in 0..3 {
        for _ in 0..pairs {
            let status = KeyStatus::Failed(StanzaError::RemoteServerTimeout);
            let told = ask("row17.example", status);
            assert!(!told.contains("<policy-violation "), "{told}");
        }
        let told = ask("row9.example", KeyStatus::Valid);
        assert!(told.contains("type='valid'"), "{told}");
    }
}

#[test]
fn dialback_instead_of_sasl_is_told_with_its_reason() {
    for (row, certificate, told) in [
        (7, BAD, 1),
        (7, GOOD, 0),
        (7, Judged::Absent, 0),
        (13, BAD, 0),
    ] {
        let name = format!("row{row}.example");
        let (mut peer, _) = Peer::secured(&CONFIG, &name, certificate);
        peer.send(&format!(
            "<db:result from='{name}' to='a.example'>k</db:result>"
        ));
        let actions = peer.input(Input::Verified {
            pair: pair(&name, "a.example"),
            status: KeyStatus::Valid,
        });
        let refused = actions.iter().filter(|action| match action {
            Action::Refused(refused) => {
                refused.condition == "bad-certificate"
                    && refused
                        .text
                        .ends_with("not accepted: issued by an unknown authority")
            }
            _ => false,
        });
        assert_eq!(refused.count(), told, "{row}: {actions:?}");
    }
}
