//! The internal side.

use reference_proxy::Proxy;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::{Net, Peer, Settings, header, message};

const A: &str = "alpha.example";
const A2: &str = "chat.alpha.example";
const B: &str = "beta.example";

#[tokio::test]
async fn only_a_gateway_with_its_certificate_gets_in() {
    let net = Net::new().await;
    let proxy = net.start(&net.settings(A, B, 9));
    for certificate in [None, Some("other.internal.example")] {
        // With TLS 1.3 the client may consider the handshake complete until it reads.
        if let Ok(mut gateway) = net.gateway_tls(&proxy, certificate).await {
            assert_eq!(gateway.rest().await, "", "{certificate:?}");
        }
    }
    let certificate = Some("gateway.internal.example");
    let mut gateway = net.gateway_tls(&proxy, certificate).await.expect("TLS");
    gateway.send(&header(A, "proxy.internal.example")).await;
    let answer = gateway.expect("</stream:features>").await;
    assert!(answer.contains(" id='"), "{answer}");
    let ((), rest) = tokio::join!(proxy.stop(), gateway.part());
    assert_eq!(rest, "</stream:stream>");
}

#[tokio::test]
async fn stanzas_that_cannot_go_come_back_with_the_reason() {
    let net = Net::new().await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 9)).await;
    for (from, to, condition) in [
        (A, "gamma.example", "policy-violation"),
        (A, B, "remote-server-not-found"),
        ("other.example", B, "not-allowed"),
        (A, "b_d.example", "jid-malformed"),
    ] {
        gateway.send(&message(from, to, "m")).await;
        let bounce = gateway.expect("</message>").await;
        assert!(bounce.contains(&format!("<{condition} ")), "{bounce}");
        assert!(bounce.contains(&format!("to='u@{from}'")), "{bounce}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn errors_and_results_never_come_back() {
    let net = Net::new().await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 9)).await;
    gateway
        .send(
            "<iq type='result' id='1' from='alpha.example' to='beta.example'/>\
             <message type='error' from='alpha.example' to='beta.example'/>\
             <iq type='get' id='2' from='alpha.example' to='gamma.example'/>",
        )
        .await;
    let bounce = gateway.expect("</iq>").await;
    assert!(bounce.starts_with("<iq from='gamma.example'"), "{bounce}");
    proxy.stop().await;
}

#[tokio::test]
async fn gateway_that_comes_back_takes_over() {
    let net = Net::new().await;
    let (alpha, mut alpha_gateway) = net.station(&net.settings(A, B, 9)).await;
    let (beta, first) = net.station(&net.settings(B, A, 9)).await;
    drop(first);
    let mut second = net.gateway(&beta, B).await;
    let there = message(A, B, "there");
    alpha_gateway.send(&there).await;
    assert_eq!(second.expect("</message>").await, there);
    // Without any gateway the sender gets an error, unless it sent an error itself.
    second.send("</stream:stream>").await;
    second.rest().await;
    alpha_gateway.send(&message(A, B, "nobody")).await;
    let error = alpha_gateway.expect("</message>").await;
    assert!(error.contains("<service-unavailable "), "{error}");
    assert!(
        error.contains("from='v@beta.example' to='u@alpha.example'"),
        "{error}"
    );
    alpha.stop().await;
    beta.stop().await;
}

#[tokio::test]
async fn gateway_of_another_domain_is_left_alone() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 17);
    settings.domains.push("second.example".to_owned());
    let (alpha, mut first) = net.station(&settings).await;
    let mut second = net.gateway(&alpha, "second.example").await;
    let mut settings = net.settings(B, A, 17);
    settings.partner += "additional-domains = ['second.example']\n";
    net.dns.add("second.example", alpha.external_address());
    let (beta, mut beta_gateway) = net.station(&settings).await;
    let to_first = message(B, A, "first");
    let to_second = message(B, "second.example", "second");
    beta_gateway.send(&format!("{to_second}{to_first}")).await;
    assert_eq!(first.expect("</message>").await, to_first);
    assert_eq!(second.expect("</message>").await, to_second);
    alpha.stop().await;
    beta.stop().await;
}

#[tokio::test]
async fn unreadable_gateway_gets_the_reason() {
    let net = Net::new().await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 9)).await;
    gateway.send("<message><!-- x --></message>").await;
    let rest = gateway.rest().await;
    assert!(rest.contains("<restricted-xml "), "{rest}");
    assert!(rest.ends_with("</stream:stream>"), "{rest}");
    proxy.stop().await;
}

#[tokio::test]
async fn unlisted_partner_is_refused_in_both_directions() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    settings.partner = "domain = 'gamma.example'\n".to_owned();
    let (alpha, mut alpha_gateway) = net.station(&settings).await;
    let (beta, mut beta_gateway) = net.station(&net.settings(B, A, 9)).await;
    alpha_gateway.send(&message(A, B, "there")).await;
    assert!(
        alpha_gateway
            .expect("</message>")
            .await
            .contains("<policy-violation ")
    );
    beta_gateway.send(&message(B, A, "back")).await;
    let bounce = beta_gateway.expect("</message>").await;
    assert!(bounce.contains("policy-violation"), "{bounce}");
    alpha.stop().await;
    beta.stop().await;
}

#[tokio::test]
async fn one_stanza_that_cannot_be_taken_comes_back_and_the_link_stays() {
    let net = Net::new().await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 9)).await;
    let long = "x".repeat(300_000);
    let head = "<message from='u@alpha.example' to='v@beta.example' id='bad'";
    for (bad, condition, why) in [
        (
            format!("{head}><body>{long}</body></message>"),
            "policy-violation",
            "element exceeds a limit",
        ),
        (
            format!("{head}>{}{}</message>", "<a>".repeat(70), "</a>".repeat(70)),
            "policy-violation",
            "element exceeds a limit",
        ),
        (
            format!("{head}><p:a/></message>"),
            "bad-request",
            "XML is not well-formed",
        ),
        (
            format!("{head} xmlns='jabber:client'><body/></message>"),
            "bad-request",
            "its namespace has to be jabber:server",
        ),
    ] {
        gateway.send(&bad).await;
        let bounce = gateway.expect("</message>").await;
        assert!(bounce.contains("id='bad' type='error'"), "{bounce}");
        assert!(bounce.contains(&format!("<{condition} ")), "{bounce}");
        assert!(bounce.contains(why), "{bounce}");
        let last = &proxy.refusals().last[0].refusal;
        assert_eq!(last.kind.condition, condition);
        assert_eq!(last.domain.as_deref(), Some(A));
    }
    // Nobody can get an error for this one.
    gateway
        .send(&format!("<message><body>{long}</body></message>"))
        .await;
    gateway.send(&message(A, B, "good")).await;
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("id='good'"), "{bounce}");
    assert!(bounce.contains("<remote-server-not-found "), "{bounce}");
    proxy.stop().await;
}

/// Settings of a proxy for two domains, with a gateway for all and one for the second domain.
fn two_gateways(net: &Net) -> Settings {
    let mut settings = net.settings(A, B, 9);
    settings.domains.push(A2.to_owned());
    settings.internal = settings.internal.replace(
        "['gateway.internal.example']",
        &format!(
            "['gateway.internal.example', {{ name = 'two.internal.example', domains = ['{A2}'] }}]"
        ),
    );
    settings
}

/// The gateway for the second domain, which names this one in its header.
async fn second(net: &Net, proxy: &Proxy, named: &str) -> Peer<TlsStream<TcpStream>> {
    let certificate = Some("two.internal.example");
    let mut gateway = net.gateway_tls(proxy, certificate).await.expect("TLS");
    gateway.send(&header(named, "proxy.internal.example")).await;
    gateway
}

#[tokio::test]
async fn gateway_with_domains_is_for_no_others() {
    let net = Net::new().await;
    let (proxy, mut all) = net.station(&two_gateways(&net)).await;
    net.dns.add(A2, proxy.external_address());
    let mut settings = net.settings(B, A, 9);
    settings.partner += &format!("additional-domains = ['{A2}']\n");
    let (_beta, mut partner) = net.station(&settings).await;
    for named in [A2, "two.internal.example"] {
        let mut second = second(&net, &proxy, named).await;
        second.expect("</stream:features>").await;
        second.send(&message(A, B, "forged")).await;
        let bounce = second.expect("</message>").await;
        assert!(bounce.contains("<not-allowed "), "{bounce}");
        second.send(&message(A2, B, "own")).await;
        assert_eq!(partner.expect("</message>").await, message(A2, B, "own"));
        // It gets what is for its domain, and the other gateway the rest.
        for (domain, gateway) in [(A2, &mut second), (A, &mut all)] {
            partner.send(&message(B, domain, "in")).await;
            let stanza = gateway.expect("</message>").await;
            assert_eq!(stanza, message(B, domain, "in"));
        }
    }
    let mut stranger = second(&net, &proxy, A).await;
    assert!(stranger.rest().await.contains("<not-authorized "));
    proxy.stop().await;
}
