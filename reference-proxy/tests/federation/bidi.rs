//! Streams that carry stanzas both ways.

use crate::support::{Net, message};

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
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut partner = crate::support::Peer::new(stream);
        partner.expect("version='1.0'>").await;
        let features = "<stream:features><bidi xmlns='urn:xmpp:features:bidi'/>\
            <dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>";
        let header = crate::support::response(B, A, "s1");
        partner.send(&(header + features)).await;
        let key = partner.expect("</db:result>").await;
        assert!(
            key.starts_with("<bidi xmlns='urn:xmpp:bidi'/><db:result "),
            "{key}"
        );
        // Not before the partner has accepted the key.
        let valid = format!("<db:result from='{B}' to='{A}' type='valid'/>");
        partner.send(&valid).await;
        partner.expect("</message>").await;
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
