//! The checks that no type can make: what must not be empty, zero, or there twice.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::{Config, ConfigWarning, Settings};
use crate::domain::Domain;
use crate::key::{DialbackKeys, NoRandomness, Secret, random_number};
use crate::limits::Limits;
use crate::partner::Partner;

/// Each duration is at most this, so that adding it to a clock never overflows.
pub(super) const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Least bytes of a stanza that a server has to take (RFC 6120 §13.12).
const LEAST_STANZA_BYTES: usize = 10_000;
/// Room for a stream header with generous namespaces, STARTTLS and SASL.
const LEAST_BYTES_BEFORE_AUTHENTICATION: usize = 4_096;

/// What of a partner is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartnerField {
    /// The one of its additional domains with this index.
    AdditionalDomain(usize),
    /// Its own connection limit.
    ConnectionLimit,
    /// The domain that identifies it.
    Domain,
    /// TLS, SASL and dialback together.
    Negotiation,
}

/// What of the settings is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The served domain with this index.
    Domain(usize),
    /// The served domains as a whole.
    Domains,
    /// The gateways' names as a whole.
    Gateways,
    /// The limit with this name, as it is written in a file.
    Limit(&'static str),
    /// Something of the partner with this index.
    Partner(usize, PartnerField),
    /// The shared secret.
    Secret,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(index) => write!(f, "domains[{index}]"),
            Self::Domains => f.write_str("domains"),
            Self::Gateways => f.write_str("internal.gateways"),
            Self::Limit(name) => write!(f, "limits.{name}"),
            Self::Partner(index, field) => {
                write!(f, "partner[{index}].")?;
                match field {
                    PartnerField::AdditionalDomain(which) => {
                        write!(f, "additional-domains[{which}]")
                    }
                    PartnerField::ConnectionLimit => f.write_str("connection-limit"),
                    PartnerField::Domain => f.write_str("domain"),
                    PartnerField::Negotiation => f.write_str("negotiation"),
                }
            }
            Self::Secret => f.write_str("secret"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
    /// What would be valid.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Settings that are not usable, with all that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong; at least one thing.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

pub(super) fn check(mut settings: Settings) -> Result<Config, Refused> {
    let mut findings = Findings::default();
    findings.check_domains(&settings.domains);
    if settings.internal.gateways.is_empty() {
        findings.add(Place::Gateways, "at least one gateway has to be named");
    }
    findings.check_limits(&settings.limits);
    let partners = findings.check_partners(&settings);
    let (secret, seed) = match drawn(&settings) {
        Ok(drawn) => drawn,
        Err(error) => {
            findings.add(Place::Secret, error.to_string());
            return Err(findings.refused());
        }
    };
    if secret.is_empty() {
        let help = "leave it out for a random one";
        findings.add_with_help(Place::Secret, "the secret may not be empty", help);
    }
    if !findings.problems.is_empty() {
        return Err(findings.refused());
    }
    let keys = DialbackKeys::new(&secret);
    settings.secret = Some(secret);
    Ok(Config {
        served: settings.domains.iter().cloned().collect(),
        settings,
        partners,
        keys,
        seed,
        warnings: findings.warnings,
    })
}

/// Secret and seed, random where they are not given.
fn drawn(settings: &Settings) -> Result<(Secret, u64), NoRandomness> {
    let secret = settings.secret.clone().map_or_else(Secret::random, Ok)?;
    let seed = settings.seed.map_or_else(random_number, Ok)?;
    Ok((secret, seed))
}

#[derive(Default)]
struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<ConfigWarning>,
}

impl Findings {
    fn refused(self) -> Refused {
        Refused {
            problems: self.problems,
        }
    }

    fn add(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem {
            place,
            message: message.into(),
            help: None,
        });
    }

    fn add_with_help(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem {
            place,
            message: message.into(),
            help: Some(help.into()),
        });
    }

    fn check_domains(&mut self, domains: &[Domain]) {
        if domains.is_empty() {
            self.add(Place::Domains, "at least one domain has to be served");
        }
        let mut seen = BTreeSet::new();
        for (index, domain) in domains.iter().enumerate() {
            if !seen.insert(domain) {
                let message = format!("`{domain}` is served already");
                self.add(Place::Domain(index), message);
            }
        }
    }

    fn check_limits(&mut self, limits: &Limits) {
        for (name, duration) in limits.durations() {
            if duration.is_zero() {
                let message = format!("`{name}` may not be zero");
                self.add(Place::Limit(name), message);
            } else if duration > LONGEST {
                let message = format!("`{name}` is longer than a year");
                self.add(Place::Limit(name), message);
            }
        }
        for (name, amount) in limits.amounts() {
            let least = match name {
                "stanza-bytes" => LEAST_STANZA_BYTES,
                "bytes-before-authentication" => LEAST_BYTES_BEFORE_AUTHENTICATION,
                _ => 1,
            };
            if amount < least {
                let message = if amount == 0 {
                    format!("`{name}` may not be zero")
                } else {
                    format!("`{name}` is too small")
                };
                self.add_with_help(Place::Limit(name), message, format!("at least {least}"));
            }
        }
        if limits.queue_bytes < limits.stanza_bytes {
            self.add_with_help(
                Place::Limit("queue-bytes"),
                "a queue has to hold one stanza of the largest size",
                format!("at least `stanza-bytes`, {}", limits.stanza_bytes),
            );
        }
    }

    fn check_partners(&mut self, settings: &Settings) -> BTreeMap<Domain, usize> {
        let served: BTreeSet<&Domain> = settings.domains.iter().collect();
        let mut partners = BTreeMap::new();
        for (index, partner) in settings.partners.iter().enumerate() {
            for (position, domain) in partner.domains().enumerate() {
                let field = match position.checked_sub(1) {
                    None => PartnerField::Domain,
                    Some(which) => PartnerField::AdditionalDomain(which),
                };
                let place = Place::Partner(index, field);
                if served.contains(domain) {
                    let message = format!("`{domain}` is served here and cannot be a partner");
                    self.add(place, message);
                }
                match partners.entry(domain.clone()) {
                    Entry::Vacant(entry) => {
                        entry.insert(index);
                    }
                    Entry::Occupied(entry) => {
                        let owner = settings
                            .partners
                            .get(*entry.get())
                            .map_or(&partner.domain, |owner| &owner.domain);
                        let message =
                            format!("`{domain}` is there already, as a domain of partner {owner}");
                        self.add(place, message);
                    }
                }
            }
            self.check_row(index, partner, settings);
            if partner.connection_limit == Some(0) {
                self.add_with_help(
                    Place::Partner(index, PartnerField::ConnectionLimit),
                    "the connection limit may not be zero",
                    "leave the partner out to refuse it",
                );
            }
        }
        partners
    }

    fn check_row(&mut self, index: usize, partner: &Partner, settings: &Settings) {
        let negotiation = partner.negotiation;
        match negotiation.verdict(settings.validation) {
            Ok(None) => {}
            Ok(Some(warning)) => self.warnings.push(ConfigWarning {
                domain: partner.domain.clone(),
                row: negotiation.row(),
                warning,
            }),
            Err(invalid) => self.add_with_help(
                Place::Partner(index, PartnerField::Negotiation),
                invalid.to_string(),
                invalid.reason.remedy(),
            ),
        }
    }
}
