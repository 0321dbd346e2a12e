//! Stanzas that nobody gets, which the log tells of.

use tokio::time::timeout;

use crate::log::Log;
use crate::outbound::{take_key, valid};
use crate::support::{Net, PATIENCE, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";

/// The lines about dropped stanzas, at a level that is shown.
fn dropped(log: &Log) -> Vec<String> {
    let dropped = |line: &String| line.contains("stanza dropped") && line.starts_with("INFO");
    log.lines().into_iter().filter(dropped).collect()
}

#[tokio::test]
async fn each_stanza_of_a_gateway_that_nobody_gets_leaves_a_line() {
    let log = Log::default();
    let _logging = log.listen();
    let net = Net::new().await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 9)).await;
    // A line that another test reached while this log was being set is taken for one that nobody wants.
    tracing::callsite::rebuild_interest_cache();
    for (stanza, why) in [
        (
            "<message to='v@beta.example' id='1'/>",
            "'from' and 'to' have to be addresses",
        ),
        (
            "<message from='u@alpha.example' to='v@gamma.example' id='2' type='error'/>",
            "no federation with this domain",
        ),
        (
            "<iq from='u@alpha.example' to='v@beta.example' id='3' type='result'/>",
            "no address found for beta.example",
        ),
        (
            "<iq from='u@alpha.example' to='v@beta.example' id='4' type='result'/>",
            "not tried again for",
        ),
    ] {
        gateway.send(stanza).await;
        // One that comes back, after it.
        gateway.send(&message(A, "gamma.example", "next")).await;
        gateway.expect("id='next'").await;
        // A lookup takes longer than a refusal.
        let line = async {
            while dropped(&log).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, line).await.expect("a line in time");
        let lines = dropped(&log);
        log.clear();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(why), "{lines:?}");
    }
    drop(proxy);
}

#[tokio::test]
async fn a_partners_stanza_that_comes_the_wrong_way_leaves_a_line() {
    let log = Log::default();
    let _logging = log.listen();
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    // A line that another test reached while this log was being set is taken for one that nobody wants.
    tracing::callsite::rebuild_interest_cache();
    gateway.send(&message(A, B, "there")).await;
    let mut partner = take_key(&listener).await;
    partner.send(&message(B, A, "early")).await;
    partner.send(&valid()).await;
    partner.expect("id='there'").await;
    partner.send(&message(B, A, "late")).await;
    partner.send("</stream:stream>").await;
    partner.expect("</stream:stream>").await;
    let lines = dropped(&log);
    let [early, late] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(early.contains("early") && late.contains("late"));
    assert!(!early.contains("<body>"), "{early}");
    drop((proxy, gateway));
}
