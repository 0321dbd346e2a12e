//! Every policy that ejabberd can express against partners of all sorts, in both directions.

mod support;

use std::io;
use std::sync::Arc;

use s2spec::baseline::{Baseline, Settlement};
use s2spec::case::{Case, Direction, Tag};
use s2spec::lab::Lab;
use s2spec::oracle::Profile;
use s2spec::outcome::Outcome;
use s2spec::record::Record;
use s2spec::subject::ejabberd::Ejabberd;
use s2spec::subject::{Pending, Placement, Running, StartError, Stop, Target};
use s2spec::verdict::Verdict;
use simulated_partners::pki::NameForms;

use support::{all_cases, hold_to_record, root, run};

#[expect(clippy::print_stderr, reason = "says why nothing was tested")]
fn ejabberd() -> Option<Ejabberd> {
    match Ejabberd::find() {
        Ok(ejabberd) => Some(ejabberd),
        Err(why) if std::env::var_os("S2SPEC_REQUIRE_PEERS").is_some() => panic!("{why}"),
        Err(why) => {
            eprintln!("nothing tested against ejabberd: {why}");
            None
        }
    }
}

fn told(record: &Record) -> String {
    format!(
        "{}: {:?}: {}\n{}",
        record.result.case.id, record.verdict, record.why, record.result.wire
    )
}

#[test]
fn a_real_ejabberd_ends_as_the_tables_say() {
    if let Some(ejabberd) = ejabberd() {
        hold_to_record("ejabberd", "ejabberd 23.01-1", Arc::new(ejabberd));
    }
}

/// Areas of the conformance suite that take a few seconds and, without their hostile scenarios, need
/// no timeouts.
const AREAS: [&str; 2] = ["addresses/", "sasl/"];

#[test]
fn a_real_ejabberd_ends_scenarios_as_its_baseline_says() {
    let Some(ejabberd) = ejabberd() else { return };
    let file = root().join("harness/baselines/ejabberd.toml");
    let settlement = Settlement {
        baseline: Some(Baseline::load(&file, all_cases()).expect("the baseline can be read")),
        strict: true,
        ..Settlement::none()
    };
    let selected: Vec<Case> = all_cases()
        .iter()
        .filter(|case| AREAS.iter().any(|area| case.id.starts_with(area)))
        .filter(|case| !case.has_tag(Tag::Hostile))
        .cloned()
        .collect();
    let records = run(Arc::new(ejabberd), Profile::default(), &selected);
    let records: Vec<Record> = records
        .into_iter()
        .map(|record| settlement.judge(record.result))
        .collect();
    let expected = [Verdict::Pass, Verdict::Xfail, Verdict::Unsupported];
    let wrong: Vec<String> = records
        .iter()
        .filter(|record| !expected.contains(&record.verdict))
        .map(told)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(records.len() > 150, "only {} cases ran", records.len());
}

/// ejabberd in a lab whose certificates name domains in all forms.
struct InFull(Ejabberd);

impl Target for InFull {
    fn name(&self) -> String {
        self.0.name()
    }

    fn place(&self, case: &Case) -> Placement {
        self.0.place(case)
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        self.0.start(lab, group, cases)
    }

    fn lab(&self, seed: u64) -> io::Result<Lab> {
        let lab = self.0.lab(seed)?;
        Ok(Lab {
            authority: lab.authority.naming(NameForms::All),
            ..lab
        })
    }
}

/// RFC 6120 §13.7.1.4 has servers accept id-on-xmppAddr. Once this fails, the lab of ejabberd can name
/// domains in full.
#[test]
fn a_real_ejabberd_accepts_a_good_certificate_unless_it_has_an_xmpp_address() {
    let Some(ejabberd) = ejabberd() else { return };
    let selected: Vec<Case> = all_cases()
        .iter()
        .filter(|case| case.id == "personas/row07/modern/inbound")
        .cloned()
        .collect();
    let profile = Profile::default();
    let plain = run(Arc::new(ejabberd), profile, &selected).remove(0);
    assert_eq!(plain.verdict, Verdict::Pass, "{}", told(&plain));
    assert!(matches!(
        plain.result.outcome(),
        Some(Outcome::Established(_))
    ));

    let Some(ejabberd) = self::ejabberd() else {
        return;
    };
    let full = run(Arc::new(InFull(ejabberd)), profile, &selected).remove(0);
    assert_eq!(full.result.case.direction, Direction::Inbound);
    assert_eq!(full.verdict, Verdict::Fail, "{}", told(&full));
    assert!(
        full.result.wire.ends_with("P:auth T:end"),
        "the stream ends instead of an answer: {}",
        told(&full)
    );
}
