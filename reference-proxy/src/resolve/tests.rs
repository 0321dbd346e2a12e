mod name_server;

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SRV};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;

use super::*;
use crate::clock::Clock;
use crate::domain::{Domain, ProxyAddress};

use name_server::{Answer, NameServer, PATIENCE, Zone};

const SERVICE: &str = "_xmpp-server._tcp.beta.example.";

fn srv(priority: u16, port: u16, target: &str) -> (&'static str, RData) {
    let target = Name::from_str(target).unwrap();
    (SERVICE, RData::SRV(SRV::new(priority, 0, port, target)))
}

fn v4(owner: &'static str, last: u8) -> (&'static str, RData) {
    (owner, RData::A(A(Ipv4Addr::new(192, 0, 2, last))))
}

fn zone(answers: &[(&'static str, RecordType, Answer)]) -> Zone {
    let entries = answers.iter().cloned();
    entries
        .map(|(name, kind, answer)| ((name, kind), answer))
        .collect()
}

fn records(records: &[(&'static str, RData)]) -> Answer {
    Answer::Records(records.to_vec())
}

fn beta() -> Domain {
    Domain::parse("beta.example").unwrap()
}

async fn targets(answers: &[(&'static str, RecordType, Answer)]) -> Result<Vec<String>, String> {
    let server = NameServer::start(zone(answers)).await;
    resolved(&server.resolver(), None).await
}

async fn resolved(
    resolver: &Resolver,
    proxy: Option<&ProxyAddress>,
) -> Result<Vec<String>, String> {
    match resolver.targets(&beta(), proxy, false).await {
        Ok(addresses) => Ok(addresses.iter().map(ToString::to_string).collect()),
        Err(error) => Err(kind(&error).to_owned()),
    }
}

fn kind(error: &ResolveError) -> &'static str {
    match error {
        ResolveError::NotFound(..) => "not found",
        ResolveError::RefusesService(..) => "refuses service",
        ResolveError::Temporary(..) => "temporary",
        ResolveError::Timeout(..) => "timeout",
    }
}

fn addresses(texts: &[&str]) -> Result<Vec<String>, String> {
    Ok(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[tokio::test]
async fn srv_records_give_priority_port_and_both_families() {
    let v6 = RData::AAAA(AAAA("2001:db8::1".parse().unwrap()));
    let found = targets(&[
        (
            SERVICE,
            RecordType::SRV,
            records(&[
                srv(20, 5269, "two.example."),
                srv(10, 15269, "one.example."),
            ]),
        ),
        (
            "one.example.",
            RecordType::A,
            records(&[v4("one.example.", 1)]),
        ),
        (
            "one.example.",
            RecordType::AAAA,
            records(&[("one.example.", v6)]),
        ),
        (
            "two.example.",
            RecordType::A,
            records(&[v4("two.example.", 2)]),
        ),
    ])
    .await;
    let expected = ["[2001:db8::1]:15269", "192.0.2.1:15269", "192.0.2.2:5269"];
    assert_eq!(found, addresses(&expected));
}

#[tokio::test]
async fn without_srv_records_the_domain_itself_counts() {
    let own = (
        "beta.example.",
        RecordType::A,
        records(&[v4("beta.example.", 7)]),
    );
    for none in [ResponseCode::NXDomain, ResponseCode::NoError] {
        let found = targets(&[(SERVICE, RecordType::SRV, Answer::Code(none)), own.clone()]).await;
        assert_eq!(found, addresses(&["192.0.2.7:5269"]));
    }
}

#[tokio::test]
async fn no_fallback_where_srv_exists_or_its_lookup_failed() {
    let own = (
        "beta.example.",
        RecordType::A,
        records(&[v4("beta.example.", 7)]),
    );
    for (answer, error) in [
        (records(&[srv(0, 0, ".")]), "refuses service"),
        (records(&[srv(0, 5269, "gone.example.")]), "not found"),
        (Answer::Code(ResponseCode::ServFail), "temporary"),
        (Answer::Code(ResponseCode::Refused), "temporary"),
        (Answer::Silence, "timeout"),
    ] {
        let server = NameServer::start(zone(&[(SERVICE, RecordType::SRV, answer), own.clone()]));
        let server = server.await;
        let start = Instant::now();
        assert_eq!(
            resolved(&server.resolver(), None).await,
            Err(error.to_owned())
        );
        assert!(start.elapsed() < PATIENCE + Duration::from_secs(1));
        assert!(
            !server.asked().contains(&"A beta.example.".to_owned()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn nothing_at_all_is_not_found() {
    assert_eq!(targets(&[]).await, Err("not found".to_owned()));
}

#[tokio::test]
async fn dead_target_does_not_hide_the_living() {
    let service = records(&[
        srv(0, 1, "."),
        srv(10, 5269, "gone.example."),
        srv(20, 5269, "broken.example."),
        srv(30, 5269, "two.example."),
    ]);
    let broken = Answer::Code(ResponseCode::ServFail);
    let found = targets(&[
        (SERVICE, RecordType::SRV, service),
        ("broken.example.", RecordType::A, broken.clone()),
        ("broken.example.", RecordType::AAAA, broken),
        (
            "two.example.",
            RecordType::A,
            records(&[v4("two.example.", 2)]),
        ),
    ])
    .await;
    assert_eq!(found, addresses(&["192.0.2.2:5269"]));
}

#[tokio::test]
async fn silent_family_or_later_target_does_not_hold_up_the_first() {
    let start = Instant::now();
    let found = targets(&[
        (
            SERVICE,
            RecordType::SRV,
            records(&[srv(10, 5269, "one.example."), srv(20, 5269, "two.example.")]),
        ),
        (
            "one.example.",
            RecordType::A,
            records(&[v4("one.example.", 1)]),
        ),
        ("one.example.", RecordType::AAAA, Answer::Silence),
        ("two.example.", RecordType::A, Answer::Silence),
        ("two.example.", RecordType::AAAA, Answer::Silence),
    ])
    .await;
    assert_eq!(found, addresses(&["192.0.2.1:5269"]));
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[tokio::test]
async fn cname_of_a_target_is_followed() {
    let alias = RData::CNAME(CNAME(Name::from_str("real.example.").unwrap()));
    let found = targets(&[
        (
            SERVICE,
            RecordType::SRV,
            records(&[srv(0, 5269, "alias.example.")]),
        ),
        (
            "alias.example.",
            RecordType::A,
            records(&[("alias.example.", alias), v4("real.example.", 3)]),
        ),
    ])
    .await;
    assert_eq!(found, addresses(&["192.0.2.3:5269"]));
}

#[tokio::test]
async fn long_answer_is_fetched_over_tcp() {
    let many = (0..40).map(|port| srv(port, 6000 + port, "one.example."));
    let found = targets(&[
        (SERVICE, RecordType::SRV, Answer::Long(many.collect())),
        (
            "one.example.",
            RecordType::A,
            records(&[v4("one.example.", 1)]),
        ),
    ])
    .await
    .unwrap();
    assert_eq!(found.len(), 16);
    assert_eq!(found[0], "192.0.2.1:6000");
}

#[tokio::test]
async fn addresses_are_bounded_and_tried_once() {
    let many: Vec<_> = (0..=255).map(|last| v4("one.example.", last)).collect();
    let service = [srv(10, 5269, "one.example."), srv(20, 5269, "one.example.")];
    let found = targets(&[
        (SERVICE, RecordType::SRV, records(&service)),
        ("one.example.", RecordType::A, Answer::Long(many)),
    ])
    .await
    .unwrap();
    assert_eq!(found.len(), 32);
}

#[tokio::test]
async fn proxy_address_overrides_srv() {
    let server = NameServer::start(zone(&[
        (
            SERVICE,
            RecordType::SRV,
            records(&[srv(0, 5269, "one.example.")]),
        ),
        (
            "one.example.",
            RecordType::A,
            records(&[v4("one.example.", 1)]),
        ),
        (
            "proxy.example.",
            RecordType::A,
            records(&[v4("proxy.example.", 9)]),
        ),
    ]))
    .await;
    let resolver = server.resolver();
    for (proxy, expected) in [
        ("proxy.example", Ok("192.0.2.9:5269")),
        ("proxy.example:15269", Ok("192.0.2.9:15269")),
        ("127.0.0.1:15269", Ok("127.0.0.1:15269")),
        ("gone.example", Err("not found".to_owned())),
    ] {
        let proxy = ProxyAddress::parse(proxy).unwrap();
        let found = resolved(&resolver, Some(&proxy)).await;
        assert_eq!(found, expected.map(|address| vec![address.to_owned()]));
    }
    let asked = server.asked();
    assert!(
        !asked.iter().any(|query| query.starts_with("SRV")),
        "{asked:?}"
    );
    assert_eq!(
        resolved(&resolver, None).await,
        addresses(&["192.0.2.1:5269"])
    );
}

#[tokio::test]
async fn dead_name_server_is_an_error_in_time() {
    // At an address of its own, where no other test is given the port meanwhile.
    let closed = SocketAddr::from(([127, 45, 2, 1], 53));
    let resolver = Resolver::new(&[closed], PATIENCE, 1, &Clock::default()).unwrap();
    let start = Instant::now();
    let error = resolver
        .targets(&beta(), None, false)
        .await
        .expect_err("refused");
    assert!(matches!(kind(&error), "temporary" | "timeout"), "{error:?}");
    assert!(start.elapsed() < PATIENCE + Duration::from_secs(1));
}

#[tokio::test]
async fn second_name_server_stands_in_for_a_silent_one() {
    let own = (
        "beta.example.",
        RecordType::A,
        records(&[v4("beta.example.", 7)]),
    );
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let silent = (silent.local_addr().unwrap(), silent);
    let alive = NameServer::start(zone(&[own])).await;
    let resolver =
        Resolver::new(&[silent.0, alive.address], PATIENCE, 1, &Clock::default()).unwrap();
    let found = resolver.targets(&beta(), None, false).await.unwrap();
    assert_eq!(found[0].to_string(), "192.0.2.7:5269");
}

#[tokio::test]
async fn many_lookups_at_once_all_succeed() {
    let own = (
        "beta.example.",
        RecordType::A,
        records(&[v4("beta.example.", 7)]),
    );
    let server = NameServer::start(zone(&[own])).await;
    let resolver = Arc::new(server.resolver());
    let mut lookups = tokio::task::JoinSet::new();
    for number in 0..300 {
        let resolver = Arc::clone(&resolver);
        let domain = if number % 2 == 0 {
            beta()
        } else {
            Domain::parse(&format!("p{number}.example")).unwrap()
        };
        lookups.spawn(async move { resolver.targets(&domain, None, false).await.is_ok() });
    }
    let outcomes = lookups.join_all().await;
    assert_eq!(outcomes.iter().filter(|found| **found).count(), 150);
}

const SECURE: &str = "_xmpps-server._tcp.beta.example.";

/// The result with direct TLS, with one host with the address 192.0.2.1 behind all records.
async fn found_directly(
    plain: Option<Vec<(&'static str, RData)>>,
    secure: Option<Vec<(&'static str, RData)>>,
) -> Result<Vec<String>, String> {
    let host = |name| (name, RecordType::A, records(&[v4(name, 1)]));
    let mut answers = vec![host("host.example."), host("beta.example.")];
    answers.extend(plain.map(|found| (SERVICE, RecordType::SRV, records(&found))));
    answers.extend(secure.map(|found| {
        let found: Vec<_> = found.into_iter().map(|(_, data)| (SECURE, data)).collect();
        (SECURE, RecordType::SRV, records(&found))
    }));
    let server = NameServer::start(zone(&answers)).await;
    match server.resolver().targets(&beta(), None, true).await {
        Ok(servers) => Ok(servers.iter().map(ToString::to_string).collect()),
        Err(error) => Err(kind(&error).to_owned()),
    }
}

#[tokio::test]
async fn records_for_direct_tls_and_for_starttls_make_one_order() {
    let plain = || {
        vec![
            srv(10, 5269, "host.example."),
            srv(30, 5270, "host.example."),
        ]
    };
    let found = found_directly(Some(plain()), Some(vec![srv(20, 5270, "host.example.")])).await;
    let expected = [
        "192.0.2.1:5269",
        "192.0.2.1:5270 with direct TLS",
        "192.0.2.1:5270",
    ];
    assert_eq!(found, addresses(&expected));
    let found = found_directly(Some(plain()), None).await;
    assert_eq!(found, addresses(&["192.0.2.1:5269", "192.0.2.1:5270"]));
    let found = found_directly(None, Some(vec![srv(1, 5270, "host.example.")])).await;
    assert_eq!(found, addresses(&["192.0.2.1:5270 with direct TLS"]));
}

#[tokio::test]
async fn no_direct_tls_leaves_the_other_records_and_no_fallback() {
    let none = || Some(vec![srv(0, 0, ".")]);
    let found = found_directly(Some(vec![srv(1, 5269, "host.example.")]), none()).await;
    assert_eq!(found, addresses(&["192.0.2.1:5269"]));
    let refused = Err("refuses service".to_owned());
    assert_eq!(found_directly(None, none()).await, refused);
    assert_eq!(found_directly(none(), none()).await, refused);
    assert_eq!(
        found_directly(None, None).await,
        addresses(&["192.0.2.1:5269"])
    );
}
