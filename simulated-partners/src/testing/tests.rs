use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::*;
use crate::event::{EventKind, Method};
use crate::wire::Element;

/// The server under test is also a partner, with the persona it is named after.
async fn pair(one: &str, other: &str) -> (Partner, Partner) {
    let network = Network::start().unwrap();
    let start = |persona: &str, domain: &str, facing: &str| {
        Partner::named(persona)
            .domain(domain)
            .facing(facing)
            .on(&network)
            .start()
    };
    let one = start(one, "one.example", "other.example").await.unwrap();
    let other = start(other, "other.example", "one.example").await.unwrap();
    one.faces(other.address()).unwrap();
    other.faces(one.address()).unwrap();
    (one, other)
}

#[tokio::test]
async fn partners_on_one_network_trust_each_other_by_certificate() {
    let (mut one, mut other) = pair("modern", "modern").await;
    let id = one.ping();
    assert_eq!(one.established().await.unwrap(), Method::SaslTls);
    let stanza = other.stanza().await.unwrap();
    assert_eq!(stanza.attribute("id"), Some(id.as_str()));
    // The answer arrives on a connection opened by the other side.
    let answer = one.stanza().await.unwrap();
    assert_eq!(answer.attribute("type"), Some("result"));
    let transcript = one.transcript().await;
    assert!(
        transcript.contains("established by SASL EXTERNAL over TLS"),
        "{transcript}"
    );
}

#[tokio::test]
async fn partners_on_one_network_verify_each_others_keys() {
    let (mut one, mut other) = pair("google-talk", "dialback-only").await;
    one.ping();
    assert_eq!(one.established().await.unwrap(), Method::TcpDialback);
    assert!(other.stanza().await.unwrap().attribute("id").is_some());
}

#[tokio::test]
async fn a_refusal_is_reported_at_once_with_the_transcript() {
    let (mut one, _other) = pair("strict-tls", "dialback-only").await;
    one.ping();
    let error = one.established().await.unwrap_err();
    let text = format!("{error:?}");
    assert!(text.starts_with("the connection ended without"), "{text}");
    assert!(text.contains("connected to get a stanza through"), "{text}");
}

#[tokio::test]
async fn dns_leads_to_the_partner_and_logs_queries() {
    let partner = Partner::named("modern").start().await.unwrap();
    let name = "_xmpp-server._tcp.partner.example";
    assert!(partner.queries(name).is_empty());
    let mut config = hickory_resolver::config::ResolverConfig::default();
    let mut server = hickory_resolver::config::NameServerConfig::udp(partner.dns().ip());
    for connection in &mut server.connections {
        connection.port = partner.dns().port();
    }
    config.add_name_server(server);
    let resolver = hickory_resolver::TokioResolver::builder_with_config(
        config,
        hickory_resolver::net::runtime::TokioRuntimeProvider::default(),
    )
    .build()
    .unwrap();
    let found = resolver.srv_lookup(name).await.unwrap();
    let ports: Vec<u16> = found
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            hickory_proto::rr::RData::SRV(srv) => Some(srv.port),
            _ => None,
        })
        .collect();
    assert_eq!(ports, [partner.address().port()]);
    assert_eq!(partner.queries(name).len(), 1);
}

#[tokio::test]
async fn unknown_personas_and_domains_are_refused_with_help() {
    let error = Partner::named("gogle-talk").start().await.unwrap_err();
    assert!(error.to_string().contains("google-talk"), "{error}");
    let error = Partner::named("modern").domain("a..b").start().await;
    assert!(matches!(error, Err(StartError::Domain(_))), "{error:?}");
    let error = Partner::named("modern").start_blocking().unwrap_err();
    assert!(matches!(error, StartError::Async), "{error}");
}

#[tokio::test]
async fn dropping_a_partner_closes_its_port() {
    let partner = Partner::named("modern").start().await.unwrap();
    let address = partner.address();
    assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    drop(partner);
    let closed = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), closed)
        .await
        .expect("the port is closed");
}

#[test]
fn a_blocking_partner_serves_a_plain_socket() {
    let mut partner = Partner::named("modern")
        .facing("my.example")
        .start_blocking()
        .unwrap();
    let mut socket = TcpStream::connect(partner.address()).unwrap();
    socket
        .write_all(
            b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
              from='my.example' to='partner.example' version='1.0'>",
        )
        .unwrap();
    let mut answer = [0; 16];
    socket.read_exact(&mut answer).unwrap();
    partner
        .wait_for("a connection", |event| {
            matches!(event.kind, EventKind::Opened(_))
        })
        .unwrap();
    drop(socket);
    let events = partner.stop();
    assert!(matches!(
        events.last().map(|event| &event.kind),
        Some(EventKind::Closed { .. })
    ));
}

#[test]
fn a_blocking_partner_sends_and_reports_the_result() {
    let mut partner = Partner::named("modern").start_blocking().unwrap();
    partner.send(Element::new(crate::wire::NS_SERVER, "message"));
    let error = partner.established().unwrap_err();
    assert!(error.to_string().contains("connect failed"), "{error}");
    assert!(partner.transcript().contains("connect failed"));
}
