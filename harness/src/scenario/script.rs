//! A scenario's variant, ready to be run.

use std::collections::BTreeMap;
use std::sync::Arc;

use simulated_partners::persona::{self, Offer, Persona};
use simulated_partners::pki::Recipe;
use simulated_partners::reaction::Reaction;
use simulated_partners::tls::Habits;

use super::expect::{Expect, Sees};
use super::file::{Dials, Dns, File, Local, Need, OfferPatch, OutcomeWord, Part, Patch, Setting};
use super::names::Names;
use crate::matrix::{Case, Direction, Set};
use crate::policy::Row;

/// The partner that a case is about.
pub const MAIN: &str = "partner";
/// The persona that a partner starts from.
const PERSONA: &str = "modern";
/// The name of the accepting neighbour among a scenario's variants.
pub const CONTROL: &str = "control";

/// One variant of a scenario.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file below `scenarios/`, without its ending: `str/STR-08-header-then-features`.
    pub scenario: String,
    /// The variant, where there are some.
    pub variant: Option<String>,
    /// What happens and what has to come of it.
    pub title: String,
    /// What it judges.
    pub requirements: Vec<String>,
    /// Known failures of real servers that it looks for.
    pub bugs: Vec<String>,
    /// Who dials.
    pub direction: Direction,
    /// What a target must be able to do.
    pub needs: Vec<Need>,
    /// How it is set.
    pub setting: Setting,
    /// It gets an instance of its own.
    pub alone: bool,
    /// Texts of placeholders.
    pub values: BTreeMap<String, String>,
    /// The partners, the main one first.
    pub roles: Vec<Role>,
    /// Answers of DNS.
    pub dns: Vec<Dns>,
    /// What the local side sends.
    pub local: Vec<Local>,
    /// What has to be seen.
    pub expect: Vec<Expect>,
    /// Allowed outcomes; all where there are none.
    pub outcome: Vec<OutcomeWord>,
    /// A correct partner has to get through afterwards.
    pub alive: bool,
    /// Seconds that it may take.
    pub seconds: Option<u16>,
    /// Whether it is the accepting neighbour of the others.
    pub is_control: bool,
    /// Whether there is one.
    pub has_control: bool,
    /// Of an accepting neighbour: what those expect that have to be refused, none of which it may meet.
    pub siblings: Vec<(String, Vec<Expect>)>,
}

/// A partner of a script.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name in the file.
    pub name: Arc<str>,
    /// How it behaves, reactions of the scenario included.
    pub persona: Arc<Persona>,
    /// Its certificate, where it is not one of the persona's kinds.
    pub certificate: Option<Recipe>,
    /// What it does in handshakes beside that.
    pub handshake: Habits,
    /// Its domain, with placeholders.
    pub domain: String,
    /// When it dials.
    pub dials: Dials,
    /// How many connections it opens then.
    pub times: u16,
    /// Whether DNS leads to it.
    pub serves: bool,
    /// Whether it listens at port 5269.
    pub default_port: bool,
    /// Whether it listens at `::1`.
    pub over_ipv6: bool,
    /// Whether it sends its stanza in spite of a refusal.
    pub insists: bool,
    /// Whether it answers requests.
    pub answers: bool,
    /// Milliseconds that it waits for each step.
    pub patience: Option<u32>,
    /// Whether the target is not told of its domain.
    pub unlisted: bool,
}

impl Script {
    /// The domains that the target is told of, in a case of this domain.
    pub fn listed(&self, domain: &str) -> Vec<String> {
        let names = Names::of(self, domain, "", None);
        let mut domains = vec![domain.to_owned(), names.living()];
        let others = self.roles.iter().filter(|role| !role.unlisted);
        domains.extend(others.map(|role| names.of_role(role)));
        domains
    }

    /// The id of the accepting neighbour of a case with this id.
    pub fn control_of(&self, id: &str) -> Option<String> {
        if !self.has_control {
            return None;
        }
        let below = id
            .strip_prefix(self.scenario.as_str())?
            .trim_start_matches('/');
        let row = match &self.variant {
            Some(variant) => below
                .strip_prefix(variant.as_str())?
                .trim_start_matches('/'),
            None => below,
        };
        let mut control = format!("{}/{CONTROL}", self.scenario);
        if !row.is_empty() {
            control = format!("{control}/{row}");
        }
        Some(control)
    }

    /// The same for a target behind which nothing can be seen: what is delivered shows in its answer
    /// to a ping, and what has to be delivered otherwise cannot be told. Nothing where too little is
    /// left of it.
    pub fn from_outside(&self) -> Option<Self> {
        let is_inside = |expect: &Expect| {
            matches!(
                expect.sees,
                Sees::Delivered | Sees::Answered | Sees::Returned
            )
        };
        let expect: Vec<Expect> = self
            .expect
            .iter()
            .filter(|expect| expect.is_negative() || !is_inside(expect))
            .cloned()
            .collect();
        let tells = expect.iter().any(|expect| !expect.is_negative());
        (self.direction == Direction::Inbound && self.local.is_empty() && tells).then(|| Self {
            expect,
            ..self.clone()
        })
    }

    /// Whether the local side sends a ping without being told.
    pub fn sends_by_itself(&self) -> bool {
        self.direction == Direction::Outbound && self.local.is_empty()
    }
}

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
                script: Some(Arc::clone(&script)),
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
        scenario: scenario.to_owned(),
        variant: variant.map(str::to_owned),
        title,
        requirements: patch
            .requirements
            .as_ref()
            .unwrap_or(&file.requirements)
            .clone(),
        bugs: file.bugs.clone(),
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
        is_control,
        has_control: file.control.is_some() && !is_control,
        siblings: if is_control {
            siblings(file)
        } else {
            Vec::new()
        },
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

/// A reaction with the scenario's values in its texts. They may hold placeholders and XML: they are
/// part of the script, not of what came from outside.
pub(super) fn with_values(reaction: &Reaction, values: &BTreeMap<String, String>) -> Reaction {
    reaction.map_texts(|text| insert(text, values))
}

/// How deep values may name values.
const DEPTH: usize = 8;

/// A text with the values in place of their names.
pub(super) fn insert(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for _ in 0..DEPTH {
        let mut done = text.clone();
        for (name, value) in values {
            done = done.replace(&format!("{{{name}}}"), value);
        }
        if done == text {
            break;
        }
        text = done;
    }
    text
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
