//! Partners against each other over loopback.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{Partner, PartnerSetup};
use crate::board::Board;
use crate::event::{
    CertificateSeen, Close, ConnectionId, ConnectionKind, Event, EventKind, Method, Party,
    TlsSignal,
};
use crate::persona::{self, Persona};
use crate::pki::Authority;
use crate::stanza;
use crate::wire::{Element, Kind, NS_SERVER};

mod failing;
mod reactions;
mod releasing;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new(7));

/// Everything takes less time than this.
const HANG: Duration = Duration::from_secs(20);

fn setup(domain: &str, target: &str, persona: &Arc<Persona>) -> PartnerSetup {
    let persona = Arc::clone(persona);
    PartnerSetup {
        answers: true,
        seed: 3,
        ..PartnerSetup::new(
            &AUTHORITY,
            domain,
            persona,
            target,
            ([127, 0, 0, 1], 9).into(),
        )
    }
}

fn named(name: &str) -> Arc<Persona> {
    Arc::new(persona::find(name).expect("a persona of the crate"))
}

/// A port, so both partners know each other's before they start. While it is held, nobody else is given it.
fn held() -> (socket2::Socket, std::net::SocketAddr) {
    super::reserve(([127, 0, 0, 1], 0).into()).expect("a free port")
}

/// Dials from `a.example` to `b.example` and returns what both saw until `enough`, and afterwards.
async fn meet(
    a: &Arc<Persona>,
    b: &Arc<Persona>,
    enough: impl Fn(&Event) -> bool,
) -> (Vec<Event>, Vec<Event>) {
    let mut a = setup("a.example", "b.example", a);
    let mut b = setup("b.example", "a.example", b);
    let (_held, address) = held();
    (a.listen, b.target) = (address, address);
    b.patience = Duration::from_secs(1);
    let b = Partner::start(b).await.expect("b starts");
    a.target = b.address();
    let mut a = Partner::start(a).await.expect("a starts");
    a.dial(ping());
    let mut seen = Vec::new();
    loop {
        let event = within(a.next_event()).await.expect("a is at work");
        let last = enough(&event);
        seen.push(event);
        if last {
            break;
        }
    }
    seen.extend(within(a.stop()).await);
    (seen, within(b.stop()).await)
}

fn ping() -> Element {
    stanza::ping("p1", "a.example", "b.example")
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(HANG, future).await.expect("it hangs")
}

/// The result of the ping arrived.
fn is_answer(event: &Event) -> bool {
    match &event.kind {
        EventKind::Frame {
            from: Party::Target,
            frame,
            ..
        } => match &frame.kind {
            Kind::Element(element) => {
                element.is(NS_SERVER, "iq") && element.attribute("type") == Some("result")
            }
            _ => false,
        },
        _ => false,
    }
}

fn is_end(event: &Event) -> bool {
    event.connection == ConnectionId(1) && matches!(event.kind, EventKind::Closed { .. })
}

fn methods(events: &[Event]) -> Vec<(ConnectionId, Method)> {
    events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Established(method) => Some((event.connection, method)),
            _ => None,
        })
        .collect()
}

fn kinds(events: &[Event]) -> Vec<ConnectionKind> {
    events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Opened(kind) => Some(kind),
            _ => None,
        })
        .collect()
}

fn elements<'a>(events: &'a [Event], name: &str, by: Party) -> Vec<&'a Element> {
    events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Frame { from, frame, .. } if *from == by => match &frame.kind {
                Kind::Element(element) if element.name == name => Some(element),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

fn has(events: &[Event], wanted: impl Fn(&EventKind) -> bool) -> bool {
    events.iter().any(|event| wanted(&event.kind))
}

#[tokio::test]
async fn external_carries_a_ping_and_its_answer() {
    for name in ["modern", "tls12-only", "strict-tls"] {
        let (a, b) = meet(&named(name), &named(name), is_answer).await;
        assert_eq!(
            methods(&a),
            [
                (ConnectionId(1), Method::SaslTls),
                (ConnectionId(2), Method::SaslTls)
            ],
            "{name}: {a:#?}"
        );
        assert_eq!(
            kinds(&a),
            [ConnectionKind::Inbound, ConnectionKind::Outbound]
        );
        assert_eq!(
            kinds(&b),
            [ConnectionKind::Outbound, ConnectionKind::Inbound]
        );
        assert!(has(&a, |what| matches!(what, EventKind::TlsUp(facts)
            if facts.target_certificate == CertificateSeen::Good
                && facts.sni.as_deref() == Some("b.example"))));
        assert!(has(&b, |what| matches!(what, EventKind::TlsUp(facts)
            if facts.target_certificate == CertificateSeen::Good
                && facts.sni.as_deref() == Some("b.example"))));
    }
}

#[tokio::test]
async fn dialback_over_tls_is_verified_over_tls() {
    let dialback = named("tls-required-dialback");
    let (a, b) = meet(&dialback, &dialback, is_answer).await;
    assert_eq!(
        methods(&a),
        [
            (ConnectionId(1), Method::TlsDialback),
            (ConnectionId(3), Method::TlsDialback)
        ],
        "{a:#?}"
    );
    assert_eq!(
        kinds(&b),
        [
            ConnectionKind::Outbound,
            ConnectionKind::Verification,
            ConnectionKind::Inbound,
            ConnectionKind::Outbound
        ]
    );
}

#[tokio::test]
async fn dialback_works_in_clear() {
    let old = named("google-talk");
    let (a, b) = meet(&old, &old, is_answer).await;
    assert_eq!(
        methods(&b),
        [
            (ConnectionId(1), Method::TcpDialback),
            (ConnectionId(3), Method::TcpDialback)
        ],
        "{b:#?}"
    );
    assert!(!has(&a, |what| matches!(what, EventKind::TlsUp(_))));
}

#[tokio::test]
async fn bad_certificates_are_judged_and_leave_dialback() {
    for name in [
        "cert-expired",
        "cert-wrong-name",
        "cert-self-signed",
        "cert-unknown-ca",
        "cert-missing-intermediate",
    ] {
        let (a, b) = meet(&named(name), &named("modern"), is_answer).await;
        assert_eq!(
            methods(&a)[0],
            (ConnectionId(1), Method::TlsDialback),
            "{name}: {a:#?}"
        );
        assert!(
            has(&b, |what| matches!(what, EventKind::TlsUp(facts)
                if matches!(facts.target_certificate, CertificateSeen::Bad(_)))),
            "{name}: {b:#?}"
        );
    }
}

#[tokio::test]
async fn a_refused_starttls_ends_the_stream() {
    let (a, _) = meet(&named("modern"), &named("starttls-failure"), is_end).await;
    assert_eq!(elements(&a, "failure", Party::Target).len(), 1, "{a:#?}");
    assert_eq!(methods(&a), []);
}

#[tokio::test]
async fn a_broken_handshake_is_seen_from_both_sides() {
    let (a, b) = meet(&named("modern"), &named("handshake-broken"), is_end).await;
    assert!(
        has(&a, |what| matches!(
            what,
            EventKind::TlsFailed {
                by: Party::Partner,
                signal: TlsSignal::Garbage(_)
            }
        )),
        "{a:#?}"
    );
    assert!(
        has(&b, |what| matches!(
            what,
            EventKind::TlsFailed {
                by: Party::Target,
                signal: TlsSignal::Alert(_)
            }
        )),
        "{b:#?}"
    );
    let (a, b) = meet(&named("handshake-broken"), &named("modern"), is_end).await;
    assert!(
        has(&a, |what| matches!(
            what,
            EventKind::TlsFailed {
                by: Party::Target,
                signal: TlsSignal::Alert(_)
            }
        )),
        "{a:#?}"
    );
    assert!(
        has(&b, |what| matches!(what, EventKind::TlsFailed { .. })),
        "{b:#?}"
    );
}

#[tokio::test]
async fn tls_1_0_is_refused_by_alert() {
    let refused = |what: &EventKind| {
        matches!(what, EventKind::TlsFailed { by: Party::Target, signal: TlsSignal::Alert(alert) }
            if alert == "protocol_version" || alert == "handshake_failure")
    };
    let (a, b) = meet(&named("modern"), &named("legacy-tls"), is_end).await;
    assert!(has(&b, refused), "{b:#?}");
    assert_eq!(methods(&a), []);
    let (a, _) = meet(&named("legacy-tls"), &named("modern"), is_end).await;
    assert!(has(&a, refused), "{a:#?}");
}

#[tokio::test]
async fn external_refused_leaves_dialback_where_the_stream_stays() {
    let (a, _) = meet(&named("modern"), &named("external-refused-kept"), is_answer).await;
    assert_eq!(
        methods(&a)[0],
        (ConnectionId(1), Method::TlsDialback),
        "{a:#?}"
    );
    assert_eq!(elements(&a, "failure", Party::Target).len(), 1);
    let (a, _) = meet(&named("modern"), &named("external-refused-closed"), is_end).await;
    assert_eq!(methods(&a), [], "{a:#?}");
    assert_eq!(elements(&a, "failure", Party::Target).len(), 1);
}

#[tokio::test]
async fn a_key_counts_only_when_the_authority_says_so() {
    let answer = |name: &'static str| async move {
        let (a, _) = meet(&named(name), &named("dialback-only"), |event| {
            is_end(event)
                || event.connection == ConnectionId(1)
                    && matches!(&event.kind, EventKind::Frame { from: Party::Target, frame, .. }
                        if matches!(&frame.kind, Kind::Element(one) if one.name == "result"))
        })
        .await;
        let answers: Vec<_> = elements(&a, "result", Party::Target)
            .iter()
            .map(|answer| {
                let condition = answer
                    .find(NS_SERVER, "error")
                    .and_then(|error| error.elements().next())
                    .map(|condition| condition.name.clone());
                (answer.attribute("type").map(str::to_owned), condition)
            })
            .collect();
        assert_eq!(answers.len(), 1, "{name}: {a:#?}");
        answers.into_iter().next().expect("one answer")
    };
    let error = |condition: &str| (Some("error".to_owned()), Some(condition.to_owned()));
    assert_eq!(
        answer("dialback-only").await,
        (Some("valid".to_owned()), None)
    );
    assert_eq!(
        answer("authority-invalid").await,
        (Some("invalid".to_owned()), None)
    );
    assert_eq!(
        answer("authority-wrong-domain").await,
        error("remote-server-timeout")
    );
    assert_eq!(
        answer("authority-silent").await,
        error("remote-server-timeout")
    );
    assert_eq!(
        answer("authority-unreachable").await,
        error("remote-connection-failed")
    );
}

#[tokio::test]
async fn an_entry_authenticates_first_and_sends_what_it_is_handed_later() {
    let modern = named("modern");
    let mut a = setup("a.example", "b.example", &modern);
    let mut b = setup("b.example", "a.example", &modern);
    let (_held, address) = held();
    (a.listen, b.target) = (address, address);
    let b = Partner::start(b).await.expect("b starts");
    a.target = b.address();
    let mut a = Partner::start(a).await.expect("a starts");
    let entry = a.enter();
    let mut seen = Vec::new();
    while methods(&seen).is_empty() {
        seen.push(within(a.next_event()).await.expect("a is at work"));
    }
    assert!(elements(&seen, "iq", Party::Partner).is_empty());
    entry.send(ping());
    loop {
        let event = within(a.next_event()).await.expect("a is at work");
        if is_answer(&event) {
            break;
        }
    }
    within(a.stop()).await;
    within(b.stop()).await;
}

#[tokio::test]
async fn an_entry_that_finds_no_way_sends_nothing() {
    let mut a = setup("a.example", "b.example", &named("no-methods"));
    a.insists = true;
    let b = setup("b.example", "a.example", &named("modern"));
    let b = Partner::start(b).await.expect("b starts");
    a.target = b.address();
    let mut a = Partner::start(a).await.expect("a starts");
    a.enter().send(ping());
    let mut seen = Vec::new();
    while !seen.iter().any(is_end) {
        seen.push(within(a.next_event()).await.expect("a is at work"));
    }
    seen.extend(within(a.stop()).await);
    assert!(elements(&seen, "iq", Party::Partner).is_empty());
    within(b.stop()).await;
}

#[tokio::test]
async fn what_has_arrived_is_known_once_a_partner_has_settled() {
    use std::io::Write as _;
    use std::pin::pin;
    use std::task::Poll;

    let setup = setup("b.example", "a.example", &named("strict-tls"));
    let mut partner = Partner::start(setup).await.expect("it starts");
    // The bytes are in the kernel before any task of the partner has run.
    let peers = [(); 3].map(|()| {
        let mut peer = std::net::TcpStream::connect(partner.address()).expect("it listens");
        write!(
            peer,
            "<stream:stream xmlns='{NS_SERVER}' xmlns:stream='http://etherx.jabber.org/streams' \
             from='a.example' to='b.example' version='1.0'>"
        )
        .expect("it is taken");
        peer
    });
    partner.settle().await;
    let mut seen = 0;
    while let Poll::Ready(Some(event)) =
        std::future::poll_fn(|cx| Poll::Ready(pin!(partner.next_event()).poll(cx))).await
    {
        let from_peer = matches!(
            event.kind,
            EventKind::Frame {
                from: Party::Target,
                ..
            }
        );
        seen += usize::from(from_peer);
    }
    assert_eq!(seen, peers.len());
    partner.stop().await;
}
