//! Stream management: acknowledgements, and streams whose connections are lost.

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::log::Log;
use crate::support::{CLOSING, Net, PATIENCE, Peer, header, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";
const ON: &str = "stream-management = true\n";
const SM: &str = "xmlns='urn:xmpp:sm:3'";

/// Sends in bursts, and cuts all connections in the middle of some of them.
async fn send_through_cuts(row: u8, more: &str, both_ways: bool) {
    let net = Net::new().await;
    let mut alpha = net.settings(A, B, row);
    alpha.partner += &format!("{ON}{more}");
    let mut beta = net.settings(B, A, row);
    beta.partner += &format!("{ON}{more}");
    let (alpha, mut alpha_gateway, _) = net.counted_station(&alpha).await;
    let (beta, mut beta_gateway, relay) = net.counted_station(&beta).await;
    // Before that the partner has no session yet, and what is lost is returned.
    for text in ["hello", "again"] {
        alpha_gateway.send(&message(A, B, text)).await;
        beta_gateway.expect("</message>").await;
        beta_gateway.send(&message(B, A, text)).await;
        alpha_gateway.expect("</message>").await;
    }
    for burst in 0..10 {
        let name = |number| format!("{burst}-{number}");
        let there: Vec<String> = (0..40).map(|number| message(A, B, &name(number))).collect();
        let back: Vec<String> = (0..40).map(|number| message(B, A, &name(number))).collect();
        alpha_gateway.send(&there.concat()).await;
        if both_ways {
            beta_gateway.send(&back.concat()).await;
        }
        for (number, one) in there.iter().enumerate() {
            assert_eq!(
                &beta_gateway.expect("</message>").await,
                one,
                "once, in order"
            );
            if number == 5 && burst % 3 == 1 {
                relay.cut();
            }
        }
        if both_ways {
            for one in &back {
                assert_eq!(&alpha_gateway.expect("</message>").await, one);
            }
        }
        // Where all has arrived, a cut loses nothing either.
        relay.cut();
    }
    drop((alpha_gateway, beta_gateway));
    tokio::join!(alpha.stop(), beta.stop());
}

#[tokio::test]
async fn cut_connections_lose_and_repeat_nothing() {
    send_through_cuts(2, "", false).await;
}

#[tokio::test]
async fn cut_connections_lose_and_repeat_nothing_either_way_on_one_stream() {
    send_through_cuts(2, "bidirectional = true\n", true).await;
}

/// A partner that dials and authenticates by EXTERNAL.
pub(crate) async fn dial(
    net: &Net,
    proxy: &reference_proxy::Proxy,
) -> (Peer<TlsStream<TcpStream>>, String) {
    dial_with(net, proxy, "").await
}

/// The same with something before it authenticates.
pub(crate) async fn dial_with(
    net: &Net,
    proxy: &reference_proxy::Proxy,
    before: &str,
) -> (Peer<TlsStream<TcpStream>>, String) {
    let mut partner = net.dial(proxy).await;
    partner.send(&header(B, A)).await;
    let features = partner.expect("</stream:features>").await;
    assert!(!features.contains("<sm "), "before TLS: {features}");
    partner
        .send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    partner
        .expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    let mut partner = net.secure(partner, A, Some(B)).await.expect("TLS");
    partner.send(&header(B, A)).await;
    let features = partner.expect("</stream:features>").await;
    assert!(!features.contains("<sm "), "before SASL: {features}");
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
    partner.send(&format!("{before}{auth}")).await;
    partner
        .expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        .await;
    partner.send(&header(B, A)).await;
    partner.expect("version='1.0'>").await;
    // Empty ones have no end tag of their own.
    let features = match partner.expect(">").await {
        empty if empty.ends_with("/>") => empty,
        begin => begin + &partner.expect("</stream:features>").await,
    };
    (partner, features)
}

#[tokio::test]
async fn partner_resumes_with_the_right_count() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 2);
    settings.partner += ON;
    let (proxy, mut gateway) = net.station(&settings).await;
    let (mut partner, features) = dial(&net, &proxy).await;
    assert!(features.contains(&format!("<sm {SM}/>")), "{features}");
    partner.send(&message(B, A, "before")).await;
    partner.send(&format!("<enable {SM} resume='true'/>")).await;
    let enabled = partner.expect("/>").await;
    let id = enabled
        .split("id='")
        .nth(1)
        .and_then(|rest| rest.split('\'').next());
    let id = id.expect("an id").to_owned();
    partner.send(&format!("<enable {SM}/>")).await;
    let twice = partner.expect("</failed>").await;
    assert!(twice.contains("<unexpected-request "), "{twice}");
    for text in ["one", "two"] {
        partner.send(&message(B, A, text)).await;
    }
    partner.send(&format!("<r {SM}/>")).await;
    assert_eq!(partner.expect("/>").await, format!("<a h='2' {SM}/>"));
    partner.send(&message(B, A, "three")).await;
    for text in ["before", "one", "two", "three"] {
        assert_eq!(gateway.expect("</message>").await, message(B, A, text));
    }
    // Once with the connection gone, once with the old one still there.
    drop(partner);
    let mut former: Option<Peer<TlsStream<TcpStream>>> = None;
    for round in 0..2 {
        let (mut again, _) = dial(&net, &proxy).await;
        let resume = |id: &str| format!("<resume {SM} previd='{id}' h='0'/>");
        again.send(&resume("another")).await;
        let unknown = again.expect("</failed>").await;
        assert!(unknown.contains("<item-not-found "), "{unknown}");
        again.send(&resume(&id)).await;
        let resumed = again.expect("/>").await;
        let handled = 3 + round;
        assert_eq!(
            resumed,
            format!("<resumed previd='{id}' h='{handled}' {SM}/>")
        );
        if let Some(mut former) = former.take() {
            let rest = former.rest().await;
            assert!(rest.contains("<conflict "), "{rest}");
        }
        again.send(&message(B, A, "more")).await;
        assert_eq!(gateway.expect("</message>").await, message(B, A, "more"));
        former = Some(again);
    }
    let mut last = former.expect("a stream");
    last.send(&format!("<a {SM} h='1'/>")).await;
    let rest = last.rest().await;
    assert!(rest.contains("<handled-count-too-high "), "{rest}");
    drop(proxy);
}

#[tokio::test]
async fn what_comes_behind_the_last_acknowledgement_is_left_to_the_partner() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 2);
    settings.partner += ON;
    let (proxy, mut gateway) = net.station(&settings).await;
    let (mut partner, _) = dial(&net, &proxy).await;
    partner.send(&format!("<enable {SM}/>")).await;
    partner.expect("/>").await;
    partner.send(&message(B, A, "handled")).await;
    gateway.expect("</message>").await;
    settings.partner += "multiplexing = false\n";
    proxy.take_in(settings.config()).expect("taken in");
    let last = format!("<a h='1' {SM}/>{CLOSING}");
    assert_eq!(partner.expect(CLOSING).await, last);
    partner.send(&(message(B, A, "late") + CLOSING)).await;
    assert_eq!(partner.rest().await, "");
    let ((), rest) = tokio::join!(proxy.stop(), gateway.part());
    assert_eq!(rest, CLOSING);
}

#[tokio::test]
async fn session_is_given_up_with_the_partner() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 2);
    settings.partner += ON;
    let (proxy, _gateway) = net.station(&settings).await;
    let (mut partner, _) = dial(&net, &proxy).await;
    partner.send(&format!("<enable {SM} resume='true'/>")).await;
    let enabled = partner.expect("/>").await;
    let id = enabled.split("id='").nth(1).expect("an id");
    let id = id.split('\'').next().expect("an id");
    let resume = format!("<resume {SM} previd='{id}' h='0'/>");
    // The same partner goes on where it was.
    proxy.take_in(settings.config()).expect("taken in");
    drop(partner);
    let (mut partner, _) = dial(&net, &proxy).await;
    partner.send(&resume).await;
    let resumed = partner.expect("/>").await;
    assert!(resumed.contains("<resumed "), "{resumed}");
    let without = net.settings(A, "gamma.example", 2);
    proxy.take_in(without.config()).expect("taken in");
    let last = format!("<a h='0' {SM}/>{CLOSING}");
    assert_eq!(partner.expect(CLOSING).await, last);
    drop(partner);
    proxy.take_in(settings.config()).expect("taken in");
    let (mut partner, _) = dial(&net, &proxy).await;
    partner.send(&resume).await;
    let unknown = partner.expect("</failed>").await;
    assert!(unknown.contains("<item-not-found "), "{unknown}");
}

#[tokio::test]
async fn a_reload_ends_a_session_that_waits_only_if_it_touches_the_partner() {
    let log = Log::default();
    let _logging = log.listen();
    for (change, is_touched) in [
        ("description = 'other'\n", false),
        ("multiplexing = false\n", true),
    ] {
        let net = Net::new().await;
        let mut settings = net.settings(A, B, 2);
        settings.partner += &format!("{ON}bidirectional = true\n");
        let (proxy, mut gateway) = net.station(&settings).await;
        tracing::callsite::rebuild_interest_cache();
        let bidi = "<bidi xmlns='urn:xmpp:bidi'/>";
        let (mut partner, _) = dial_with(&net, &proxy, bidi).await;
        partner.send(&format!("<enable {SM} resume='true'/>")).await;
        let enabled = partner.expect("/>").await;
        let id = enabled.split("id='").nth(1).expect("an id");
        let id = id.split('\'').next().expect("an id");
        partner.send(&message(B, A, "handled")).await;
        gateway.expect("</message>").await;
        gateway.send(&message(A, B, "waits")).await;
        partner.expect("</message>").await;
        log.clear();
        drop(partner);
        let over = async {
            while !log.lines().iter().any(|line| line.contains("stream over")) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, over).await.expect("it is noticed");
        settings.partner += change;
        proxy.take_in(settings.config()).expect("taken in");
        if is_touched {
            let bounce = gateway.expect("</message>").await;
            assert!(bounce.contains("id='waits' type='error'"), "{bounce}");
            assert!(bounce.contains("has not acknowledged it"), "{bounce}");
        }
        let (mut partner, _) = dial_with(&net, &proxy, bidi).await;
        let resume = format!("<resume {SM} previd='{id}' h='0'/>");
        partner.send(&resume).await;
        if is_touched {
            let unknown = partner.expect("</failed>").await;
            assert!(unknown.contains("<item-not-found "), "{unknown}");
        } else {
            let resumed = partner.expect("/>").await;
            assert!(
                resumed.contains("<resumed ") && resumed.contains("h='1'"),
                "{resumed}"
            );
            assert_eq!(partner.expect("</message>").await, message(A, B, "waits"));
        }
        drop(proxy);
    }
}

#[tokio::test]
async fn stream_management_is_off_by_default() {
    let net = Net::new().await;
    let (proxy, _gateway) = net.station(&net.settings(A, B, 2)).await;
    let (mut partner, features) = dial(&net, &proxy).await;
    assert!(!features.contains("<sm "), "{features}");
    partner.send(&format!("<enable {SM}/>")).await;
    let rest = partner.rest().await;
    assert!(rest.contains("<unsupported-stanza-type "), "{rest}");
    drop(proxy);
}
