//! How much of the suite runs in each policy.

use std::fmt::Write as _;

use crate::case::{Case, Need};
use crate::policy::PolicyNumber;
use crate::scenario::Library;

/// The policy in which everything is optional.
const OPEN: u8 = 9;

/// How many cases of scenarios show something in a policy.
pub(super) struct Shown {
    row: PolicyNumber,
    cases: usize,
    /// Those that also do where only the wire of a target is seen.
    from_outside: usize,
}

/// The cases of scenarios that show something in each valid policy.
pub(super) fn by_policy(library: &Library) -> Vec<Shown> {
    let valid = PolicyNumber::all().filter(|row| row.policy().valid());
    valid
        .map(|row| {
            let mut cases = library.cases_in(Some(&[row]));
            cases.retain(|case| case.script.unfit.is_none());
            Shown {
                row,
                cases: cases.len(),
                from_outside: cases.iter().filter(|case| has_a_wire(case)).count(),
            }
        })
        .collect()
}

/// Whether a case shows something without anything behind the target.
fn has_a_wire(case: &Case) -> bool {
    let is_inside = |need: &Need| {
        matches!(
            need,
            Need::InnerSide | Need::SecondDomain | Need::SecondSender
        )
    };
    case.script.from_outside().is_some() && !case.script.needs.iter().any(is_inside)
}

/// Formats them in Markdown, with their share of the cases in the policy that leaves most open, and what
/// share of them needs no more than the wire.
pub(super) fn policies_to_markdown(shown: &[Shown]) -> String {
    let most = shown.iter().find(|one| one.row.number() == OPEN);
    let most = most.map_or(1, |one| one.cases);
    let percent = |part: usize, whole: usize| (part * 100 + whole / 2) / whole.max(1);
    let mut out = String::from(
        "| policy | TLS/SASL/dialback | cases | of those of policy 9 | by the wire alone | of all |\n\
         |--:|---|--:|--:|--:|--:|\n",
    );
    for one in shown {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} % | {} | {} % |",
            one.row.number(),
            one.row.policy(),
            one.cases,
            percent(one.cases, most),
            one.from_outside,
            percent(one.from_outside, one.cases),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_three_cases_need_no_inner_side() {
        let shown = by_policy(Library::builtin());
        let all: usize = shown.iter().map(|one| one.cases).sum();
        let wire: usize = shown.iter().map(|one| one.from_outside).sum();
        assert!(wire * 100 >= all * 65, "{wire} of {all}");
    }
}
