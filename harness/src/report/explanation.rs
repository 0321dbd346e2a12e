//! The shortest conditions that cover what went wrong in the matrix, and nothing that went well.

use std::collections::BTreeMap;

use serde_json::Value;

use super::saved::{Case, Saved};

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

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
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

/// Explains the cases of the matrix with this verdict, among those that ran.
pub(super) fn explain(saved: &Saved, verdict: &str) -> Explanations {
    let ran = |case: &&Case| {
        case.is_of_matrix() && !matches!(case.verdict.as_str(), "unsupported" | "not-run" | "error")
    };
    let cases: Vec<&Case> = saved.cases.iter().filter(ran).collect();
    let with = |wanted: bool| {
        let all = cases.iter().enumerate();
        let members = all.filter(|(_, case)| (case.verdict == verdict) == wanted);
        Set::of(cases.len(), members.map(|(at, _)| at))
    };
    let (bad, good) = (with(true), with(false));
    if bad.is_empty() {
        return Explanations::default();
    }
    let conditions = conditions(&cases, &bad);
    let mut open = bad.clone();
    let mut explanations = Explanations::default();
    while explanations.found.len() < MOST {
        let Some((chosen, covered)) = best(&conditions, &open, &good) else {
            break;
        };
        explanations.found.push(Explanation {
            conditions: chosen
                .into_iter()
                .map(|at| conditions[at].0.clone())
                .collect(),
            cases: covered
                .and(&bad)
                .members()
                .map(|at| cases[at].id.clone())
                .collect(),
        });
        open = open.without(&covered);
    }
    explanations.rest = open.members().map(|at| cases[at].id.clone()).collect();
    explanations
}

/// Each value of each axis that a case to be explained has, with the cases that have it.
fn conditions(cases: &[&Case], bad: &Set) -> Vec<(String, Set)> {
    let mut of_value: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate() {
        for value in values(case) {
            of_value.entry(value).or_default().push(at);
        }
    }
    let sets = of_value
        .into_iter()
        .map(|(value, members)| (value, Set::of(cases.len(), members.into_iter())));
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
        format!("partner {}", case.partner.name),
    ];
    for (name, value) in &case.partner.offer {
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

    /// A report of personas of three kinds in two policies, of which some fail.
    fn report(fails: impl Fn(&str, &str, &str) -> bool) -> Saved {
        let mut cases = Vec::new();
        for tls in ["required", "optional"] {
            for certificate in ["good", "expired", "self-signed"] {
                for direction in ["inbound", "outbound"] {
                    let verdict = if fails(tls, certificate, direction) {
                        "fail"
                    } else {
                        "pass"
                    };
                    cases.push(serde_json::json!({
                        "id": format!("personas/{tls}/{certificate}/{direction}"), "set": "personas",
                        "direction": direction, "row": 7, "verdict": verdict, "allowed": null, "outcome": null,
                        "policy": {"tls": tls, "sasl": "optional", "dialback": true},
                        "partner": {"name": certificate, "title": "t", "offer": {"tls": "offered", "certificate": certificate}},
                        "reason": null, "why": "", "scenario": null, "control": null, "findings": [],
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

    fn explained(fails: impl Fn(&str, &str, &str) -> bool) -> Vec<(String, usize)> {
        let explanations = explain(&report(fails), "fail");
        assert_eq!(explanations.rest, [""; 0]);
        let found = explanations.found.into_iter();
        found
            .map(|one| (one.conditions.join(" and "), one.cases.len()))
            .collect()
    }

    #[test]
    fn one_axis_is_one_condition() {
        let found = explained(|_, certificate, _| certificate == "expired");
        assert_eq!(found, [("partner expired".to_owned(), 4)]);
    }

    #[test]
    fn two_axes_are_two_conditions() {
        let found = explained(|tls, certificate, _| tls == "optional" && certificate == "expired");
        assert_eq!(
            found,
            [("partner expired and target's TLS optional".to_owned(), 2)]
        );
    }

    #[test]
    fn several_kinds_are_several_explanations() {
        let found = explained(|tls, certificate, direction| {
            (tls == "optional" && direction == "inbound") || certificate == "expired"
        });
        assert_eq!(
            found,
            [
                ("partner expired".to_owned(), 4),
                ("partner dials and target's TLS optional".to_owned(), 3)
            ]
        );
        assert_eq!(explained(|_, _, _| false), []);
    }
}
