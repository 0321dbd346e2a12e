//! A scenario file, field by field.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use simulated_partners::persona::Offer;
use simulated_partners::pki::CertificateSpec;
use simulated_partners::reaction::Reaction;
use simulated_partners::tls::TlsOptions;

use crate::case::{
    CONTROL, Dials, Direction, Dns, Expect, Local, MAIN, Need, OutcomeWord, Setting, Tag,
};

/// A scenario file that is read and has no mistakes.
#[derive(Clone, Debug)]
pub struct File {
    /// What it says without its variants.
    pub plain: Variant,
    /// The same with what differs in each variant.
    pub variants: BTreeMap<String, Variant>,
    /// The same with what makes it acceptable.
    pub control: Option<Variant>,
}

impl File {
    /// What becomes a case: each variant by its name, or the file where it has none, then the control.
    pub fn all(&self) -> impl Iterator<Item = (Option<&str>, &Variant)> {
        let plain = Some((None, &self.plain)).filter(|_| self.variants.is_empty());
        let variants = self.variants.iter();
        let variants = variants.map(|(name, variant)| (Some(name.as_str()), variant));
        let control = self.control.iter().map(|control| (Some(CONTROL), control));
        plain.into_iter().chain(variants).chain(control)
    }

    /// All requirements that the file or one of its variants judges.
    pub fn requirements(&self) -> BTreeSet<&str> {
        let all = std::iter::once(&self.plain).chain(self.variants.values());
        all.flat_map(|variant| &variant.requirements)
            .map(String::as_str)
            .collect()
    }
}

/// One case of the conformance suite: what a file says, or a variant of it as a whole.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Variant {
    /// What happens and what has to come of it, in one line; in a variant, what is different.
    pub title: String,
    /// Ids of the requirements that the scenario judges, such as `STR-08`.
    pub requirements: Vec<String>,
    /// Known failures of real servers that it looks for, such as `B05`.
    #[serde(default)]
    pub bugs: Vec<String>,
    /// What kind of case it is, whatever its area.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Who dials: `inbound` (the partner) or `outbound` (the target).
    pub direction: Direction,
    /// Rows of the 18 policies that the target is set to, each a case. Row 9 where nothing is said:
    /// everything is optional.
    #[serde(default = "open_policy")]
    pub policies: Vec<u8>,
    /// What a target must be able to do for this to be run on it.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// How the target is set beside its policy.
    #[serde(default)]
    pub setting: Setting,
    /// It may break what is behind a server: servers that are started for the run get one for this
    /// file alone.
    #[serde(default)]
    pub alone: bool,
    /// Texts for placeholders, such as `{unit}`, in everything else. A variant replaces them one by
    /// one.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// The partner that the case is about.
    pub partner: PartnerSpec,
    /// Its reactions, before those of its persona.
    #[serde(default)]
    pub reaction: Vec<Reaction>,
    /// More partners, by name. `{name}` is the domain of each.
    #[serde(default)]
    pub partners: BTreeMap<String, PartnerSpec>,
    /// What DNS answers instead of the usual records of the partners.
    #[serde(default)]
    pub dns: Vec<Dns>,
    /// What the local side sends. Outbound and with nothing here, it is a ping with the id `{probe}`.
    #[serde(default)]
    pub local: Vec<Local>,
    /// What has to be seen, and what must not. In a control without it, the probe gets through.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// The allowed outcomes: `established`, `sasl-tls`, `tls-dialback`, `tcp-dialback`, `refused`.
    #[serde(default)]
    pub outcome: Vec<OutcomeWord>,
    /// Whether a fresh, correct partner has to get through afterwards.
    #[serde(default = "yes")]
    pub alive: bool,
    /// Seconds that the case may take, where the usual deadline is too short.
    pub seconds: Option<u16>,
    /// Why a refusal needs no control of its own.
    pub no_control: Option<String>,
}

impl Variant {
    /// All partners, with where they are.
    pub(super) fn parts(&self) -> impl Iterator<Item = (String, &PartnerSpec)> {
        let others = self.partners.iter();
        let others = others.map(|(name, part)| (format!("partners.{name}"), part));
        std::iter::once((MAIN.to_owned(), &self.partner)).chain(others)
    }

    /// All reactions, with where they are.
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
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PartnerSpec {
    /// The persona that it starts from; `modern` where nothing is said.
    #[serde(default = "PartnerSpec::persona")]
    pub persona: String,
    /// What differs from that persona's offer.
    pub offer: Offer,
    /// The certificate that it shows, ingredient by ingredient, in place of the persona's.
    pub certificate: Option<CertificateSpec>,
    /// What it does in handshakes beside that: sessions, application protocols, names.
    #[serde(default)]
    pub handshake: TlsOptions,
    /// Its domain, with placeholders. The case's own for the main partner, `name.{domain}` for others.
    pub domain: Option<String>,
    /// When it dials the target: `true` at once, `false` not at all, or when this name is raised. The
    /// main partner dials at once in inbound cases.
    pub dials: Option<Dials>,
    /// How many connections it opens then; 1 where nothing is said.
    #[serde(default = "once")]
    pub times: u16,
    /// Whether DNS leads to it for its domain; it does where the domain is its own.
    pub serves: Option<bool>,
    /// It listens at the default port 5269, on an address of its own.
    #[serde(default)]
    pub default_port: bool,
    /// It listens at `::1`.
    #[serde(default)]
    pub over_ipv6: bool,
    /// It sends its stanza in spite of a refusal, right before its end.
    #[serde(default)]
    pub insists: bool,
    /// It answers requests, on connections of its own.
    #[serde(default)]
    pub answers: bool,
    /// Milliseconds that it waits for each step.
    pub patience: Option<u32>,
    /// The target's configuration leaves its domain out.
    #[serde(default)]
    pub unlisted: bool,
    /// Its reactions, before those of its persona.
    #[serde(default)]
    pub reaction: Vec<Reaction>,
}

impl PartnerSpec {
    /// The persona of a partner whose file names none.
    pub(super) fn persona() -> String {
        "modern".to_owned()
    }
}

fn open_policy() -> Vec<u8> {
    vec![9]
}

fn once() -> u16 {
    1
}

fn yes() -> bool {
    true
}
