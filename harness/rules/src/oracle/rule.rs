//! A rule, and the first one of a table that holds.

use super::premises::Premises;
use crate::expectation::{Allowed, Expectation};

/// A line of a rule table. The first line that holds decides.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, such as `out.6.good.external`: the step of the table, then what tells it apart.
    pub id: &'static str,
    /// The clause behind it.
    pub clause: &'static str,
    /// What it says, in a sentence.
    pub says: &'static str,
    /// Whether it decides, given that no earlier line did.
    pub(super) holds: fn(&Premises) -> bool,
    /// The allowed ends, the expected one first.
    pub(super) ends: fn(&Premises) -> Vec<Allowed>,
}

/// What the first rule that holds allows.
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

/// Each end once, at its first place; free of a ground if it is so anywhere.
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
