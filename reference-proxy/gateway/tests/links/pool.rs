//! A member of a pool that dies under load: whatever users send is delivered or comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use reference_gateway::Gateway;
use reference_proxy::Clock;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::{Net, PATIENCE};
use crate::{A, B, BOB, Fates, config, file, linked, next, send, sign_in};

/// How often a member dies.
const DEATHS: usize = 12;
/// How many messages are under way then.
const MESSAGES: usize = 300;

/// How far the stream to the partner is when a member dies.
#[derive(Clone, Copy, PartialEq)]
enum Stream {
    /// It is being opened, and all messages wait for it.
    Coming,
    Open,
    /// Open, and the partner acknowledges what it gets.
    Managed,
}

/// Sends messages, and has the first member die after so many. Returns their fates.
async fn die_after(count: usize, stream: Stream) -> Fates {
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = net.settings(A, B, 2);
    settings.partner += "type = 'federated'\n";
    let mut partner = net.settings(B, A, 2);
    if stream == Stream::Managed {
        settings.partner += "stream-management = true\n";
        partner.partner += "stream-management = true\n";
    }
    let (first, second) = (net.start(&settings), net.start(&settings));
    let (beta, mut bob) = net.station(&partner).await;
    let clock = Clock::by_hand();
    let text = file(&net, &[&first, &second], "federated");
    let gateway = Gateway::start_with(config(folder.path(), &text), clock.clone());
    let gateway = gateway.expect("started");
    linked(&gateway, 2).await;
    let mut ana = sign_in(&gateway).await;
    let message = |id: &str| format!("<message id='{id}' to='{BOB}'><body>x</body></message>");
    if stream != Stream::Coming {
        send(&ana, &message("open")).await;
        bob.expect("</message>").await;
    }
    let mut first = Some(first);
    for number in 0..MESSAGES {
        send(&ana, &message(&number.to_string())).await;
        if number == count {
            drop(first.take());
        }
    }
    linked(&gateway, 1).await;
    let mut fates = Fates::default();
    let mut pauses = Pauses::of(&clock);
    let counted = async {
        while fates.0.len() < MESSAGES {
            tokio::select! {
                returned = next(&mut ana) => {
                    fates.enter(&returned);
                }
                arrived = bob.expect("</message>") => {
                    fates.enter(&arrived);
                }
                () = pauses.next() => {}
            }
        }
    };
    if timeout(2 * PATIENCE, counted).await.is_err() {
        let missing = (0..MESSAGES).filter(|number| !fates.0.contains_key(&number.to_string()));
        let missing: Vec<_> = missing.collect();
        panic!("after {count}, vanished: {missing:?}");
    }
    drop((gateway, second, beta));
    fates
}

/// The pauses after which a gateway looks for a member that has died.
struct Pauses<'a> {
    clock: &'a Clock,
    rests: watch::Receiver<()>,
    left: Duration,
}

impl<'a> Pauses<'a> {
    fn of(clock: &'a Clock) -> Self {
        let mut rests = clock.rests().expect("it is moved by hand");
        rests.mark_changed();
        Self {
            clock,
            rests,
            left: Duration::from_secs(10),
        }
    }

    /// Lets a second pass once the gateway rests.
    async fn next(&mut self) {
        self.rests.changed().await.expect("the clock is here");
        let step = self.clock.advance(self.left.min(Duration::from_secs(1)));
        self.left -= step.unwrap_or_default();
    }
}

#[tokio::test]
async fn what_a_member_has_taken_over_comes_back_when_it_dies() {
    const ELSEWHERE: &str = "gamma.example";
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = net.settings(A, B, 2);
    let (first, second) = (net.start(&settings), net.start(&settings));
    let partner = net.listen(B).await;
    let clock = Clock::by_hand();
    // A partner that only the gateway knows.
    let text = file(&net, &[&first, &second], "federated")
        + &format!("[[partner]]\ndomain = '{ELSEWHERE}'\ntype = 'federated'\n");
    let gateway = Gateway::start_with(config(folder.path(), &text), clock.clone());
    let gateway = gateway.expect("started");
    linked(&gateway, 2).await;
    let mut ana = sign_in(&gateway).await;
    for id in ["one", "two"] {
        send(&ana, &format!("<message id='{id}' to='{BOB}'/>")).await;
    }
    // It waits for the partner, and has answered what came before this.
    let accepted = timeout(PATIENCE, partner.accept()).await;
    let _stuck = accepted.expect("in time").expect("a connection");
    send(&ana, &format!("<message id='other' to='x@{ELSEWHERE}'/>")).await;
    let refused = next(&mut ana).await;
    assert!(refused.contains("<policy-violation "), "{refused}");
    drop(first);
    linked(&gateway, 1).await;
    let mut pauses = Pauses::of(&clock);
    for id in ["one", "two"] {
        let returned = async {
            loop {
                tokio::select! {
                    returned = next(&mut ana) => return returned,
                    () = pauses.next() => {}
                }
            }
        };
        let returned = returned.await;
        assert!(
            returned.contains(&format!("id='{id}' type='error'")),
            "{returned}"
        );
        assert!(returned.contains("may have arrived or not"), "{returned}");
    }
    drop((gateway, second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_vanishes_with_a_member_of_a_pool() {
    let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
    for death in 0..DEATHS {
        let count = 7 + death * (MESSAGES - 20) / DEATHS;
        let stream = [Stream::Coming, Stream::Open, Stream::Managed][death % 3];
        let fates = die_after(count, stream).await;
        for fate in fates.0.values().flatten() {
            *sums.entry(fate).or_default() += 1;
        }
    }
    println!("{sums:?}");
    assert!(sums["returned"] > 0, "it has died too late: {sums:?}");
    assert!(sums["delivered"] > MESSAGES, "{sums:?}");
}
