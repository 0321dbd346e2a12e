//! The sets `settings` and `failover`: what each setting of an administrator means, and what a pool of two owes.
//!
//! Each module has a table of rules with the clause behind each, and makes cases of every combination of its
//! axes. The tables are written from the documentation of Lync Server 2013 and from the standards. Like the
//! oracle they know nothing of the proxy or the runner.

mod domains;
mod draft;
mod failover;
mod limits;
mod policies;
mod reload;
mod talk;
mod times;
mod types;
mod validation;

use crate::case::{Case, Rule, Set};

/// The cases of one of the two sets, in order; none for others.
pub fn cases_of(set: Set) -> Vec<Case> {
    match set {
        Set::Settings => [
            types::cases(),
            policies::cases(),
            limits::cases(),
            domains::cases(),
            times::cases(),
            validation::cases(),
            reload::cases(),
        ]
        .concat(),
        Set::Failover => failover::cases(),
        Set::Personas | Set::Policies | Set::Offers | Set::Scenarios => Vec::new(),
    }
}

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    types::rules()
        .chain(policies::rules())
        .chain(limits::rules())
        .chain(domains::rules())
        .chain(times::rules())
        .chain(validation::rules())
        .chain(reload::rules())
        .chain(failover::rules())
}

/// The rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> Vec<Case> {
        [cases_of(Set::Settings), cases_of(Set::Failover)].concat()
    }

    #[test]
    fn each_rule_has_one_id_a_clause_and_a_sentence() {
        let mut ids = BTreeSet::new();
        for rule in rules() {
            assert!(ids.insert(rule.id), "{} twice", rule.id);
            assert!(
                !rule.clause.is_empty() && rule.says.ends_with('.'),
                "{}",
                rule.id
            );
        }
    }

    #[test]
    fn each_rule_decides_a_case_and_each_case_has_a_rule_of_the_tables() {
        let mut used = BTreeSet::new();
        for case in all() {
            let administration = case.administration().expect("it has one");
            let id = administration.rule.id;
            assert_eq!(rule(id), Some(administration.rule), "{}", case.id);
            used.insert(id);
        }
        let known: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
        assert_eq!(used, known);
    }

    #[test]
    fn ids_are_different_and_each_case_wants_something() {
        let mut ids = BTreeSet::new();
        for case in all() {
            assert!(
                case.id.starts_with(&format!("{}/", case.set)),
                "{}",
                case.id
            );
            assert!(ids.insert(case.id.clone()), "{} twice", case.id);
            let positive = case.script.expect.iter().any(|one| !one.is_negative());
            let refused = !case.script.outcome.is_empty();
            assert!(positive || refused, "{} waits for nothing", case.id);
        }
    }
}
