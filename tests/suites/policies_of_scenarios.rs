//! The conformance suite against the embedded proxy in policies that its scenarios are not written for.

use rstest::rstest;
use s2spec::oracle::Profile;
use s2spec::policy::PolicyNumber;
use s2spec::scenario::Library;
use s2spec::verdict::Verdict;

use crate::support::{all_cores, others, reference, run};

/// One policy that requires TLS, and one that has none.
#[rstest]
#[case(7)]
#[case(17)]
fn scenarios_hold_in_another_policy(#[case] row: u8) {
    let _cores = all_cores();
    let row = PolicyNumber::new(row).expect("1 to 18");
    let cases = Library::builtin().cases_in(Some(&[row]));
    let records = run(reference(), Profile::default(), &cases);
    assert_eq!(records.len(), cases.len());
    let wrong = others(&records, &[Verdict::Pass, Verdict::Unsupported]);
    assert_eq!(wrong, Vec::<String>::new());
}
