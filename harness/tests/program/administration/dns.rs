//! `dns`: the zone file, and what is published.

use std::net::SocketAddr;

use simulated_partners::dns::{Answer, Data, Dns, Kind};

use super::{CONFIG, Place};

const MEMBERS: [&str; 4] = [
    "--member",
    "xmpp1.contoso.com=192.0.2.1,2001:db8::1",
    "--member",
    "xmpp2.contoso.com=192.0.2.2",
];

fn dns(place: &Place, arguments: &[&str]) -> super::Done {
    place.run(&[&["dns"], &MEMBERS[..], arguments].concat())
}

#[test]
fn the_zone_file_has_a_priority_for_each_member() {
    let config = CONFIG.replacen("127.0.0.1:0", "0.0.0.0:5269", 1);
    let place = Place::with(&config);
    insta::assert_snapshot!(dns(&place, &[]).out, @r"
    $TTL 3600
    _xmpp-server._tcp.contoso.com. IN SRV 10 0 5269 xmpp1.contoso.com.
    _xmpp-server._tcp.contoso.com. IN SRV 20 0 5269 xmpp2.contoso.com.
    _xmpp-server._tcp.chat.contoso.com. IN SRV 10 0 5269 xmpp1.contoso.com.
    _xmpp-server._tcp.chat.contoso.com. IN SRV 20 0 5269 xmpp2.contoso.com.
    xmpp1.contoso.com. IN A 192.0.2.1
    xmpp1.contoso.com. IN AAAA 2001:db8::1
    xmpp2.contoso.com. IN A 192.0.2.2
    ");
    let direct = config.replace("[internal]", "direct-tls = true\n[internal]");
    let done = dns(
        &Place::with(&direct),
        &["--domain", "contoso.com", "--port", "443", "--ttl", "60"],
    );
    insta::assert_snapshot!(done.out, @r"
    $TTL 60
    _xmpp-server._tcp.contoso.com. IN SRV 10 0 443 xmpp1.contoso.com.
    _xmpp-server._tcp.contoso.com. IN SRV 20 0 443 xmpp2.contoso.com.
    _xmpps-server._tcp.contoso.com. IN SRV 10 0 443 xmpp1.contoso.com.
    _xmpps-server._tcp.contoso.com. IN SRV 20 0 443 xmpp2.contoso.com.
    xmpp1.contoso.com. IN A 192.0.2.1
    xmpp1.contoso.com. IN AAAA 2001:db8::1
    xmpp2.contoso.com. IN A 192.0.2.2
    ");
}

fn set(dns: &Dns, name: &str, kind: Kind, data: Vec<Data>) {
    let answer = Answer::Records(data);
    dns.records().set(name, kind, answer).expect("a name");
}

fn srv(priority: u16, target: &str) -> Data {
    Data::Service {
        priority,
        weight: 0,
        port: 5269,
        target: target.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_held_against_what_should_be() {
    let config = CONFIG.replacen("127.0.0.1:0", "0.0.0.0:5269", 1);
    let server = Dns::start().expect("a port");
    let address: SocketAddr = server.address();
    let place = Place::with(&config.replace("127.0.0.1:1", &address.to_string()));
    let check = |place: Place| async {
        let done = tokio::task::spawn_blocking(move || (dns(&place, &["--check"]), place));
        done.await.expect("it ends")
    };
    let both = vec![srv(10, "xmpp1.contoso.com"), srv(20, "xmpp2.contoso.com")];
    set(&server, "_xmpp-server._tcp.contoso.com", Kind::Srv, both);
    let turned = vec![srv(20, "xmpp1.contoso.com"), srv(20, "xmpp2.contoso.com")];
    set(
        &server,
        "_xmpp-server._tcp.chat.contoso.com",
        Kind::Srv,
        turned,
    );
    for (name, ip) in [
        ("xmpp1.contoso.com", "192.0.2.1"),
        ("xmpp2.contoso.com", "192.0.2.9"),
    ] {
        let ip = ip.parse().expect("an address");
        set(&server, name, Kind::A, vec![Data::Address(ip)]);
    }
    let (done, place) = check(place).await;
    assert_eq!(done.code, Some(1), "{}", done.err);
    insta::assert_snapshot!(done.out, @r"
    missing    _xmpp-server._tcp.chat.contoso.com. SRV 10 0 5269 xmpp1.contoso.com.
    unwanted   _xmpp-server._tcp.chat.contoso.com. SRV 20 0 5269 xmpp1.contoso.com.
    published  _xmpp-server._tcp.chat.contoso.com. SRV 20 0 5269 xmpp2.contoso.com.
    published  _xmpp-server._tcp.contoso.com. SRV 10 0 5269 xmpp1.contoso.com.
    published  _xmpp-server._tcp.contoso.com. SRV 20 0 5269 xmpp2.contoso.com.
    published  xmpp1.contoso.com. A 192.0.2.1
    missing    xmpp1.contoso.com. AAAA 2001:db8::1
    missing    xmpp2.contoso.com. A 192.0.2.2
    unwanted   xmpp2.contoso.com. A 192.0.2.9
    ");
    // All as it should be, in an order of other numbers.
    set(
        &server,
        "_xmpp-server._tcp.chat.contoso.com",
        Kind::Srv,
        vec![srv(0, "xmpp1.contoso.com"), srv(5, "xmpp2.contoso.com")],
    );
    let v6 = "2001:db8::1".parse().expect("an address");
    set(
        &server,
        "xmpp1.contoso.com",
        Kind::Aaaa,
        vec![Data::Address(v6)],
    );
    let v4 = "192.0.2.2".parse().expect("an address");
    set(
        &server,
        "xmpp2.contoso.com",
        Kind::A,
        vec![Data::Address(v4)],
    );
    let (done, _) = check(place).await;
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    assert!(
        done.out.lines().all(|line| line.starts_with("published ")),
        "{}",
        done.out
    );
}

#[test]
fn a_silent_name_server_is_no_missing_record() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let place = Place::with(&format!("{CONFIG}\n[limits]\ndns-timeout = \"200ms\"\n"));
    let done = dns(&place, &["--check", "--server", &address]);
    assert_eq!(done.code, Some(3));
    assert!(
        done.err.contains("a name server has not answered"),
        "{}",
        done.err
    );
    assert!(
        done.out.lines().all(|line| line.starts_with("no answer ")),
        "{}",
        done.out
    );
}

#[test]
fn values_that_make_no_sense_are_named_with_what_would() {
    let place = Place::new();
    for (arguments, parts) in [
        (&["--member", "a b"][..], ["a b", "not a valid domain"]),
        (
            &["--member", "x.example=1.2.3"],
            ["`1.2.3`", "not an IP address"],
        ),
        (
            &["--member", "x.example", "--domain", "y.example"],
            ["`y.example`", "not served"],
        ),
        (
            &["--member", "x.example", "--member", "X.example=192.0.2.1"],
            ["`x.example` is a member twice", "all its addresses"],
        ),
        (
            &["--member", "x.example", "--ttl", "4294967295"],
            ["4294967295", "2147483647"],
        ),
        (&["--member", "x.example", "--port", "0"], ["'0'", "--port"]),
        (
            &["--member", "x.example", "--server", "127.0.0.1:53"],
            ["--check", "required"],
        ),
        (&[], ["--member", "required"]),
    ] {
        let done = place.refused(&[&["dns"], arguments].concat(), 2);
        for part in parts {
            assert!(done.err.contains(part), "{part} is missing: {}", done.err);
        }
    }
}
