//! The cases of a scenario file.

use std::collections::BTreeMap;
use std::sync::Arc;

use simulated_partners::persona::{self, Offer};

use super::file::{File, OfferPatch, Part, Patch};
use crate::case::names::with_values;
use crate::case::{CONTROL, Case, Dials, Direction, Expect, MAIN, Role, Scenario, Script, Set};
use crate::policy::Row;

/// The persona that a partner starts from.
const PERSONA: &str = "modern";

/// A persona that a scenario names and that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no persona `{0}`")]
pub struct NoPersona(pub String);

/// All cases of a file, in the order of the policies and variants.
///
/// # Errors
/// When it names a persona that does not exist.
pub fn cases(scenario: &str, file: &File) -> Result<Vec<Case>, NoPersona> {
    let plain = Patch::default();
    let mut variants: Vec<(Option<&str>, &Patch)> = file
        .variants
        .iter()
        .map(|(name, patch)| (Some(name.as_str()), patch))
        .collect();
    if variants.is_empty() {
        variants.push((None, &plain));
    }
    variants.extend(file.control.iter().map(|patch| (Some(CONTROL), patch)));
    let mut cases = Vec::new();
    for (variant, patch) in variants {
        let script = Arc::new(script(scenario, file, variant, patch)?);
        let direction = patch.direction.unwrap_or(file.direction);
        let policies = patch.policies.as_ref().unwrap_or(&file.policies);
        for row in policies.iter().filter_map(|number| Row::new(*number)) {
            let mut id = scenario.to_owned();
            if let Some(variant) = variant {
                id = format!("{id}/{variant}");
            }
            if file.policies.len() > 1 || policies.len() > 1 {
                id = format!("{id}/{}", row.label());
            }
            cases.push(Case {
                id,
                set: Set::Scenarios,
                row,
                partner: Arc::clone(&script.roles[0].persona),
                direction,
                script: Arc::clone(&script),
            });
        }
    }
    Ok(cases)
}

fn script(
    scenario: &str,
    file: &File,
    variant: Option<&str>,
    patch: &Patch,
) -> Result<Script, NoPersona> {
    let is_control = variant == Some(CONTROL);
    let direction = patch.direction.unwrap_or(file.direction);
    let mut values = file.values.clone();
    values.extend(patch.values.clone());
    let mut main = file.partner.over(&patch.partner);
    let reactions = patch.reaction.as_ref().unwrap_or(&file.reaction);
    main.reaction
        .get_or_insert_default()
        .extend(reactions.iter().cloned());
    let mut parts = file.partners.clone();
    for (name, part) in &patch.partners {
        let merged = parts
            .get(name)
            .map_or_else(|| part.clone(), |base| base.over(part));
        parts.insert(name.clone(), merged);
    }
    let mut roles = vec![role(MAIN, &main, direction, &values)?];
    for (name, part) in &parts {
        roles.push(role(name, part, direction, &values)?);
    }
    let expect = match &patch.expect {
        Some(expect) => expect.clone(),
        None if is_control => vec![Expect::gets_through(direction)],
        None => file.expect.clone(),
    };
    let title = match &patch.title {
        Some(title) => format!("{}: {title}", file.title),
        None => file.title.clone(),
    };
    Ok(Script {
        scenario: Some(Scenario {
            file: scenario.to_owned(),
            variant: variant.map(str::to_owned),
            requirements: patch
                .requirements
                .as_ref()
                .unwrap_or(&file.requirements)
                .clone(),
            bugs: file.bugs.clone(),
            tags: file.tags.clone(),
            is_control,
            has_control: file.control.is_some() && !is_control,
            siblings: if is_control {
                siblings(file)
            } else {
                Vec::new()
            },
        }),
        title,
        direction,
        needs: patch.needs.as_ref().unwrap_or(&file.needs).clone(),
        setting: patch.setting.unwrap_or(file.setting),
        alone: file.alone,
        values,
        roles,
        dns: patch.dns.as_ref().unwrap_or(&file.dns).clone(),
        local: patch.local.as_ref().unwrap_or(&file.local).clone(),
        expect,
        outcome: match &patch.outcome {
            Some(outcome) => outcome.clone(),
            None if is_control => Vec::new(),
            None => file.outcome.clone(),
        },
        alive: patch.alive.unwrap_or(file.alive),
        seconds: patch.seconds.or(file.seconds),
    })
}

/// What a file's variants expect, each with its name.
fn siblings(file: &File) -> Vec<(String, Vec<Expect>)> {
    if file.variants.is_empty() {
        return if file.expect.iter().any(Expect::demands_refusal) {
            vec![("the scenario".to_owned(), file.expect.clone())]
        } else {
            Vec::new()
        };
    }
    let expected = |patch: &Patch| patch.expect.clone().unwrap_or_else(|| file.expect.clone());
    file.variants
        .iter()
        .map(|(name, patch)| (name.clone(), expected(patch)))
        .filter(|(_, expected)| expected.iter().any(Expect::demands_refusal))
        .collect()
}

fn role(
    name: &str,
    part: &Part,
    direction: Direction,
    values: &BTreeMap<String, String>,
) -> Result<Role, NoPersona> {
    let word = part.persona.as_deref().unwrap_or(PERSONA);
    let mut persona = persona::find(word).ok_or_else(|| NoPersona(word.to_owned()))?;
    apply(&mut persona.offer, &part.offer);
    let own = part
        .reaction
        .iter()
        .flatten()
        .map(|one| with_values(one, values));
    persona.reactions = own.chain(persona.reactions.iter().cloned()).collect();
    let is_main = name == MAIN;
    let dials = part
        .dials
        .clone()
        .unwrap_or_else(|| Dials::Plain(is_main && direction == Direction::Inbound));
    let own_domain = part.domain.is_none() || is_main;
    Ok(Role {
        name: Arc::from(name),
        persona: Arc::new(persona),
        certificate: part.certificate.clone(),
        handshake: part.handshake.clone().unwrap_or_default(),
        domain: part.domain.clone().unwrap_or_else(|| {
            if is_main {
                "{domain}".to_owned()
            } else {
                format!("{name}.{{domain}}")
            }
        }),
        dials,
        times: part.times.unwrap_or(1),
        serves: part.serves.unwrap_or(own_domain),
        default_port: part.default_port.unwrap_or_default(),
        over_ipv6: part.over_ipv6.unwrap_or_default(),
        insists: part.insists.unwrap_or_default(),
        answers: part.answers.unwrap_or_default(),
        patience: part.patience,
        unlisted: part.unlisted.unwrap_or_default(),
    })
}

fn apply(offer: &mut Offer, patch: &OfferPatch) {
    fn set<T: Clone>(to: &mut T, from: Option<&T>) {
        if let Some(from) = from {
            *to = from.clone();
        }
    }
    set(&mut offer.tls, patch.tls.as_ref());
    set(&mut offer.external, patch.external.as_ref());
    set(
        &mut offer.external_on_plaintext,
        patch.external_on_plaintext.as_ref(),
    );
    set(&mut offer.dialback, patch.dialback.as_ref());
    set(
        &mut offer.insists_on_db_namespace,
        patch.insists_on_db_namespace.as_ref(),
    );
    set(&mut offer.needs_external, patch.needs_external.as_ref());
    set(&mut offer.certificate, patch.certificate.as_ref());
    set(&mut offer.key, patch.key.as_ref());
    set(&mut offer.tls_versions, patch.tls_versions.as_ref());
}

impl Part {
    /// This with what another says in place of its own.
    fn over(&self, other: &Self) -> Self {
        let offer = OfferPatch {
            tls: other.offer.tls.or(self.offer.tls),
            external: other.offer.external.or(self.offer.external),
            external_on_plaintext: other
                .offer
                .external_on_plaintext
                .or(self.offer.external_on_plaintext),
            dialback: other.offer.dialback.or(self.offer.dialback),
            insists_on_db_namespace: other
                .offer
                .insists_on_db_namespace
                .or(self.offer.insists_on_db_namespace),
            needs_external: other.offer.needs_external.or(self.offer.needs_external),
            certificate: other.offer.certificate.or(self.offer.certificate),
            key: other.offer.key.or(self.offer.key),
            tls_versions: other
                .offer
                .tls_versions
                .clone()
                .or_else(|| self.offer.tls_versions.clone()),
        };
        Self {
            persona: other.persona.clone().or_else(|| self.persona.clone()),
            offer,
            certificate: other
                .certificate
                .clone()
                .or_else(|| self.certificate.clone()),
            handshake: other.handshake.clone().or_else(|| self.handshake.clone()),
            domain: other.domain.clone().or_else(|| self.domain.clone()),
            dials: other.dials.clone().or_else(|| self.dials.clone()),
            times: other.times.or(self.times),
            serves: other.serves.or(self.serves),
            default_port: other.default_port.or(self.default_port),
            over_ipv6: other.over_ipv6.or(self.over_ipv6),
            insists: other.insists.or(self.insists),
            answers: other.answers.or(self.answers),
            patience: other.patience.or(self.patience),
            unlisted: other.unlisted.or(self.unlisted),
            reaction: other.reaction.clone().or_else(|| self.reaction.clone()),
        }
    }
}
