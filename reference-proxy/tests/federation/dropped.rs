//! Stanzas that nobody gets, which the log tells of.

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::outbound::{take_key, valid};
use crate::support::{Net, PATIENCE, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} ", event.metadata().level()));
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Log {
    /// The lines about dropped stanzas, at a level that is shown.
    fn dropped(&self) -> Vec<String> {
        let lines = self.0.lock().expect("no panic");
        let dropped = |line: &&String| line.contains("stanza dropped") && line.starts_with("INFO");
        lines.iter().filter(dropped).cloned().collect()
    }
}

#[tokio::test]
async fn each_stanza_of_a_gateway_that_nobody_gets_leaves_a_line() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
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
            while log.dropped().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, line).await.expect("a line in time");
        let dropped = log.dropped();
        log.0.lock().expect("no panic").clear();
        assert_eq!(dropped.len(), 1, "{dropped:?}");
        assert!(dropped[0].contains(why), "{dropped:?}");
    }
    drop(proxy);
}

#[tokio::test]
async fn a_partners_stanza_that_comes_the_wrong_way_leaves_a_line() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
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
    let dropped = log.dropped();
    let [early, late] = &dropped[..] else {
        panic!("{dropped:?}");
    };
    assert!(early.contains("early") && late.contains("late"));
    assert!(!early.contains("<body>"), "{early}");
    drop((proxy, gateway));
}
