//! What happens in a case of the conformance suite, as data that is ready to be run.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use simulated_partners::persona::{Persona, Tls};
use simulated_partners::pki::CertificateSpec;
use simulated_partners::tls::TlsOptions;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Direction;
use super::dns::Dns;
use super::expect::{Expect, OutcomeWord};
use super::names::Names;
use super::sees::Sees;

/// The partner that a case is about.
pub const MAIN: &str = "partner";
/// The name of the accepting neighbour among a scenario's variants.
pub const CONTROL: &str = "control";

/// What happens in a case, and what has to come of it.
#[derive(Clone, Debug)]
pub struct Script {
    /// Where it comes from, where it is no case of the matrix.
    pub scenario: Option<Scenario>,
    /// What happens and what has to come of it.
    pub title: String,
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
}

/// What a variant of a scenario judges, and where it stands.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file below `scenarios/`, without its ending: `streams/STR-08-header-then-features`.
    pub file: String,
    /// The variant, where there are some.
    pub variant: Option<String>,
    /// What it judges.
    pub requirements: Vec<String>,
    /// Known failures of real servers that it looks for.
    pub bugs: Vec<String>,
    /// What kind of case it is.
    pub tags: Vec<Tag>,
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
    pub certificate: Option<CertificateSpec>,
    /// What it does in handshakes beside that.
    pub handshake: TlsOptions,
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
    /// Whether the target's configuration leaves its domain out.
    pub unlisted: bool,
}

/// When a partner dials.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dials {
    /// At once, or not at all.
    Plain(bool),
    /// When this name is raised.
    When(String),
}

/// What the local side sends through the target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Local {
    /// A stanza, with placeholders. `from` has to be at the target's domain.
    pub send: String,
    /// When this name is raised; at once where nothing is said.
    pub when: Option<String>,
    /// This many times, with `{n}` counted from 1.
    #[serde(default = "once")]
    pub times: u16,
}

fn once() -> u16 {
    1
}

/// A kind of case that is found in all areas.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Deserialize,
    JsonSchema,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Tag {
    /// The partner means harm, or sends what only somebody who means harm would send.
    Hostile,
}

/// What a target must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// It serves a second domain, `{target2}`.
    SecondDomain,
    /// Its inner side sends for that domain, too.
    SecondSender,
    /// It can be set to give up within a second.
    ShortTimeouts,
    /// It speaks XEP-0288.
    Bidi,
    /// It speaks XEP-0198 between servers.
    StreamManagement,
    /// It dials with direct TLS where a partner's records say so (XEP-0368).
    DirectTls,
    /// It asks the lab's DNS for addresses too, not the machine's C library.
    LabAddresses,
    /// It takes direct TLS at the address where it takes streams.
    DirectTlsPort,
    /// What is behind it is a part of the case: a component or a gateway link.
    InnerSide,
    /// Its dialback secret is known (`{secret}`), and keys are made as XEP-0185 says.
    KnownSecret,
    /// It can be set to refuse a bad certificate even where dialback would do.
    StrictCertificates,
}

impl Need {
    /// Why a target without it is left out.
    pub const fn lacking(self) -> &'static str {
        match self {
            Self::SecondDomain => "it serves one domain only",
            Self::SecondSender => "its inner side sends for one domain only",
            Self::ShortTimeouts => "its timeouts cannot be set short enough",
            Self::Bidi => "it does not speak XEP-0288",
            Self::StreamManagement => "it does not speak XEP-0198 between servers",
            Self::LabAddresses => "it asks the machine, not the lab, for addresses",
            Self::DirectTls => "it does not dial with direct TLS (XEP-0368)",
            Self::DirectTlsPort => "it does not take direct TLS where it takes streams",
            Self::InnerSide => "nothing of what is behind it can be seen",
            Self::KnownSecret => "its dialback secret is not known",
            Self::StrictCertificates => "it is not set to refuse bad certificates beside dialback",
        }
    }
}

/// How the target is set, beside its policy.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// As it comes.
    #[default]
    Usual,
    /// Its timeouts are short: a second for a negotiation, half of it for dialback and DNS.
    Impatient,
    /// It closes streams on which no stanza has come for 400 milliseconds.
    ShortIdle,
    /// TLS with a certificate that cannot be verified is refused.
    StrictCertificates,
}

impl Role {
    /// The only partner of a case: it sends its stanza in spite of a refusal.
    fn main(persona: &Arc<Persona>, dials: bool) -> Self {
        Self {
            name: MAIN.into(),
            persona: Arc::clone(persona),
            certificate: None,
            handshake: TlsOptions::default(),
            domain: "{domain}".to_owned(),
            dials: Dials::Plain(dials),
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
    /// The domains in the target's configuration, in a case of this domain.
    pub fn listed(&self, domain: &str) -> Vec<String> {
        let names = Names::of(self, domain, "", None);
        let mut domains = vec![domain.to_owned()];
        domains.extend(self.alive.then(|| names.living()));
        let others = self.roles.iter().filter(|role| !role.unlisted);
        domains.extend(others.map(|role| names.of_role(role)));
        domains
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

    /// One partner that is this persona, and one stanza: the oracle says what may come of it.
    pub fn of_matrix(persona: &Arc<Persona>, direction: Direction, setting: Setting) -> Self {
        let inbound = direction == Direction::Inbound;
        Self {
            scenario: None,
            title: persona.title.clone(),
            direction,
            needs: needs(persona, direction),
            setting,
            alone: false,
            values: BTreeMap::new(),
            roles: vec![Role::main(persona, inbound)],
            dns: Vec::new(),
            local: Vec::new(),
            expect: Vec::new(),
            outcome: Vec::new(),
            alive: false,
            seconds: None,
        }
    }

    /// Whether the local side sends a ping on its own.
    pub fn sends_by_itself(&self) -> bool {
        self.direction == Direction::Outbound && self.local.is_empty()
    }
}

/// What a target must be able to do to meet a persona: where the partner dials, the target has to
/// dial it, too, to check keys and to answer.
fn needs(persona: &Persona, direction: Direction) -> Vec<Need> {
    match (persona.offer.tls, direction) {
        (Tls::Direct, Direction::Outbound) => vec![Need::DirectTls],
        (Tls::Direct, Direction::Inbound) => vec![Need::DirectTlsPort, Need::DirectTls],
        _ => Vec::new(),
    }
}

impl Scenario {
    /// The id of the accepting neighbour of a case with this id.
    pub fn control_of(&self, id: &str) -> Option<String> {
        if !self.has_control {
            return None;
        }
        let below = id.strip_prefix(self.file.as_str())?.trim_start_matches('/');
        let row = match &self.variant {
            Some(variant) => below
                .strip_prefix(variant.as_str())?
                .trim_start_matches('/'),
            None => below,
        };
        let mut control = format!("{}/{CONTROL}", self.file);
        if !row.is_empty() {
            control = format!("{control}/{row}");
        }
        Some(control)
    }
}
