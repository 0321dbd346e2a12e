//! Each valid row against each: which messages arrive, and by which method their pairs authenticated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Net, Settings, message, row};

/// The valid rows with the methods that they allow, best first: SASL over TLS, dialback over TLS,
/// dialback over plain TCP.
const ROWS: [(u8, &str); 13] = [
    (1, "S"),
    (2, "S"),
    (3, "SLC"),
    (4, "S"),
    (5, "C"),
    (7, "SL"),
    (8, "S"),
    (9, "SLC"),
    (10, "S"),
    (11, "C"),
    (13, "L"),
    (15, "LC"),
    (17, "C"),
];

fn alpha(number: u8) -> String {
    format!("a{number}.example")
}

fn beta(number: u8) -> String {
    format!("b{number}.example")
}

/// The methods by which pairs were authenticated, as the log has them.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<BTreeMap<String, BTreeSet<char>>>>);

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    pair: String,
    method: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "pair" => self.pair = text,
            "method" => self.method = text,
            _ => {}
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("reference_proxy")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.message != "pair authenticated" {
            return;
        }
        let letter = match fields.method.as_str() {
            "sasl-tls" => 'S',
            "tls-dialback" => 'L',
            "tcp-dialback" => 'C',
            other => panic!("a method called {other}"),
        };
        let mut pairs = self.0.lock().expect("a log");
        pairs.entry(fields.pair).or_default().insert(letter);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A proxy for one domain of each row, whose partners are those of the other side, one for each row.
fn settings(net: &Net, own: fn(u8) -> String, theirs: fn(u8) -> String, more: &str) -> Settings {
    let own: Vec<String> = ROWS.iter().map(|(number, _)| own(*number)).collect();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let mut settings = net.settings_of(&own, &["unused.example"], 17);
    for (number, _) in ROWS {
        let (domain, terms) = (theirs(number), row(number));
        settings.partner += &format!("[[partner]]\ndomain = '{domain}'\n{terms}{more}");
    }
    settings
}

/// Sends a message for each combination in each direction, those of one partner at once. Each has to arrive
/// where the two rows have a method in common, by such a one, and to come back where they have none.
async fn all_combinations(more: &str, shared: bool) {
    let log = Log::default();
    let _default = tracing::subscriber::set_default(log.clone());
    let net = Net::new().await;
    let (one, mut one_gateway) = net.station_of_all(&settings(&net, alpha, beta, more)).await;
    let (two, mut two_gateway) = net.station_of_all(&settings(&net, beta, alpha, more)).await;
    let mut methods = BTreeMap::new();
    for (b, of_b) in ROWS {
        // A line that another test reached while this log was being set is taken for one that nobody wants.
        tracing::callsite::rebuild_interest_cache();
        let mut at_one = BTreeSet::new();
        let mut at_two = BTreeSet::new();
        for (a, of_a) in ROWS {
            let common: Vec<char> = of_a.chars().filter(|one| of_b.contains(*one)).collect();
            let (there, back) = (
                format!("{}-{}", alpha(a), beta(b)),
                format!("{}-{}", beta(b), alpha(a)),
            );
            one_gateway
                .send(&message(&alpha(a), &beta(b), &there))
                .await;
            two_gateway.send(&message(&beta(b), &alpha(a), &back)).await;
            if common.is_empty() {
                at_one.insert(format!("{there} returned"));
                at_two.insert(format!("{back} returned"));
            } else {
                at_two.insert(format!("{there} arrived"));
                at_one.insert(format!("{back} arrived"));
            }
            methods.insert(format!("{} to {}", alpha(a), beta(b)), common.clone());
            methods.insert(format!("{} to {}", beta(b), alpha(a)), common);
        }
        for (gateway, expected) in [(&mut one_gateway, at_one), (&mut two_gateway, at_two)] {
            let mut seen = BTreeSet::new();
            for _ in &expected {
                seen.insert(fate(&gateway.expect("</message>").await));
            }
            assert_eq!(seen, expected);
        }
    }
    let log = log.0.lock().expect("a log").clone();
    let possible = methods.values().filter(|common| !common.is_empty());
    assert_eq!(log.len(), possible.count(), "pairs that were authenticated");
    for (pair, used) in &log {
        let common = &methods[pair];
        for method in used {
            // A pair that shares a stream is authenticated by dialback there.
            let fits = match shared {
                true => common.contains(method),
                false => common.first() == Some(method),
            };
            assert!(fits, "{pair} by {method}, of {common:?}");
        }
    }
    drop((one_gateway, two_gateway));
    tokio::join!(one.stop(), two.stop());
}

/// Whose message it is, and whether it arrived.
fn fate(stanza: &str) -> String {
    let text = stanza.split("id='").nth(1);
    let text = text.and_then(|rest| rest.split('\'').next());
    let text = text.expect("an id");
    match stanza.contains("type='error'") {
        true => format!("{text} returned"),
        false => format!("{text} arrived"),
    }
}

#[tokio::test]
async fn each_valid_row_against_each_other() {
    all_combinations("", true).await;
}

#[tokio::test]
async fn each_valid_row_against_each_other_without_sharing() {
    all_combinations("multiplexing = false\n", false).await;
}
