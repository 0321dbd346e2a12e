//! The fields of a scenario file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use simulated_partners::board::Begins;
use simulated_partners::persona::Offer;
use simulated_partners::pki::CertificateSpec;
use simulated_partners::reaction::Reaction;
use simulated_partners::tls::TlsOptions;

use super::catalogue::Cast;
use crate::case::{
    CONTROL, Direction, Dns, Expect, Local, MAIN, Need, OutcomeWord, Room, Setting, Tag, Texts,
};
use crate::requirement::Registry;

/// A scenario file without mistakes.
#[derive(Clone, Debug)]
pub struct File {
    /// The scenario without its variants.
    pub plain: Variant,
    /// The scenario of each variant. They are large, and a map keeps room for many.
    pub variants: BTreeMap<String, Box<Variant>>,
    /// The scenario of the control.
    pub control: Option<Variant>,
    /// Where it lies.
    pub path: String,
    /// Its text, and those of its personas.
    pub(super) texts: Arc<Texts>,
    /// What its ids of requirements and bugs are of.
    pub(super) registry: Arc<Registry>,
    /// The personas of its partners.
    pub(super) cast: Cast,
}

impl File {
    /// The scenarios that become cases: each variant by its name, or the file if it has none, then the
    /// control.
    pub fn all(&self) -> impl Iterator<Item = (Option<&str>, &Variant)> {
        let plain = Some((None, &self.plain)).filter(|_| self.variants.is_empty());
        let variants = self.variants.iter();
        let variants = variants.map(|(name, variant)| (Some(name.as_str()), &**variant));
        let control = self.control.iter().map(|control| (Some(CONTROL), control));
        plain.into_iter().chain(variants).chain(control)
    }

    /// All requirements that the file or one of its variants judges.
    pub fn requirements(&self) -> BTreeSet<&str> {
        let all = std::iter::once(&self.plain).chain(self.variants.values().map(Box::as_ref));
        all.flat_map(|variant| &variant.requirements)
            .map(String::as_str)
            .collect()
    }
}

/// One case of the conformance suite: a file, or one of its variants as a whole.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Variant {
    /// What is tested, in one line; in a variant, the difference.
    pub title: String,
    /// Ids of the requirements that the scenario judges, such as `STR-08`. A scenario without any judges
    /// what it wants itself.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// Ids of known bugs of real servers that it looks for, such as `B05`.
    #[serde(default)]
    pub bugs: Vec<String>,
    /// Tags, independent of the area.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Who dials: `inbound` (the partner) or `outbound` (the target).
    pub direction: Direction,
    /// Numbers of the policies to configure, each a case; by default policy 9,
    /// where everything is optional.
    #[serde(default = "open_policy")]
    pub policies: Vec<u8>,
    /// Capabilities that the target needs.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// How the target is configured, besides its policy.
    #[serde(default)]
    pub setting: Setting,
    /// Whether it may break the server: servers started for the run then get an instance for this
    /// file alone.
    #[serde(default)]
    pub alone: bool,
    /// Texts for placeholders such as `{unit}` in all other keys. A variant replaces them
    /// individually.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// The partner that the case is about.
    pub partner: PartnerSpec,
    /// Its reactions, before those of its persona.
    #[serde(default)]
    pub reaction: Vec<Reaction>,
    /// More partners, by name. `{name}` is the domain of the partner.
    #[serde(default)]
    pub partners: BTreeMap<String, PartnerSpec>,
    /// DNS answers that replace the partners' usual records.
    #[serde(default)]
    pub dns: Vec<Dns>,
    /// What the inner side sends. By default, an outbound case sends a ping with the id `{probe}`.
    #[serde(default)]
    pub local: Vec<Local>,
    /// Rooms of the inner side: what comes in for one goes out to all its members.
    #[serde(default)]
    pub room: Vec<Room>,
    /// What must be observed, and what must not. By default, a control expects the probe to get through.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// The allowed outcomes: `established`, `best`, `sasl-tls`, `tls-dialback`,
    /// `tcp-dialback`, `refused`.
    #[serde(default)]
    pub outcome: Vec<OutcomeWord>,
    /// Whether a new, correct partner must get through afterwards.
    #[serde(default = "yes")]
    pub alive: bool,
    /// Time limit in seconds, if the usual one is too short.
    pub seconds: Option<u16>,
    /// Why a refusal needs no control.
    pub no_control: Option<String>,
    /// Why it shows nothing in policies that it does not name.
    pub only_here: Option<String>,
}

impl Variant {
    /// All partners, with their places in the file.
    pub(super) fn parts(&self) -> impl Iterator<Item = (String, &PartnerSpec)> {
        let others = self.others();
        let others = others.map(|(name, part)| (format!("partners.{name}"), part));
        std::iter::once((MAIN.to_owned(), &self.partner)).chain(others)
    }

    /// The partners besides the main one, by name.
    pub(super) fn others(&self) -> impl Iterator<Item = (&str, &PartnerSpec)> {
        let others = self.partners.iter();
        others.map(|(name, part)| (name.as_str(), part))
    }

    /// All reactions, with their places in the file.
    pub(super) fn reactions(&self) -> impl Iterator<Item = (String, &Reaction)> {
        let own = std::iter::once(("reaction".to_owned(), &self.reaction));
        let lists = self.parts();
        let lists = lists.map(|(path, part)| (format!("{path}.reaction"), &part.reaction));
        own.chain(lists).flat_map(|(path, list)| {
            let numbered = list.iter().enumerate();
            numbered.map(move |(at, one)| (format!("{path}.{at}"), one))
        })
    }

    pub(super) fn partner_names(&self) -> impl Iterator<Item = &str> {
        let others = self.partners.keys().map(String::as_str);
        others.chain([MAIN])
    }
}

/// A partner of a scenario.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PartnerSpec {
    /// The persona that it is based on: its name, or the path of its file, ending in `.toml`, from the
    /// folder of the scenario. `modern` by default.
    #[serde(default = "PartnerSpec::persona")]
    pub persona: String,
    /// Differences from that persona's offer.
    pub offer: Offer,
    /// The certificate that it shows instead of the persona's, field by field.
    pub certificate: Option<CertificateSpec>,
    /// Its behaviour in handshakes: sessions, application protocols, names.
    #[serde(default)]
    pub handshake: TlsOptions,
    /// Its domain, with placeholders. By default the case's own for the main partner, and
    /// `name.{domain}` for others.
    pub domain: Option<String>,
    /// The domain of the target that it addresses, with placeholders: `{target2}` for the second. That of
    /// the main partner is `{target}` in all texts, and what the others address by default.
    pub target: Option<String>,
    /// Whether it dials the second member of the target's pool, also to have a key verified that the first
    /// has made.
    #[serde(default)]
    pub other_member: bool,
    /// When it dials the target: `true` at once, `false` not at all, or when this signal is raised. The
    /// main partner dials at once in inbound cases.
    pub dials: Option<Begins>,
    /// When it takes connections: `true` at once, or when this signal is raised. Until then, or with
    /// `false`, whoever dials it gets no answer at all, as behind a firewall that drops everything.
    #[serde(default = "at_once")]
    pub accepts: Begins,
    /// How many connections it opens; 1 by default.
    #[serde(default = "once")]
    pub times: u16,
    /// Whether DNS points to it for its domain; by default it does if the domain is its own.
    pub serves: Option<bool>,
    /// Whether it dials from an address that nobody else has, where the target is on IPv4 loopback and the system
    /// has more than 127.0.0.1: for limits by address.
    #[serde(default)]
    pub own_address: bool,
    /// Whether it listens on the default port 5269, on its own address.
    #[serde(default)]
    pub default_port: bool,
    /// Whether it listens on `::1`.
    #[serde(default)]
    pub over_ipv6: bool,
    /// Whether it sends its stanza despite a refusal, right before it ends.
    #[serde(default)]
    pub insists: bool,
    /// Whether it answers requests, on its own connections.
    #[serde(default)]
    pub answers: bool,
    /// Milliseconds that it waits for each step.
    pub patience: Option<u32>,
    /// Whether its domain is missing from the target's configuration.
    #[serde(default)]
    pub unlisted: bool,
    /// Its reactions, before those of its persona.
    #[serde(default)]
    pub reaction: Vec<Reaction>,
}

impl PartnerSpec {
    /// The default persona of a partner.
    pub(super) fn persona() -> String {
        "modern".to_owned()
    }
}

fn open_policy() -> Vec<u8> {
    vec![9]
}

fn at_once() -> Begins {
    Begins::Plain(true)
}

fn once() -> u16 {
    1
}

fn yes() -> bool {
    true
}
