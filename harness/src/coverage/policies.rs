//! How much of the suite runs in each policy.

use std::fmt::Write as _;

use crate::policy::PolicyNumber;
use crate::scenario::Library;

/// The policy in which everything is optional.
const OPEN: u8 = 9;

/// The cases of scenarios that show something in each valid policy.
pub(super) fn by_policy(library: &Library) -> Vec<(PolicyNumber, usize)> {
    let valid = PolicyNumber::all().filter(|row| row.policy().valid());
    valid
        .map(|row| {
            let cases = library.cases_in(Some(&[row]));
            let fit = cases.iter().filter(|case| case.script.unfit.is_none());
            (row, fit.count())
        })
        .collect()
}

/// Formats them in Markdown, with their share of the cases in the policy that leaves most open.
pub(super) fn policies_to_markdown(counts: &[(PolicyNumber, usize)]) -> String {
    let most = counts.iter().find(|(row, _)| row.number() == OPEN);
    let most = most.map_or(1, |(_, count)| *count);
    let mut out = String::from(
        "| policy | TLS/SASL/dialback | cases | of those of policy 9 |\n|--:|---|--:|--:|\n",
    );
    for (row, count) in counts {
        let percent = (count * 100 + most / 2) / most;
        let _ = writeln!(
            out,
            "| {} | {} | {count} | {percent} % |",
            row.number(),
            row.policy()
        );
    }
    out
}
