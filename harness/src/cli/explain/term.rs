//! `s2spec explain` for what reports print beside ids of cases: rules, policies, personas, methods, areas, tags
//! and other words.

use std::collections::BTreeSet;

use simulated_partners::nearest::nearest;
use simulated_partners::persona::Persona;
use strum::VariantArray as _;

use super::{deviations, word};
use crate::case::{Direction, Tag};
use crate::cli::sheet::Sheet;
use crate::console::{describe_offer, describe_policy};
use crate::oracle::{self, Profile};
use crate::outcome::Method;
use crate::policy::PolicyNumber;
use crate::requirement::Registry;
use crate::settings;
use crate::suite::PolicyName;

/// The explanation of a term; `None` if it is none.
pub(super) fn explain(
    term: &str,
    personas: &[Persona],
    registry: &Registry,
    profile: Profile,
) -> Option<Sheet> {
    let named = of_rule(term)
        .or_else(|| of_setting(term))
        .or_else(|| of_policy(term, profile))
        .or_else(|| of_persona(term, personas))
        .or_else(|| of_method(term))
        .or_else(|| of_tag(term))
        .or_else(|| of_area(term, registry));
    let lines = [named.unwrap_or_default(), word::explain(term)].concat();
    let mut sheet = Sheet::new(term);
    for (name, text) in &lines {
        sheet.say(name, text);
    }
    (!lines.is_empty()).then_some(sheet)
}

/// The words most like one that is none.
pub(super) fn names(wrong: &str, personas: &[Persona], registry: &Registry) -> Vec<String> {
    // Marks are like anything.
    let words = word::all().into_iter().map(|one| one.word);
    let words: Vec<String> = words.filter(|word| word.chars().count() > 1).collect();
    let areas = registry.areas().iter().map(|area| area.folder.as_str());
    let personas = personas.iter().map(|one| one.name.as_str());
    let all: BTreeSet<&str> = words
        .iter()
        .map(String::as_str)
        .chain(areas)
        .chain(personas)
        .collect();
    let alike = nearest(wrong, all);
    alike.into_iter().map(str::to_owned).collect()
}

type Lines = Vec<(&'static str, String)>;

fn of_rule(term: &str) -> Option<Lines> {
    let rule = oracle::rule(term)?;
    let direction = match term.starts_with("in.") {
        true => Direction::Inbound,
        false => Direction::Outbound,
    };
    Some(vec![
        ("rule", rule.says.to_owned()),
        ("clause", rule.clause.to_owned()),
        (
            "table",
            format!("{direction}: the first rule that fits a case decides it"),
        ),
        (
            "its cases",
            format!("$ s2spec list --long | grep '{term}$'"),
        ),
    ])
}

/// A rule of the sets `settings` and `failover`.
fn of_setting(term: &str) -> Option<Lines> {
    let rule = settings::rule(term)?;
    Some(vec![
        ("rule", rule.says.to_owned()),
        ("level", format!("{}: {}", rule.level, rule.level.says())),
        ("clause", rule.clause.to_owned()),
        (
            "its cases",
            format!("$ s2spec list --long settings failover | grep '{term}$'"),
        ),
    ])
}

/// `row07` or `required/optional/on`. A bare number is no term.
fn of_policy(term: &str, profile: Profile) -> Option<Lines> {
    let row = match term.parse::<u8>() {
        Ok(_) => return None,
        Err(_) => term.parse::<PolicyName>().ok()?.0,
    };
    let policy = row.policy();
    let methods: Vec<String> = policy
        .methods(profile.mode)
        .iter()
        .map(|one| one.to_string())
        .collect();
    let mut lines = vec![
        ("policy", format!("number {}, {policy}", row.number())),
        ("meaning", describe_policy(&policy)),
        (
            "methods",
            match methods.is_empty() {
                true => "none: nothing can be established".to_owned(),
                false => methods.join(", "),
            },
        ),
    ];
    lines.extend(policy.note().text().map(|note| ("note", note.to_owned())));
    lines.push((
        "its cases",
        format!("$ s2spec list 'personas/{0}' 'policies/{0}'", row.label()),
    ));
    Some(lines)
}

fn of_persona(term: &str, personas: &[Persona]) -> Option<Lines> {
    let persona = personas.iter().find(|one| one.name == term)?;
    let mut lines = vec![
        ("persona", persona.title.clone()),
        ("offers", describe_offer(&persona.offer)),
    ];
    lines.extend(persona.seen_in.clone().map(|seen| ("seen in", seen)));
    lines.extend(
        deviations(&persona.facts)
            .into_iter()
            .map(|one| ("deviates", one.to_owned())),
    );
    lines.push(("its cases", format!("$ s2spec list '**/{term}/*'")));
    lines.push(("its file", format!("$ s2spec dump {term}")));
    Some(lines)
}

fn of_method(term: &str) -> Option<Lines> {
    let method = Method::ALL.iter().find(|one| one.to_string() == term)?;
    let says = match method {
        Method::SaslTls => "SASL EXTERNAL under TLS: the partner is who its certificate says",
        Method::TlsDialback => {
            "dialback under TLS: the stream is encrypted, and the partner's server confirms a key"
        }
        Method::TcpDialback => {
            "dialback in clear: the partner's server confirms a key, and anybody can read the stream"
        }
    };
    let policies = PolicyNumber::all().filter(|row| {
        row.policy()
            .methods(Profile::default().mode)
            .iter()
            .any(|one| one == *method)
    });
    let policies: Vec<String> = policies.map(|row| row.number().to_string()).collect();
    Some(vec![
        ("method", says.to_owned()),
        ("policies", policies.join(", ")),
    ])
}

fn of_tag(term: &str) -> Option<Lines> {
    let tag = Tag::VARIANTS.iter().find(|one| one.to_string() == term)?;
    Some(vec![
        ("tag", tag.says().to_owned()),
        ("its cases", format!("$ s2spec list --tag {term}")),
    ])
}

fn of_area(term: &str, registry: &Registry) -> Option<Lines> {
    let area = registry
        .areas()
        .iter()
        .find(|one| one.folder == term || one.code == term)?;
    Some(vec![
        ("area", area.title.clone()),
        (
            "judges",
            format!(
                "{}-01 and on: s2spec coverage --area {}",
                area.code, area.folder
            ),
        ),
        ("its cases", format!("$ s2spec list {}", area.folder)),
    ])
}

#[cfg(test)]
mod tests {
    use simulated_partners::persona::builtin;

    use super::*;
    use crate::case::Set;
    use crate::outcome::Outcome;
    use crate::report::TABLE_HEADS;

    #[test]
    fn whatever_a_report_prints_is_explained() {
        for term in [
            "in.3.no-tls",
            "type.public.notes",
            "row07",
            "required/optional/on",
            "google-talk",
            "undecided",
            "tls-dialback",
            "hostile",
            "dialback-keys",
        ] {
            let text = explain(term, &builtin(), Registry::builtin(), Profile::default());
            let text = text.unwrap_or_else(|| panic!("{term}")).render(80);
            insta::assert_snapshot!(
                term.replace('/', "-"),
                anstream::adapter::strip_str(&text).to_string()
            );
        }
        for term in ["7", "no-such-thing", ""] {
            let text = explain(term, &builtin(), Registry::builtin(), Profile::default());
            assert_eq!(text, None, "{term}");
        }
    }

    #[test]
    fn a_misspelt_word_finds_the_nearest() {
        let named = |wrong| names(wrong, &builtin(), Registry::builtin());
        assert_eq!(named("demandd")[0], "demanded");
        assert_eq!(named("gogle-talk"), ["google-talk"]);
        assert_eq!(named("a/b/c"), [""; 0]);
    }

    /// Types whose words are printed are listed in one place; what a table has as heads and marks is here, too.
    #[test]
    fn every_word_is_explained() {
        let says = |term: &str| {
            let sheet = explain(term, &builtin(), Registry::builtin(), Profile::default());
            sheet.unwrap_or_else(|| panic!("{term} is not explained"))
        };
        for word in word::all() {
            assert!(!word.says.is_empty(), "{}", word.word);
            says(&word.word);
        }
        let heads = ["secur.", "pract.", "unjudg.", "not run", "departed from"];
        for head in heads.into_iter().chain(TABLE_HEADS) {
            says(head);
        }
        let report = crate::report::fixture::report(crate::report::fixture::generated());
        for record in report.records.values() {
            let case = &record.result.case;
            says(&case.row.label());
            if case.set == Set::Personas {
                says(&case.partner.name);
            }
            says(&case.partner.offer.tls.to_string());
            says(&case.partner.offer.certificate.to_string());
            for allowed in oracle::allowed(case, Profile::default()).iter() {
                says(allowed.rule);
            }
            if let Some(Outcome::Refused(refusal)) = record.result.outcome() {
                says(&refusal.phase.to_string());
                says(&refusal.closer.to_string());
            }
        }
        for requirement in Registry::builtin().all() {
            says(&requirement.level.to_string());
            says(&requirement.role.to_string());
            says(requirement.id.area());
        }
        let several = says("tls").render(80);
        for kind in ["area", "phase", "time"] {
            assert!(several.contains(kind), "{several}");
        }
    }
}
