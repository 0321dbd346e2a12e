//! Every policy that ejabberd supports against all kinds of partners, in both directions.

use std::io;
use std::sync::Arc;

use s2spec::case::Case;
use s2spec::lab::Lab;
use s2spec::oracle::Profile;
use s2spec::subject::built_in::BuiltIn;
use s2spec::subject::{Pending, Placement, Running, StartError, Stop, Target};
use s2spec::verdict::Verdict;
use simulated_partners::pki::NameForms;

use crate::support::{all_cases, built_in, hold_to_record, run};

/// Areas of the conformance suite that take a few seconds and, without their hostile scenarios, need
/// no timeouts.
const AREAS: [&str; 2] = ["addresses", "sasl"];

/// The timer of its own stream and that of the partner's run out together, and either may be first.
const RACES: [&str; 2] = [
    "personas/row11/silent-after-accept/inbound",
    "personas/row17/silent-after-accept/inbound",
];

#[test]
fn a_real_ejabberd_ends_as_recorded() {
    if let Some(ejabberd) = built_in("ejabberd") {
        hold_to_record(
            "ejabberd",
            "ejabberd 23.01-1",
            Arc::new(ejabberd),
            &AREAS,
            &RACES,
        );
    }
}

/// ejabberd in a lab whose certificates have all types of names.
struct InFull(BuiltIn);

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
        let mut lab = self.0.lab(seed)?;
        lab.authority = lab.authority.naming(NameForms::All);
        Ok(lab)
    }
}

/// RFC 6120 §13.7.1.4 has servers accept id-on-xmppAddr. Once this fails, the lab of ejabberd can name
/// domains in full. That it accepts the same certificate without one, the snapshot says.
#[test]
fn a_real_ejabberd_ends_a_stream_whose_certificate_has_an_xmpp_address() {
    let Some(ejabberd) = built_in("ejabberd") else {
        return;
    };
    let selected: Vec<Case> = all_cases()
        .iter()
        .filter(|case| case.id == "personas/row07/modern/inbound")
        .cloned()
        .collect();
    let record = run(Arc::new(InFull(ejabberd)), Profile::default(), &selected).remove(0);
    let told = format!(
        "{:?}: {}\n{}",
        record.verdict, record.why, record.result.wire
    );
    assert_eq!(record.verdict, Verdict::Fail, "{told}");
    assert!(
        record.result.wire.ends_with("P:auth T:end"),
        "the stream ends instead of an answer: {told}"
    );
}
