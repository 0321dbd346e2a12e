//! What the administrator is told of refusals, and what senders are.

use reference_proxy::{By, Clock, Direction, Kind, Phase, Proxy, Refusal, Refusals};
use tokio::net::TcpListener;

use crate::inbound::{self, AUTH, PROCEED, STARTTLS, admitted, authoritative};
use crate::outbound::{accept, features, take_key, valid};
use crate::support::{Net, header, message, response};

const A: &str = "alpha.example";
const B: &str = "beta.example";

fn inbound_kind(phase: Phase, by: By, condition: &'static str) -> Kind {
    Kind {
        direction: Direction::Inbound,
        phase,
        by,
        condition,
    }
}

/// The only refusal so far.
fn only(proxy: &Proxy) -> Refusal {
    let Refusals { counts, mut last } = proxy.refusals();
    assert_eq!(last.len(), 1, "{last:?}");
    let refusal = last.remove(0).refusal;
    assert_eq!(counts.get(&refusal.kind), Some(&1));
    refusal
}

#[tokio::test]
async fn each_inbound_refusal_is_told_with_domain_phase_and_reason() {
    for (row, text, phase, by, condition, domain, why) in [
        (
            2,
            header("gamma.example", A),
            Phase::Stream,
            By::Proxy,
            "policy-violation",
            Some("gamma.example"),
            "no federation with this domain",
        ),
        (
            2,
            header(B, "nosuch.example"),
            Phase::Stream,
            By::Proxy,
            "host-unknown",
            Some(B),
            "to='nosuch.example'",
        ),
        (
            2,
            header("u@beta.example", A),
            Phase::Stream,
            By::Proxy,
            "improper-addressing",
            None,
            "'from' is no domain: from='u@beta.example'",
        ),
        (
            2,
            header(B, A) + "<db:result from='beta.example' to='alpha.example'>k</db:result>",
            Phase::Dialback,
            By::Proxy,
            "policy-violation",
            Some(B),
            "TLS is required: <result xmlns='jabber:server:dialback'>",
        ),
        (
            2,
            header(B, A) + AUTH,
            Phase::Sasl,
            By::Proxy,
            "encryption-required",
            Some(B),
            "",
        ),
        (
            9,
            header(B, A) + &message(B, A, "early"),
            Phase::Stream,
            By::Proxy,
            "not-authorized",
            Some(B),
            "a message",
        ),
        (
            17,
            header(B, A) + STARTTLS,
            Phase::Tls,
            By::Proxy,
            "failure",
            Some(B),
            "TLS is off for this partner",
        ),
        (
            17,
            header(B, A)
                + "<db:result from='gamma.example' to='alpha.example'>k</db:result></stream:stream>",
            Phase::Dialback,
            By::Proxy,
            "policy-violation",
            Some("gamma.example"),
            "asked to be verified for alpha.example",
        ),
        (
            17,
            header(B, A)
                + "<db:verify from='beta.example' to='alpha.example' id='1'>k</db:verify></stream:stream>",
            Phase::Dialback,
            By::Proxy,
            "invalid",
            Some(B),
            "asked about a key for alpha.example",
        ),
        (
            2,
            header(B, A)
                + "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>x\
                   </see-other-host><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>not\n you\
                   </text></stream:error>",
            Phase::Stream,
            By::Peer,
            "undefined-condition",
            Some(B),
            "see-other-host (not you)",
        ),
    ] {
        let net = Net::new().await;
        let proxy = net.start(&net.settings(A, B, row));
        let mut partner = net.dial(&proxy).await;
        partner.send(&text).await;
        partner.rest().await;
        let refusal = only(&proxy);
        assert_eq!(refusal.kind, inbound_kind(phase, by, condition), "{text}");
        assert_eq!(refusal.domain.as_deref(), domain, "{text}");
        assert_eq!(refusal.text, why, "{text}");
        assert!(refusal.peer.is_some(), "{text}");
    }
}

#[tokio::test]
async fn a_bad_certificate_is_told_with_its_fault() {
    for (row, condition, phase, why) in [
        (
            2,
            "policy-violation",
            Phase::Tls,
            "a certificate that names the domain is required: it is issued for another name",
        ),
        (
            7,
            "not-authorized",
            Phase::Sasl,
            "the certificate is issued for another name",
        ),
    ] {
        let net = Net::new().await;
        let proxy = net.start(&net.settings(A, B, row));
        let (mut partner, _) = inbound::greet(&net, &proxy).await;
        partner.send(STARTTLS).await;
        partner.expect(PROCEED).await;
        let secured = net.secure(partner, A, Some("gamma.example")).await;
        let mut partner = secured.expect("TLS");
        partner.send(&header(B, A)).await;
        if row == 7 {
            partner.expect("</stream:features>").await;
            partner.send(&format!("{AUTH}</stream:stream>")).await;
        }
        partner.rest().await;
        let refusal = only(&proxy);
        assert_eq!(refusal.kind, inbound_kind(phase, By::Proxy, condition));
        assert_eq!(refusal.domain.as_deref(), Some(B));
        assert_eq!(refusal.text, why);
    }
}

#[tokio::test]
async fn a_failed_handshake_is_told_and_a_partner_that_gets_in_is_not() {
    let net = Net::new().await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 2)).await;
    let mut partner = admitted(&net, &proxy).await;
    partner.send(&message(B, A, "there")).await;
    gateway.expect("</message>").await;
    partner.send("</stream:stream>").await;
    partner.rest().await;
    assert_eq!(proxy.refusals(), Refusals::default());
    let (mut partner, _) = inbound::greet(&net, &proxy).await;
    partner.send(STARTTLS).await;
    partner.expect(PROCEED).await;
    partner.send("no TLS, and none to come").await;
    partner.rest().await;
    let refusal = only(&proxy);
    assert_eq!(
        refusal.kind,
        inbound_kind(Phase::Tls, By::Proxy, "handshake")
    );
    assert_eq!(refusal.domain.as_deref(), Some(B));
    assert!(!refusal.text.is_empty());
}

/// Sends a message, and returns what came back for it.
async fn bounced(net: &Net, row: u8, listener: &TcpListener, answer: &str) -> (String, Refusal) {
    let (proxy, mut gateway) = net.station(&net.settings(A, B, row)).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = accept(listener).await;
    partner.expect("version='1.0'>").await;
    let text = response(B, A, "s1") + answer;
    partner.send(&text).await;
    let bounce = gateway.expect("</message>").await;
    (bounce, only(&proxy))
}

#[tokio::test]
async fn senders_and_administrators_get_the_partners_own_words() {
    let dialback = features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
    for (answer, phase, by, condition, words) in [
        (
            "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>we know &lt;you&gt;</text>\
             </stream:error></stream:stream>"
                .to_owned(),
            Phase::Stream,
            By::Peer,
            "policy-violation",
            "the partner closed the stream: policy-violation (we know <you>)",
        ),
        (
            features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            Phase::Stream,
            By::Proxy,
            "remote-server-timeout",
            "the partner requires TLS, which is off for it",
        ),
        (
            dialback.clone()
                + "<db:result from='beta.example' to='alpha.example' type='error'>\
                   <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                   <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>who?</text></error></db:result>",
            Phase::Dialback,
            By::Peer,
            "item-not-found",
            "the partner has no verdict on the dialback key: item-not-found (who?)",
        ),
        (
            dialback + "<db:result from='beta.example' to='alpha.example' type='invalid'/>",
            Phase::Dialback,
            By::Peer,
            "internal-server-error",
            "the partner considers the dialback key wrong",
        ),
    ] {
        let net = Net::new().await;
        let listener = net.listen(B).await;
        let (bounce, refusal) = bounced(&net, 17, &listener, &answer).await;
        let escaped = words.replace('<', "&lt;").replace('>', "&gt;");
        assert!(bounce.contains(&escaped), "{bounce}");
        let kind = Kind {
            direction: Direction::Outbound,
            phase,
            by,
            condition,
        };
        assert_eq!(refusal.kind, kind);
        assert_eq!(refusal.domain.as_deref(), Some(B));
        assert_eq!(refusal.text, words);
        let address = listener.local_addr().expect("an address");
        assert_eq!(refusal.peer, Some(address));
    }
}

#[tokio::test]
async fn a_partner_that_does_not_answer_is_told_and_one_that_is_not_listed() {
    let net = Net::new().await;
    drop(net.listen(B).await);
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    gateway.send(&message(A, B, "one")).await;
    gateway.expect("none of 1 addresses answers").await;
    let refusal = only(&proxy);
    assert_eq!(refusal.kind.phase, Phase::Connection);
    gateway.send(&message(A, "gamma.example", "two")).await;
    gateway.expect("no federation with this domain").await;
    let last = &proxy.refusals().last[0].refusal;
    assert_eq!(last.kind.phase, Phase::Stanza);
    assert_eq!(last.kind.condition, "policy-violation");
    assert_eq!(last.domain.as_deref(), Some("gamma.example"));
}

#[tokio::test]
async fn a_partner_that_is_seen_alive_is_dialled_at_once() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    // No pause ends by itself.
    let clock = Clock::by_hand();
    let proxy = net.start_with(&net.settings(A, B, 17), clock);
    let mut gateway = net.gateway(&proxy, A).await;
    gateway.send(&message(A, B, "one")).await;
    drop(accept(&listener).await);
    gateway.expect("</message>").await;
    gateway.send(&message(A, B, "two")).await;
    let bounce = gateway.expect("</message>").await;
    assert!(
        bounce.contains("not tried again for 1 s: the partner closed the stream"),
        "{bounce}"
    );
    // Its own stream is verified.
    let (mut partner, _) = inbound::greet(&net, &proxy).await;
    let key = format!("<db:result from='{B}' to='{A}'>key</db:result>");
    partner.send(&key).await;
    authoritative(&listener, "valid").await;
    partner.expect("type='valid'/>").await;
    gateway.send(&message(A, B, "three")).await;
    let mut server = take_key(&listener).await;
    server.send(&valid()).await;
    server.expect("id='three'").await;
}

#[tokio::test]
async fn a_gateway_that_does_not_get_in_is_told() {
    let net = Net::new().await;
    let proxy = net.start(&net.settings(A, B, 17));
    let certificate = Some("gateway.internal.example");
    let mut gateway = net.gateway_tls(&proxy, certificate).await.expect("TLS");
    let text = header(A, "x").replace("'jabber:server'", "'jabber:client'");
    gateway.send(&text).await;
    gateway.rest().await;
    let refusal = only(&proxy);
    assert_eq!(refusal.kind.direction, Direction::Gateway);
    assert_eq!(refusal.kind.condition, "invalid-namespace");
    if let Ok(mut gateway) = net.gateway_tls(&proxy, None).await {
        gateway.rest().await;
    }
    let refusal = &proxy.refusals().last[0].refusal;
    assert_eq!(refusal.kind.phase, Phase::Tls);
    assert!(refusal.text.contains("certificate"), "{}", refusal.text);
}
