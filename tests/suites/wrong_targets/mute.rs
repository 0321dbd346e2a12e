//! Targets that are silent, on the wire or on their inner side, and scenarios that are silent themselves.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rstest::rstest;
use s2spec::case::Case;
use s2spec::lab::Lab;
use s2spec::oracle::Profile;
use s2spec::record::Record;
use s2spec::runner::Deadlines;
use s2spec::scenario::{Catalogue, Library};
use s2spec::subject::{Pending, Placement, Running, StartError, Stop, Target};
use s2spec::verdict::Verdict;
use simulated_partners::document::Source;
use simulated_partners::wire::Element;
use tokio::sync::Semaphore;

use super::tampered::{Front, Tampered, Way, faithful};
use super::{SOON, case, judged_soon, take, tampered, typed};
use crate::support::{collect, others, reference, run_side_by_side, run_within};

const INBOUND: &str = "personas/row09/modern/inbound";
const SCENARIO: &str = "streams/STR-08-header-then-features/row09";

/// A silent target whose own timeout is this.
struct Patient(Option<Duration>);

const SILENT: Tampered = Tampered {
    stanzas: faithful,
    front: Front::Silent,
};

impl Target for Patient {
    fn name(&self) -> String {
        SILENT.name()
    }

    fn place(&self, case: &Case) -> Placement {
        SILENT.place(case)
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let (running, stop) = SILENT.start(lab, group, cases).await?;
            let patience = self.0;
            Ok((
                Running {
                    patience,
                    ..running
                },
                stop,
            ))
        })
    }
}

fn scenario() -> String {
    let mut all = super::all_cases().iter().map(|case| case.id.as_str());
    let found = all.find(|id| id.starts_with("streams/STR-08-header-then-features"));
    found.unwrap_or(SCENARIO).to_owned()
}

#[rstest]
#[case(None, Verdict::Undecided)]
#[case(Some(Duration::from_secs(60)), Verdict::Undecided)]
#[case(Some(Duration::from_millis(500)), Verdict::Fail)]
fn silence_is_a_breach_only_where_it_outlasts_the_targets_own_timeout(
    #[case] patience: Option<Duration>,
    #[case] verdict: Verdict,
) {
    for id in [INBOUND, &scenario()] {
        let record = judged_soon(Patient(patience), id);
        assert_eq!(record.verdict, verdict, "{id}: {}", record.why);
        let reason = record
            .why
            .contains("is no breach: the server's own timeout is");
        assert_eq!(reason, verdict == Verdict::Undecided, "{}", record.why);
    }
}

#[test]
fn a_target_that_returns_nothing_fails_once_for_that() {
    fn returns_nothing(way: Way, stanza: Element) -> Vec<(Way, Element)> {
        match way == Way::In && typed(&stanza, "error") {
            true => Vec::new(),
            false => faithful(way, stanza),
        }
    }
    let ids = [
        INBOUND,
        "personas/row09/google-talk/inbound",
        "personas/row09/modern/outbound",
    ];
    let collected = collect(
        &Arc::new(Semaphore::new(8)),
        Deadlines::default(),
        Arc::new(tampered(returns_nothing)),
        Profile::default(),
        &ids.map(case),
        false,
    );
    for record in &collected.records {
        assert_eq!(record.verdict, Verdict::Pass, "{}", record.why);
        let total = record.result.timings.total;
        assert!(
            total < Duration::from_secs(5),
            "nobody waits again: {total:?}"
        );
    }
    assert!(!collected.breaches.is_empty(), "it is told");
    for breach in &collected.breaches {
        assert!(breach.contains("nobody@unlisted.example"), "{breach}");
    }
    assert_eq!(collected.trouble, Vec::<String>::new());
}

#[test]
fn a_breach_that_cannot_be_undone_ends_the_case() {
    fn loses_requests(way: Way, stanza: Element) -> Vec<(Way, Element)> {
        match way == Way::In && typed(&stanza, "get") {
            true => Vec::new(),
            false => faithful(way, stanza),
        }
    }
    // It waits for a stanza that never comes, but what was offered in clear is enough.
    let target = Tampered {
        stanzas: loses_requests,
        front: Front::Rewritten(
            "</stream:features>",
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>",
        ),
    };
    let id = "personas/row07/google-talk/inbound";
    let record = take(
        run_within(
            Deadlines::within(Duration::from_secs(60)),
            Arc::new(target),
            Profile::default(),
            &[case(id)],
        ),
        id,
    );
    assert_eq!(record.verdict, Verdict::Fail, "{}", record.why);
    let total = record.result.timings.total;
    assert!(total < Duration::from_secs(20), "{total:?}: {}", record.why);
    assert!(
        !record.why.contains("before the deadline"),
        "{}",
        record.why
    );
}

#[test]
fn a_scenario_that_never_sent_its_stanza_says_nothing_of_the_target() {
    let text = r#"format = 1
title = "The inner side waits for a signal that is never raised"
requirements = ["DLV-01"]
direction = "outbound"
no-control = "it is not about the target"

[[reaction]]
when = "stream-end"
do = [{ raise = "down" }, "proceed"]

[[local]]
send = "<message from='juliet@{target}' to='romeo@{domain}' id='{probe}'><body>a</body></message>"

[[local]]
send = "<message from='juliet@{target}' to='romeo@{domain}' id='{probe}-b'><body>b</body></message>"
when = "down"

[[expect]]
sees = "returned"
with = { id = "{probe}-b" }
"#;
    let source = Source::new("delivery/DLV-01-never-sent.toml", text);
    let (library, wrong) = Library::read(&[source], Catalogue::builtin());
    assert!(wrong.is_empty(), "{wrong:?}");
    let cases = library.cases();
    let records = run_within(
        Deadlines::within(4 * SOON),
        reference(),
        Profile::default(),
        &cases,
    );
    assert_eq!(records.len(), cases.len());
    for record in records {
        assert_eq!(record.verdict, Verdict::Error, "{}", record.why);
        let told = record.why.contains("the inner side never sent");
        assert!(
            told && record.why.contains("raised `down`"),
            "{}",
            record.why
        );
    }
}

#[test]
fn a_case_that_shows_all_it_expects_still_waits_for_its_outcome() {
    let text = r#"format = 1
title = "A partner that takes its time between the features and its choice"
requirements = ["SAS-01"]
direction = "inbound"
policies = [9]
no-control = "it is not about the target"
outcome = ["sasl-tls"]

[[reaction]]
when = "features-received"
stage = "secured"
do = [{ wait = 900 }, "proceed"]

[[expect]]
sees = "features"
stage = "secured"
has = ["mechanisms/mechanism=EXTERNAL"]
"#;
    let source = Source::new("sasl/SAS-01-slow.toml", text);
    let (library, wrong) = Library::read(&[source], Catalogue::builtin());
    assert!(wrong.is_empty(), "{wrong:?}");
    let deadlines = Deadlines::within(Duration::from_secs(20));
    for record in run_within(deadlines, reference(), Profile::default(), &library.cases()) {
        assert_eq!(record.verdict, Verdict::Pass, "{}", record.why);
    }
}

#[test]
fn a_case_fails_only_if_it_had_all_its_time_or_nothing_ever_came() {
    /// A target that delivers nothing at first.
    fn late_to_deliver(way: Way, stanza: Element) -> Vec<(Way, Element)> {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        if way == Way::Out || !typed(&stanza, "get") {
            return faithful(way, stanza);
        }
        let waits = BEGAN.get_or_init(Instant::now).elapsed() < Duration::from_secs(3);
        if waits {
            Vec::new()
        } else {
            faithful(way, stanza)
        }
    }
    let is_inbound =
        |case: &&Case| case.id.starts_with("offers/row") && case.id.ends_with("good/inbound");
    let cases = super::all_cases().iter().filter(is_inbound);
    let cases: Vec<Case> = cases.cloned().collect();
    assert!(cases.len() > 30, "only {}", cases.len());
    let wait = Duration::from_secs(4);
    let target = Arc::new(tampered(late_to_deliver));
    // The first of them wait in vain, and others for a shorter time, before the last is begun.
    for record in run_side_by_side(2, Deadlines::within(wait), target, &cases) {
        // The partner has half of it.
        let had_time = record.result.timings.total >= wait / 2;
        let id = &record.result.case.id;
        // A refusal whose control had no luck is not about its own time.
        let fails = record.verdict == Verdict::Fail && !record.why.contains("its control");
        assert!(had_time || !fails, "{id}: {}", record.why);
    }
}

#[test]
fn where_nothing_comes_in_only_some_cases_have_all_their_time() {
    /// Loses what comes from partners, except on a stream that is used both ways.
    fn loses_all(way: Way, stanza: Element) -> Vec<(Way, Element)> {
        let from = stanza.attribute("from").unwrap_or_default();
        let is_lost = way == Way::In && !typed(&stanza, "error") && !from.contains(".bidi.");
        match is_lost {
            true => Vec::new(),
            false => faithful(way, stanza),
        }
    }
    let is_meant = |case: &&Case| {
        let in_rows = [7, 9, 13].contains(&case.row.number());
        let is_inbound = case.id.starts_with("offers/") && case.id.ends_with("/inbound");
        in_rows && is_inbound || case.id == "bidi/BD-09-only-between-the-two/control"
    };
    let cases: Vec<Case> = (super::all_cases().iter().filter(is_meant))
        .cloned()
        .collect();
    let wait = Duration::from_secs(16);
    let target = Arc::new(tampered(loses_all));
    let records = run_side_by_side(8, Deadlines::within(wait), target, &cases);
    let failed = others(&records, &[Verdict::Pass, Verdict::Warn]).len();
    assert!(failed > 40, "only {failed} of {}", cases.len());
    let took = |record: &&Record| record.result.timings.total >= wait / 2;
    let long: Vec<&str> = (records.iter().filter(took))
        .map(|record| record.result.case.id.as_str())
        .collect();
    assert!(long.len() <= 16, "{}: {long:?}", long.len());
}
