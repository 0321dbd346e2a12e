//! Reactions on the wire.

mod by_script;

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::persona::{Offer, TlsVersion};
use crate::reaction::Reaction;
use crate::stream::State;

#[derive(serde::Deserialize)]
struct Lines {
    offer: Offer,
    #[serde(default)]
    reaction: Vec<Reaction>,
}

fn reacting(tls: &str, reactions: &[(&str, &str)]) -> Arc<Persona> {
    let mut text = format!("[offer]\ntls = '{tls}'\nexternal = true\ndialback = true\n");
    for (head, actions) in reactions {
        text += &format!("[[reaction]]\n{head}\ndo = [{actions}]\n");
    }
    let lines: Lines = toml::from_str(&text).expect("the text is right");
    for reaction in &lines.reaction {
        assert_eq!(crate::reaction::mistakes(reaction, &|_| 0..0), [], "{text}");
    }
    Arc::new(Persona {
        reactions: lines.reaction,
        ..Persona::correct("test", "test", lines.offer)
    })
}

/// A target that is only a socket.
async fn raw_target() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

async fn dialling(persona: &Arc<Persona>, target: SocketAddr) -> Partner {
    let setup = PartnerSetup {
        target,
        ..setup("a.example", "b.example", persona)
    };
    Partner::start(setup).await.expect("it starts")
}

/// What a partner sends on a connection, read by read, until it ends its side.
async fn reads(persona: &Arc<Persona>) -> Vec<String> {
    let (listener, target) = raw_target().await;
    let partner = dialling(persona, target).await;
    partner.dial(ping());
    let (mut stream, _) = within(listener.accept()).await.expect("it dials");
    let mut reads = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match within(stream.read(&mut buffer)).await {
            Ok(0) | Err(_) => break,
            Ok(length) => reads.push(String::from_utf8_lossy(&buffer[..length]).into_owned()),
        }
    }
    drop(stream);
    within(partner.stop()).await;
    reads
}

#[tokio::test]
async fn sends_of_one_point_are_one_segment() {
    let persona = |actions: &str| reacting("none", &[("when = 'connected'", actions)]);
    let whole = persona("{ send = 'one ' }, { send-bytes = '74 77 6f' }, 'shutdown-write'");
    assert_eq!(reads(&whole).await, ["one two"]);
    // A reader may or may not see separate segments; the sent data is the same.
    let flushed =
        persona("{ send = 'one ' }, 'flush', { send-bytes = '74 77 6f' }, 'shutdown-write'");
    assert_eq!(reads(&flushed).await.concat(), "one two");
    let split = persona(
        "{ split = 2 }, { send = 'one ' }, { split = 0 }, { send = 'two' }, 'shutdown-write'",
    );
    assert_eq!(reads(&split).await.concat(), "one two");
}

/// Forwards one connection to `target`, and returns the lengths of the TLS application data
/// records sent by the dialling side.
async fn relay(listener: TcpListener, target: SocketAddr) -> Vec<usize> {
    let (near, _) = listener.accept().await.expect("somebody dials");
    let far = TcpStream::connect(target).await.expect("somebody listens");
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    let back = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut far_read, &mut near_write).await;
        let _ = near_write.shutdown().await;
    });
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = near_read.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..length]);
        if far_write.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    let _ = far_write.shutdown().await;
    let _ = back.await;
    // Plaintext XML comes first.
    let hello = all.windows(3).position(|three| three == [22, 3, 1]);
    let mut rest = &all[hello.unwrap_or(all.len())..];
    let mut lengths = Vec::new();
    while let [kind, _, _, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == 23 {
            lengths.push(length);
        }
        rest = &after[length.min(after.len())..];
    }
    lengths
}

/// The records of a dialling partner with these reactions, facing a correct one.
async fn records(reactions: &[(&str, &str)], enough: impl Fn(&EventKind) -> bool) -> Vec<usize> {
    let (listener, address) = raw_target().await;
    let b = setup("b.example", "a.example", &reacting("offered", &[]));
    let b = Partner::start(PartnerSetup {
        answers: false,
        ..b
    })
    .await
    .expect("b starts");
    let relayed = tokio::spawn(relay(listener, b.address()));
    let mut a = dialling(&reacting("offered", reactions), address).await;
    a.dial(ping());
    loop {
        let event = within(a.next_event()).await.expect("a is at work");
        if enough(&event.kind) {
            break;
        }
    }
    within(a.stop()).await;
    within(b.stop()).await;
    within(relayed).await.expect("the relay works")
}

fn is_closed(what: &EventKind) -> bool {
    matches!(what, EventKind::Closed { .. })
}

#[tokio::test]
async fn split_cuts_tls_into_records() {
    let text = "<x/>".repeat(5);
    let tail = |records: Vec<usize>, count: usize| records[records.len() - count..].to_vec();
    let send = format!("{{ send = '{text}' }}, 'close-tcp'");
    let whole = records(&[("when = 'established'", &send)], is_closed).await;
    assert_eq!(tail(whole, 1), [20 + 17]);
    let send = format!("{{ split = 1 }}, {send}");
    let split = records(&[("when = 'established'", &send)], is_closed).await;
    assert_eq!(tail(split, 20), [1 + 17; 20]);
}

#[tokio::test]
async fn shut_ends_tls_and_cut_does_not() {
    let cut = records(&[("when = 'established'", "'close-tcp'")], is_closed).await;
    let shut = records(&[("when = 'established'", "'shutdown-write'")], is_closed).await;
    assert_eq!(shut.len(), cut.len() + 1, "{cut:?} {shut:?}");
}

#[tokio::test]
async fn shut_goes_on_reading() {
    let (listener, target) = raw_target().await;
    let persona = reacting(
        "none",
        &[("when = 'connected'", "{ send = 'x' }, 'shutdown-write'")],
    );
    let mut partner = dialling(&persona, target).await;
    partner.dial(ping());
    let (mut stream, _) = within(listener.accept()).await.expect("it dials");
    let mut said = Vec::new();
    within(stream.read_to_end(&mut said))
        .await
        .expect("it ends its side");
    assert_eq!(said, b"x");
    stream
        .write_all(b"<?xml version='1.0'?>")
        .await
        .expect("it still reads");
    loop {
        let event = within(partner.next_event()).await.expect("it is at work");
        if matches!(
            &event.kind,
            EventKind::Frame {
                from: Party::Target,
                ..
            }
        ) {
            break;
        }
    }
    within(partner.stop()).await;
}

#[tokio::test]
async fn a_deaf_partner_takes_nothing_and_stays() {
    let (listener, target) = raw_target().await;
    let persona = reacting(
        "none",
        &[("when = 'connected'", "{ send = 'x' }, 'stop-reading'")],
    );
    let partner = dialling(&persona, target).await;
    partner.dial(ping());
    let (mut stream, _) = within(listener.accept()).await.expect("it dials");
    let mut said = [0];
    within(stream.read_exact(&mut said))
        .await
        .expect("it speaks");
    stream
        .write_all(b"<?xml version='1.0'?>")
        .await
        .expect("it is there");
    let events = within(partner.stop()).await;
    assert!(
        !has(&events, |what| matches!(
            what,
            EventKind::Frame {
                from: Party::Target,
                ..
            }
        )),
        "{events:#?}"
    );
}

#[tokio::test]
async fn repetitions_are_numbered_and_do_not_stop_reading() {
    const TIMES: usize = 200_000;
    let (listener, target) = raw_target().await;
    let actions = format!(
        "{{ repeat = {{ send = '<a>{{x*100}}{{n}}</a>', times = {TIMES} }} }}, {{ raise = 'out' }}, 'shutdown-write'"
    );
    let heard = ("when = 'header-received'", "{ raise = 'heard' }");
    let persona = reacting("none", &[("when = 'connected'", &actions), heard]);
    let board = Board::default();
    let partner = Partner::start(PartnerSetup {
        target,
        board: board.clone(),
        ..setup("a.example", "b.example", &persona)
    })
    .await
    .expect("it starts");
    partner.dial(ping());
    let (mut stream, _) = within(listener.accept()).await.expect("it dials");
    // Nothing is read yet, so it must be in the middle of writing when it is stopped.
    stream
        .write_all(b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server'>")
        .await
        .expect("it is there");
    within(board.wait_for("heard")).await;
    assert_eq!(board.get("out"), None);
    let mut said = String::new();
    within(stream.read_to_string(&mut said))
        .await
        .expect("it ends its side");
    let expected: String = (1..=TIMES)
        .map(|n| format!("<a>{}{n}</a>", "x".repeat(100)))
        .collect();
    assert!(said == expected, "{} bytes", said.len());
    within(board.wait_for("out")).await;
    within(partner.stop()).await;
}

#[tokio::test]
async fn repetitions_leave_time_between_them_and_outlast_the_patience() {
    let (listener, target) = raw_target().await;
    let actions = "{ repeat = { send = 'x', times = 8, every = 25 } }, 'shutdown-write'";
    let persona = reacting("none", &[("when = 'connected'", actions)]);
    let mut partner = Partner::start(PartnerSetup {
        target,
        patience: Duration::from_millis(100),
        ..setup("a.example", "b.example", &persona)
    })
    .await
    .expect("it starts");
    partner.dial(ping());
    let (mut stream, _) = within(listener.accept()).await.expect("it dials");
    let begun = tokio::time::Instant::now();
    let mut said = String::new();
    within(stream.read_to_string(&mut said))
        .await
        .expect("it ends its side");
    assert_eq!(said, "xxxxxxxx");
    assert!(begun.elapsed() >= Duration::from_millis(6 * 25));
    drop(stream);
    while !is_end(&within(partner.next_event()).await.expect("it is at work")) {}
    within(partner.stop()).await;
}

#[tokio::test]
async fn a_peer_that_takes_everything_is_heard_all_the_same() {
    let (listener, target) = raw_target().await;
    let persona = reacting(
        "none",
        &[
            (
                "when = 'connected'",
                "{ repeat = { send = '<a/>', times = 100000000 } }",
            ),
            ("when = 'header-received'", "{ raise = 'heard' }"),
        ],
    );
    let board = Board::default();
    let partner = Partner::start(PartnerSetup {
        target,
        board: board.clone(),
        ..setup("a.example", "b.example", &persona)
    })
    .await
    .expect("it starts");
    partner.dial(ping());
    let (stream, _) = within(listener.accept()).await.expect("it dials");
    let (mut read, mut write) = stream.into_split();
    let reading = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut read, &mut tokio::io::sink()).await;
    });
    write
        .write_all(b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server'>")
        .await
        .expect("it is there");
    within(board.wait_for("heard")).await;
    within(partner.stop()).await;
    within(reading).await.expect("it ends");
}

#[tokio::test]
async fn repetitions_end_quietly_when_the_peer_goes() {
    let (listener, target) = raw_target().await;
    let actions = "{ repeat = { send = '<a/>', times = 100000000 } }, { raise = 'out' }";
    let persona = reacting("none", &[("when = 'connected'", actions)]);
    let mut partner = dialling(&persona, target).await;
    partner.dial(ping());
    let (mut stream, _) = within(listener.accept()).await.expect("it dials");
    let mut some = [0; 1000];
    within(stream.read_exact(&mut some))
        .await
        .expect("it speaks");
    drop(stream);
    loop {
        let event = within(partner.next_event()).await.expect("it is at work");
        if is_end(&event) {
            break;
        }
    }
    let rest = within(partner.stop()).await;
    assert!(
        !has(&rest, |what| matches!(what, EventKind::GaveUp { .. })),
        "{rest:#?}"
    );
}

#[tokio::test]
async fn a_partner_can_be_stopped_in_the_middle_of_repetitions() {
    let (listener, target) = raw_target().await;
    let actions = "{ repeat = { send = '<a/>', times = 100000000 } }, 'close'";
    let persona = reacting("none", &[("when = 'connected'", actions)]);
    let partner = dialling(&persona, target).await;
    partner.dial(ping());
    let (mut stream, _) = within(listener.accept()).await.expect("it dials");
    let mut some = [0; 1000];
    within(stream.read_exact(&mut some))
        .await
        .expect("it speaks");
    // The peer keeps reading, so only the stop signal can end it.
    let reading = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    let begun = tokio::time::Instant::now();
    within(partner.stop()).await;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "it goes on to the end"
    );
    within(reading).await.expect("it ends");
}
