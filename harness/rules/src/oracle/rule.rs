//! A rule, and the first matching rule of a table.

use super::premises::Premises;
use crate::expectation::{Allowed, Expectation};

/// A row of a rule table. The first matching row decides.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, such as `out.6.good.external`: the step in the table, then what distinguishes it.
    pub id: &'static str,
    /// The clause behind it.
    pub clause: &'static str,
    /// The rule in a sentence.
    pub says: &'static str,
    /// Whether it applies, given that no earlier row did.
    pub(super) holds: fn(&Premises) -> bool,
    /// The allowed ends, the expected one first.
    pub(super) ends: fn(&Premises) -> Vec<Allowed>,
}

/// The allowed ends of the first matching rule.
pub(super) fn decide(rules: &[Rule], given: &Premises) -> Expectation {
    let rule = rules
        .iter()
        .find(|rule| (rule.holds)(given))
        .expect("the last line of each table always holds");
    Expectation {
        rule: rule.id,
        clause: rule.clause,
        allowed: merged((rule.ends)(given)),
    }
}

/// Each end once, in order of first appearance; without a reason if any copy has none.
fn merged(ends: Vec<Allowed>) -> Vec<Allowed> {
    let mut merged: Vec<Allowed> = Vec::with_capacity(ends.len());
    for allowed in ends {
        match merged.iter_mut().find(|known| known.end == allowed.end) {
            Some(known) => known.warn = known.warn.and(allowed.warn),
            None => merged.push(allowed),
        }
    }
    merged
}
