//! One of the two servers of a case, and what it takes besides its configuration.

use std::path::Path;

use simulated_partners::persona::{self, Certificate, Key, Offer, Persona, Tls};

use super::super::explain::deviations;
use super::super::output::shell_word;
use super::super::serve::domain;
use super::{Args, DIRECT_TLS_PORT, Exported, PORT};
use crate::case::Case;
use crate::console::{allowed_text, describe_direction, describe_offer, describe_policy};
use crate::error::CliError;
use crate::oracle::{Profile, allowed};
use crate::policy::{Level, Policy, PolicyNumber};

/// A side of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SideName {
    /// The server under test, set to the case's policy
    #[default]
    Target,
    /// The server that it meets
    Partner,
}

/// One of the two servers.
pub(super) struct Side {
    name: SideName,
    /// The domain that it serves.
    pub(super) domain: String,
    /// The domain of the other.
    pub(super) other: String,
    pub(super) policy: Policy,
    /// What it offers, its certificate and its versions of TLS.
    pub(super) offer: Offer,
}

impl Side {
    /// The side that is asked for.
    ///
    /// # Errors
    /// When no settings make a server so, with what does not follow from settings.
    pub(super) fn of(case: &Case, args: &Args) -> Result<Self, CliError> {
        let partner = match &args.domain {
            Some(name) => domain(name)?.to_owned(),
            None => case.domain(),
        };
        let target = domain(&args.target_domain)?.to_owned();
        Ok(match args.side {
            SideName::Target => Self {
                name: SideName::Target,
                domain: target,
                other: partner,
                policy: case.row.policy(),
                offer: case.row.policy().as_offer(),
            },
            SideName::Partner => {
                by_settings(&case.partner)?;
                Self {
                    name: SideName::Partner,
                    domain: partner,
                    other: target,
                    policy: Policy::from(&case.partner.offer),
                    offer: case.partner.offer.clone(),
                }
            }
        })
    }

    /// Whether it takes and uses direct TLS alone.
    pub(super) fn is_direct(&self) -> bool {
        self.offer.tls == Tls::Direct
    }

    /// The settings that make it so, the best first. Of a partner only what it offers is given, and some
    /// policies offer the same.
    pub(super) fn settings(&self) -> Vec<Policy> {
        let offered = self.policy.as_offer();
        let others = PolicyNumber::all().map(PolicyNumber::policy);
        let others = others.filter(|policy| {
            self.name == SideName::Partner && *policy != self.policy && policy.as_offer() == offered
        });
        [self.policy].into_iter().chain(others).collect()
    }

    /// What it has to be.
    pub(super) fn in_words(&self) -> String {
        let policy = describe_policy(&self.policy);
        match self.name {
            SideName::Target => policy,
            SideName::Partner => format!("{policy} ({})", describe_offer(&self.offer)),
        }
    }

    /// The comment before the configuration: what it is, and everything else that it takes.
    pub(super) fn head(&self, case: &Case, args: &Args, folder: &Path, made: &Exported) -> String {
        let mut lines = vec![match self.name {
            SideName::Target => format!("{}: the target", case.id),
            SideName::Partner => {
                let Persona { name, title, .. } = &*case.partner;
                format!("{}: the partner {name} ({title})", case.id)
            }
        }];
        lines.push(format!("It serves {}: {}.", self.domain, self.in_words()));
        let note = self.policy.note().text();
        lines.extend(note.map(|note| format!("Note: {note}.")));
        if let Some(start) = &made.start {
            lines.extend([String::new(), "Start:".to_owned(), format!("  {start}")]);
        }
        lines.extend([String::new(), self.certificate()]);
        lines.push(format!(
            "  {}",
            self.certificate_command(folder, &made.certificate)
        ));
        lines.push(String::new());
        lines.extend(self.records(args));
        lines.push(String::new());
        lines.extend(self.opposite(case));
        if !made.differences.is_empty() || self.offer.insists_on_db_namespace {
            lines.extend([String::new(), "It differs from the case:".to_owned()]);
            let own = self.offer.insists_on_db_namespace.then(|| {
                "it takes dialback also on streams whose header does not declare `xmlns:db`"
                    .to_owned()
            });
            let all = own.iter().chain(&made.differences);
            lines.extend(all.map(|difference| format!("  {difference}")));
        }
        lines
            .iter()
            .map(|line| format!("{} {line}", made.comment).trim_end().to_owned() + "\n")
            .chain(["\n".to_owned()])
            .collect()
    }

    /// Which certificate it shows.
    fn certificate(&self) -> String {
        let domain = &self.domain;
        if self.policy.tls == Level::NotSupported {
            return "Certificate: nobody sees it without TLS, but some software wants one:"
                .to_owned();
        }
        let kind = match self.offer.certificate {
            Certificate::Good | Certificate::None => {
                format!("for {domain} by name (no wildcard), for servers and clients")
            }
            Certificate::Expired => format!("for {domain}, expired"),
            Certificate::NotYetValid => format!("for {domain}, valid from tomorrow on"),
            Certificate::WrongName => format!("for another domain than {domain}"),
            Certificate::SelfSigned => format!("for {domain}, signed by its own key"),
            Certificate::UnknownCa => {
                format!(
                    "for {domain}, from an authority that {} does not trust",
                    self.other
                )
            }
            Certificate::NoClientAuth => format!("for {domain}, for servers alone (no clientAuth)"),
            Certificate::MissingIntermediate => {
                format!("for {domain}, in a file without the intermediate certificate")
            }
        };
        format!(
            "Certificate: {kind}. Both sides have to trust the authority, ca.crt, which the first such command \
             makes:"
        )
    }

    fn certificate_command(&self, folder: &Path, further: &[String]) -> String {
        let file = |name: &str| shell_word(&folder.join(name));
        let kind = match self.offer.certificate {
            Certificate::Good | Certificate::None => String::new(),
            other => format!(" --kind {other}"),
        };
        let key = match self.offer.key {
            Key::P256 => "",
            Key::Rsa2048 => " --key rsa2048",
            Key::Ed25519 => " --key ed25519",
        };
        let further: String = further.iter().map(|word| format!(" {word}")).collect();
        format!(
            "s2spec cert {}{further}{kind}{key} --ca {} --ca-key {} --out {}",
            self.domain,
            file("ca.crt"),
            file("ca.key"),
            shell_word(folder)
        )
    }

    /// What DNS says of it, as in a zone file.
    fn records(&self, args: &Args) -> Vec<String> {
        let domain = &self.domain;
        let (service, usual) = match self.is_direct() {
            true => ("_xmpps-server", DIRECT_TLS_PORT),
            false => ("_xmpp-server", PORT),
        };
        let (about, port, ip) = match args.lab {
            None => (
                "DNS, with this server's address in the place of 192.0.2.1:",
                usual,
                "192.0.2.1".to_owned(),
            ),
            Some(lab) => ("DNS:", lab.port(), lab.ip().to_string()),
        };
        vec![
            about.to_owned(),
            format!("  {service}._tcp.{domain}. 3600 IN SRV 0 0 {port} xmpp.{domain}."),
            format!("  xmpp.{domain}. 3600 IN A {ip}"),
        ]
    }

    /// The other side, and what should be seen.
    fn opposite(&self, case: &Case) -> Vec<String> {
        let policy = case.row.policy();
        let mut lines = vec![match self.name {
            SideName::Target => {
                let partner = &case.partner;
                let offer = describe_offer(&partner.offer);
                format!("The partner is {}, {}: {offer}.", self.other, partner.name)
            }
            SideName::Partner => {
                let row = case.row;
                format!(
                    "The target is {}, set to {row}: {}.",
                    self.other,
                    describe_policy(&policy)
                )
            }
        }];
        if let Some(expected) = allowed(case, Profile::default()) {
            lines.push(format!(
                "When {}: {} ({}).",
                describe_direction(case.direction),
                allowed_text(&expected.allowed),
                expected.clause
            ));
        }
        lines
    }
}

/// A partner whose behaviour follows from settings.
fn by_settings(partner: &Persona) -> Result<(), CliError> {
    let Persona {
        name,
        seen_in,
        offer,
        facts,
        reactions,
        ..
    } = partner;
    let mut odd: Vec<String> = deviations(facts).into_iter().map(str::to_owned).collect();
    if odd.is_empty() && !reactions.is_empty() {
        let points: Vec<&str> = reactions.iter().map(|one| one.when.word()).collect();
        odd.push(format!("it reacts to {}", points.join(", ")));
    }
    if offer.external_on_plaintext {
        odd.push("it offers EXTERNAL before TLS".to_owned());
    }
    if offer.tls != Tls::None && offer.certificate == Certificate::None {
        odd.push("it offers TLS and has no certificate".to_owned());
    }
    if odd.is_empty() {
        return Ok(());
    }
    let seen = seen_in.as_ref().map(|seen| format!(" (seen in: {seen})"));
    let instead = match persona::find(name) {
        Some(_) => format!("`s2spec serve {name}` runs it, and --side target"),
        None => "--side target".to_owned(),
    };
    Err(CliError::Usage(format!(
        "no settings make a server like the partner {name}{}: {}; {instead} exports the other side",
        seen.unwrap_or_default(),
        odd.join("; ")
    )))
}
