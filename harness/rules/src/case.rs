//! One case: which policy meets which partner in which direction, and what happens in it.

use std::sync::Arc;

use simulated_partners::persona::Persona;
use strum::{Display, VariantArray};

use crate::policy::PolicyNumber;
use crate::requirement::Registry;

mod administration;
mod dns;
mod domains;
mod expect;
pub mod names;
mod outside;
mod room;
mod script;
mod sees;

pub use administration::{
    Access, Administration, CONTACT, FRIEND, PartnerType, Rule, Scope, Settings, Step, USER, Users,
    WITNESS, What,
};
pub use dns::{Dns, DnsAnswer, Srv};
pub use domains::{AllowList, Domains, TooFew};
pub(crate) use expect::times;
pub use expect::{Expect, Mark, OutcomeWord};
pub use room::Room;
pub use script::{CONTROL, Local, MAIN, Need, Role, Scenario, Script, Setting, TARGET, Tag, Texts};
pub use sees::Sees;
pub use simulated_partners::event::Direction;

/// A set of cases.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Deserialize,
    serde::Serialize,
    Display,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Set {
    /// 18 policies × every persona.
    Personas,
    /// 18 policies × a partner set to each of the 18 policies.
    Policies,
    /// 18 policies × every coherent partner offer.
    Offers,
    /// What each setting of an administrator means.
    Settings,
    /// A pool of two, the first of which goes.
    Failover,
    /// The conformance suite: cases from scenario files.
    Scenarios,
}

impl Set {
    /// All sets, in the order they run.
    pub const ALL: &'static [Self] = Self::VARIANTS;
}

/// One policy, one partner, one direction.
#[derive(Clone, Debug)]
pub struct Case {
    /// Stable and readable: `personas/row07/google-talk/inbound`. Consists of letters, digits, `-` and `/`.
    pub id: String,
    /// Its set.
    pub set: Set,
    /// How the target is configured for the partner's domain.
    pub row: PolicyNumber,
    /// The partner: from a file, or generated for the case (sets `policies` and `offers`).
    pub partner: Arc<Persona>,
    /// Who dials.
    pub direction: Direction,
    /// What happens in it.
    pub script: Arc<Script>,
}

/// Octets of a DNS label (RFC 1035 §2.3.4).
const LABEL: usize = 63;
/// Octets of a host name in text form.
const NAME: usize = 253;
/// Domains are below this one, which is reserved (RFC 2606 §3).
const SUFFIX: &str = "example";
/// The number of labels in a scenario's own id, `area/name`; other ids have more.
const SCENARIO_LABELS: usize = 2;

impl Case {
    /// The partner's domain in this case: `inbound.google-talk.row07.personas.example`.
    ///
    /// Valid in DNS, different for different ids, and never below the domain of another case: what
    /// lies below belongs to the case.
    pub fn domain(&self) -> String {
        self.domain_below(SUFFIX)
    }

    /// The same below another domain: `inbound.google-talk.row07.personas.lab.example.org`.
    pub fn domain_below(&self, parent: &str) -> String {
        let id = self.id.to_ascii_lowercase();
        let mut labels: Vec<&str> = id.rsplit('/').collect();
        let variant_in_policy;
        if labels.len() == SCENARIO_LABELS {
            // Its variants and its control lie next to it.
            labels.insert(0, "itself");
        } else if self.set == Set::Scenarios
            && let [row, variant, _, _] = labels.as_slice()
        {
            // Next to the same in the policy that it is written for.
            variant_in_policy = format!("{variant}-{row}");
            labels.splice(..2, [variant_in_policy.as_str()]);
        }
        let valid = labels.iter().all(|label| is_label(label));
        let plain = format!("{}.{parent}", labels.join("."));
        if valid && plain.len() <= NAME {
            return plain;
        }
        // Only a persona's name can be this long or odd. A fingerprint of the whole id
        // takes its place.
        let fingerprint = fingerprint(&self.id);
        let Self {
            set,
            row,
            direction,
            ..
        } = self;
        format!("{direction}.partner-{fingerprint:016x}.{row}.{set}.{parent}")
    }

    /// All domains that the target has to accept streams for, or dial, in this case.
    pub fn domains(&self) -> Vec<String> {
        self.script.listed(&self.domain())
    }

    /// The scenario that it is a variant of, if it belongs to the conformance suite.
    pub fn scenario(&self) -> Option<&Scenario> {
        self.script.scenario.as_ref()
    }

    /// An administrator's part in it, if the oracle's tables of settings decide it.
    pub fn administration(&self) -> Option<&Administration> {
        self.script.administration.as_deref()
    }

    /// Whether it belongs to the matrix, so that the oracle decides it.
    pub fn is_of_matrix(&self) -> bool {
        self.script.by_oracle()
    }

    /// What ids of requirements and bugs are of in it.
    pub fn registry(&self) -> &Registry {
        self.script.registry()
    }

    /// The requirements that its scenario judges, by id.
    pub fn requirements(&self) -> &[String] {
        self.scenario()
            .map_or(&[], |scenario| &scenario.requirements)
    }

    /// Whether it judges the requirement with this id, as a whole or in one of its expectations.
    pub fn judges(&self, id: &str) -> bool {
        let by_expectations = self
            .script
            .expect
            .iter()
            .flat_map(|expect| &expect.requirements);
        let mut judged = self.requirements().iter().chain(by_expectations);
        judged.any(|requirement| requirement == id)
    }

    /// Whether it has this tag.
    pub fn has_tag(&self, tag: Tag) -> bool {
        self.scenario()
            .is_some_and(|scenario| scenario.tags.contains(&tag))
    }

    /// Whether it may take as long as the target's own timeouts, because the partner is silent while
    /// the target waits for it.
    pub fn waits(&self) -> bool {
        matches!(self.script.setting, Setting::Impatient | Setting::ShortIdle)
            || self
                .administration()
                .is_some_and(|one| one.passes.is_some())
    }
}

fn is_label(text: &str) -> bool {
    (1..=LABEL).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// FNV-1a: stable across compiler releases, unlike the standard library's hasher.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use simulated_partners::persona::builtin;

    use super::*;
    use crate::matrix::cases;
    use crate::scenario::Library;

    fn persona(name: &str) -> Persona {
        let mut persona = builtin().swap_remove(0);
        persona.name = name.to_owned();
        persona
    }

    #[test]
    fn domain_follows_from_the_id() {
        let all = cases(&[persona("google-talk")]);
        let case = all
            .iter()
            .find(|case| case.id == "personas/row07/google-talk/inbound")
            .expect("made above");
        assert_eq!(case.domain(), "inbound.google-talk.row07.personas.example");
    }

    #[test]
    fn domains_are_valid_and_unique_even_for_odd_names() {
        let long = "x".repeat(200);
        let odd = [
            persona(&long),
            persona(&format!("{long}y")),
            persona("Ünlaut & Söhne"),
            persona("-"),
            persona("a_b"),
            persona("a.b"),
        ];
        let all = cases(&odd);
        let mut domains = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for case in &all {
            let domain = case.domain();
            assert!(domain.len() <= NAME, "{domain}");
            assert!(domain.split('.').all(is_label), "{domain}");
            assert!(domain.ends_with(".example"));
            assert!(domains.insert(domain.clone()), "{domain} twice");
            assert!(ids.insert(&case.id), "{} twice", case.id);
        }
    }

    #[test]
    fn no_domain_lies_below_that_of_another_case() {
        let library = Library::builtin();
        let policies: Vec<PolicyNumber> = (1..=18).filter_map(PolicyNumber::new).collect();
        let mut all = cases(&builtin());
        all.extend(library.cases());
        all.extend(library.cases_in(Some(&policies)));
        let ids: BTreeSet<&str> = all.iter().map(|case| case.id.as_str()).collect();
        let domains: BTreeSet<String> = all.iter().map(Case::domain).collect();
        assert_eq!(domains.len(), ids.len());
        for domain in &domains {
            for (dot, _) in domain.match_indices('.') {
                assert!(!domains.contains(&domain[dot + 1..]), "{domain}");
            }
        }
    }

    #[test]
    fn only_silent_partners_keep_the_target_waiting() {
        let waiting: BTreeSet<(String, Direction)> = cases(&builtin())
            .iter()
            .filter(|case| case.waits())
            .map(|case| (case.partner.name.clone(), case.direction))
            .collect();
        let wanted = [
            ("authority-silent", Direction::Inbound),
            ("authority-wrong-domain", Direction::Inbound),
            ("silent-after-accept", Direction::Outbound),
            ("silent-after-accept", Direction::Inbound),
        ];
        let wanted = wanted.map(|(name, direction)| (name.to_owned(), direction));
        assert_eq!(waiting, BTreeSet::from(wanted));
    }
}
