//! The limit of connections with partners, as it is delivered.

use std::time::Duration;

use reference_proxy::{Clock, Phase, Proxy};
use tokio::net::{TcpListener, TcpStream};

use crate::outbound::{DIALBACK, accept, features};
use crate::support::{Net, Peer, header, message, response};

const A: &str = "alpha.example";
const B: &str = "beta.example";
/// How many connections there may be by default.
const MOST: usize = 1000;

/// A connection of the partner's, up to the answer to its key.
async fn dial(net: &Net, proxy: &Proxy, listener: &TcpListener) -> Peer<TcpStream> {
    let mut partner = net.dial(proxy).await;
    partner.send(&header(B, A)).await;
    partner.expect("</stream:features>").await;
    let key = format!("<db:result from='{B}' to='{A}'>key</db:result>");
    partner.send(&key).await;
    let mut asker = accept(listener).await;
    asker.expect("version='1.0'>").await;
    asker
        .send(&(response(B, A, "v") + &features(DIALBACK)))
        .await;
    let question = asker.expect("</db:verify>").await;
    let id = question.split(" id='").nth(1).expect("an id");
    let id = id.split('\'').next().expect("an id");
    let answer = format!("<db:verify from='{B}' to='{A}' id='{id}' type='valid'/>");
    asker.send(&answer).await;
    partner
}

#[tokio::test]
async fn a_thousand_connections_are_held_and_the_next_is_refused() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let mut settings = net.settings(A, B, 17);
    settings.partner += "connection-limit = 2000\n";
    settings.limits += "outbound-reserve = 0\n";
    let clock = Clock::by_hand();
    let proxy = net.start_with(&settings, clock.clone());
    let mut gateway = net.gateway(&proxy, A).await;
    let mut held = Vec::new();
    for _ in 0..MOST {
        let mut partner = dial(&net, &proxy, &listener).await;
        partner.expect("type='valid'/>").await;
        held.push(partner);
    }
    // The next one waits for a place as long as it may. All are in use.
    let mut next = dial(&net, &proxy, &listener).await;
    let moving = async {
        loop {
            // Little, as the proxy also rests while something is on its way to it.
            if clock.at_rest(false).is_some() {
                let _ = clock.advance(Duration::from_millis(2));
            }
            tokio::task::yield_now().await;
        }
    };
    let refused = tokio::select! {
        refused = next.rest() => refused,
        () = moving => unreachable!("it goes on"),
    };
    assert!(refused.contains("<resource-constraint "), "{refused}");
    assert!(refused.ends_with("</stream:stream>"), "{refused}");
    let last = &proxy.refusals().last[0].refusal;
    assert_eq!(last.kind.phase, Phase::Connection);
    assert_eq!(last.domain.as_deref(), Some(B));
    // Each of the others is as it was, and the place of one that goes is taken at once.
    for (number, partner) in held.iter_mut().enumerate() {
        let stanza = message(B, A, &number.to_string());
        partner.send(&stanza).await;
        assert_eq!(gateway.expect("</message>").await, stanza);
    }
    let mut gone = held.swap_remove(0);
    gone.send("</stream:stream>").await;
    assert_eq!(gone.rest().await, "</stream:stream>");
    drop(gone);
    let mut next = dial(&net, &proxy, &listener).await;
    next.expect("type='valid'/>").await;
}
