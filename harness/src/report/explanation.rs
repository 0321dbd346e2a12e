//! The shortest conditions that cover what went wrong in the matrix, and nothing that went well.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::saved::{Case, Saved};
use crate::oracle;
use crate::transcript::printable;

/// More conditions at once explain nothing to a reader.
const CONDITIONS: usize = 3;
/// How many beginnings of an explanation are followed further.
const FOLLOWED: usize = 500;
/// How many explanations are made; what they do not cover is counted.
const MOST: usize = 12;

/// What cases of the matrix that ended alike have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    /// What all cases with these conditions show; none of the others is among them.
    pub(super) conditions: Vec<String>,
    /// What is said of each of the cases, where that is the same.
    pub(super) why: Option<String>,
    /// The cases, by id.
    pub(super) cases: Vec<String>,
}

/// The explanations of one verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Explanations {
    /// Those that cover most cases first.
    pub(super) found: Vec<Explanation>,
    /// The cases that no short explanation covers.
    pub(super) rest: Vec<String>,
}

/// A set of cases by number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Set(Vec<u64>);

impl Set {
    fn of(size: usize, members: impl Iterator<Item = usize>) -> Self {
        let mut set = Self(vec![0; size.div_ceil(64)]);
        for at in members {
            set.0[at / 64] |= 1 << (at % 64);
        }
        set
    }

    fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & !b).collect())
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn members(&self) -> impl Iterator<Item = usize> {
        let bits = |(at, word): (usize, &u64)| {
            let word = *word;
            (0..64)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| at * 64 + bit)
        };
        self.0.iter().enumerate().flat_map(bits)
    }
}

impl Explanations {
    /// How much there is to read.
    fn len(&self) -> usize {
        self.found.len() + self.rest.len()
    }
}

/// Explains the cases of the matrix with this verdict, among those that ran: all at once, or those that are
/// wrong in one way after those of another, whichever is shorter.
pub(super) fn explain(saved: &Saved, verdict: &str) -> Explanations {
    let ran = |case: &&Case| case.is_of_matrix() && case.ran() && case.verdict != "error";
    let cases: Vec<&Case> = saved.cases.iter().filter(ran).collect();
    let bad = |(_, case): &(usize, &&Case)| case.verdict == verdict;
    let mut ways: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate().filter(bad) {
        ways.entry(&case.why).or_default().push(at);
    }
    let mut ways: Vec<Set> = ways
        .into_values()
        .map(|members| Set::of(cases.len(), members.into_iter()))
        .collect();
    ways.sort_by_key(|way| std::cmp::Reverse(way.len()));
    let all = Set::of(
        cases.len(),
        cases.iter().enumerate().filter(bad).map(|(at, _)| at),
    );
    let at_once = cover(&cases, &[all]);
    match ways.len() {
        0 | 1 => at_once,
        _ => {
            let apart = cover(&cases, &ways);
            if apart.len() < at_once.len() {
                apart
            } else {
                at_once
            }
        }
    }
}

/// Explains the cases of each set.
fn cover(cases: &[&Case], sets: &[Set]) -> Explanations {
    let everything = Set::of(cases.len(), 0..cases.len());
    let mut explanations = Explanations::default();
    for set in sets {
        if explanations.found.len() == MOST {
            let ids = set.members().map(|at| cases[at].id.clone());
            explanations.rest.extend(ids);
            continue;
        }
        let conditions = conditions(cases, set);
        let others = everything.without(set);
        let mut open = set.clone();
        while explanations.found.len() < MOST {
            let Some((chosen, covered)) = best(&conditions, &open, &others) else {
                break;
            };
            let chosen = chosen.into_iter().map(|at| conditions[at].0.clone());
            explanations
                .found
                .push(explanation(chosen.collect(), cases, &covered.and(set)));
            open = open.without(&covered);
        }
        explanations
            .rest
            .extend(open.members().map(|at| cases[at].id.clone()));
    }
    explanations
}

fn explanation(conditions: Vec<String>, cases: &[&Case], covered: &Set) -> Explanation {
    let whys: BTreeSet<&str> = covered.members().map(|at| cases[at].why.as_str()).collect();
    Explanation {
        conditions,
        why: match whys.len() {
            1 => whys.first().map(|why| printable(why)),
            _ => None,
        },
        cases: covered.members().map(|at| cases[at].id.clone()).collect(),
    }
}

/// Each value of each axis that a case to be explained has, with the cases that have it. Rules and the names of
/// partners come last: what they are about says more.
fn conditions(cases: &[&Case], bad: &Set) -> Vec<(String, Set)> {
    let mut of_value: BTreeMap<(bool, String), Vec<usize>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate() {
        for value in values(case) {
            of_value.entry((false, value)).or_default().push(at);
        }
        let rule = case.allowed.as_ref().map(|one| rule_text(&one.rule));
        let name = format!("partner {}", case.partner.name);
        for value in rule.into_iter().chain([name]) {
            of_value.entry((true, value)).or_default().push(at);
        }
    }
    let sets = of_value
        .into_iter()
        .map(|((_, value), members)| (value, Set::of(cases.len(), members.into_iter())));
    // What all cases have explains nothing.
    sets.filter(|(_, set)| set.meets(bad) && set.len() < cases.len())
        .collect()
}

/// The conjunction of few conditions that covers most of what is open and nothing that is good; of two that
/// cover as much, the shorter one.
fn best(conditions: &[(String, Set)], open: &Set, good: &Set) -> Option<(Vec<usize>, Set)> {
    struct Partial {
        chosen: Vec<usize>,
        /// What it covers of what is open.
        open: Set,
        /// All that it covers.
        all: Set,
    }
    let mut found: Option<(usize, Vec<usize>, Set)> = None;
    let everything = open.0.len() * 64;
    let mut partial = vec![Partial {
        chosen: Vec::new(),
        open: open.clone(),
        all: Set::of(everything, 0..everything),
    }];
    for _ in 0..CONDITIONS {
        let mut longer = Vec::new();
        for one in &partial {
            let from = one.chosen.last().map_or(0, |last| last + 1);
            for (at, (_, set)) in conditions.iter().enumerate().skip(from) {
                let open = one.open.and(set);
                let count = open.len();
                if count == 0 || found.as_ref().is_some_and(|(most, ..)| count <= *most) {
                    continue;
                }
                let all = one.all.and(set);
                let chosen = [one.chosen.as_slice(), &[at]].concat();
                if all.meets(good) {
                    longer.push(Partial { chosen, open, all });
                } else {
                    found = Some((count, chosen, all));
                }
            }
        }
        longer.sort_by_key(|one| std::cmp::Reverse(one.open.len()));
        longer.truncate(FOLLOWED);
        partial = longer;
    }
    found.map(|(_, chosen, all)| (chosen, all))
}

/// A rule with what it says.
fn rule_text(id: &str) -> String {
    match oracle::rule(id) {
        Some(rule) => format!("rule {id} (“{}”)", rule.says.trim_end_matches('.')),
        None => format!("rule {id}"),
    }
}

/// A case in the words of the matrix's axes.
fn values(case: &Case) -> Vec<String> {
    let policy = &case.policy;
    let mut values = vec![
        format!("target's TLS {}", policy.tls),
        format!("target's SASL {}", policy.sasl),
        format!(
            "target's dialback {}",
            if policy.dialback { "on" } else { "off" }
        ),
        match case.direction.as_str() {
            "inbound" => "partner dials".to_owned(),
            _ => "target dials".to_owned(),
        },
    ];
    if let Some(end) = case.allowed.as_ref().and_then(|one| one.allowed.first()) {
        values.push(format!("expected {}", end.words()));
    }
    let certificate = case.partner.offer.get("certificate");
    if certificate.is_some_and(|kind| kind != "good") {
        values.push("partner's certificate not good".to_owned());
    }
    for (name, value) in case.partner.offer.iter().chain(&case.partner.facts) {
        let name = name.replace('_', "-");
        let value = match value {
            Value::String(word) => word.clone(),
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Value::Array(all) => {
                let words: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
                words.join(" and ")
            }
            _ => continue,
        };
        values.push(format!("partner's {name} {value}"));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of personas of three kinds in two policies, and why some fail.
    fn report(fails: impl Fn(&str, &str, &str) -> &'static str) -> Saved {
        let mut cases = Vec::new();
        for tls in ["required", "optional"] {
            for certificate in ["good", "expired", "self-signed"] {
                for direction in ["inbound", "outbound"] {
                    let why = fails(tls, certificate, direction);
                    let verdict = if why.is_empty() { "pass" } else { "fail" };
                    cases.push(serde_json::json!({
                        "id": format!("personas/{tls}/{certificate}/{direction}"), "set": "personas",
                        "direction": direction, "row": 7, "verdict": verdict, "allowed": null, "outcome": null,
                        "policy": {"tls": tls, "sasl": "optional", "dialback": true},
                        "partner": {"name": certificate, "title": "t", "offer": {"tls": "offered", "certificate": certificate}},
                        "reason": null, "why": why, "scenario": null, "control": null, "findings": [],
                        "added_as_control": false, "wire": "",
                    }));
                }
            }
        }
        let document = serde_json::json!({
            "schema": 4, "tool": {"name": "s2spec", "version": "1"}, "target": "t", "seed": 1, "partial": false,
            "interrupted": false, "rounds": 1, "summary": {}, "breaches": [], "unneeded": [], "trouble": [],
            "causes": [], "requirements": [], "cases": cases, "times": {"elapsed_us": 0, "cases": {}},
        });
        Saved::read(&document.to_string()).expect("a report")
    }

    fn explained(fails: impl Fn(&str, &str, &str) -> &'static str) -> Vec<(String, usize)> {
        let explanations = explain(&report(fails), "fail");
        assert_eq!(explanations.rest, [""; 0]);
        let found = explanations.found.into_iter();
        found
            .map(|one| (one.conditions.join(" and "), one.cases.len()))
            .collect()
    }

    fn failing(fails: bool) -> &'static str {
        if fails { "it is wrong" } else { "" }
    }

    #[test]
    fn one_axis_is_one_condition() {
        let found = explained(|_, certificate, _| failing(certificate == "expired"));
        assert_eq!(found, [("partner's certificate expired".to_owned(), 4)]);
        let found = explained(|_, certificate, _| failing(certificate != "good"));
        assert_eq!(found, [("partner's certificate not good".to_owned(), 8)]);
    }

    #[test]
    fn two_axes_are_two_conditions() {
        let found =
            explained(|tls, certificate, _| failing(tls == "optional" && certificate == "expired"));
        let conditions = "partner's certificate expired and target's TLS optional";
        assert_eq!(found, [(conditions.to_owned(), 2)]);
    }

    #[test]
    fn several_kinds_are_several_explanations() {
        let found = explained(|tls, certificate, direction| {
            failing((tls == "optional" && direction == "inbound") || certificate == "expired")
        });
        assert_eq!(
            found,
            [
                ("partner's certificate expired".to_owned(), 4),
                ("partner dials and target's TLS optional".to_owned(), 3)
            ]
        );
        assert_eq!(explained(|_, _, _| ""), []);
    }

    #[test]
    fn what_is_wrong_in_two_ways_is_explained_by_way() {
        let fails = |tls: &str, certificate: &str, direction: &str| match (tls, direction) {
            ("optional", "inbound") => "the key is wrong",
            ("required", "outbound") if certificate != "good" => "the certificate is bad",
            _ => "",
        };
        let found = explain(&report(fails), "fail").found;
        let whys: Vec<Option<&str>> = found.iter().map(|one| one.why.as_deref()).collect();
        assert_eq!(
            whys,
            [Some("the key is wrong"), Some("the certificate is bad")]
        );
    }
}
