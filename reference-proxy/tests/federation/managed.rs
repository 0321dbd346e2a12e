//! A scripted partner that is dialled, and manages its stream.

use std::time::Duration;

use reference_proxy::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::inbound::{PROCEED, STARTTLS};
use crate::keep_alive::{pass, rest, stirs_after};
use crate::outbound::{DIALBACK, features, greet};
use crate::support::{CLOSING, Net, Peer, Settings, message, response};

const A: &str = "alpha.example";
const B: &str = "beta.example";
const SM: &str = "xmlns='urn:xmpp:sm:3'";

type Partner = Peer<TlsStream<TcpStream>>;

/// Settings of a proxy that has its streams managed, and used both ways.
fn settings(net: &Net) -> Settings {
    let mut settings = net.settings(A, B, 3);
    settings.partner += "stream-management = true\nbidirectional = true\n";
    settings
}

/// Takes a connection, and answers up to the features of a stream that EXTERNAL has authenticated.
async fn take(net: &Net, listener: &TcpListener) -> Partner {
    let mut partner = greet(listener, STARTTLS).await;
    partner.expect(STARTTLS).await;
    partner.send(PROCEED).await;
    let mut partner = net.accept_tls(partner, B).await;
    partner.expect("version='1.0'>").await;
    let external = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
        <mechanism>EXTERNAL</mechanism></mechanisms><bidi xmlns='urn:xmpp:features:bidi'/>";
    let greeting = response(B, A, "s2") + &features(external);
    partner.send(&greeting).await;
    partner.expect("</auth>").await;
    let success = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    partner.send(success).await;
    partner.expect("version='1.0'>").await;
    let managed = features(&format!("<sm {SM}/>{DIALBACK}"));
    partner.send(&(response(B, A, "s3") + &managed)).await;
    partner
}

/// The same for a stream that is managed and can be resumed.
async fn manage(net: &Net, listener: &TcpListener) -> Partner {
    let mut partner = take(net, listener).await;
    partner
        .expect(&format!("<enable resume='true' {SM}/>"))
        .await;
    let enabled = format!("<enabled {SM} id='one' resume='true'/>");
    partner.send(&enabled).await;
    partner
}

#[tokio::test]
async fn a_partner_that_asks_much_is_answered_when_there_is_room() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&settings(&net)).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = manage(&net, &listener).await;
    partner.expect("</message>").await;
    let requests = format!("<r {SM}/>").repeat(1000);
    let back = message(B, A, "back");
    partner.send(&format!("{requests}{back}")).await;
    assert_eq!(gateway.expect("</message>").await, back);
    partner.send(&format!("<r {SM}/>")).await;
    let answers = partner.expect(&format!("<a h='1' {SM}/>")).await;
    let count = answers.matches("<a ").count();
    assert!(count < 100, "{count}");
    partner.send(CLOSING).await;
    partner.rest().await;
    drop(proxy);
}

#[tokio::test]
async fn what_comes_before_the_partner_agrees_does_not_count() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&settings(&net)).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = take(&net, &listener).await;
    partner.expect("<enable ").await;
    let early = message(B, A, "early");
    let enabled = format!("<enabled {SM} id='one' resume='true'/>");
    let late = message(B, A, "late");
    let text = format!("{early}{enabled}{late}<r {SM}/>");
    partner.send(&text).await;
    partner.expect(&format!("<a h='1' {SM}/>")).await;
    for text in [early, late] {
        assert_eq!(gateway.expect("</message>").await, text);
    }
    drop(proxy);
}

#[tokio::test]
async fn keys_are_of_one_connection() {
    const A2: &str = "chat.alpha.example";
    const B2: &str = "chat.beta.example";
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let authority = net.listen(B2).await;
    let mut settings = settings(&net);
    settings.domains.push(A2.to_owned());
    settings.partner += &format!("additional-domains = ['{B2}']\n");
    let (proxy, mut gateway) = net.station_of_all(&settings).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = manage(&net, &listener).await;
    partner.expect("</message>").await;
    // One key of each side's: the partner's is verified, and the proxy's not answered.
    let key = format!("<db:result from='{B2}' to='{A}'>key</db:result>");
    partner.send(&key).await;
    let mut asker = greet(&authority, DIALBACK).await;
    asker.expect("</db:verify>").await;
    let valid = format!("<db:verify from='{B2}' to='{A}' id='s3' type='valid'/>");
    asker.send(&valid).await;
    partner.expect("type='valid'/>").await;
    let back = message(B2, A, "back");
    partner.send(&back).await;
    assert_eq!(gateway.expect("</message>").await, back);
    gateway.send(&message(A2, B, "two")).await;
    let key = format!("<db:result from='{A2}' to='{B}'>");
    partner.expect(&key).await;
    drop(partner);
    let mut partner = take(&net, &listener).await;
    let resume = format!("<resume previd='one' h='1' {SM}/>");
    partner.expect(&resume).await;
    let resumed = format!("<resumed {SM} previd='one' h='1'/>");
    partner.send(&resumed).await;
    partner.expect(&key).await;
    partner.send(&back).await;
    let rest = partner.rest().await;
    assert!(rest.contains("<invalid-from "), "{rest}");
    drop(proxy);
}

#[tokio::test]
async fn what_is_handled_is_acknowledged_before_the_closing_tag_and_nothing_is_later() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = settings(&net);
    let (proxy, mut gateway) = net.station(&settings).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = manage(&net, &listener).await;
    partner.expect("</message>").await;
    let back = message(B, A, "back");
    partner.send(&format!("{back}<a {SM} h='1'/>")).await;
    assert_eq!(gateway.expect("</message>").await, back);
    settings.partner += "multiplexing = false\n";
    proxy.take_in(settings.config()).expect("taken in");
    let text = partner.expect(CLOSING).await;
    assert!(
        text.ends_with(&format!("<a h='1' {SM}/>{CLOSING}")),
        "{text}"
    );
    let late = message(B, A, "late");
    partner.send(&format!("{late}{CLOSING}")).await;
    partner.rest().await;
    let ((), rest) = tokio::join!(proxy.stop(), gateway.part());
    assert_eq!(rest, CLOSING);
}

#[tokio::test]
async fn a_stream_that_is_lost_again_at_once_is_not_resumed_at_once_or_for_ever() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let clock = Clock::by_hand();
    let proxy = net.start_with(&settings(&net), clock.clone());
    let mut gateway = net.gateway(&proxy, A).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = manage(&net, &listener).await;
    partner.expect("</message>").await;
    let turns = rest(&clock).await;
    drop(partner);
    stirs_after(&clock, turns).await;
    for pause in [0, 1, 2, 4, 8, 16] {
        // Nobody dials before the time has come.
        if pause > 0 {
            pass(
                &clock,
                Duration::from_secs(pause) - Duration::from_millis(1),
            )
            .await;
            let early = timeout(Duration::from_millis(20), listener.accept()).await;
            assert!(early.is_err(), "before {pause} s");
            pass(&clock, Duration::from_millis(1)).await;
        }
        let mut partner = take(&net, &listener).await;
        partner.expect("<resume ").await;
        let resumed = format!("<resumed {SM} previd='one' h='0'/>");
        partner.send(&resumed).await;
        partner.expect("</message>").await;
        let turns = rest(&clock).await;
        drop(partner);
        stirs_after(&clock, turns).await;
    }
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("has not acknowledged it"), "{bounce}");
    drop(proxy);
}
