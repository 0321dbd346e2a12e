//! Checks of the settings as a whole, and queries that streams make.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rustls::pki_types::UnixTime;

use super::draft::Draft;
use super::settings::{Settings, Side};
use crate::certificate::{Examined, Judge, examine};
use crate::domain::Domain;
use crate::key::{DialbackKeys, Secret};
use crate::negotiation::Terms;
use crate::partner::Partner;

/// A configuration that passed every check.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) settings: Settings,
    served: BTreeSet<Domain>,
    /// Each partner's domains, with the partner's index in the settings.
    partners: BTreeMap<Domain, usize>,
    keys: DialbackKeys,
    /// Whether these keys are of this process alone.
    random_keys: bool,
    pub(super) weak_secret: bool,
    /// The file that it was read from, if it was.
    pub(crate) path: Option<PathBuf>,
}

/// How the partners of a configuration differ from those of another one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) added: Vec<Domain>,
    pub(crate) removed: Vec<Domain>,
    pub(crate) changed: Vec<Domain>,
}

impl Config {
    /// Whether the proxy serves the domain.
    pub(crate) fn serves(&self, domain: &Domain) -> bool {
        self.served.contains(domain)
    }

    /// The first of the served domains, used if the peer asked for none of them.
    pub(crate) fn own_domain(&self) -> &Domain {
        &self.settings.domains[0]
    }

    /// The partner that has exactly this domain.
    pub(crate) fn partner(&self, domain: &Domain) -> Option<&Partner> {
        let index = *self.partners.get(domain)?;
        self.settings.partners.get(index)
    }

    /// The terms of the partner that has this domain.
    pub(crate) fn terms(&self, domain: &Domain) -> Option<Terms> {
        self.partner(domain).map(|partner| partner.terms)
    }

    pub(crate) fn keys(&self) -> &DialbackKeys {
        &self.keys
    }

    /// Examines the proxy's own certificates: for each served domain what is presented as it, then the internal side's.
    #[must_use]
    pub fn examine(&self, now: UnixTime) -> Vec<Examined> {
        let Settings {
            domains,
            external,
            own_certificates,
            internal,
            ..
        } = &self.settings;
        let judge = |side: &Side| Judge::new(side.authorities.clone(), false);
        let (outside, inside) = (judge(external), judge(internal));
        let mut examined: Vec<Examined> = domains
            .iter()
            .flat_map(|domain| {
                let shown = own_certificates.get(domain);
                let shown = shown.unwrap_or(&external.credentials);
                examine(shown, Some(domain), &outside, now)
            })
            .collect();
        examined.extend(examine(&internal.credentials, None, &inside, now));
        examined
    }

    /// Whether what was agreed on a stream between the domains by an older configuration holds by this one, too.
    pub(crate) fn upholds(&self, older: &Self, own: &Domain, peer: &Domain) -> bool {
        let agreed = |config: &Self| {
            let partner = config.partner(peer).filter(|_| config.serves(own))?;
            let Partner {
                domain,
                terms,
                multiplexing,
                bidirectional,
                stream_management,
                ..
            } = partner;
            let streams = (*multiplexing, *bidirectional, *stream_management);
            Some((domain.clone(), *terms, streams))
        };
        self.settings.strict_certificates == older.settings.strict_certificates
            && agreed(self).is_some_and(|now| agreed(older) == Some(now))
    }

    /// Without a secret of its own, goes on with the random one of the configuration before.
    pub(crate) fn keep_random_secret(&mut self, older: &Self) {
        if self.random_keys && older.random_keys {
            self.keys = older.keys.clone();
        }
    }

    /// The partners that are others than in an older configuration.
    pub(crate) fn difference(&self, older: &Self) -> Difference {
        let mut difference = Difference::default();
        for partner in &self.settings.partners {
            match older.identified(&partner.domain) {
                None => difference.added.push(partner.domain.clone()),
                Some(before) if before != partner => {
                    difference.changed.push(partner.domain.clone());
                }
                Some(_) => {}
            }
        }
        let removed = older.settings.partners.iter();
        let removed = removed.filter(|partner| self.identified(&partner.domain).is_none());
        difference.removed = removed.map(|partner| partner.domain.clone()).collect();
        difference
    }

    /// The partner that is identified by the domain.
    fn identified(&self, domain: &Domain) -> Option<&Partner> {
        self.partner(domain)
            .filter(|partner| partner.domain == *domain)
    }

    /// Logs the partners, and warns about what may not be meant and about those whose terms may not work as expected. Of those in an older configuration
    /// only the ones with other terms.
    pub(crate) fn log_partners(&self, older: Option<&Self>) {
        let known = older.map(Self::general_doubts).unwrap_or_default();
        for doubt in self.general_doubts() {
            if !known.contains(&doubt) {
                tracing::warn!("{doubt}");
            }
        }
        for partner in &self.settings.partners {
            let known = older.and_then(|older| older.identified(&partner.domain));
            if known.is_some_and(|known| known.terms == partner.terms) {
                continue;
            }
            let Partner {
                domain,
                description,
                kind,
                terms,
                ..
            } = partner;
            let row = terms.row();
            tracing::debug!(%domain, row, %kind, description, "partner");
            if let Ok(Some(warning)) = terms.check(self.settings.validation) {
                tracing::warn!(%domain, row, "{warning}");
            }
            if let Some(warning) = self.crowding(partner) {
                tracing::warn!(%domain, "{warning}");
            }
        }
    }
}

/// A problem in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Paths of settings such as `partner[2].sasl`. The problem is shown at the first one that the
    /// file has.
    pub(super) places: Vec<String>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Problem {
    /// What is wrong, and the path of the setting, such as `partner[2].sasl`.
    pub fn new(place: &(impl ToString + ?Sized), message: impl Into<String>) -> Self {
        Self {
            places: vec![place.to_string()],
            message: message.into(),
            help: None,
        }
    }

    /// Adds what would be right.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// What follows from a draft without mistakes.
pub(super) struct Checked {
    served: BTreeSet<Domain>,
    partners: BTreeMap<Domain, usize>,
    keys: DialbackKeys,
    random_keys: bool,
    weak_secret: bool,
}

impl Checked {
    /// A configuration of settings that are those of the draft.
    pub(super) fn with(self, settings: Settings) -> Config {
        let Self {
            served,
            partners,
            keys,
            random_keys,
            weak_secret,
        } = self;
        Config {
            settings,
            served,
            partners,
            keys,
            random_keys,
            weak_secret,
            path: None,
        }
    }
}

/// Checks for values that are empty, duplicate or contradictory.
pub(super) fn check(draft: &Draft) -> Result<Checked, Vec<Problem>> {
    let mut problems = Vec::new();
    let served = check_domains(&draft.domains, &mut problems);
    if draft.gateways.is_empty() {
        let message = "at least one gateway must be named";
        problems.push(Problem::new("internal.gateways", message));
    }
    let limits = &draft.limits;
    if limits.queue_bytes < limits.stanza_bytes {
        problems.push(Problem {
            places: ["limits.queue-bytes", "limits.stanza-bytes"]
                .map(str::to_owned)
                .into(),
            message: "a queue has to hold one stanza of the largest size".to_owned(),
            help: Some(format!("at least `stanza-bytes`, {}", limits.stanza_bytes)),
        });
    }
    if limits.kept_for_outbound() >= limits.connections {
        problems.push(Problem {
            places: ["limits.outbound-reserve", "limits.connections"]
                .map(str::to_owned)
                .into(),
            message: "no connection is left for partners that dial".to_owned(),
            help: Some(format!("less than `connections`, {}", limits.connections)),
        });
    }
    let partners = check_partners(draft, &served, &mut problems);
    match draft.secret.clone().map_or_else(Secret::random, Ok) {
        Ok(secret) if !secret.is_empty() => {
            if problems.is_empty() {
                return Ok(Checked {
                    served,
                    partners,
                    keys: DialbackKeys::new(&secret),
                    random_keys: draft.secret.is_none(),
                    weak_secret: draft.secret.as_ref().is_some_and(Secret::is_weak),
                });
            }
        }
        Ok(_) => problems.push(
            Problem::new("secret", "the secret may not be empty")
                .help("without the setting a random one is used"),
        ),
        Err(error) => problems.push(Problem::new("secret", error.to_string())),
    }
    Err(problems)
}

fn check_domains(domains: &[Domain], problems: &mut Vec<Problem>) -> BTreeSet<Domain> {
    if domains.is_empty() {
        let message = "at least one domain must be served";
        problems.push(Problem::new("domains", message));
    }
    let mut served = BTreeSet::new();
    for (index, domain) in domains.iter().enumerate() {
        if !served.insert(domain.clone()) {
            let message = format!("`{domain}` is listed twice");
            problems.push(Problem::new(&format_args!("domains[{index}]"), message));
        }
    }
    served
}

fn check_partners(
    draft: &Draft,
    served: &BTreeSet<Domain>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Domain, usize> {
    let mut partners = BTreeMap::new();
    for (index, partner) in draft.partners.iter().enumerate() {
        let place = |setting: &str| format!("partner[{index}].{setting}");
        for (position, domain) in partner.domains().enumerate() {
            let setting = match position.checked_sub(1) {
                None => "domain".to_owned(),
                Some(further) => format!("additional-domains[{further}]"),
            };
            if served.contains(domain) {
                let message = format!("`{domain}` is served here and cannot be a partner");
                problems.push(Problem::new(&place(&setting), message));
            }
            match partners.entry(domain.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(index);
                }
                Entry::Occupied(entry) => {
                    let owner = &draft.partners[*entry.get()].domain;
                    let message = format!("`{domain}` is already a domain of partner {owner}");
                    problems.push(Problem::new(&place(&setting), message));
                }
            }
        }
        if let Err(invalid) = partner.terms.check(draft.validation) {
            problems.push(Problem {
                // The most likely culprit comes first; settings left at their default are not in the file.
                places: ["sasl", "tls", "dialback", "domain"].map(place).into(),
                message: invalid.to_string(),
                help: Some(invalid.reason.remedy().to_owned()),
            });
        }
        if partner.connection_limit == Some(0) {
            let message = "the connection limit may not be zero";
            let help = "leave the partner out to refuse it";
            problems.push(Problem::new(&place("connection-limit"), message).help(help));
        }
    }
    partners
}
