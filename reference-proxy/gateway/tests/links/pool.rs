//! A member of a pool that dies under load: whatever users send is delivered or comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use reference_gateway::Gateway;
use reference_proxy::Clock;
use tokio::time::timeout;

use crate::support::{Net, PATIENCE};
use crate::{A, B, BOB, Fates, config, file, linked, next, send, sign_in};

/// How often a member dies.
const DEATHS: usize = 12;
/// How many messages are under way then.
const MESSAGES: usize = 300;

/// Sends messages, and has the first member die after so many. Returns their fates.
async fn die_after(count: usize, is_managed: bool) -> Fates {
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = net.settings(A, B, 2);
    settings.partner += "type = 'federated'\n";
    let mut partner = net.settings(B, A, 2);
    if is_managed {
        settings.partner += "stream-management = true\n";
        partner.partner += "stream-management = true\n";
    }
    // Nobody else listens there after its death.
    let own = format!("127.0.1.{}", count % 250 + 1);
    let mut first = net.settings(A, B, 2);
    first.partner.clone_from(&settings.partner);
    first.internal = first.internal.replace("127.0.0.1", &own);
    let (first, second) = (net.start(&first), net.start(&settings));
    let (beta, mut bob) = net.station(&partner).await;
    let clock = Clock::by_hand();
    let mut rests = clock.rests().expect("it is moved by hand");
    let text = file(&net, &[&first, &second], "federated");
    let gateway = Gateway::start_with(config(folder.path(), &text), clock.clone());
    let gateway = gateway.expect("started");
    linked(&gateway, 2).await;
    let mut ana = sign_in(&gateway).await;
    let message = |id: &str| format!("<message id='{id}' to='{BOB}'><body>x</body></message>");
    send(&ana, &message("open")).await;
    bob.expect("</message>").await;
    let mut first = Some(first);
    for number in 0..MESSAGES {
        send(&ana, &message(&number.to_string())).await;
        if number == count {
            drop(first.take());
        }
    }
    linked(&gateway, 1).await;
    let mut fates = Fates::default();
    // The pauses after which it looks for the one that died.
    let mut pauses = Duration::from_secs(10);
    let counted = async {
        while fates.0.len() < MESSAGES {
            tokio::select! {
                returned = next(&mut ana) => {
                    fates.enter(&returned);
                }
                arrived = bob.expect("</message>") => {
                    fates.enter(&arrived);
                }
                _ = rests.changed() => {
                    let step = clock.advance(pauses.min(Duration::from_secs(1)));
                    pauses = pauses.saturating_sub(step.unwrap_or_default());
                }
            }
        }
    };
    if timeout(2 * PATIENCE, counted).await.is_err() {
        let missing = (0..MESSAGES).filter(|number| !fates.0.contains_key(&number.to_string()));
        panic!("after {count}, vanished: {:?}", missing.collect::<Vec<_>>());
    }
    drop((gateway, second, beta));
    fates
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_vanishes_with_a_member_of_a_pool() {
    let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
    for death in 0..DEATHS {
        let count = 7 + death * (MESSAGES - 20) / DEATHS;
        let fates = die_after(count, death % 2 == 0).await;
        for fate in fates.0.values().flatten() {
            *sums.entry(fate).or_default() += 1;
        }
    }
    println!("{sums:?}");
    assert!(sums["returned"] > 0, "it has died too late: {sums:?}");
    assert!(sums["delivered"] > MESSAGES, "{sums:?}");
}
