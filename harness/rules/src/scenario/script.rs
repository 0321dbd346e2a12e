//! The cases of a scenario file.

use std::collections::BTreeMap;
use std::sync::Arc;

use simulated_partners::persona;

use super::file::{File, PartnerSpec, Variant};
use crate::case::names::with_values;
use crate::case::{CONTROL, Case, Dials, Direction, Expect, MAIN, Role, Scenario, Script, Set};
use crate::policy::PolicyNumber;

/// All cases of a file, in the order of the policies and variants.
pub fn cases(scenario: &str, file: &File) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, variant) in file.all() {
        let script = Arc::new(script(scenario, file, name, variant));
        for row in variant
            .policies
            .iter()
            .filter_map(|number| PolicyNumber::new(*number))
        {
            let mut id = scenario.to_owned();
            if let Some(name) = name {
                id = format!("{id}/{name}");
            }
            if file.plain.policies.len() > 1 || variant.policies.len() > 1 {
                id = format!("{id}/{}", row.label());
            }
            cases.push(Case {
                id,
                set: Set::Scenarios,
                row,
                partner: Arc::clone(&script.roles[0].persona),
                direction: variant.direction,
                script: Arc::clone(&script),
            });
        }
    }
    cases
}

fn script(scenario: &str, file: &File, name: Option<&str>, variant: &Variant) -> Script {
    let is_control = name == Some(CONTROL);
    let mut main = variant.partner.clone();
    main.reaction.extend(variant.reaction.iter().cloned());
    let parts = std::iter::once((MAIN, &main));
    let others = variant.partners.iter();
    let parts = parts.chain(others.map(|(name, part)| (name.as_str(), part)));
    Script {
        scenario: Some(Scenario {
            file: scenario.to_owned(),
            variant: name.map(str::to_owned),
            requirements: variant.requirements.clone(),
            bugs: variant.bugs.clone(),
            tags: variant.tags.clone(),
            is_control,
            has_control: file.control.is_some() && !is_control,
            siblings: if is_control {
                siblings(file)
            } else {
                Vec::new()
            },
        }),
        title: variant.title.clone(),
        direction: variant.direction,
        needs: variant.needs.clone(),
        setting: variant.setting,
        alone: variant.alone,
        values: variant.values.clone(),
        roles: parts
            .map(|(name, part)| role(name, part, variant.direction, &variant.values))
            .collect(),
        dns: variant.dns.clone(),
        local: variant.local.clone(),
        expect: variant.expect.clone(),
        outcome: variant.outcome.clone(),
        alive: variant.alive,
        seconds: variant.seconds,
    }
}

/// The expectations of the cases that must be refused, by name.
fn siblings(file: &File) -> Vec<(String, Vec<Expect>)> {
    file.all()
        .filter(|(name, _)| *name != Some(CONTROL))
        .filter(|(_, one)| one.expect.iter().any(Expect::demands_refusal))
        .map(|(name, one)| {
            (
                name.unwrap_or("the scenario").to_owned(),
                one.expect.clone(),
            )
        })
        .collect()
}

fn role(
    name: &str,
    part: &PartnerSpec,
    direction: Direction,
    values: &BTreeMap<String, String>,
) -> Role {
    let mut persona = persona::find(&part.persona).expect("the check knows all personas");
    persona.offer = part.offer.clone();
    let own = part.reaction.iter().map(|one| with_values(one, values));
    persona.reactions = own.chain(persona.reactions.iter().cloned()).collect();
    let is_main = name == MAIN;
    let dials = part
        .dials
        .clone()
        .unwrap_or_else(|| Dials::Plain(is_main && direction == Direction::Inbound));
    let own_domain = part.domain.is_none() || is_main;
    Role {
        name: Arc::from(name),
        persona: Arc::new(persona),
        certificate: part.certificate.clone(),
        handshake: part.handshake.clone(),
        domain: part.domain.clone().unwrap_or_else(|| {
            if is_main {
                "{domain}".to_owned()
            } else {
                format!("{name}.{{domain}}")
            }
        }),
        dials,
        times: part.times,
        serves: part.serves.unwrap_or(own_domain),
        default_port: part.default_port,
        over_ipv6: part.over_ipv6,
        insists: part.insists,
        answers: part.answers,
        patience: part.patience,
        unlisted: part.unlisted,
    }
}
