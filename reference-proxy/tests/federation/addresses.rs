//! Where the proxy listens, and where it dials from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{Net, PATIENCE, Peer, header, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";

/// The settings of a side that listens otherwise.
fn listening(net: &Net, side: &str, listen: &str) -> String {
    let usual = format!("listen = '{}:0'", net.here);
    assert!(side.contains(&usual), "{side}");
    side.replace(&usual, &format!("listen = {listen}"))
}

/// Whether a proxy answers there.
async fn answers(address: SocketAddr) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let mut partner = Peer::new(stream);
    partner.send(&header(B, A)).await;
    partner.expect("</stream:features>").await;
}

#[tokio::test]
async fn all_addresses_of_the_list_are_served() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    let both = format!("['{}:0', '[::1]:0']", net.here);
    settings.external = listening(&net, &settings.external, &both);
    let proxy = net.start(&settings);
    let addresses = proxy.external_addresses().to_vec();
    assert_eq!(addresses.len(), 2);
    assert!(addresses[0].is_ipv4() && addresses[1].is_ipv6());
    for address in addresses {
        answers(address).await;
    }
    proxy.stop().await;
}

#[tokio::test]
async fn unspecified_ipv6_address_serves_both_families_unless_ipv4_has_its_own() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    let usual = settings.external.clone();
    // None that the system gives out, so that it is free again afterwards.
    let port = 20_000 + std::process::id() % 10_000;
    settings.external = listening(&net, &usual, &format!("'[::]:{port}'"));
    let proxy = net.start(&settings);
    let port = proxy.external_address().port();
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        answers(SocketAddr::new(ip, port)).await;
    }
    proxy.stop().await;
    let both = format!("['0.0.0.0:{port}', '[::]:{port}']");
    settings.external = listening(&net, &usual, &both);
    let proxy = net.start(&settings);
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        answers(SocketAddr::new(ip, port)).await;
    }
    proxy.stop().await;
}

#[tokio::test]
async fn streams_leave_from_the_source_address() {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    settings.external += "source = ['127.0.0.9', '::1']\n";
    let listener: TcpListener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&settings).await;
    gateway.send(&message(A, B, "m")).await;
    let accepted = timeout(PATIENCE, listener.accept()).await;
    let (_stream, from) = accepted.expect("in time").expect("a connection");
    assert_eq!(from.ip(), Ipv4Addr::new(127, 0, 0, 9));
    drop(proxy);
}
