//! A scripted partner that dials.

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use reference_proxy::Proxy;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::support::{Net, Peer, header, message, response};

const A: &str = "alpha.example";
const B: &str = "beta.example";

pub(crate) const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const AUTH: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";

/// Dials and exchanges headers; returns the features as well.
pub(crate) async fn greet(net: &Net, proxy: &Proxy) -> (Peer<TcpStream>, String) {
    let mut partner = net.dial(proxy).await;
    partner.send(&header(B, A)).await;
    let features = partner.expect("</stream:features>").await;
    (partner, features)
}

/// Authenticates by EXTERNAL and begins the stream anew.
pub(crate) async fn authenticate(partner: &mut Peer<TlsStream<TcpStream>>) {
    partner.send(AUTH).await;
    partner
        .expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        .await;
    partner.send(&header(B, A)).await;
    partner.expect("</stream:features>").await;
}

/// A partner that has got in by EXTERNAL.
pub(crate) async fn admitted(net: &Net, proxy: &Proxy) -> Peer<TlsStream<TcpStream>> {
    let (mut partner, _) = greet(net, proxy).await;
    partner.send(STARTTLS).await;
    partner.expect(PROCEED).await;
    let mut partner = net.secure(partner, A, Some(B)).await.expect("TLS");
    partner.send(&header(B, A)).await;
    partner.expect("</stream:features>").await;
    authenticate(&mut partner).await;
    partner
}

#[tokio::test]
async fn external_carries_stanzas_after_success_and_restart() {
    let net = Net::new().await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 2)).await;
    let (mut partner, features) = greet(&net, &proxy).await;
    assert!(features.contains("<required/>"), "{features}");
    assert!(!features.contains("mechanism"), "{features}");
    partner.send(STARTTLS).await;
    partner.expect(PROCEED).await;
    let mut partner = net.secure(partner, A, Some(B)).await.expect("TLS");
    partner.send(&header(B, A)).await;
    partner.expect("<mechanism>EXTERNAL</mechanism>").await;
    partner.expect("</stream:features>").await;
    authenticate(&mut partner).await;
    let there = message(B, A, "there");
    partner.send(&there).await;
    assert_eq!(gateway.expect("</message>").await, there);
    // One domain is authenticated, and no other.
    partner.send(&message("gamma.example", A, "forged")).await;
    assert!(partner.rest().await.contains("<invalid-from "));
    let ((), rest) = tokio::join!(proxy.stop(), gateway.part());
    assert_eq!(rest, "</stream:stream>");
}

#[tokio::test]
async fn certificate_of_another_name_gets_no_external() {
    let net = Net::new().await;
    for (number, certificate, dialback) in [
        (2, Some("gamma.example"), false),
        (2, None, false),
        (7, Some("gamma.example"), true),
        (7, None, true),
    ] {
        let proxy = net.start(&net.settings(A, B, number));
        let (mut partner, _) = greet(&net, &proxy).await;
        partner.send(STARTTLS).await;
        partner.expect(PROCEED).await;
        let mut partner = net.secure(partner, A, certificate).await.expect("TLS");
        partner.send(&header(B, A)).await;
        if dialback {
            let features = partner.expect("</stream:features>").await;
            assert!(features.contains("<errors/>"), "{features}");
            assert!(!features.contains("EXTERNAL"), "{features}");
            partner.send(AUTH).await;
            partner.expect("<not-authorized/></failure>").await;
        } else {
            let rest = partner.rest().await;
            assert!(rest.contains("<policy-violation "), "{rest}");
        }
        drop(proxy);
    }
}

/// A partner's scripted authoritative server: answers one request.
pub(crate) async fn authoritative(listener: &tokio::net::TcpListener, verdict: &str) -> String {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut asker = Peer::new(stream);
    asker.expect("version='1.0'>").await;
    asker.send(&response(B, A, "v1")).await;
    asker
        .send("<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>")
        .await;
    let question = asker.expect("</db:verify>").await;
    let id = question
        .split("id='")
        .nth(1)
        .and_then(|rest| rest.split('\'').next());
    let id = id.expect("an id").to_owned();
    // Answers to another request have no effect.
    for wrong in [
        format!("<db:verify from='{B}' to='{A}' id='other' type='valid'/>"),
        format!("<db:verify from='gamma.example' to='{A}' id='{id}' type='valid'/>"),
        format!("<db:verify from='{B}' to='gamma.example' id='{id}' type='valid'/>"),
    ] {
        asker.send(&wrong).await;
    }
    asker
        .send(&format!(
            "<db:verify from='{B}' to='{A}' id='{id}' type='{verdict}'/>"
        ))
        .await;
    asker.expect("</stream:stream>").await;
    question
}

#[tokio::test]
async fn a_key_is_asked_about_at_the_next_server_where_one_is_broken() {
    let net = Net::new().await;
    let first = net.listen(B).await;
    let second = net.listen(B).await;
    let (proxy, _gateway) = net.station(&net.settings(A, B, 17)).await;
    let (mut partner, _) = greet(&net, &proxy).await;
    let request = format!("<db:result from='{B}' to='{A}'>te&amp;st</db:result>");
    partner.send(&request).await;
    drop(first.accept().await.expect("a connection"));
    authoritative(&second, "valid").await;
    partner.expect("type='valid'").await;
}

#[tokio::test]
async fn dialback_asks_the_authoritative_server_and_believes_it() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    for (verdict, valid) in [("valid", true), ("invalid", false)] {
        let (mut partner, _) = greet(&net, &proxy).await;
        partner
            .send(&format!(
                "<db:result from='{B}' to='{A}'>te&amp;st</db:result>"
            ))
            .await;
        let question = authoritative(&listener, verdict).await;
        assert!(
            question.contains(&format!("<db:verify from='{A}' to='{B}' id='")),
            "{question}"
        );
        assert!(question.ends_with(">te&amp;st</db:verify>"), "{question}");
        partner
            .expect(&format!(
                "<db:result from='{A}' to='{B}' type='{verdict}'/>"
            ))
            .await;
        if valid {
            let there = message(B, A, "there");
            partner.send(&there).await;
            assert_eq!(gateway.expect("</message>").await, there);
            partner.send("</stream:stream>").await;
        }
        assert_eq!(partner.rest().await, "</stream:stream>");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn unreachable_authoritative_server_is_an_error_and_the_stream_stays() {
    let net = Net::new().await;
    let proxy = net.start(&net.settings(A, B, 17));
    let (mut partner, _) = greet(&net, &proxy).await;
    let request = format!("<db:result from='{B}' to='{A}'>key</db:result>");
    partner.send(&request).await;
    let answer = partner.expect("</db:result>").await;
    assert!(answer.contains("type='error'"), "{answer}");
    assert!(answer.contains("<remote-server-not-found "), "{answer}");
    let closed = net.listen(B).await;
    drop(closed);
    partner
        .send(&format!(
            "<db:result from='{B}' to='nosuch.example'>key</db:result>"
        ))
        .await;
    assert!(
        partner
            .expect("</db:result>")
            .await
            .contains("<item-not-found ")
    );
    proxy.stop().await;
    assert_eq!(partner.rest().await, "</stream:stream>");
}

/// The key that `capulet.example` issues for a stream to `montague.example` (XEP-0185 §3).
fn montagues_key(stream_id: &str) -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let secret = hex(digest::digest(&digest::SHA256, b"d14lb4ck43v3r").as_ref());
    let message = format!("montague.example capulet.example {stream_id}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex(hmac::sign(&key, message.as_bytes()).as_ref())
}

#[tokio::test]
async fn authoritative_role_knows_its_own_keys() {
    let net = Net::new().await;
    let mut settings = net.settings("capulet.example", "montague.example", 17);
    settings.top += "secret = 'd14lb4ck43v3r'\n";
    let proxy = net.start(&settings);
    let mut asker = net.dial(&proxy).await;
    asker
        .send(&header("montague.example", "capulet.example"))
        .await;
    asker.expect("</stream:features>").await;
    let ask = |id: &str, key: &str| {
        format!(
            "<db:verify from='montague.example' to='capulet.example' id='{id}'>\n {key}\n</db:verify>"
        )
    };
    let key = montagues_key("417GAF25");
    asker.send(&ask("417GAF25", &key)).await;
    asker
        .expect(
            "<db:verify from='capulet.example' to='montague.example' id='417GAF25' type='valid'/>",
        )
        .await;
    asker.send(&ask("417GAF26", &key)).await;
    asker.expect("id='417GAF26' type='invalid'/>").await;
    // Two hundred requests on one stream, half of them wrong.
    for n in 0..200 {
        let key = montagues_key(&(n / 2 * 2).to_string());
        asker.send(&ask(&n.to_string(), &key)).await;
        let verdict = if n % 2 == 0 { "valid" } else { "invalid" };
        asker.expect(&format!("id='{n}' type='{verdict}'/>")).await;
    }
    drop(proxy);
}

#[tokio::test]
async fn faulty_headers_are_answered_inside_a_stream() {
    let net = Net::new().await;
    let proxy = net.start(&net.settings(A, B, 9));
    for (text, condition) in [
        (header(B, "nosuch.example"), "host-unknown"),
        (header("gamma.example", A), "policy-violation"),
        (header("u@beta.example", A), "improper-addressing"),
        (
            header(B, A).replace("'jabber:server'", "'jabber:client'"),
            "invalid-namespace",
        ),
        (
            header(B, A).replace(" version='1.0'>", " version='abc'>"),
            "unsupported-version",
        ),
        (
            header(B, A).replace(&format!("to='{A}'"), ""),
            "improper-addressing",
        ),
        ("<!DOCTYPE x>".to_owned(), "restricted-xml"),
        ("\u{1}".to_owned(), "not-well-formed"),
        (
            format!("<stream:stream a='{}", "x".repeat(100_000)),
            "policy-violation",
        ),
    ] {
        let mut partner = net.dial(&proxy).await;
        partner.send(&text).await;
        let rest = partner.rest().await;
        assert!(
            rest.starts_with("<?xml version='1.0'?><stream:stream "),
            "{rest}"
        );
        assert!(
            rest.contains(&format!("<stream:error><{condition} ")),
            "{condition}: {rest}"
        );
        assert!(rest.ends_with("</stream:stream>"), "{rest}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn plaintext_behind_starttls_is_never_taken_for_more() {
    let net = Net::new().await;
    let proxy = net.start(&net.settings(A, B, 9));
    let (mut partner, _) = greet(&net, &proxy).await;
    partner
        .send(&format!(
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{}",
            header(B, A)
        ))
        .await;
    let rest = partner.rest().await;
    assert!(rest.contains("<policy-violation "), "{rest}");
    assert!(!rest.contains("proceed"), "{rest}");
    drop(proxy);
}

#[tokio::test]
async fn stream_that_does_not_get_established_ends_in_time() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    settings.limits += "stream-establishment-timeout = '300ms'\n";
    let proxy = net.start(&settings);
    let began = Instant::now();
    let mut silent = net.dial(&proxy).await;
    let mut header_only = net.dial(&proxy).await;
    header_only.send(&header(B, A)).await;
    assert!(silent.rest().await.contains("<connection-timeout "));
    assert!(header_only.rest().await.contains("<connection-timeout "));
    assert!(began.elapsed() >= Duration::from_millis(300));
    drop(proxy);
}

#[tokio::test]
async fn connections_over_the_limit_get_an_error() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    settings.limits += "unauthenticated-connections = 1\n";
    let proxy = net.start(&settings);
    let (mut first, _) = greet(&net, &proxy).await;
    let mut second = net.dial(&proxy).await;
    assert!(second.rest().await.contains("<resource-constraint "));
    first.send("</stream:stream>").await;
    assert_eq!(first.rest().await, "</stream:stream>");
    drop(first);
    proxy.stop().await;
}

#[tokio::test]
async fn tls_may_come_first_only_where_it_is_allowed_to() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 2);
    settings.external += "direct-tls = true\n";
    let (proxy, mut gateway) = net.station(&settings).await;
    let mut partner = net
        .secure(net.dial(&proxy).await, A, Some(B))
        .await
        .expect("TLS");
    partner.send(&header(B, A)).await;
    let features = partner.expect("</stream:features>").await;
    assert!(
        features.contains("<mechanism>EXTERNAL</mechanism>") && !features.contains("starttls"),
        "{features}"
    );
    authenticate(&mut partner).await;
    let there = message(B, A, "there");
    partner.send(&there).await;
    assert_eq!(gateway.expect("</message>").await, there);
    // STARTTLS still works on the same port.
    let mut other = net.dial(&proxy).await;
    other.send(&header(B, A)).await;
    assert!(
        other
            .expect("</stream:features>")
            .await
            .contains("starttls")
    );

    let proxy = net.start(&net.settings(A, B, 2));
    let refused = net.secure(net.dial(&proxy).await, A, Some(B)).await;
    assert!(refused.is_err());
}
