//! TLS, connections and ends made by a script.

use super::*;

#[tokio::test]
async fn tls_can_begin_at_once() {
    let direct = reacting(
        "offered",
        &[
            ("when = 'connected'", "'start-tls'"),
            ("when = 'accepted'", "'start-tls'"),
        ],
    );
    let (a, _) = meet(&direct, &direct, is_answer).await;
    assert_eq!(methods(&a)[0], (ConnectionId(1), Method::SaslTls), "{a:#?}");
    assert!(!has(&a, |what| matches!(
        what,
        EventKind::Frame {
            encrypted: false,
            ..
        }
    )));
}

#[tokio::test]
async fn direct_tls_has_an_address_of_its_own() {
    let begins = [("when = 'connected'", "'start-tls'")];
    let (_nobody, nowhere) = raw_target().await;
    let (direct, in_clear) = (reacting("direct", &[]), reacting("offered", &[]));
    for (persona, by_tls) in [
        (&direct, true),
        (&reacting("offered", &begins), true),
        (&in_clear, false),
    ] {
        let (listener, address) = raw_target().await;
        let (target, direct_tls) = if by_tls {
            (nowhere, address)
        } else {
            (address, nowhere)
        };
        let partner = Partner::start(PartnerSetup {
            target,
            direct_tls: Some(direct_tls),
            ..setup("a.example", "b.example", persona)
        })
        .await
        .expect("it starts");
        partner.dial(ping());
        let (mut dialled, _) = within(listener.accept()).await.expect("it is dialled");
        let mut first = [0];
        within(dialled.read_exact(&mut first))
            .await
            .expect("it speaks");
        let is_handshake = first == [22];
        assert_eq!(is_handshake, by_tls);
        within(partner.stop()).await;
    }
}

#[tokio::test]
async fn a_delayed_handshake_is_none_the_worse() {
    let proceed =
        "{ send = \"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\" }, { wait = 20 }";
    let by_hand = reacting("offered", &[("when = 'starttls'", proceed)]);
    let late = reacting(
        "offered",
        &[
            ("when = 'proceed-sent'", "{ wait = 20 }, 'proceed'"),
            ("when = 'proceed-received'", "{ wait = 20 }, 'proceed'"),
        ],
    );
    for b in [by_hand, late] {
        let (a, _) = meet(&reacting("offered", &[]), &b, is_answer).await;
        assert_eq!(methods(&a)[0], (ConnectionId(1), Method::SaslTls), "{a:#?}");
    }
}

#[tokio::test]
async fn partners_wait_for_each_other_on_a_board() {
    let board = Board::default();
    let keeps = reacting(
        "none",
        &[(
            "when = 'db-result'",
            "{ capture = { name = 'seen-key', value = '{key}' } }, 'no-reply'",
        )],
    );
    let b = Partner::start(PartnerSetup {
        board: board.clone(),
        ..setup("b.example", "a.example", &keeps)
    })
    .await
    .expect("b starts");
    let (listener, target) = raw_target().await;
    let forges = reacting(
        "none",
        &[(
            "when = 'connected'",
            "{ wait-for = 'seen-key' }, { send = 'got {seen-key}' }, 'shutdown-write'",
        )],
    );
    let c = Partner::start(PartnerSetup {
        target,
        board: board.clone(),
        ..setup("c.example", "b.example", &forges)
    })
    .await
    .expect("c starts");
    c.dial(ping());
    let (mut stream, _) = within(listener.accept()).await.expect("c dials");
    let a = dialling(&reacting("none", &[]), b.address()).await;
    a.dial(ping());
    let mut said = String::new();
    within(stream.read_to_string(&mut said))
        .await
        .expect("c ends its side");
    let key = board.get("seen-key").expect("it was kept");
    assert_eq!(key.len(), 64);
    assert_eq!(said, format!("got {key}"));
    let events = within(b.stop()).await;
    assert!(has(
        &events,
        |what| matches!(what, EventKind::Raised(name) if name == "seen-key")
    ));
    within(a.stop()).await;
    within(c.stop()).await;
}

#[tokio::test]
async fn connections_are_numbered_by_kind() {
    let (listener, target) = raw_target().await;
    let say = |word: &str| format!("{{ send = '{word}' }}, 'shutdown-write'");
    let (second, other) = (say("second"), say("other"));
    let persona = reacting(
        "none",
        &[
            ("when = 'connected'\nconnection = 2", &second),
            ("when = 'connected'", &other),
        ],
    );
    let partner = dialling(&persona, target).await;
    for _ in 0..3 {
        partner.dial(ping());
    }
    let mut said = Vec::new();
    for _ in 0..3 {
        let (mut stream, _) = within(listener.accept()).await.expect("it dials");
        let mut text = String::new();
        within(stream.read_to_string(&mut text))
            .await
            .expect("it ends its side");
        said.push(text);
    }
    said.sort();
    assert_eq!(said, ["other", "other", "second"]);
    within(partner.stop()).await;
}

#[tokio::test]
async fn as_many_connections_as_wanted_are_taken() {
    let mut taken = Vec::new();
    for connections in [2, 40] {
        let partner = Partner::start(PartnerSetup {
            connections,
            ..setup(
                "a.example",
                "b.example",
                &reacting("none", &[("when = 'accepted'", "{ send = 'x' }")]),
            )
        })
        .await
        .expect("it starts");
        let mut open = Vec::new();
        for _ in 0..40 {
            let mut stream = TcpStream::connect(partner.address())
                .await
                .expect("it listens");
            let mut said = [0];
            if within(stream.read(&mut said))
                .await
                .is_ok_and(|length| length == 1)
            {
                open.push(stream);
            }
        }
        taken.push(open.len());
        within(partner.stop()).await;
    }
    assert_eq!(taken, [2, 40]);
}

#[tokio::test]
async fn a_failed_handshake_is_a_point() {
    let board = Board::default();
    let persona = reacting(
        "offered",
        &[("when = 'tls-failed'", "{ raise = 'failed' }")],
    );
    let partner = Partner::start(PartnerSetup {
        board: board.clone(),
        ..setup("a.example", "b.example", &persona)
    })
    .await
    .expect("it starts");
    let broken = named("handshake-broken");
    let b = Partner::start(PartnerSetup {
        target: partner.address(),
        ..setup("b.example", "a.example", &broken)
    })
    .await
    .expect("b starts");
    b.dial(ping());
    within(board.wait_for("failed")).await;
    within(b.stop()).await;
    within(partner.stop()).await;
}

#[test]
fn a_scripted_connection_ends_by_itself() {
    assert!(State::Scripted.waits_for().is_some());
}

/// How a partner's request for another handshake with a correct partner ended, with these versions.
async fn renegotiated(versions: &[TlsVersion]) -> (Party, TlsSignal) {
    let mut a = reacting(
        "offered",
        &[("when = 'established'", "{ renegotiate = 'wrong-info' }")],
    );
    Arc::make_mut(&mut a).offer.tls_versions = versions.to_vec();
    let failed = |event: &Event| matches!(event.kind, EventKind::TlsFailed { .. });
    let (a, _) = meet(&a, &reacting("offered", &[]), failed).await;
    let failure = a.iter().find_map(|event| match &event.kind {
        EventKind::TlsFailed { by, signal } => Some((*by, signal.clone())),
        _ => None,
    });
    failure.expect("it was waited for")
}

#[tokio::test]
async fn a_renegotiation_is_refused_under_the_same_keys() {
    let refused = TlsSignal::Alert("no_renegotiation".to_owned());
    assert_eq!(
        renegotiated(&[TlsVersion::V12]).await,
        (Party::Target, refused)
    );
}

#[tokio::test]
async fn a_renegotiation_without_tls_1_2_is_distinguished_from_a_refusal() {
    let (by, signal) = renegotiated(&[TlsVersion::V13]).await;
    assert_eq!(by, Party::Partner);
    assert!(
        matches!(&signal, TlsSignal::Garbage(why) if why.contains("TLS 1.2")),
        "{signal:?}"
    );
}
