//! Connections of those who do not say who they are.

use std::time::Duration;

use reference_proxy::{Clock, Phase, Proxy};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::inbound::authoritative;
use crate::outbound::{take_key, valid};
use crate::support::{Net, PATIENCE, Peer, header, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";
/// Strangers come from 127.0.0.1.
const PARTNER: [u8; 4] = [127, 0, 0, 2];

/// Opens so many connections and says nothing. Returns those that were not refused.
async fn silent(net: &Net, proxy: &Proxy, count: usize, refused: usize) -> Vec<Peer<TcpStream>> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(net.dial(proxy).await);
    }
    // The first ones stay.
    let over = all.split_off(count - refused);
    for mut peer in over {
        let rest = peer.rest().await;
        assert!(rest.contains("<resource-constraint "), "{rest}");
    }
    all
}

#[tokio::test]
async fn a_thousand_silent_connections_from_one_address_leave_partners_unaffected() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    let _silent = silent(&net, &proxy, 1000, 950).await;
    let refusals = proxy.refusals();
    let (kind, count) = refusals.counts.first_key_value().expect("some");
    assert_eq!((kind.phase, *count), (Phase::Connection, 950));
    assert_eq!(refusals.counts.len(), 1);

    // A partner gets in from elsewhere, and its key is verified.
    let mut partner = net.dial_from(&proxy, PARTNER).await;
    partner.send(&header(B, A)).await;
    partner.expect("</stream:features>").await;
    let key = format!("<db:result from='{B}' to='{A}'>key</db:result>");
    partner.send(&key).await;
    authoritative(&listener, "valid").await;
    partner.expect("type='valid'/>").await;
    partner.send(&message(B, A, "in")).await;
    gateway.expect("id='in'").await;

    // A partner is dialled.
    gateway.send(&message(A, B, "out")).await;
    let mut server = take_key(&listener).await;
    server.send(&valid()).await;
    server.expect("id='out'").await;
}

#[tokio::test]
async fn strangers_take_no_places_of_streams_and_streams_none_of_verifications() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = net.settings(A, B, 17);
    settings.limits += "connections = 1\nunauthenticated-connections = 3\n";
    let (proxy, mut gateway) = net.station(&settings).await;
    let _silent = silent(&net, &proxy, 2, 0).await;
    // The only stream is one that this side has opened.
    gateway.send(&message(A, B, "out")).await;
    let mut server = take_key(&listener).await;
    server.send(&valid()).await;
    server.expect("id='out'").await;
    // A key is still verified, and then there is no place for the stream.
    let mut partner = net.dial_from(&proxy, PARTNER).await;
    partner.send(&header(B, A)).await;
    partner.expect("</stream:features>").await;
    let key = format!("<db:result from='{B}' to='{A}'>key</db:result>");
    partner.send(&key).await;
    authoritative(&listener, "valid").await;
    let rest = partner.rest().await;
    assert!(rest.contains("<resource-constraint "), "{rest}");
    let last = &proxy.refusals().last[0].refusal;
    assert_eq!(last.text, "limit of 1 connections reached");
    assert_eq!(last.domain.as_deref(), Some(B));
}

#[tokio::test]
async fn silent_connections_to_the_inner_side_leave_the_gateway_unaffected() {
    let net = Net::new().await;
    let proxy = net.start(&net.settings(A, B, 17));
    let mut silent = Vec::new();
    for _ in 0..100 {
        let stream = TcpStream::connect(proxy.internal_address()).await;
        silent.push(stream.expect("a connection"));
    }
    drop(silent.split_off(10));
    net.gateway(&proxy, A).await;
}

#[tokio::test]
async fn a_place_that_gets_free_is_used_at_once() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = net.settings(A, B, 17);
    // A place is waited for, but for less than a pause after a failure would last.
    let patience = Duration::from_millis(100);
    settings.limits += "partner-connections = 1\nconnect-timeout = '100ms'\n";
    let clock = Clock::by_hand();
    let mut rests = clock.rests().expect("it is moved from here");
    let proxy = net.start_with(&settings, clock.clone());
    let mut gateway = net.gateway(&proxy, A).await;
    let mut partner = net.dial(&proxy).await;
    partner.send(&header(B, A)).await;
    partner.expect("</stream:features>").await;
    let key = format!("<db:result from='{B}' to='{A}'>key</db:result>");
    partner.send(&key).await;
    authoritative(&listener, "valid").await;
    partner.expect("type='valid'/>").await;
    for id in ["one", "two"] {
        gateway.send(&message(A, B, id)).await;
        let bounce = loop {
            tokio::select! {
                bounce = gateway.expect("</message>") => break bounce,
                _ = rests.changed() => {
                    let _ = clock.advance(patience);
                }
            }
        };
        assert!(bounce.contains("<resource-constraint "), "{bounce}");
        let text = "limit of 1 connections with this partner reached";
        assert!(bounce.contains(&format!(">{text}<")), "{bounce}");
    }
    partner.send("</stream:stream>").await;
    partner.rest().await;
    drop(partner);
    let dialled = async {
        // The place is free a moment after the partner sees the end.
        loop {
            gateway.send(&message(A, B, "three")).await;
            tokio::select! {
                server = take_key(&listener) => return server,
                _ = gateway.expect("</message>") => {}
            }
        }
    };
    let mut server = timeout(PATIENCE, dialled).await.expect("in time");
    server.send(&valid()).await;
    server.expect("id='three'").await;
}
