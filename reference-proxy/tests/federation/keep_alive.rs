//! Silence and signs of life, on a clock that is moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reference_proxy::{Clock, Proxy, Refusals};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::inbound::admitted;
use crate::support::{Net, PATIENCE, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Waits until a proxy has nothing to do but wait. Returns how often it has had something to do.
pub(crate) async fn rest(clock: &Clock) -> u64 {
    stirs_after(clock, 0).await
}

/// Waits until a proxy has had something to do once more than so often, and has done it.
pub(crate) async fn stirs_after(clock: &Clock, turns: u64) -> u64 {
    let mut rests = clock.rests().expect("it is moved by hand");
    let stirring = async {
        loop {
            match clock.at_rest(true) {
                Some(now) if now > turns => return now,
                _ => rests.changed().await.expect("the clock is there"),
            }
        }
    };
    timeout(PATIENCE, stirring).await.expect("it stirs")
}

/// Lets time pass for a proxy, from one thing that it waits for to the next.
pub(crate) async fn pass(clock: &Clock, mut time: Duration) -> u64 {
    loop {
        let turns = rest(clock).await;
        if time.is_zero() {
            return turns;
        }
        match clock.advance(time) {
            Some(step) => time -= step,
            None => return turns,
        }
    }
}

/// Puts a relay before a proxy, which counts the connections to it.
async fn relay(net: &Net, name: &str, proxy: &Proxy) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((net.here, 0)).await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    net.dns.replace(name, address);
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, target) = (Arc::clone(&count), proxy.external_address());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                if let Ok(mut other) = TcpStream::connect(target).await {
                    let _ = copy_bidirectional(&mut stream, &mut other).await;
                }
            });
        }
    });
    count
}

#[tokio::test]
async fn two_proxies_with_default_settings_keep_a_stream_for_hours() {
    let net = Net::new().await;
    let (here, there) = (Clock::by_hand(), Clock::by_hand());
    let alpha = net.start_with(&net.settings(A, B, 2), here.clone());
    let beta = net.start_with(&net.settings(B, A, 2), there.clone());
    let connections = relay(&net, B, &beta).await;
    let mut alpha_gateway = net.gateway(&alpha, A).await;
    let mut beta_gateway = net.gateway(&beta, B).await;
    for number in 0..40 {
        let sent = message(A, B, &format!("m{number}"));
        alpha_gateway.send(&sent).await;
        assert_eq!(beta_gateway.expect("</message>").await.trim_start(), sent);
        // Each half of a keep-alive interval brings a blank.
        for _ in 0..3 {
            let turns = pass(&there, 150 * SECOND).await;
            pass(&here, 150 * SECOND).await;
            stirs_after(&there, turns).await;
        }
        // All in all less than the time after which a stream without stanzas is closed.
        pass(&there, 90 * SECOND).await;
        pass(&here, 90 * SECOND).await;
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1, "one stream for all");
    assert_eq!(alpha.refusals(), Refusals::default());
    assert_eq!(beta.refusals(), Refusals::default());
    // Without a stanza it ends in order, and the next stanza opens another one.
    pass(&here, 61 * SECOND).await;
    alpha_gateway.send(&message(A, B, "late")).await;
    beta_gateway.expect("id='late'").await;
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    assert_eq!(beta.refusals(), Refusals::default());
}

#[tokio::test]
async fn blanks_keep_an_idle_stream_and_silence_ends_it() {
    let net = Net::new().await;
    let clock = Clock::by_hand();
    let mut settings = net.settings(A, B, 2);
    settings.limits += "stream-inactivity-timeout = '24h'\n";
    let proxy = net.start_with(&settings, clock.clone());
    let mut partner = admitted(&net, &proxy).await;
    for _ in 0..60 {
        let turns = pass(&clock, 4 * MINUTE).await;
        partner.send(" ").await;
        stirs_after(&clock, turns).await;
    }
    pass(&clock, 4 * MINUTE).await;
    assert_eq!(proxy.refusals(), Refusals::default(), "after four hours");
    pass(&clock, 61 * SECOND).await;
    let rest = partner.rest().await;
    assert!(rest.contains("<connection-timeout "), "{rest}");
    let last = &proxy.refusals().last[0].refusal;
    assert_eq!(last.kind.condition, "connection-timeout");
    assert_eq!(last.domain.as_deref(), Some(B));
}
