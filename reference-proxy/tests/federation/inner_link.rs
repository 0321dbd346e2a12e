//! Acknowledgements between the proxy and its gateway, and links that break.

use reference_proxy::Clock;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::log::Log;
use crate::management::dial;
use crate::outbound::{DIALBACK, accept, greet, valid};
use crate::support::{Net, PATIENCE, Peer, message, row};

const A: &str = "alpha.example";
const B: &str = "beta.example";
const SM: &str = "xmlns='urn:xmpp:sm:3'";

type Link = Peer<TlsStream<TcpStream>>;

/// Asks for acknowledgements. Returns the name by which the link can be resumed.
async fn enable(gateway: &mut Link) -> String {
    gateway.send(&format!("<enable {SM} resume='true'/>")).await;
    let enabled = gateway.expect("/>").await;
    let name = enabled.split("id='").nth(1).expect("a name");
    name.split('\'').next().expect("a name").to_owned()
}

fn resume(name: &str, handled: u32) -> String {
    format!("<resume {SM} previd='{name}' h='{handled}'/>")
}

#[tokio::test]
async fn a_gateway_that_goes_on_gets_each_stanza_once() {
    let log = Log::default();
    let _logging = log.listen();
    let net = Net::new().await;
    let (alpha, mut gateway) = net.station(&net.settings(A, B, 9)).await;
    let (beta, mut partner) = net.station(&net.settings(B, A, 9)).await;
    tracing::callsite::rebuild_interest_cache();
    let name = enable(&mut gateway).await;
    let mut got = String::new();
    for text in ["one", "two", "three"] {
        partner.send(&message(B, A, text)).await;
        got += &gateway.expect("</message>").await;
        assert!(got.ends_with(&message(B, A, text)), "{got}");
    }
    for text in ["here", "there"] {
        gateway.send(&message(A, B, text)).await;
        assert_eq!(partner.expect("</message>").await, message(A, B, text));
    }
    gateway.send(&format!("<r {SM}/>")).await;
    got += &gateway.expect(&format!("<a h='2' {SM}/>")).await;
    assert_eq!(got.matches("<r ").count(), 1, "it asks once: {got}");
    // Once with the connection gone, once with the former one still there.
    drop(gateway);
    let gone = async {
        while !log.lines().iter().any(|line| line.contains("gateway gone")) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("it is noticed");
    let mut former: Option<Link> = None;
    for handled in [1, 2] {
        let mut again = net.gateway(&alpha, A).await;
        if former.is_none() {
            // What is new comes behind what was sent before.
            partner.send(&message(B, A, "new")).await;
        }
        again.send(&resume("another", handled)).await;
        let unknown = again.expect("</failed>").await;
        assert!(unknown.contains("<item-not-found "), "{unknown}");
        again.send(&resume(&name, handled)).await;
        let resumed = again.expect("/>").await;
        assert_eq!(resumed, format!("<resumed previd='{name}' h='2' {SM}/>"));
        for text in ["two", "three"].iter().skip(handled as usize - 1) {
            assert_eq!(again.expect("</message>").await, message(B, A, text));
        }
        assert_eq!(
            again
                .expect("</message>")
                .await
                .replace(&format!("<r {SM}/>"), ""),
            message(B, A, "new")
        );
        former = Some(again);
    }
    let mut gateway = former.expect("a link");
    gateway.send(&format!("<a {SM} h='4'/>")).await;
    // What fails at the partner comes back by this link.
    gateway.send(&message(A, "gamma.example", "lost")).await;
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("<policy-violation "), "{bounce}");
    gateway.send(&format!("<a {SM} h='9'/>")).await;
    let rest = gateway.rest().await;
    assert!(rest.contains("<undefined-condition "), "{rest}");
    tokio::join!(alpha.stop(), beta.stop());
}

#[tokio::test]
async fn what_a_gateway_acknowledges_behind_errors_for_it_is_read() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    settings.limits += "gateway-queue-stanzas = 1\n";
    let (proxy, mut gateway) = net.station(&settings).await;
    enable(&mut gateway).await;
    let lost: Vec<String> = (0..5)
        .map(|number| message(A, "gamma.example", &format!("lost{number}")))
        .collect();
    gateway.send(&lost.concat()).await;
    for number in 0..5 {
        let bounce = gateway.expect("</message>").await;
        assert!(bounce.contains(&format!("id='lost{number}'")), "{bounce}");
    }
    gateway.send(&format!("<a {SM} h='5'/><r {SM}/>")).await;
    gateway.expect(&format!("<a h='5' {SM}/>")).await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_never_acknowledged_is_returned() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    settings.limits += "resumption-timeout = '50ms'\n";
    let (alpha, mut gateway) = net.station(&settings).await;
    let (beta, mut partner) = net.station(&net.settings(B, A, 9)).await;
    let name = enable(&mut gateway).await;
    for text in ["handled", "lost"] {
        partner.send(&message(B, A, text)).await;
        gateway.expect("</message>").await;
        if text == "handled" {
            gateway.expect("<r ").await;
            gateway.send(&format!("<a {SM} h='1'/>")).await;
        }
    }
    drop(gateway);
    let bounce = partner.expect("</message>").await;
    assert!(bounce.contains("id='lost' type='error'"), "{bounce}");
    assert!(bounce.contains("<service-unavailable "), "{bounce}");
    // Another gateway does not get it a second time.
    let mut gateway = net.gateway(&alpha, A).await;
    gateway.send(&resume(&name, 1)).await;
    gateway.expect("</failed>").await;
    partner.send(&message(B, A, "next")).await;
    assert_eq!(gateway.expect("</message>").await, message(B, A, "next"));
    tokio::join!(alpha.stop(), beta.stop());
}

#[tokio::test]
async fn a_gateway_that_acknowledges_nothing_is_cut_off() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    settings.limits += "acknowledgement-timeout = '50ms'\nresumption-timeout = '50ms'\n";
    let (alpha, mut gateway) = net.station(&settings).await;
    let (beta, mut partner) = net.station(&net.settings(B, A, 9)).await;
    enable(&mut gateway).await;
    partner.send(&message(B, A, "lost")).await;
    let rest = gateway.rest().await;
    assert!(rest.contains("id='lost'"), "{rest}");
    let bounce = partner.expect("</message>").await;
    assert!(bounce.contains("id='lost' type='error'"), "{bounce}");
    tokio::join!(alpha.stop(), beta.stop());
}

#[tokio::test]
async fn a_proxy_that_stops_says_what_it_has_handled() {
    let net = Net::new().await;
    let (alpha, mut gateway) = net.station(&net.settings(A, B, 9)).await;
    let (beta, mut partner) = net.station(&net.settings(B, A, 9)).await;
    enable(&mut gateway).await;
    gateway.send(&message(A, B, "handled")).await;
    partner.expect("</message>").await;
    let late = async {
        let last = gateway.expect("</stream:stream>").await;
        assert!(last.contains(&format!("<a h='1' {SM}/>")), "{last}");
        // The gateway still has this one, and returns it.
        gateway
            .send(&(message(A, B, "late") + "</stream:stream>"))
            .await;
        gateway.rest().await;
    };
    tokio::join!(alpha.stop(), late);
    drop(gateway);
    beta.stop().await;
    let rest = partner.rest().await;
    assert!(!rest.contains("late"), "{rest}");
}

#[tokio::test]
async fn a_gateway_that_is_back_before_it_is_missed_gets_what_is_older_first() {
    let log = Log::default();
    let _logging = log.listen();
    for is_missed in [false, true] {
        let net = Net::new().await;
        let mut settings = net.settings(A, B, 2);
        settings.partner += "stream-management = true\n";
        settings.limits += "gateway-queue-stanzas = 2\n";
        let (alpha, mut first) = net.station(&settings).await;
        tracing::callsite::rebuild_interest_cache();
        let name = enable(&mut first).await;
        let (mut partner, _) = dial(&net, &alpha).await;
        partner.send(&format!("<enable {SM}/>")).await;
        partner.expect("/>").await;
        // Two are written to the gateway, and two wait for it.
        let sent = ["one", "two", "three", "four", "five"].map(|text| message(B, A, text));
        partner.send(&sent[..4].concat()).await;
        partner.send(&format!("<r {SM}/>")).await;
        partner.expect(&format!("<a h='4' {SM}/>")).await;
        first.expect(&sent[1]).await;
        let mut again = net.gateway(&alpha, A).await;
        partner.send(&sent[4]).await;
        partner.send(&format!("<r {SM}/>")).await;
        partner.expect(&format!("<a h='5' {SM}/>")).await;
        if is_missed {
            drop(first);
            let gone = async {
                while !log.lines().iter().any(|line| line.contains("gateway gone")) {
                    tokio::task::yield_now().await;
                }
            };
            timeout(PATIENCE, gone).await.expect("it is noticed");
        }
        again.send(&resume(&name, 1)).await;
        let resumed = again.expect("/>").await;
        assert_eq!(resumed, format!("<resumed previd='{name}' h='0' {SM}/>"));
        let mut got = String::new();
        for handled in 2..6 {
            got += &again.expect("</message>").await;
            again.send(&format!("<a {SM} h='{handled}'/>")).await;
        }
        let got = got.replace(&format!("<r {SM}/>"), "");
        assert_eq!(got, sent[1..].concat(), "noticed: {is_missed}");
    }
}

#[tokio::test]
async fn a_gateway_that_begins_anew_waits_for_nothing() {
    let net = Net::new().await;
    // No time passes.
    let alpha = net.start_with(&net.settings(A, B, 9), Clock::by_hand());
    let mut first = net.gateway(&alpha, A).await;
    let (beta, mut partner) = net.station(&net.settings(B, A, 9)).await;
    enable(&mut first).await;
    let mut again = net.gateway(&alpha, A).await;
    enable(&mut again).await;
    partner.send(&message(B, A, "new")).await;
    again.expect(&message(B, A, "new")).await;
    drop((alpha, beta));
}

#[tokio::test]
async fn a_stanza_is_handled_once_the_partner_has_it_or_its_error_is_written() {
    const OTHER: &str = "gamma.example";
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 17);
    settings.partner += &format!("[[partner]]\ndomain = '{OTHER}'\n{}", row(17));
    let (slow, unreachable) = (net.listen(B).await, net.listen(OTHER).await);
    let (proxy, mut gateway) = net.station(&settings).await;
    enable(&mut gateway).await;
    gateway.send(&message(A, B, "slow")).await;
    // It is being dialled, and another one is not kept waiting.
    let mut partner = greet(&slow, DIALBACK).await;
    gateway.send(&message(A, OTHER, "refused")).await;
    drop(accept(&unreachable).await);
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("id='refused' type='error'"), "{bounce}");
    gateway.send(&format!("<r {SM}/>")).await;
    gateway.expect(&format!("<a h='0' {SM}/>")).await;
    partner.expect("</db:result>").await;
    partner.send(&valid()).await;
    partner.expect(&message(A, B, "slow")).await;
    // It is told without another question.
    gateway.expect(&format!("<a h='2' {SM}/>")).await;
    // What comes back is there before it counts.
    gateway.send(&message(A, "nobody.example", "refused")).await;
    gateway.send(&format!("<r {SM}/>")).await;
    let told = gateway.expect(&format!("<a h='3' {SM}/>")).await;
    assert!(told.contains("<policy-violation "), "{told}");
    drop(proxy);
}
