//! A gateway behind real proxies: what a local user and a partner see of each other.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use reference_gateway::Gateway;
use reference_gateway::address::Bare;
use reference_gateway::config::Config;
use reference_gateway::session::{Session, stanza};
use reference_proxy::{Clock, Proxy};
use tokio::time::timeout;

use support::{Net, PATIENCE, Relay};

mod pool;

// The test federation of the proxy; not all of it is needed here.
#[expect(dead_code, reason = "shared with the tests of the proxy")]
#[path = "../../../tests/federation/support/mod.rs"]
mod support;

const A: &str = "alpha.example";
const B: &str = "beta.example";
const ANA: &str = "ana@alpha.example";
const BOB: &str = "bob@beta.example";

/// A gateway's file: Ana has Bob in her list, with subscriptions both ways.
fn file(net: &Net, proxies: &[&Proxy], kind: &str) -> String {
    let names = ["gateway.internal.example"];
    let link = net.gateways.credentials(&names, &net.gateways);
    let proxies: Vec<String> = proxies
        .iter()
        .map(|proxy| {
            format!(
                "[[proxy]]\naddress = '{}'\nname = 'proxy.internal.example'\n",
                proxy.internal_address()
            )
        })
        .collect();
    format!(
        "domains = ['{A}']\nstate = 'gateway.state'\n\
         [link]\nname = 'gateway.internal.example'\n{link}{}\
         [[partner]]\ndomain = '{B}'\ntype = '{kind}'\n\
         [[policy]]\nidentity = 'global'\nenable-federation-access = true\nenable-xmpp-access = true\n\
         [[user]]\naddress = '{ANA}'\n[[user.contact]]\naddress = '{BOB}'\nsubscription = 'both'\n",
        proxies.concat()
    )
}

fn config(folder: &Path, text: &str) -> Config {
    let name = folder.join("gateway.toml");
    Config::from_toml(text, &name.to_string_lossy()).unwrap_or_else(|error| panic!("{error}"))
}

async fn sign_in(gateway: &Gateway) -> Session {
    let ana = Bare::user(ANA).expect("an address");
    gateway.sign_in(&ana).await.expect("signed in")
}

async fn send(session: &Session, text: &str) {
    let stanza = stanza(text).expect("a stanza");
    session.send(stanza).await.expect("sent");
}

async fn next(session: &mut Session) -> String {
    let next = timeout(PATIENCE, session.next()).await.expect("in time");
    String::from_utf8(next.expect("a stanza").bytes).expect("UTF-8")
}

/// Returns when there are so many links.
async fn linked(gateway: &Gateway, count: usize) {
    let mut links = gateway.links();
    let reached = links.wait_for(|links| *links == count);
    timeout(PATIENCE, reached)
        .await
        .expect("in time")
        .expect("a gateway");
}

#[tokio::test]
async fn messages_and_presence_pass_both_ways() {
    for (kind, note) in [
        ("federated", "<status>busy</status>"),
        ("public-unverified", ""),
    ] {
        let net = Net::new().await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = net.settings(A, B, 9);
        settings.partner += &format!("type = '{kind}'\n");
        let alpha = net.start(&settings);
        let (beta, mut bob) = net.station(&net.settings(B, A, 9)).await;
        let gateway = Gateway::start(config(folder.path(), &file(&net, &[&alpha], kind)));
        let gateway = gateway.expect("started");
        linked(&gateway, 1).await;
        let mut ana = sign_in(&gateway).await;
        send(
            &ana,
            &format!("<message to='{BOB}'><body>there</body></message>"),
        )
        .await;
        let there = bob.expect("</message>").await;
        let from = ana.address().to_owned();
        assert_eq!(
            there,
            format!("<message from='{from}' to='{BOB}'><body>there</body></message>")
        );
        bob.send(&format!(
            "<message from='{BOB}/r' to='{from}'><body>back</body></message>"
        ))
        .await;
        assert!(next(&mut ana).await.contains("<body>back</body>"), "{kind}");
        send(
            &ana,
            "<presence><show>dnd</show><status>busy</status></presence>",
        )
        .await;
        let seen = bob.expect("</presence>").await;
        assert_eq!(
            seen,
            format!("<presence from='{from}' to='{BOB}'><show>dnd</show>{note}</presence>")
        );
        let probe = bob.expect("/>").await;
        assert_eq!(
            probe,
            format!("<presence from='{ANA}' to='{BOB}' type='probe'/>")
        );
        bob.send(&format!("<message from='{BOB}' to='nobody@{A}'/>"))
            .await;
        assert!(
            bob.expect("</message>")
                .await
                .contains("<service-unavailable "),
            "{kind}"
        );
        gateway.stop().await;
        let parting = bob.expect("/>").await;
        assert_eq!(
            parting,
            format!("<presence from='{from}' to='{BOB}' type='unavailable'/>")
        );
        drop(bob);
        tokio::join!(alpha.stop(), beta.stop());
    }
}

#[tokio::test]
async fn whoever_sees_a_user_is_told_of_a_stop_whatever_comes_meanwhile() {
    // What they are told at once fits into the queue of a proxy.
    const CONTACTS: usize = 100;
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let alpha = net.start(&net.settings(A, B, 9));
    let (beta, mut bob) = net.station(&net.settings(B, A, 9)).await;
    // So that what it says goes out bit by bit.
    let text = file(&net, &[&alpha], "federated") + "[limits]\nqueue-stanzas = 1\n";
    let gateway = Gateway::start(config(folder.path(), &text)).expect("started");
    linked(&gateway, 1).await;
    let ana = sign_in(&gateway).await;
    let all = |one: &dyn Fn(usize) -> String| (0..CONTACTS).map(one).collect::<String>();
    bob.send(&all(&|number| {
        format!("<presence type='subscribe' from='u{number}@{B}' to='{ANA}'/>")
    }))
    .await;
    for _ in 0..CONTACTS {
        bob.expect("type='subscribed'/>").await;
    }
    send(&ana, "<presence/>").await;
    // The last one, as addresses are sorted.
    bob.expect(&format!("to='u99@{B}'/>")).await;
    // Nobody is told of these.
    let stray = format!("<presence type='error' from='zoe@{B}' to='{ANA}'/>");
    bob.send(&stray.repeat(2000)).await;
    gateway.stop().await;
    for _ in 0..CONTACTS {
        bob.expect("type='unavailable'/>").await;
    }
    drop(bob);
    tokio::join!(alpha.stop(), beta.stop());
}

#[tokio::test]
async fn what_happened_survives_a_restart() {
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let alpha = net.start(&net.settings(A, B, 9));
    let (beta, mut bob) = net.station(&net.settings(B, A, 9)).await;
    let text = file(&net, &[&alpha], "federated");
    let gateway = Gateway::start(config(folder.path(), &text)).expect("started");
    linked(&gateway, 1).await;
    let ana = sign_in(&gateway).await;
    send(&ana, &format!("<presence type='subscribe' to='eve@{B}'/>")).await;
    bob.expect("type='subscribe'/>").await;
    bob.send(&format!(
        "<presence type='subscribe' from='zoe@{B}' to='{ANA}'/>"
    ))
    .await;
    bob.expect("type='subscribed'/>").await;
    gateway.stop().await;
    let gateway = Gateway::start(config(folder.path(), &text)).expect("started again");
    linked(&gateway, 1).await;
    let mut ana = sign_in(&gateway).await;
    send(&ana, "<presence><priority>5</priority></presence>").await;
    // Zoe, whom Ana has not added, still sees her; Eve is still asked, so that her answer counts.
    bob.expect(&format!("to='{BOB}'><priority>5</priority></presence>"))
        .await;
    bob.expect(&format!("to='zoe@{B}'><priority>5</priority></presence>"))
        .await;
    bob.send(&format!(
        "<presence type='subscribed' from='eve@{B}' to='{ANA}'/>"
    ))
    .await;
    assert!(next(&mut ana).await.contains("type='subscribed'"));
    gateway.stop().await;
    drop(bob);
    tokio::join!(alpha.stop(), beta.stop());
}

#[tokio::test]
async fn another_proxy_of_the_pool_takes_over() {
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = net.settings(A, B, 2);
    let (first, second) = (net.start(&settings), net.start(&settings));
    let (beta, mut bob) = net.station(&net.settings(B, A, 2)).await;
    let text = file(&net, &[&first, &second], "federated");
    let gateway = Gateway::start(config(folder.path(), &text)).expect("started");
    linked(&gateway, 2).await;
    let mut ana = sign_in(&gateway).await;
    let message = |id: &str| format!("<message id='{id}' to='{BOB}'/>");
    send(&ana, &message("1")).await;
    bob.expect("id='1'/>").await;
    first.stop().await;
    linked(&gateway, 1).await;
    send(&ana, &message("2")).await;
    bob.expect("id='2'/>").await;
    bob.send(&format!("<message id='3' from='{BOB}' to='{ANA}'/>"))
        .await;
    assert!(next(&mut ana).await.contains("id='3'"));
    gateway.stop().await;
    drop(bob);
    tokio::join!(second.stop(), beta.stop());
}

#[tokio::test]
async fn a_new_configuration_is_followed_while_links_stay() {
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let alpha = net.start(&net.settings(A, B, 9));
    let (beta, mut bob) = net.station(&net.settings(B, A, 9)).await;
    let text = file(&net, &[&alpha], "federated");
    let mut gateway = Gateway::start(config(folder.path(), &text)).expect("started");
    linked(&gateway, 1).await;
    let mut ana = sign_in(&gateway).await;
    send(&ana, "<presence><show>dnd</show></presence>").await;
    bob.expect("</presence>").await;
    let closed = text.replace("enable-xmpp-access = true", "enable-xmpp-access = false");
    gateway
        .reload(config(folder.path(), &closed))
        .await
        .expect("reloaded");
    bob.expect("type='unavailable'/>").await;
    send(&ana, &format!("<message to='{BOB}'/>")).await;
    assert!(next(&mut ana).await.contains("EnableXmppAccess"));
    gateway
        .reload(config(folder.path(), &text))
        .await
        .expect("reloaded");
    bob.expect("<show>dnd</show></presence>").await;
    let without = text.split("[[user]]").next().expect("a part");
    gateway
        .reload(config(folder.path(), without))
        .await
        .expect("reloaded");
    bob.expect("type='unsubscribe'/>").await;
    let ended = timeout(PATIENCE, async { while ana.next().await.is_ok() {} });
    ended.await.expect("a user who is gone is signed out");
    gateway.stop().await;
    drop(bob);
    tokio::join!(alpha.stop(), beta.stop());
}

/// Reloads, and says why presence may not be withdrawn.
async fn reload(gateway: &mut Gateway, folder: &Path, text: &str) -> Option<String> {
    let reloaded = gateway.reload(config(folder, text)).await;
    reloaded.expect("reloaded");
    gateway.withdrawn().await
}

#[tokio::test]
async fn presence_is_withdrawn_before_a_partner_is_cut_off() {
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = net.settings(A, B, 9);
    let alpha = net.start(&settings);
    let (beta, mut bob) = net.station(&net.settings(B, A, 9)).await;
    let text = file(&net, &[&alpha], "federated");
    let mut gateway = Gateway::start(config(folder.path(), &text)).expect("started");
    linked(&gateway, 1).await;
    let ana = sign_in(&gateway).await;
    send(&ana, "<presence><show>dnd</show></presence>").await;
    bob.expect("</presence>").await;
    let without = text.replace(&format!("domain = '{B}'"), "domain = 'other.example'");
    let path = folder.path();
    assert_eq!(reload(&mut gateway, path, &without).await, None);
    // From here on nothing more would reach him.
    beta.stop().await;
    bob.expect("type='unavailable'/>").await;
    bob.expect("type='unsubscribed'/>").await;
    assert_eq!(
        reload(&mut gateway, path, &text).await,
        None,
        "nothing is taken back"
    );
    assert_eq!(
        reload(&mut gateway, path, &without).await,
        None,
        "he has not asked again, and sees nothing"
    );
    // What the file says anew counts.
    let other = |text: &str| text.replace("subscription = 'both'", "subscription = 'from'");
    assert_eq!(reload(&mut gateway, path, &other(&text)).await, None);
    assert_eq!(
        reload(&mut gateway, path, &other(&without))
            .await
            .as_deref(),
        Some("what was sent came back as an error")
    );
    alpha.stop().await;
    assert_eq!(reload(&mut gateway, path, &text).await, None);
    linked(&gateway, 0).await;
    assert_eq!(
        reload(&mut gateway, path, &other(&text)).await,
        None,
        "he may still see the user"
    );
    assert_eq!(
        reload(&mut gateway, path, &other(&without))
            .await
            .as_deref(),
        Some("no proxy is connected")
    );
    gateway.stop().await;
}

#[tokio::test]
async fn subscriptions_are_refreshed_by_the_clock() {
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let alpha = net.start(&net.settings(A, B, 9));
    let (beta, mut bob) = net.station(&net.settings(B, A, 9)).await;
    let clock = Clock::by_hand();
    let text = file(&net, &[&alpha], "federated");
    let gateway = Gateway::start_with(config(folder.path(), &text), clock.clone());
    let gateway = gateway.expect("started");
    linked(&gateway, 1).await;
    let ana = sign_in(&gateway).await;
    send(&ana, "<presence><show>dnd</show></presence>").await;
    bob.expect("</presence>").await;
    bob.expect("type='probe'/>").await;
    // Each step is one keep-alive of the link, or what else is waited for.
    let mut passed = Duration::ZERO;
    let moving = async {
        while passed < Duration::from_secs(28_800) {
            passed += clock
                .advance(Duration::from_secs(28_800) - passed)
                .unwrap_or_default();
            tokio::task::yield_now().await;
        }
    };
    moving.await;
    bob.expect("type='probe'/>").await;
    bob.expect("<show>dnd</show></presence>").await;
    gateway.stop().await;
    drop(bob);
    tokio::join!(alpha.stop(), beta.stop());
}

/// What became of messages, by their ids.
#[derive(Default)]
struct Fates(BTreeMap<String, Vec<&'static str>>);

impl Fates {
    /// Takes a message down, unless it is the last one.
    fn enter(&mut self, message: &str) -> bool {
        let id = message
            .split("id='")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        let id = id.unwrap_or_else(|| panic!("no id: {message}"));
        if id == "end" {
            return false;
        }
        let fate = match message.contains("type='error'") {
            true => "returned",
            false => "delivered",
        };
        self.0.entry(id.to_owned()).or_default().push(fate);
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_under_load_loses_and_repeats_nothing() {
    const BURSTS: usize = 3;
    const MESSAGES: usize = 150;
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = net.settings(A, B, 9);
    settings.partner += "type = 'federated'\n";
    let alpha = net.start(&settings);
    let (beta, mut bob) = net.station(&net.settings(B, A, 9)).await;
    let (relay, address) = Relay::to(alpha.internal_address()).await;
    let direct = alpha.internal_address().to_string();
    let text = file(&net, &[&alpha], "federated").replace(&direct, &address.to_string());
    let gateway = Gateway::start(config(folder.path(), &text)).expect("started");
    linked(&gateway, 1).await;
    let mut ana = sign_in(&gateway).await;
    let there = |id: &str| format!("<message id='{id}' to='{BOB}'><body>x</body></message>");
    let back =
        |id: &str| format!("<message id='{id}' from='{BOB}' to='{ANA}'><body>x</body></message>");
    send(&ana, &there("first")).await;
    bob.expect("</message>").await;
    bob.send(&back("first")).await;
    next(&mut ana).await;
    let mut fates = Fates::default();
    for burst in 0..BURSTS {
        linked(&gateway, 1).await;
        for number in 0..MESSAGES {
            send(&ana, &there(&format!("there-{burst}-{number}"))).await;
            bob.send(&back(&format!("back-{burst}-{number}"))).await;
            if number == MESSAGES / 2 {
                // In the middle of it.
                for _ in 0..MESSAGES / 4 {
                    fates.enter(&bob.expect("</message>").await);
                }
                relay.cut();
                linked(&gateway, 0).await;
            }
        }
    }
    linked(&gateway, 1).await;
    let wanted = 2 * BURSTS * MESSAGES;
    let counted = async {
        while fates.0.len() < wanted {
            tokio::select! {
                stanza = ana.next() => {
                    let stanza = stanza.expect("a stanza");
                    fates.enter(&String::from_utf8(stanza.bytes).expect("UTF-8"));
                }
                text = bob.expect("</message>") => {
                    fates.enter(&text);
                }
            }
        }
    };
    timeout(PATIENCE, counted).await.expect("each has its fate");
    // Whatever came twice has come by then.
    send(&ana, &there("end")).await;
    while fates.enter(&bob.expect("</message>").await) {}
    bob.send(&back("end")).await;
    while fates.enter(&next(&mut ana).await) {}
    let twice: Vec<_> = fates
        .0
        .iter()
        .filter(|(_, fates)| fates.len() != 1)
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
    let delivered = fates
        .0
        .values()
        .filter(|fates| fates[0] == "delivered")
        .count();
    // How much finds the link broken depends on the machine, but not those that were waited for.
    let awaited = BURSTS * (MESSAGES / 4);
    assert!(delivered >= awaited, "{delivered} of {wanted} delivered");
    gateway.stop().await;
    drop(bob);
    tokio::join!(alpha.stop(), beta.stop());
}
