//! Several pairs of domains on one stream, and limits that bind.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::support::{Net, PATIENCE, Peer, message, response};

const A: &str = "alpha.example";
const A2: &str = "chat.alpha.example";
const B: &str = "beta.example";
const B2: &str = "chat.beta.example";
const ERRORS: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
const NO_ERRORS: &str = "<dialback xmlns='urn:xmpp:features:dialback'/>";

type Gateway = Peer<TlsStream<TcpStream>>;

/// Accepts a connection, answers its header and waits for the key.
async fn greet(listener: &TcpListener, features: &str) -> Peer<TcpStream> {
    let accepted = timeout(PATIENCE, listener.accept()).await;
    let mut partner = Peer::new(accepted.expect("in time").expect("a connection").0);
    partner.expect("version='1.0'>").await;
    let features = format!("<stream:features>{features}</stream:features>");
    partner.send(&(response(B, A, "s1") + &features)).await;
    partner
}

/// Takes the key of a pair and gives this verdict.
async fn judge(partner: &mut Peer<TcpStream>, from: &str, to: &str, verdict: &str) {
    let key = partner.expect("</db:result>").await;
    let request = format!("<db:result from='{from}' to='{to}'>");
    assert!(key.contains(&request), "{key}");
    let answer = match verdict {
        "valid" | "invalid" => format!("<db:result from='{to}' to='{from}' type='{verdict}'/>"),
        condition => format!(
            "<db:result from='{to}' to='{from}' type='error'><error type='cancel'><{condition} \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
        ),
    };
    partner.send(&answer).await;
}

/// A proxy for two domains whose first one has a stream to the scripted partner.
struct First {
    net: Net,
    listener: TcpListener,
    proxy: reference_proxy::Proxy,
    gateway: Gateway,
    partner: Peer<TcpStream>,
}

async fn first(features: &str, settings: &str, limits: &str) -> First {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut all = net.settings_of(&[A, A2], &[B], 17);
    all.partner += settings;
    all.limits += limits;
    let proxy = net.start(&all);
    let mut gateway = net.gateway(&proxy, "gateway.internal.example").await;
    gateway.send(&message(A, B, "one")).await;
    let mut partner = greet(&listener, features).await;
    judge(&mut partner, A, B, "valid").await;
    assert_eq!(partner.expect("</message>").await, message(A, B, "one"));
    First {
        net,
        listener,
        proxy,
        gateway,
        partner,
    }
}

async fn no_second_connection(listener: &TcpListener) {
    let second = timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(second.is_err(), "one connection for all");
}

#[tokio::test]
async fn second_sender_shares_the_stream_with_a_key_of_its_own() {
    let mut first = first(ERRORS, "", "").await;
    first.gateway.send(&message(A2, B, "two")).await;
    // The key comes first; until the answer only the first pair goes on.
    first
        .partner
        .expect(&format!("<db:result from='{A2}'"))
        .await;
    first.gateway.send(&message(A, B, "three")).await;
    let between = first.partner.expect("</message>").await;
    assert!(between.ends_with(&message(A, B, "three")), "{between}");
    assert!(!between.contains("id='two'"), "{between}");
    let valid = format!("<db:result from='{B}' to='{A2}' type='valid'/>");
    first.partner.send(&valid).await;
    assert_eq!(
        first.partner.expect("</message>").await,
        message(A2, B, "two")
    );
    no_second_connection(&first.listener).await;
    let ((), rest) = tokio::join!(first.proxy.stop(), first.partner.part());
    assert_eq!(rest, "</stream:stream>");
}

#[tokio::test]
async fn pairs_are_apart_without_dialback_errors_or_where_the_setting_says_so() {
    for (features, settings) in [
        (NO_ERRORS, ""),
        ("", ""),
        (ERRORS, "multiplexing = false\n"),
    ] {
        let mut first = first(features, settings, "").await;
        first.gateway.send(&message(A2, B, "two")).await;
        let mut second = greet(&first.listener, features).await;
        judge(&mut second, A2, B, "valid").await;
        assert_eq!(second.expect("</message>").await, message(A2, B, "two"));
        first.gateway.send(&message(A, B, "three")).await;
        let still = first.partner.expect("</message>").await;
        assert_eq!(still, message(A, B, "three"));
    }
}

#[tokio::test]
async fn error_about_one_pair_returns_its_stanzas_and_leaves_the_other_alone() {
    let mut first = first(ERRORS, "", "").await;
    first.gateway.send(&message(A2, B, "two")).await;
    judge(&mut first.partner, A2, B, "item-not-found").await;
    let bounce = first.gateway.expect("</message>").await;
    assert!(bounce.contains("id='two' type='error'"), "{bounce}");
    assert!(bounce.contains("<remote-server-timeout "), "{bounce}");
    first.gateway.send(&message(A, B, "three")).await;
    let still = first.partner.expect("</message>").await;
    assert_eq!(still, message(A, B, "three"));
    no_second_connection(&first.listener).await;
}

#[tokio::test]
async fn error_that_may_be_due_to_the_stream_gives_the_pair_one_of_its_own() {
    for condition in ["policy-violation", "not-authorized", "resource-constraint"] {
        let mut first = first(ERRORS, "", "").await;
        first.gateway.send(&message(A2, B, "two")).await;
        judge(&mut first.partner, A2, B, condition).await;
        let mut second = greet(&first.listener, ERRORS).await;
        judge(&mut second, A2, B, "valid").await;
        assert_eq!(second.expect("</message>").await, message(A2, B, "two"));
    }
}

#[tokio::test]
async fn invalid_for_one_pair_moves_the_other_to_a_new_stream() {
    let mut first = first(ERRORS, "", "").await;
    first.gateway.send(&message(A2, B, "two")).await;
    judge(&mut first.partner, A2, B, "invalid").await;
    let bounce = first.gateway.expect("</message>").await;
    assert!(bounce.contains("<internal-server-error "), "{bounce}");
    assert_eq!(
        first.partner.expect("</stream:stream>").await,
        "</stream:stream>"
    );
    first.gateway.send(&message(A, B, "three")).await;
    let mut again = greet(&first.listener, ERRORS).await;
    judge(&mut again, A, B, "valid").await;
    assert_eq!(again.expect("</message>").await, message(A, B, "three"));
}

#[tokio::test]
async fn idlest_stream_makes_room_where_the_limit_binds() {
    let mut first = first(NO_ERRORS, "connection-limit = 1\n", "").await;
    first.gateway.send(&message(A2, B, "two")).await;
    assert_eq!(
        first.partner.expect("</stream:stream>").await,
        "</stream:stream>"
    );
    first.partner.send("</stream:stream>").await;
    let mut second = greet(&first.listener, NO_ERRORS).await;
    judge(&mut second, A2, B, "valid").await;
    assert_eq!(second.expect("</message>").await, message(A2, B, "two"));
    // A partner that comes needs room, too.
    let mut inbound = first.net.dial(&first.proxy).await;
    inbound.send(&crate::support::header(B, A)).await;
    inbound.expect("</stream:features>").await;
    inbound
        .send(&format!("<db:result from='{B}' to='{A}'>key</db:result>"))
        .await;
    let mut asked = greet(&first.listener, NO_ERRORS).await;
    let question = asked.expect("</db:verify>").await;
    let id = question
        .split("id='")
        .nth(1)
        .and_then(|rest| rest.split('\'').next());
    let id = id.expect("an id");
    let valid = format!("<db:verify from='{B}' to='{A}' id='{id}' type='valid'/>");
    asked.send(&valid).await;
    assert_eq!(second.expect("</stream:stream>").await, "</stream:stream>");
    second.send("</stream:stream>").await;
    inbound.expect("type='valid'/>").await;
}

/// Two proxies with all of their domains; every pair sends. Returns how many connections B got.
async fn all_pairs(row: u8, own: &[&str], theirs: &[&str], more: &str) -> usize {
    let net = Net::new().await;
    let mut alpha = net.settings_of(own, theirs, row);
    alpha.partner += more;
    let mut beta = net.settings_of(theirs, own, row);
    beta.partner += more;
    let (alpha, mut alpha_gateway, _) = net.counted_station(&alpha).await;
    let (beta, mut beta_gateway, count) = net.counted_station(&beta).await;
    let pairs = own
        .iter()
        .flat_map(|a| theirs.iter().map(move |b| (*a, *b)));
    let pairs: Vec<(&str, &str)> = pairs.collect();
    for (a, b) in &pairs {
        alpha_gateway
            .send(&message(a, b, &format!("{a}-{b}")))
            .await;
        beta_gateway.send(&message(b, a, &format!("{b}-{a}"))).await;
    }
    let mut arrived = Vec::new();
    for _ in &pairs {
        arrived.push(beta_gateway.expect("</message>").await);
        arrived.push(alpha_gateway.expect("</message>").await);
    }
    arrived.sort();
    let there = pairs
        .iter()
        .map(|(a, b)| message(a, b, &format!("{a}-{b}")));
    let back = pairs
        .iter()
        .map(|(a, b)| message(b, a, &format!("{b}-{a}")));
    let mut expected: Vec<String> = there.chain(back).collect();
    expected.sort();
    assert_eq!(arrived, expected, "row {row}");
    drop((alpha_gateway, beta_gateway));
    tokio::join!(alpha.stop(), beta.stop());
    count.count()
}

#[tokio::test]
async fn further_pairs_ride_on_a_stream_of_any_method() {
    for row in [7, 13, 17] {
        // One stream, and a connection for each of four keys of the way back at most.
        let count = all_pairs(row, &[A, A2], &[B, B2], "").await;
        assert!(count <= 1 + 4, "row {row}: {count} connections");
        let apart = all_pairs(row, &[A, A2], &[B, B2], "multiplexing = false\n").await;
        assert!(apart >= 4, "row {row}: {apart} connections");
    }
}

const FOUR: [&str; 4] = ["a1.example", "a2.example", "a3.example", "a4.example"];
const THREE: [&str; 3] = ["b1.example", "b2.example", "b3.example"];

#[tokio::test]
async fn more_pairs_than_connections_all_get_through() {
    // With EXTERNAL alone nothing is shared; with the default limit, 24 streams are too many.
    for (row, more) in [
        (2, ""),
        (2, "bidirectional = true\n"),
        (9, ""),
        (9, "bidirectional = true\n"),
        (17, "multiplexing = false\n"),
    ] {
        all_pairs(row, &FOUR, &THREE, more).await;
    }
}

#[tokio::test]
async fn shared_stream_ends_once_it_may_not_carry_one_of_its_pairs() {
    for (domains, settings) in [(&[A, A2][..], "multiplexing = false\n"), (&[A], "")] {
        let mut first = first(ERRORS, "", "").await;
        first.gateway.send(&message(A2, B, "two")).await;
        judge(&mut first.partner, A2, B, "valid").await;
        let two = first.partner.expect("</message>").await;
        assert_eq!(two, message(A2, B, "two"));
        let same = first.net.settings_of(&[A, A2], &[B], 17);
        first.proxy.take_in(same.config()).expect("taken in");
        first.gateway.send(&message(A2, B, "three")).await;
        let three = first.partner.expect("</message>").await;
        assert_eq!(three, message(A2, B, "three"), "nothing has changed");
        let mut other = first.net.settings_of(domains, &[B], 17);
        other.partner += settings;
        first.proxy.take_in(other.config()).expect("taken in");
        let closing = "</stream:stream>";
        assert_eq!(first.partner.expect(closing).await, closing);
        first.partner.send(closing).await;
        assert_eq!(first.partner.rest().await, "");
        first.gateway.send(&message(A, B, "four")).await;
        let mut again = greet(&first.listener, ERRORS).await;
        judge(&mut again, A, B, "valid").await;
        assert_eq!(again.expect("</message>").await, message(A, B, "four"));
    }
}
