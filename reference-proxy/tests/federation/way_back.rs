//! Which pairs are answered on a two-way stream that a partner has opened, and for how long.

use tokio::net::{TcpListener, TcpStream};

use crate::bidi::taken;
use crate::inbound::authoritative;
use crate::outbound::{DIALBACK, accept, greet};
use crate::support::{Net, Peer, header, message, row};

const A: &str = "alpha.example";
const B: &str = "beta.example";
const B2: &str = "chat.beta.example";
const G: &str = "gamma.example";
const BIDI: &str = "<bidi xmlns='urn:xmpp:bidi'/>";

fn key(from: &str) -> String {
    format!("<db:result from='{from}' to='{A}'>key</db:result>")
}

/// A partner opens a two-way stream, which is verified.
async fn two_way(
    net: &Net,
    proxy: &reference_proxy::Proxy,
    listener: &TcpListener,
) -> Peer<TcpStream> {
    let mut partner = net.dial(proxy).await;
    partner.send(&header(B, A)).await;
    partner.expect("</stream:features>").await;
    partner.send(&format!("{BIDI}{}", key(B))).await;
    authoritative(listener, "valid").await;
    partner.expect("type='valid'/>").await;
    partner
}

/// The authoritative server of another domain gives its verdict on a key.
async fn judge(listener: &TcpListener, domain: &str, verdict: &str) {
    let mut asker = greet(listener, DIALBACK).await;
    let question = asker.expect("</db:verify>").await;
    let id = question.split("id='").nth(1).expect("an id");
    let id = id.split('\'').next().expect("an id");
    let verdict = format!("<db:verify from='{domain}' to='{A}' id='{id}' type='{verdict}'/>");
    asker.send(&verdict).await;
}

#[tokio::test]
async fn the_stream_of_one_partner_is_no_way_back_to_another() {
    let net = Net::new().await;
    let (listener, other) = (net.listen(B).await, net.listen(G).await);
    let mut settings = net.settings(A, B, 17);
    let another = format!("[[partner]]\ndomain = '{G}'\n{}", row(17));
    settings.partner += &format!("bidirectional = true\n{another}");
    let (proxy, mut gateway) = net.station(&settings).await;
    let mut partner = two_way(&net, &proxy, &listener).await;
    partner.send(&key(G)).await;
    judge(&other, G, "valid").await;
    partner.expect("type='valid'/>").await;
    gateway.send(&message(A, B, "one")).await;
    assert_eq!(partner.expect("</message>").await, message(A, B, "one"));
    gateway.send(&message(A, G, "two")).await;
    accept(&other).await;
    drop(proxy);
}

#[tokio::test]
async fn a_wrong_key_ends_the_way_back() {
    let net = Net::new().await;
    let (listener, other) = (net.listen(B).await, net.listen(B2).await);
    let mut settings = net.settings(A, B, 17);
    settings.partner += &format!("bidirectional = true\nadditional-domains = ['{B2}']\n");
    let (proxy, mut gateway) = net.station(&settings).await;
    let mut partner = two_way(&net, &proxy, &listener).await;
    // Because of this pair the stream goes on.
    partner.send(&key(B2)).await;
    judge(&other, B2, "valid").await;
    partner.expect("type='valid'/>").await;
    gateway.send(&message(A, B, "one")).await;
    assert_eq!(partner.expect("</message>").await, message(A, B, "one"));
    partner.send(&key(B)).await;
    authoritative(&listener, "invalid").await;
    let answer = partner.expect("</db:result>").await;
    assert!(answer.contains("<forbidden "), "{answer}");
    gateway.send(&message(A, B, "two")).await;
    accept(&listener).await;
    gateway.send(&message(A, B2, "three")).await;
    assert_eq!(partner.expect("</message>").await, message(A, B2, "three"));
    drop(proxy);
}

#[tokio::test]
async fn a_wrong_key_ends_what_a_right_one_began() {
    let net = Net::new().await;
    let (listener, other) = (net.listen(B).await, net.listen(B2).await);
    let mut settings = net.settings(A, B, 17);
    settings.partner += &format!("bidirectional = true\nadditional-domains = ['{B2}']\n");
    let (proxy, mut gateway) = net.station(&settings).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = taken(&listener).await;
    for (verdict, answer) in [("valid", "type='valid'/>"), ("invalid", "type='invalid'/>")] {
        partner.send(&key(B2)).await;
        judge(&other, B2, verdict).await;
        partner.expect(answer).await;
        partner.send(&message(B2, A, verdict)).await;
    }
    let back = message(B2, A, "valid");
    assert_eq!(gateway.expect("</message>").await, back);
    let rest = partner.rest().await;
    assert!(rest.contains("<invalid-from "), "{rest}");
    drop(proxy);
}
