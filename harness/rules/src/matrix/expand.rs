//! Creates the cases of the three sets.

use std::collections::BTreeSet;
use std::sync::Arc;

use simulated_partners::persona::{AuthorityFact, Deviations, Offer, Persona, StreamFact};

use crate::policy::{Policy, PolicyNumber};

use super::offers::offers;
use crate::case::{Case, Direction, Script, Set, Setting};

/// All cases: set by set, row by row, partner by partner, outbound before inbound. The order
/// depends only on the personas.
pub fn cases(personas: &[Persona]) -> Vec<Case> {
    let sets = [Set::Personas, Set::Policies, Set::Offers];
    sets.into_iter()
        .flat_map(|set| cases_of(set, personas))
        .collect()
}

/// The cases of one set of the matrix, in the order of [`cases`]; empty for others.
pub fn cases_of(set: Set, personas: &[Persona]) -> Vec<Case> {
    let partners = match set {
        Set::Personas => named(personas),
        Set::Policies => PolicyNumber::all()
            .map(|row| {
                let title = format!("a partner set to {} as {row} says", row.policy());
                made(row.label(), &title, row.policy().as_offer())
            })
            .collect(),
        Set::Offers => offers()
            .into_iter()
            .map(|(name, offer)| {
                let title = format!("a partner with the offer {name}");
                made(name, &title, offer)
            })
            .collect(),
        Set::Settings | Set::Failover | Set::Scenarios => Vec::new(),
    };
    let mut cases = Vec::with_capacity(partners.len() * usize::from(PolicyNumber::COUNT) * 2);
    for row in PolicyNumber::all() {
        for (name, partner) in &partners {
            for &direction in Direction::ALL {
                let id = format!("{set}/{row}/{name}/{direction}");
                cases.push(case(id, set, row, partner, direction));
            }
        }
    }
    cases
}

/// The case of a policy and a partner.
pub fn case(
    id: String,
    set: Set,
    row: PolicyNumber,
    partner: &Arc<Persona>,
    direction: Direction,
) -> Case {
    let setting = setting(row.policy(), &partner.facts, direction);
    Case {
        id,
        set,
        row,
        partner: Arc::clone(partner),
        direction,
        script: Arc::new(Script::of_matrix(partner, direction, setting)),
    }
}

/// The target must be impatient if it waits for a silent partner, because the case may take as long as the
/// target's own timeouts.
fn setting(policy: Policy, facts: &Deviations, direction: Direction) -> Setting {
    let silent = facts.stream == StreamFact::Silent;
    let waits = match direction {
        Direction::Outbound => {
            silent && policy.valid() && facts.authority != AuthorityFact::Unreachable
        }
        // This happens only while a key is verified.
        Direction::Inbound => match facts.authority {
            AuthorityFact::Silent | AuthorityFact::WrongDomain => policy.dialback,
            AuthorityFact::Truthful | AuthorityFact::Invalid => silent && policy.dialback,
            AuthorityFact::Unreachable => false,
        },
    };
    if waits {
        Setting::Impatient
    } else {
        Setting::Usual
    }
}

fn made(name: String, title: &str, offer: Offer) -> (String, Arc<Persona>) {
    let persona = Persona::correct(&name, title, offer);
    (name, Arc::new(persona))
}

/// Personas with their names in ids: `[a-z0-9-]`, each unique.
fn named(personas: &[Persona]) -> Vec<(String, Arc<Persona>)> {
    let mut taken = BTreeSet::new();
    personas
        .iter()
        .map(|persona| {
            let plain = slug(&persona.name);
            let mut name = plain.clone();
            let mut count = 1_u32;
            while !taken.insert(name.clone()) {
                count += 1;
                name = format!("{plain}-{count}");
            }
            (name, Arc::new(persona.clone()))
        })
        .collect()
}

fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for char in name.chars() {
        if char.is_ascii_alphanumeric() {
            slug.push(char.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "persona" } else { slug }.to_owned()
}

#[cfg(test)]
mod tests {
    use simulated_partners::persona::builtin;

    use super::*;

    #[test]
    fn sets_have_their_sizes_and_ids_are_unique() {
        let personas = builtin();
        let all = cases(&personas);
        let count = |set| all.iter().filter(|case| case.set == set).count();
        assert_eq!(count(Set::Personas), 18 * personas.len() * 2);
        assert_eq!(count(Set::Policies), 648);
        assert_eq!(count(Set::Offers), 18 * 56 * 2);
        let ids: BTreeSet<&str> = all.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids.len(), all.len());
        for id in [
            "personas/row07/google-talk/outbound",
            "policies/row07/row03/inbound",
            "offers/row07/offered-ext-db-good/inbound",
        ] {
            assert!(ids.contains(id), "{id}");
        }
    }

    #[test]
    fn expansion_is_the_same_each_time() {
        let ids = || -> Vec<String> { cases(&builtin()).into_iter().map(|case| case.id).collect() };
        assert_eq!(ids(), ids());
    }
}
