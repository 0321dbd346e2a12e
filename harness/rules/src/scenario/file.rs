//! A scenario file, field by field.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use simulated_partners::persona::{Certificate, Key, Tls, TlsVersion};
use simulated_partners::pki::Recipe;
use simulated_partners::reaction::Reaction;
use simulated_partners::tls::Habits;

use crate::case::{Dials, Direction, Dns, Expect, Local, Need, OutcomeWord, Setting, Tag};

/// One case of the conformance suite, with its variants.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// The format of this file: 1.
    pub format: u8,
    /// What happens and what has to come of it, in one line.
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
    #[serde(default = "File::open_policy")]
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
    /// Texts for placeholders, such as `{unit}`, in everything below. Variants replace them.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// The partner that the case is about.
    #[serde(default)]
    pub partner: Part,
    /// Its reactions, before those of its persona.
    #[serde(default)]
    pub reaction: Vec<Reaction>,
    /// More partners, by name. `{name}` is the domain of each.
    #[serde(default)]
    pub partners: BTreeMap<String, Part>,
    /// What DNS answers instead of the usual records of the partners.
    #[serde(default)]
    pub dns: Vec<Dns>,
    /// What the local side sends. Outbound and with nothing here, it is a ping with the id `{probe}`.
    #[serde(default)]
    pub local: Vec<Local>,
    /// What has to be seen, and what must not.
    pub expect: Vec<Expect>,
    /// The allowed outcomes: `established`, `sasl-tls`, `tls-dialback`, `tcp-dialback`, `refused`.
    #[serde(default)]
    pub outcome: Vec<OutcomeWord>,
    /// Whether a fresh, correct partner has to get through afterwards.
    #[serde(default = "yes")]
    pub alive: bool,
    /// Seconds that the case may take, where the usual deadline is too short.
    pub seconds: Option<u16>,
    /// The accepting neighbour: the same with this difference, which must get through.
    pub control: Option<Patch>,
    /// Why a refusal needs no control of its own.
    pub no_control: Option<String>,
    /// The same with these differences, each a case of its own.
    #[serde(default)]
    pub variants: BTreeMap<String, Patch>,
}

impl File {
    fn open_policy() -> Vec<u8> {
        vec![9]
    }
}

fn yes() -> bool {
    true
}

/// What differs from the rest of the file. Lists replace lists; values and partners are taken one by
/// one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Patch {
    /// Says what is different, in a few words.
    pub title: Option<String>,
    /// In place of the file's list: what this variant judges.
    pub requirements: Option<Vec<String>>,
    /// Who dials.
    pub direction: Option<Direction>,
    /// Rows of the policies.
    pub policies: Option<Vec<u8>>,
    /// What a target must be able to do.
    pub needs: Option<Vec<Need>>,
    /// How the target is set.
    pub setting: Option<Setting>,
    /// Texts for placeholders.
    pub values: BTreeMap<String, String>,
    /// The partner that the case is about.
    pub partner: Part,
    /// In place of the file's reactions.
    pub reaction: Option<Vec<Reaction>>,
    /// Other partners.
    pub partners: BTreeMap<String, Part>,
    /// In place of the file's answers of DNS.
    pub dns: Option<Vec<Dns>>,
    /// In place of what the local side sends.
    pub local: Option<Vec<Local>>,
    /// In place of what has to be seen. For a control without it: the probe gets through.
    pub expect: Option<Vec<Expect>>,
    /// In place of the allowed outcomes.
    pub outcome: Option<Vec<OutcomeWord>>,
    /// Whether a correct partner has to get through afterwards.
    pub alive: Option<bool>,
    /// Seconds that the case may take.
    pub seconds: Option<u16>,
}

/// A partner of a scenario.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Part {
    /// The persona that it starts from; `modern` where nothing is said.
    pub persona: Option<String>,
    /// What differs from that persona's offer.
    pub offer: OfferPatch,
    /// The certificate that it shows, ingredient by ingredient, in place of the persona's.
    pub certificate: Option<Recipe>,
    /// What it does in handshakes beside that: sessions, application protocols, names.
    pub handshake: Option<Habits>,
    /// Its domain, with placeholders. The case's own for the main partner, `name.{domain}` for others.
    pub domain: Option<String>,
    /// When it dials the target: `true` at once, `false` not at all, or when this name is raised. The
    /// main partner dials at once in inbound cases.
    pub dials: Option<Dials>,
    /// How many connections it opens then; 1 where nothing is said.
    pub times: Option<u16>,
    /// Whether DNS leads to it for its domain; it does where the domain is its own.
    pub serves: Option<bool>,
    /// It listens at the default port 5269, on an address of its own.
    pub default_port: Option<bool>,
    /// It listens at `::1`.
    pub over_ipv6: Option<bool>,
    /// It sends its stanza in spite of a refusal, right before its end.
    pub insists: Option<bool>,
    /// It answers requests, on connections of its own.
    pub answers: Option<bool>,
    /// Milliseconds that it waits for each step.
    pub patience: Option<u32>,
    /// The target is not told of its domain.
    pub unlisted: Option<bool>,
    /// Its reactions, before those of its persona.
    pub reaction: Option<Vec<Reaction>>,
}

/// What differs from a persona's offer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct OfferPatch {
    /// STARTTLS.
    pub tls: Option<Tls>,
    /// EXTERNAL after TLS.
    pub external: Option<bool>,
    /// EXTERNAL before TLS, too.
    pub external_on_plaintext: Option<bool>,
    /// Dialback.
    pub dialback: Option<bool>,
    /// Dialback is refused where the header does not declare it.
    pub insists_on_db_namespace: Option<bool>,
    /// Nothing but EXTERNAL will do.
    pub needs_external: Option<bool>,
    /// A kind of certificate.
    pub certificate: Option<Certificate>,
    /// The kind of key in it.
    pub key: Option<Key>,
    /// TLS versions.
    pub tls_versions: Option<Vec<TlsVersion>>,
}
