//! A scripted partner that is dialled.

use std::time::Duration;

use rstest::rstest;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{CLOSING, Net, PATIENCE, Peer, message, response};

const A: &str = "alpha.example";
const B: &str = "beta.example";
pub(crate) const DIALBACK: &str =
    "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

pub(crate) async fn accept(listener: &TcpListener) -> Peer<TcpStream> {
    let accepted = timeout(PATIENCE, listener.accept()).await;
    Peer::new(accepted.expect("in time").expect("a connection").0)
}

/// Accepts a connection and answers the header with features.
pub(crate) async fn greet(listener: &TcpListener, offer: &str) -> Peer<TcpStream> {
    let mut partner = accept(listener).await;
    partner.expect("version='1.0'>").await;
    let text = response(B, A, "s1") + &features(offer);
    partner.send(&text).await;
    partner
}

/// Accepts a connection and negotiates up to the dialback key.
pub(crate) async fn take_key(listener: &TcpListener) -> Peer<TcpStream> {
    let mut partner = greet(listener, DIALBACK).await;
    partner.expect("</db:result>").await;
    partner
}

pub(crate) fn valid() -> String {
    format!("<db:result from='{B}' to='{A}' type='valid'/>")
}

pub(crate) fn features(inner: &str) -> String {
    format!("<stream:features>{inner}</stream:features>")
}

#[tokio::test]
async fn dialback_sends_one_key_and_then_all_that_waits() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    let all: Vec<String> = (0..100).map(|n| message(A, B, &format!("m{n}"))).collect();
    gateway.send(&all.concat()).await;
    let mut partner = accept(&listener).await;
    let header = partner.expect("version='1.0'>").await;
    assert!(
        header.contains("xmlns:db='jabber:server:dialback' from='alpha.example' to='beta.example'"),
        "{header}"
    );
    assert!(!header.contains(" id="), "{header}");
    partner.send(&response(B, A, "s1")).await;
    // An answer before any request has no effect.
    partner.send(&valid()).await;
    partner.send(&features(DIALBACK)).await;
    let key = partner.expect("</db:result>").await;
    assert!(
        key.starts_with(&format!("<db:result from='{A}' to='{B}'>")),
        "{key}"
    );
    for wrong in [
        format!("<db:result from='gamma.example' to='{A}' type='valid'/>"),
        format!("<db:result from='{B}' to='gamma.example' type='valid'/>"),
    ] {
        partner.send(&wrong).await;
    }
    partner
        .send(&format!(
            "<db:result from='{B}' to='{A}' type='valid'>echo</db:result>"
        ))
        .await;
    for one in &all {
        assert_eq!(&partner.expect("</message>").await, one);
    }
    let second = timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(second.is_err(), "one connection for all");
    let ((), rest) = tokio::join!(proxy.stop(), partner.part());
    assert_eq!(rest, CLOSING);
}

#[rstest]
#[case::invalid("type='invalid'/>", "internal-server-error", false)]
#[case::unknown("type='maybe'/>", "remote-server-timeout", true)]
#[case::error("type='error'/>", "remote-server-timeout", true)]
#[case::error_with_condition(
    "type='error'><error type='cancel'><item-not-found \
     xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
    "remote-server-timeout",
    true
)]
#[tokio::test]
async fn dialback_answers_other_than_valid_bounce_at_once(
    #[case] answer: &str,
    #[case] condition: &str,
    #[case] stays: bool,
) {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = take_key(&listener).await;
    partner
        .send(&format!("<db:result from='{B}' to='{A}' {answer}"))
        .await;
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains(&format!("<{condition} ")), "{bounce}");
    let rest = if stays {
        tokio::join!(proxy.stop(), partner.part()).1
    } else {
        partner.rest().await
    };
    assert_eq!(rest, CLOSING);
}

#[tokio::test]
async fn shortage_of_the_partner_is_tried_once_more_and_no_further() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    gateway.send(&message(A, B, "one")).await;
    for _ in 0..2 {
        let mut partner = take_key(&listener).await;
        partner
            .send(&format!(
                "<db:result from='{B}' to='{A}' type='error'><error type='wait'><resource-constraint \
                 xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
            ))
            .await;
        tokio::spawn(partner.part());
    }
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("<remote-server-timeout "), "{bounce}");
    proxy.stop().await;
}

#[tokio::test]
async fn partner_without_what_the_row_needs_is_left_at_once() {
    for (number, offer, condition) in [
        (1, DIALBACK, "policy-violation"),
        (2, "", "policy-violation"),
        (7, DIALBACK, "policy-violation"),
        (4, DIALBACK, "unsupported-feature"),
        (17, STARTTLS, "unsupported-feature"),
        (
            2,
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
            "policy-violation",
        ),
    ] {
        let net = Net::new().await;
        let listener = net.listen(B).await;
        let (proxy, mut gateway) = net.station(&net.settings(A, B, number)).await;
        gateway.send(&message(A, B, "one")).await;
        let mut partner = greet(&listener, offer).await;
        let rest = partner.rest().await;
        assert!(
            rest.starts_with(&format!("<stream:error><{condition} ")),
            "row {number}: {rest}"
        );
        let bounce = gateway.expect("</message>").await;
        assert!(bounce.contains("<remote-server-timeout "), "{bounce}");
        drop(proxy);
    }
}

#[tokio::test]
async fn legacy_partner_gets_its_key_without_features() {
    for (number, accepted) in [(17, true), (9, true), (7, false)] {
        let net = Net::new().await;
        let listener = net.listen(B).await;
        let (proxy, mut gateway) = net.station(&net.settings(A, B, number)).await;
        gateway.send(&message(A, B, "one")).await;
        let mut partner = accept(&listener).await;
        partner.expect("version='1.0'>").await;
        partner
            .send(&response(B, A, "s1").replace(" version='1.0'>", ">"))
            .await;
        if accepted {
            partner.expect("</db:result>").await;
        } else {
            assert!(partner.rest().await.contains("<unsupported-version "));
        }
        drop(proxy);
    }
}

#[tokio::test]
async fn broken_tls_is_never_followed_by_clear_text() {
    for (number, answer) in [
        (
            9,
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>",
        ),
        (
            9,
            "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>garbage",
        ),
        (7, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        (9, "<proceed xmlns='urn:other'/>"),
    ] {
        let net = Net::new().await;
        let listener = net.listen(B).await;
        let (proxy, mut gateway) = net.station(&net.settings(A, B, number)).await;
        gateway.send(&message(A, B, "one")).await;
        let offer = format!("{STARTTLS}{DIALBACK}");
        let mut partner = greet(&listener, &offer).await;
        partner.expect(STARTTLS).await;
        partner.send(answer).await;
        if number == 7 {
            partner.send("no TLS here, and none to come").await;
        }
        let rest = partner.rest().await;
        assert!(
            !rest.contains("db:result") && !rest.contains("<message"),
            "{rest}"
        );
        let bounce = gateway.expect("</message>").await;
        assert!(bounce.contains("<remote-server-timeout "), "{bounce}");
        let second = timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(second.is_err(), "no retry in clear");
        drop(proxy);
    }
}

#[tokio::test]
async fn partner_that_goes_away_bounces_at_once() {
    for close in [true, false] {
        let net = Net::new().await;
        let listener = net.listen(B).await;
        let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
        gateway.send(&message(A, B, "one")).await;
        let mut partner = take_key(&listener).await;
        if close {
            partner.send("</stream:stream>").await;
        }
        drop(partner);
        let bounce = gateway.expect("</message>").await;
        assert!(bounce.contains("<remote-server-timeout "), "{bounce}");
        // During the pause, further stanzas are answered without another connection.
        gateway.send(&message(A, B, "two")).await;
        assert!(
            gateway
                .expect("</message>")
                .await
                .contains("id='two' type='error'")
        );
        drop(proxy);
    }
}

#[tokio::test]
async fn silent_partner_bounces_in_time() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = net.settings(A, B, 17);
    settings.limits += "stream-establishment-timeout = '200ms'\n";
    let (proxy, mut gateway) = net.station(&settings).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = accept(&listener).await;
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("<remote-server-timeout "), "{bounce}");
    assert!(partner.rest().await.contains("<connection-timeout "));
    drop(proxy);
}

#[tokio::test]
async fn stream_is_opened_anew_after_the_partner_closed_it() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    for text in ["one", "two"] {
        gateway.send(&message(A, B, text)).await;
        let mut partner = take_key(&listener).await;
        partner.send(&valid()).await;
        partner.expect("</message>").await;
        // Stanzas in the wrong direction are ignored.
        partner.send(&message(B, A, "wrong way")).await;
        partner.send(CLOSING).await;
        assert_eq!(partner.rest().await, CLOSING);
    }
    let ((), rest) = tokio::join!(proxy.stop(), gateway.part());
    assert_eq!(rest, CLOSING);
}

#[tokio::test]
async fn idle_stream_is_kept_alive_and_then_closed_in_good_order() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = net.settings(A, B, 17);
    settings.limits += "keep-alive-interval = '100ms'\n";
    settings.limits += "stream-inactivity-timeout = '400ms'\n";
    let (proxy, mut gateway) = net.station(&settings).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = take_key(&listener).await;
    partner.send(&valid()).await;
    partner.expect("</message>").await;
    let rest = partner.expect("</stream:stream>").await;
    let blanks = rest.trim_end_matches("</stream:stream>");
    assert!(blanks.len() >= 3 && blanks.trim().is_empty(), "{rest:?}");
    partner.send("</stream:stream>").await;
    assert_eq!(partner.rest().await, "");
    drop(proxy);
}

#[tokio::test]
async fn dropping_the_proxy_ends_everything() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = accept(&listener).await;
    partner.expect("version='1.0'>").await;
    let address = proxy.external_address();
    drop(proxy);
    assert_eq!(partner.rest().await, "");
    assert_eq!(gateway.rest().await, "");
    let again = timeout(PATIENCE, async {
        while let Ok(mut stream) = TcpStream::connect(address).await {
            let _ = stream.shutdown().await;
            tokio::task::yield_now().await;
        }
    });
    assert!(again.await.is_ok(), "nobody listens any more");
}

#[tokio::test]
async fn what_is_too_large_for_the_partner_holds_up_nothing() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (_proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    let large = format!("<body>{}</body></message>", "x".repeat(40_000));
    let large = message(A, B, "large").replace("</message>", &large);
    gateway.send(&large).await;
    gateway.send(&message(A, B, "small")).await;
    let limits = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>10000</max-bytes></limits>";
    let mut partner = greet(&listener, &format!("{DIALBACK}{limits}")).await;
    partner.expect("</db:result>").await;
    partner.send(&valid()).await;
    partner.expect(&message(A, B, "small")).await;
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("id='large' type='error'"), "{bounce}");
}

#[tokio::test]
async fn the_next_server_is_tried_where_one_is_broken() {
    for (broken, next) in [
        ("", true),
        (
            "<stream:error><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            true,
        ),
        (
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            false,
        ),
    ] {
        let net = Net::new().await;
        let first = net.listen(B).await;
        let second = net.listen(B).await;
        let (_proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
        gateway.send(&message(A, B, "one")).await;
        let mut partner = accept(&first).await;
        partner.expect("version='1.0'>").await;
        if !broken.is_empty() {
            partner
                .send(&format!("{}{broken}</stream:stream>", response(B, A, "s1")))
                .await;
        }
        drop(partner);
        if next {
            take_key(&second).await;
        } else {
            let bounce = gateway.expect("</message>").await;
            assert!(bounce.contains("<remote-server-not-found "), "{bounce}");
        }
    }
}
