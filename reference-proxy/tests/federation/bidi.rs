//! Streams that carry stanzas both ways.

use reference_proxy::Refusals;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::log::Log;
use crate::management::dial_with;
use crate::support::{CLOSING, Net, Peer, message, response};

const A: &str = "alpha.example";
const B: &str = "beta.example";
const ON: &str = "bidirectional = true\n";

/// Messages there and back. Returns how many connections each proxy got.
async fn there_and_back(row: u8, alpha_more: &str, beta_more: &str) -> (usize, usize) {
    let net = Net::new().await;
    let mut alpha = net.settings(A, B, row);
    alpha.partner += alpha_more;
    let mut beta = net.settings(B, A, row);
    beta.partner += beta_more;
    let (alpha, mut alpha_gateway, alpha_count) = net.counted_station(&alpha).await;
    let (beta, mut beta_gateway, beta_count) = net.counted_station(&beta).await;
    for number in 0..3 {
        let there = message(A, B, &format!("there{number}"));
        alpha_gateway.send(&there).await;
        assert_eq!(beta_gateway.expect("</message>").await, there);
        let back = message(B, A, &format!("back{number}"));
        beta_gateway.send(&back).await;
        assert_eq!(alpha_gateway.expect("</message>").await, back);
    }
    drop((alpha_gateway, beta_gateway));
    tokio::join!(alpha.stop(), beta.stop());
    (alpha_count.count(), beta_count.count())
}

#[tokio::test]
async fn one_stream_serves_both_ways_where_both_sides_agree() {
    for (row, verifications) in [(2, 0), (7, 0), (13, 1), (17, 1)] {
        let counts = there_and_back(row, ON, ON).await;
        assert_eq!(counts, (verifications, 1), "row {row}");
    }
}

#[tokio::test]
async fn each_way_has_its_stream_where_one_side_does_not() {
    for (alpha, beta) in [("", ""), (ON, ""), ("", ON)] {
        assert_eq!(there_and_back(2, alpha, beta).await, (1, 1));
        // One for stanzas and one to verify a key, on each side.
        assert_eq!(there_and_back(17, alpha, beta).await, (2, 2));
    }
}

/// A scripted partner takes a two-way stream of the proxy's, on which a message has come.
pub(crate) async fn taken(listener: &TcpListener) -> Peer<TcpStream> {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut partner = Peer::new(stream);
    partner.expect("version='1.0'>").await;
    let features = "<stream:features><bidi xmlns='urn:xmpp:features:bidi'/>\
        <dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>";
    partner.send(&(response(B, A, "s1") + features)).await;
    let key = partner.expect("</db:result>").await;
    assert!(
        key.starts_with("<bidi xmlns='urn:xmpp:bidi'/><db:result "),
        "{key}"
    );
    // Not before the partner has accepted the key.
    let valid = format!("<db:result from='{B}' to='{A}' type='valid'/>");
    partner.send(&valid).await;
    partner.expect("</message>").await;
    partner
}

#[tokio::test]
async fn stanzas_come_back_only_for_the_pair_that_was_authenticated() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = net.settings_of(&[A, "chat.alpha.example"], &[B, "chat.beta.example"], 17);
    settings.partner += ON;
    let proxy = net.start(&settings);
    let mut gateway = net.gateway(&proxy, "gateway.internal.example").await;
    for (from, to, accepted) in [
        (B, A, true),
        ("chat.beta.example", A, false),
        (B, "chat.alpha.example", false),
        ("gamma.example", A, false),
    ] {
        gateway.send(&message(A, B, "one")).await;
        let mut partner = taken(&listener).await;
        let back = message(from, to, "back");
        partner.send(&back).await;
        if accepted {
            assert_eq!(gateway.expect("</message>").await, back);
            partner.send("</stream:stream>").await;
            partner.rest().await;
        } else {
            let rest = partner.rest().await;
            assert!(rest.contains("<invalid-from "), "{from} to {to}: {rest}");
        }
    }
    let ((), rest) = tokio::join!(proxy.stop(), gateway.part());
    assert_eq!(rest, "</stream:stream>");
}

#[tokio::test]
async fn what_the_partner_sent_before_it_saw_the_closing_tag_arrives() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = net.settings(A, B, 17);
    settings.partner += ON;
    let (proxy, mut gateway) = net.station(&settings).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = taken(&listener).await;
    settings.partner += "multiplexing = false\n";
    proxy.take_in(settings.config()).expect("taken in");
    partner.expect(CLOSING).await;
    let late = message(B, A, "late");
    partner.send(&format!("{late}{CLOSING}")).await;
    assert_eq!(gateway.expect("</message>").await, late);
    assert_eq!(partner.rest().await, "");
    assert_eq!(proxy.refusals(), Refusals::default());
}

/// A proxy closes its stream although the partner sends this again and again.
async fn closes_in_spite_of(flood: &str) {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = net.settings(A, B, 17);
    settings.partner += ON;
    let (proxy, mut gateway) = net.station(&settings).await;
    gateway.send(&message(A, B, "one")).await;
    let (reader, mut writer) = taken(&listener).await.into_stream().into_split();
    let flood = flood.repeat(100_000 / flood.len());
    let (begin, begun) = oneshot::channel();
    let flooding = tokio::spawn(async move {
        for _ in 0..100 {
            writer.write_all(flood.as_bytes()).await.expect("written");
        }
        begin.send(()).expect("it is waited for");
        while writer.write_all(flood.as_bytes()).await.is_ok() {}
    });
    begun.await.expect("it floods");
    settings.partner += "multiplexing = false\n";
    proxy.take_in(settings.config()).expect("taken in");
    let mut partner = Peer::new(tokio::io::join(reader, tokio::io::sink()));
    assert_eq!(partner.expect(CLOSING).await, CLOSING);
    flooding.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_sends_without_a_pause_starves_nothing() {
    closes_in_spite_of(&format!("<db:result from='{B}' to='{A}' type='valid'/>")).await;
    closes_in_spite_of(" ").await;
}

#[tokio::test]
async fn what_went_out_with_the_closing_tag_is_not_held_for_lost() {
    let log = Log::default();
    let _logging = log.listen();
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 2);
    settings.partner += ON;
    // Without a gateway, an error goes back at once.
    let proxy = net.start(&settings);
    tracing::callsite::rebuild_interest_cache();
    let (mut partner, _) = dial_with(&net, &proxy, "<bidi xmlns='urn:xmpp:bidi'/>").await;
    partner.send(&message(B, A, "one")).await;
    partner.expect("</message>").await;
    partner.send(&(message(B, A, "two") + CLOSING)).await;
    let rest = partner.rest().await;
    assert!(rest.contains("id='two' type='error'"), "{rest}");
    proxy.stop().await;
    let lines = log.lines();
    let dropped = lines.iter().find(|line| line.contains("stanza dropped"));
    assert_eq!(dropped, None);
}

#[tokio::test]
async fn a_partner_that_reads_late_gets_each_stanza_unless_it_is_returned() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = net.settings(A, B, 17);
    settings.partner += ON;
    settings.limits += "queue-bytes = 20_000_000\n";
    let (proxy, mut gateway) = net.station(&settings).await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = taken(&listener).await;
    // More than sockets hold.
    let long = "x".repeat(200_000);
    for number in 0..80 {
        let stanza = message(A, B, &format!("long{number}"));
        gateway
            .send(&stanza.replace("</body>", &format!("{long}</body>")))
            .await;
    }
    gateway.send(&message(A, "gamma.example", "last")).await;
    gateway.expect("id='last'").await;
    settings.partner += "multiplexing = false\n";
    proxy.take_in(settings.config()).expect("taken in");
    drop(listener);
    let got = partner.expect(CLOSING).await;
    assert!(!got.contains("<r "), "stream management was not agreed");
    partner.send(CLOSING).await;
    let ((), rest) = tokio::join!(proxy.stop(), gateway.part());
    for number in 0..80 {
        let id = format!("id='long{number}'");
        let returned = rest.contains(&format!("{id} type='error'"));
        assert!(got.contains(&id) != returned, "{id}");
    }
}
