//! The cases of a scenario file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simulated_partners::board::Begins;
use simulated_partners::persona::Persona;
use simulated_partners::reaction::Stage;

use super::file::{File, PartnerSpec, Variant};
use super::fit::{self, Adapted};
use crate::case::names::with_values;
use crate::case::{
    CONTROL, Case, Direction, Expect, MAIN, Need, OutcomeWord, Role, Scenario, Script, Sees, Set,
    TARGET,
};
use crate::outcome::Method;
use crate::policy::PolicyNumber;
use crate::verdict::Weight;

/// All cases of a file in these policies, or else in those that its variants name, in the order of
/// variants and policies.
pub fn cases(scenario: &str, file: &File, policies: Option<&[PolicyNumber]>) -> Vec<Case> {
    let mut cases = Vec::new();
    let control = file.all().find(|(name, _)| *name == Some(CONTROL));
    let control = control.map(|(_, variant)| variant);
    let several = |variant: &Variant| file.plain.policies.len() > 1 || variant.policies.len() > 1;
    let id = |name: Option<&str>, variant: &Variant, row: PolicyNumber| {
        let mut id = scenario.to_owned();
        if let Some(name) = name {
            id = format!("{id}/{name}");
        }
        // Without policies from outside, a control may name another than the case that it belongs to.
        let away = policies.is_some() && !variant.policies.contains(&row.number());
        if several(variant) || away {
            id = format!("{id}/{}", row.label());
        }
        id
    };
    for (name, variant) in file.all() {
        let own: Vec<PolicyNumber> = variant
            .policies
            .iter()
            .filter_map(|number| PolicyNumber::new(*number))
            .collect();
        let plain = script(scenario, file, name, variant);
        for &row in policies.unwrap_or(&own) {
            let mut script = plain.clone();
            if let Some(scenario) = script.scenario.as_mut().filter(|one| !one.is_control) {
                scenario.control = control.map(|control| id(Some(CONTROL), control, row));
            }
            if policies.is_some() {
                let control = control.map_or(Ok(Vec::new()), |one| adapted(file, one, row));
                match adapted(file, variant, row).and_then(|own| control.map(|_| own)) {
                    Ok(adapted) => {
                        if adapted.iter().any(|one| one.may_be_a_stranger) {
                            lighten(&mut script.expect);
                        }
                        for (role, adapted) in script.roles.iter_mut().zip(adapted) {
                            adapt(Arc::make_mut(&mut role.persona), adapted);
                        }
                    }
                    Err(why) => script.unfit = Some(why),
                }
            }
            let way = fit::best(variant.direction, &script.roles[0].persona.offer, row);
            follow(&mut script, way);
            cases.push(Case {
                id: id(name, variant, row),
                set: Set::Scenarios,
                row,
                partner: Arc::clone(&script.roles[0].persona),
                direction: variant.direction,
                script: Arc::new(script),
            });
        }
    }
    leave_out_lonely_controls(&mut cases);
    cases
}

/// A control shows nothing in a policy in which none of its refusals runs.
fn leave_out_lonely_controls(cases: &mut [Case]) {
    let is_control = |case: &Case| case.scenario().is_some_and(|one| one.is_control);
    let (mut run, mut why) = (BTreeSet::new(), BTreeMap::new());
    for case in cases.iter().filter(|case| !is_control(case)) {
        match &case.script.unfit {
            None => {
                run.insert(case.row);
            }
            Some(unfit) => {
                why.entry(case.row).or_insert_with(|| unfit.clone());
            }
        }
    }
    for case in cases.iter_mut().filter(|case| is_control(case)) {
        if let (false, Some(why)) = (run.contains(&case.row), why.get(&case.row)) {
            Arc::make_mut(&mut case.script).unfit = Some(why.clone());
        }
    }
}

/// What is different with the partners of a variant in a policy, so that it shows the same as in its own.
///
/// # Errors
/// Why it cannot be shown there.
fn adapted(file: &File, variant: &Variant, row: PolicyNumber) -> Result<Vec<Adapted>, String> {
    if variant.policies.contains(&row.number()) {
        let parts = variant.parts();
        return Ok(parts.map(|(_, part)| Adapted::unchanged(part)).collect());
    }
    let mut own = variant.policies.iter();
    let home = own.find_map(|number| PolicyNumber::new(*number));
    let home = home.ok_or_else(|| "it names no policy".to_owned())?;
    if variant.policies != file.plain.policies {
        return Err(format!("it shows what {home} does and others do not"));
    }
    std::iter::once((MAIN, &variant.partner))
        .chain(variant.others())
        .map(|part| fit::adapted(variant, part, home, row))
        .collect()
}

/// Puts the best way in of a policy in place of the words for it.
fn follow(script: &mut Script, way: Option<Method>) {
    let (word, streams) = match way {
        None => (OutcomeWord::Established, 1),
        Some(Method::TcpDialback) => (OutcomeWord::TcpDialback, 1),
        Some(Method::TlsDialback) => (OutcomeWord::TlsDialback, 2),
        Some(Method::SaslTls) => (OutcomeWord::SaslTls, 3),
    };
    let best = script
        .outcome
        .iter_mut()
        .filter(|one| **one == OutcomeWord::Best);
    best.for_each(|one| *one = word);
    for expect in script.expect.iter_mut().filter(|one| one.every_stream) {
        expect.at_least = Some(streams);
    }
}

/// What is refused because of a certificate weighs less where it may be let in, as in the matrix.
fn lighten(expects: &mut [Expect]) {
    for expect in expects {
        let refuses = expect.is_negative() || expect.sees == Sees::Returned;
        if refuses || expect.demands_refusal() {
            expect.level = expect.level.or(Some(Weight::Should));
        }
    }
}

fn adapt(persona: &mut Persona, adapted: Adapted) {
    persona.offer = adapted.offer;
    if adapted.keys_after_tls {
        for reaction in &mut persona.reactions {
            if fit::sends_keys_first(reaction) {
                reaction.stage = Some(Stage::Secured);
            }
        }
    }
}

fn script(scenario: &str, file: &File, name: Option<&str>, variant: &Variant) -> Script {
    let is_control = name == Some(CONTROL);
    let mut main = variant.partner.clone();
    main.reaction.extend(variant.reaction.iter().cloned());
    let parts = std::iter::once((MAIN, &main)).chain(variant.others());
    Script {
        scenario: Some(Scenario {
            file: scenario.to_owned(),
            path: file.path.clone(),
            texts: Arc::clone(&file.texts),
            registry: Arc::clone(&file.registry),
            variant: name.map(str::to_owned),
            requirements: variant.requirements.clone(),
            bugs: variant.bugs.clone(),
            tags: variant.tags.clone(),
            is_control,
            control: None,
            siblings: if is_control {
                siblings(file)
            } else {
                Vec::new()
            },
        }),
        administration: None,
        title: variant.title.clone(),
        direction: variant.direction,
        needs: needs(variant),
        setting: variant.setting,
        alone: variant.alone,
        values: variant.values.clone(),
        roles: parts
            .map(|(name, part)| role(name, part, file, variant))
            .collect(),
        dns: variant.dns.clone(),
        local: variant.local.clone(),
        rooms: variant.room.clone(),
        expect: variant.expect.clone(),
        outcome: variant.outcome.clone(),
        alive: variant.alive,
        seconds: variant.seconds,
        unfit: None,
    }
}

/// What the target needs, also for what the script does: address its second domain or member, or break its link.
fn needs(variant: &Variant) -> Vec<Need> {
    let mut needs = variant.needs.clone();
    let mut targets = variant
        .parts()
        .filter_map(|(_, part)| part.target.as_deref());
    let second = targets.any(|target| target.contains("{target2}"));
    let raw = variant.local.iter().any(|local| local.raw);
    let pool = variant.parts().any(|(_, part)| part.other_member);
    for (does, need) in [
        (second, Need::SecondDomain),
        (raw, Need::BreakableLink),
        (pool, Need::Pool),
    ] {
        if does && !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
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

fn role(name: &str, part: &PartnerSpec, file: &File, variant: &Variant) -> Role {
    let direction = variant.direction;
    let mut persona = file.cast[&part.persona].clone();
    persona.offer = part.offer.clone();
    let own = part.reaction.iter();
    let own = own.map(|one| with_values(one, &variant.values));
    persona.reactions = own.chain(persona.reactions.iter().cloned()).collect();
    let is_main = name == MAIN;
    let dials = part
        .dials
        .clone()
        .unwrap_or_else(|| Begins::Plain(is_main && direction == Direction::Inbound));
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
        any_domain: part.domain.is_none() && !is_main,
        target: part.target.clone().unwrap_or_else(|| TARGET.to_owned()),
        other_member: part.other_member,
        own_address: part.own_address,
        dials,
        accepts: part.accepts.clone(),
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
