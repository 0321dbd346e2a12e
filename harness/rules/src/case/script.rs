//! What happens in a case, of the matrix or of a scenario, as data that is ready to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use simulated_partners::board::Begins;
use simulated_partners::document::Source;
use simulated_partners::persona::{Persona, Tls};
use simulated_partners::pki::CertificateSpec;
use simulated_partners::tls::TlsOptions;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Direction;
use super::administration::Administration;
use super::dns::Dns;
use super::domains::Domains;
use super::expect::{Expect, OutcomeWord};
use super::names::Names;
use super::room::Room;
use crate::requirement::Registry;

/// The partner that a case is about.
pub const MAIN: &str = "partner";
/// The domain of the target that a partner addresses, unless it says otherwise.
pub const TARGET: &str = "{target}";
/// The name of the control among a scenario's variants.
pub const CONTROL: &str = "control";

/// What happens in a case and what must follow.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its scenario, unless the case belongs to the matrix.
    pub scenario: Option<Scenario>,
    /// An administrator's part in it, if it is about settings.
    pub administration: Option<Arc<Administration>>,
    /// A one-line description.
    pub title: String,
    /// Who dials.
    pub direction: Direction,
    /// The capabilities that the target needs.
    pub needs: Vec<Need>,
    /// How the target is configured.
    pub setting: Setting,
    /// Whether it gets its own server instance.
    pub alone: bool,
    /// Values of placeholders.
    pub values: BTreeMap<String, String>,
    /// The partners, the main one first.
    pub roles: Vec<Role>,
    /// DNS answers.
    pub dns: Vec<Dns>,
    /// What the inner side sends.
    pub local: Vec<Local>,
    /// Rooms of the inner side.
    pub rooms: Vec<Room>,
    /// What must be observed.
    pub expect: Vec<Expect>,
    /// Allowed outcomes; all if empty.
    pub outcome: Vec<OutcomeWord>,
    /// Whether a correct partner must get through afterwards.
    pub alive: bool,
    /// The time limit in seconds.
    pub seconds: Option<u16>,
    /// Why it cannot show anything in its policy, if so.
    pub unfit: Option<String>,
}

/// The origin of a case: what it judges, and where it is written.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file below `scenarios/`, without its ending: `streams/STR-08-header-then-features`.
    pub file: String,
    /// The path of that file.
    pub path: String,
    /// What it was read from.
    pub texts: Arc<Texts>,
    /// What ids of requirements and bugs are of.
    pub registry: Arc<Registry>,
    /// The variant, if the file has any.
    pub variant: Option<String>,
    /// The requirements that it judges; without any, what it wants itself.
    pub requirements: Vec<String>,
    /// The known bugs that it looks for.
    pub bugs: Vec<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Whether it is the control of the others.
    pub is_control: bool,
    /// The id of its control, if it has one.
    pub control: Option<String>,
    /// For a control: the expectations of the cases that must be refused, none of which it
    /// may satisfy.
    pub siblings: Vec<(String, Vec<Expect>)>,
}

/// The texts of a scenario and of the personas in it.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// That of the scenario.
    pub scenario: String,
    /// Those of personas, by the scenario's words for them: each file with its name.
    pub personas: BTreeMap<String, Source>,
}

/// A partner of a script.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Its behaviour, including reactions from the scenario.
    pub persona: Arc<Persona>,
    /// Its certificate, if it is not one of the persona's kinds.
    pub certificate: Option<CertificateSpec>,
    /// Its behaviour in handshakes.
    pub handshake: TlsOptions,
    /// Its domain, with placeholders.
    pub domain: String,
    /// Whether another domain would do as well: the script names it by its role alone.
    pub any_domain: bool,
    /// The domain of the target that it addresses, with placeholders.
    pub target: String,
    /// Whether it dials the second member of the target's pool.
    pub other_member: bool,
    /// Whether it dials from an address of its own.
    pub own_address: bool,
    /// When it dials.
    pub dials: Begins,
    /// When it takes connections. Until then a SYN gets no answer.
    pub accepts: Begins,
    /// How many connections it opens.
    pub times: u16,
    /// Whether DNS points to it.
    pub serves: bool,
    /// Whether it listens on port 5269.
    pub default_port: bool,
    /// Whether it listens on `::1`.
    pub over_ipv6: bool,
    /// Whether it sends its stanza despite a refusal.
    pub insists: bool,
    /// Whether it answers requests.
    pub answers: bool,
    /// Milliseconds that it waits for each step.
    pub patience: Option<u32>,
    /// Whether its domain is missing from the target's configuration.
    pub unlisted: bool,
}

/// What the inner side sends through the target.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Local {
    /// A stanza, with placeholders. `from` must be in the target's domain.
    pub send: String,
    /// Send the text as it is, even if it is no XML. The target may end its link for that.
    #[serde(default)]
    pub raw: bool,
    /// Send it when this signal is raised; by default immediately.
    pub when: Option<String>,
    /// This many times, with `{n}` counted from 1.
    #[serde(default = "once")]
    pub times: u16,
}

fn once() -> u16 {
    1
}

/// A tag for cases of any area.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Tag {
    /// The partner attacks, or sends what only an attacker would send.
    Hostile,
}

impl Tag {
    /// Its meaning, in a clause.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Hostile => "the partner attacks, or sends what only an attacker would send",
        }
    }
}

/// A capability of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// It serves a second domain, `{target2}`.
    SecondDomain,
    /// It can be configured with one certificate for all its domains; usually each has its own.
    SharedCertificate,
    /// Its inner side also sends from that domain.
    SecondSender,
    /// It can be configured to give up within a second.
    ShortTimeouts,
    /// It supports XEP-0288.
    Bidi,
    /// It supports XEP-0198 between servers.
    StreamManagement,
    /// It uses direct TLS if a partner's DNS records offer it (XEP-0368).
    DirectTls,
    /// It also resolves addresses with the lab's DNS instead of the system's C library.
    LabAddresses,
    /// It accepts direct TLS, on the port where it accepts streams or on one of its own.
    DirectTlsPort,
    /// A component or gateway link behind it takes part in the case.
    InnerSide,
    /// A link behind it may break without harm to other cases.
    BreakableLink,
    /// Its dialback secret is known (`{secret}`), and its keys follow XEP-0185.
    KnownSecret,
    /// It is a pool of two members that share their domains, certificates and dialback secret.
    Pool,
    /// It can be configured to refuse a bad certificate even where dialback is possible.
    StrictCertificates,
    /// What the sets `settings` and `failover` set can be set from here. Scenarios set nothing.
    #[serde(skip)]
    Settings,
}

impl Need {
    /// Why a target without it is skipped.
    pub const fn lacking(self) -> &'static str {
        match self {
            Self::SecondDomain => "it serves one domain only",
            Self::SharedCertificate => "its domains cannot be given one certificate",
            Self::SecondSender => "its inner side sends for one domain only",
            Self::ShortTimeouts => "its timeouts cannot be set short enough",
            Self::Bidi => "it does not support XEP-0288",
            Self::StreamManagement => "it does not support XEP-0198 between servers",
            Self::LabAddresses => {
                "it resolves addresses with the system resolver, not the lab's DNS"
            }
            Self::DirectTls => "it does not dial with direct TLS (XEP-0368)",
            Self::DirectTlsPort => "it does not accept direct TLS",
            Self::InnerSide => "nothing behind it can be observed",
            Self::BreakableLink => "other cases need the link behind it",
            Self::KnownSecret => "its dialback secret is not known",
            Self::Pool => "it has no second member",
            Self::StrictCertificates => {
                "it is not configured to refuse bad certificates where dialback is possible"
            }
            Self::Settings => "it has no such setting, or none that can be set from here",
        }
    }
}

/// How the target is configured, besides its policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// By default.
    #[default]
    Usual,
    /// It does not wait long for a partner: a few seconds, or until its clock is moved.
    Impatient,
    /// It soon closes streams on which no stanza comes: after a few seconds, or when its clock is moved.
    ShortIdle,
    /// TLS with an invalid certificate is refused.
    StrictCertificates,
}

impl Role {
    /// The only partner of a case; it sends its stanza despite a refusal.
    fn main(persona: &Arc<Persona>, dials: bool) -> Self {
        Self {
            name: MAIN.into(),
            persona: Arc::clone(persona),
            certificate: None,
            handshake: TlsOptions::default(),
            domain: "{domain}".to_owned(),
            any_domain: false,
            target: TARGET.to_owned(),
            other_member: false,
            own_address: false,
            dials: Begins::Plain(dials),
            accepts: Begins::Plain(true),
            times: 1,
            serves: true,
            default_port: false,
            over_ipv6: false,
            insists: true,
            answers: false,
            patience: None,
            unlisted: false,
        }
    }
}

impl Script {
    /// Whether the oracle decides how the case may end. If not, its scenario or its rule says what has to be seen.
    pub fn by_oracle(&self) -> bool {
        self.scenario.is_none() && self.administration.is_none()
    }

    /// What ids of requirements and bugs are of.
    pub fn registry(&self) -> &Registry {
        match &self.scenario {
            Some(scenario) => &scenario.registry,
            None => Registry::builtin(),
        }
    }

    /// The domains in the target's configuration, for a case with this domain.
    pub fn listed(&self, domain: &str) -> Vec<String> {
        let names = Names::of(self, Domains::below(self, domain), "", None);
        let mut domains = vec![domain.to_owned()];
        domains.extend(self.alive.then(|| names.living().to_owned()));
        let others = self.roles.iter().filter(|role| !role.unlisted);
        domains.extend(others.map(|role| names.of_role(role)));
        domains
    }

    /// One partner with this persona and one stanza: the oracle decides the outcome.
    pub fn of_matrix(persona: &Arc<Persona>, direction: Direction, setting: Setting) -> Self {
        let inbound = direction == Direction::Inbound;
        Self {
            scenario: None,
            administration: None,
            title: persona.title.clone(),
            direction,
            needs: needs(persona, direction),
            setting,
            alone: false,
            values: BTreeMap::new(),
            roles: vec![Role::main(persona, inbound)],
            dns: Vec::new(),
            local: Vec::new(),
            rooms: Vec::new(),
            expect: Vec::new(),
            outcome: Vec::new(),
            alive: false,
            seconds: None,
            unfit: None,
        }
    }

    /// One partner with this persona, on a target that is set by an administrator. What happens is added by whoever
    /// makes the case.
    pub fn of_settings(persona: &Arc<Persona>, direction: Direction) -> Self {
        let mut script = Self::of_matrix(persona, direction, Setting::Usual);
        script.needs = vec![Need::Settings, Need::InnerSide];
        script.roles[0].insists = false;
        script
    }

    /// Whether the target may end the link to its inner side in the case.
    pub fn breaks_link(&self) -> bool {
        self.local.iter().any(|local| local.raw)
    }

    /// Whether the inner side sends its own ping.
    pub fn sends_by_itself(&self) -> bool {
        self.direction == Direction::Outbound && self.local.is_empty()
    }
}

/// The capabilities needed to meet a persona: if the partner dials, the target has to
/// dial it too, to verify keys and to answer.
fn needs(persona: &Persona, direction: Direction) -> Vec<Need> {
    match (persona.offer.tls, direction) {
        (Tls::Direct, Direction::Outbound) => vec![Need::DirectTls],
        (Tls::Direct, Direction::Inbound) => vec![Need::DirectTlsPort, Need::DirectTls],
        _ => Vec::new(),
    }
}
