//! The folder of a built-in server: how it is found, set to a policy and started, and the templates of
//! its configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use simulated_partners::document::{Document, FileError, Source};
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::Authority;

use super::wanted::{Export, Wanted, When, without_asides};
use crate::case::Need;
use crate::policy::{Policy, PolicyNumber};
use crate::subject::remote::{CertificateNames, PartnerHosts};
use crate::subject::template::fill;

/// The file that says what the others are for.
const DESCRIPTION: &str = "target.toml";

/// A server that s2spec can find on this machine, configure and start.
#[derive(Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder's name, by which the server is chosen.
    pub name: &'static str,
    /// What it says of the server.
    pub description: Description,
    /// Names and texts of the files that are written for it.
    templates: Vec<(&'static str, &'static str)>,
}

/// What `target.toml` says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Description {
    /// What it is, in a line.
    pub(super) about: String,
    /// What a comment in its first template begins with.
    pub(super) comment: String,
    /// What has to be there: names to be looked for in PATH, or whole paths.
    pub(super) programs: Vec<String>,
    /// What to do where one is missing.
    pub(super) hint: String,
    pub(super) version: Version,
    /// The domain that it serves.
    pub host: String,
    /// The domain of its component, which takes the place of an inner side.
    pub component: String,
    /// The component's secret.
    pub secret: String,
    /// What its dialback keys are made from, where they are made as XEP-0185 says.
    pub(super) dialback_secret: Option<String>,
    pub(super) abilities: Vec<Need>,
    /// How many seconds at most it waits for a partner that is silent, as it is set here.
    pub(crate) patience: Option<u64>,
    /// How partners have to be published.
    #[serde(default)]
    pub partner_hosts: PartnerHosts,
    /// How partners have to be named.
    #[serde(default)]
    pub certificate_names: CertificateNames,
    pub(super) start: Start,
    /// What stands in the templates where nothing else is said.
    values: BTreeMap<String, String>,
    when: Vec<When>,
}

/// How to learn its version.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Version {
    pub(super) command: Vec<String>,
    /// What a line begins with that goes on with the version.
    pub(super) after: String,
}

/// How it is started.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Start {
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    /// Parts of lines of its output, all of which say that it is ready.
    pub(super) ready: Vec<String>,
    /// How long that may take.
    pub(super) seconds: u64,
    /// Whether it ends with its input.
    #[serde(default)]
    pub(super) ends_with_input: bool,
    /// Whether a second one has to wait until the first is ready.
    #[serde(default)]
    pub(super) one_at_a_time: bool,
    /// What somebody types to start it.
    by_hand: String,
}

/// Where a server is set up.
#[derive(Clone, Debug)]
pub struct Site {
    /// The folder with everything that belongs to it.
    pub folder: PathBuf,
    /// Where the lab's DNS will be.
    pub dns: SocketAddr,
    /// The port for other servers.
    pub s2s: u16,
    /// The port for components.
    pub component: u16,
    /// The port for other servers that begin with TLS.
    pub direct_tls: u16,
}

/// How to set a server up by hand.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Files of the folder, with their texts. [`Folder::certificates`] are beside them.
    pub files: Vec<(&'static str, String)>,
    /// What starts it, in words for a shell.
    pub command: String,
    /// Whether the port for direct TLS is used.
    pub takes_direct_tls: bool,
}

/// The values of a policy.
type Settings<'a> = BTreeMap<&'a str, &'a str>;

impl Folder {
    /// Reads a folder's files.
    pub(super) fn read(
        name: &'static str,
        files: &[(&'static str, &'static str)],
    ) -> Result<Self, FileError> {
        let (description, templates): (Vec<_>, Vec<_>) =
            files.iter().partition(|(file, _)| *file == DESCRIPTION);
        let text = description.first().map_or("", |(_, text)| *text);
        let source = Source::new(&format!("targets/{name}/{DESCRIPTION}"), text);
        let mut document = Document::parse(&source)?;
        let description = document.read(&[]);
        Ok(Self {
            name,
            description: document.finish(description)?,
            templates,
        })
    }

    /// What it is, in a line.
    pub fn about(&self) -> &str {
        &self.description.about
    }

    /// How a policy is said in its configuration, or why it cannot be.
    fn settings(&self, wanted: &Wanted<'_>) -> Result<Settings<'_>, &str> {
        let Description { values, when, .. } = &self.description;
        let mut all = vec![values];
        for when in when.iter().filter(|when| when.fits(wanted)) {
            if let Some(why) = &when.refused {
                return Err(why);
            }
            all.push(&when.values);
        }
        // What is said later counts.
        let pairs = all.into_iter().flatten();
        Ok(pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect())
    }

    /// The instance for a policy and needs, which others share that are said alike.
    pub(super) fn instance(&self, row: PolicyNumber, needs: &[Need]) -> Result<String, &str> {
        let of = |row: PolicyNumber| self.settings(&Wanted::target(row.policy(), needs));
        let settings = of(row)?;
        let alike = |row: &PolicyNumber| of(*row).as_ref() == Ok(&settings);
        let first = PolicyNumber::all().find(alike).unwrap_or(row);
        let when = self.description.when.iter();
        let extra = when.filter_map(|when| when.needs.filter(|need| needs.contains(need)));
        Ok(extra.fold(first.label(), |name, need| format!("{name}-{need:?}")))
    }

    /// Whether it takes direct TLS when it is set so: whether anything says at which port.
    pub(super) fn takes_direct_tls(&self, wanted: &Wanted<'_>) -> bool {
        let says = |text: &str| text.contains("{direct-tls-port}");
        let settings = self.settings(wanted).unwrap_or_default();
        self.templates.iter().any(|(_, text)| says(text))
            || settings.values().any(|text| says(text))
    }

    /// What can be filled in before a place is chosen.
    pub(super) fn values_anywhere(&self) -> Vec<(&str, String)> {
        let arch = [("arch", std::env::consts::ARCH.to_owned())];
        let values = self.description.values.iter();
        let values = values.map(|(name, value)| (name.as_str(), fill(value, &arch)));
        values.chain(arch.clone()).collect()
    }

    /// Everything that can be filled in at a place.
    pub(super) fn values(
        &self,
        site: &Site,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<(&str, String)>, &str> {
        let Description {
            host,
            component,
            secret,
            dialback_secret,
            ..
        } = &self.description;
        let folder = site.folder.display().to_string();
        let ip = site.dns.ip();
        let numbers = match ip {
            IpAddr::V4(ip) => ip.octets().map(|part| part.to_string()).join(","),
            IpAddr::V6(ip) => ip.segments().map(|part| part.to_string()).join(","),
        };
        let facts = [
            ("arch", std::env::consts::ARCH.to_owned()),
            ("folder-in-quotes", in_quotes(&folder)),
            ("folder", folder),
            (
                "host",
                wanted
                    .export
                    .map_or(host.as_str(), |one| one.domain)
                    .to_owned(),
            ),
            ("component", component.clone()),
            ("secret", secret.clone()),
            (
                "dialback-secret",
                dialback_secret.clone().unwrap_or_default(),
            ),
            ("dns-address", ip.to_string()),
            ("dns-numbers", numbers),
            ("dns-port", site.dns.port().to_string()),
            ("s2s-port", site.s2s.to_string()),
            ("component-port", site.component.to_string()),
            ("direct-tls-port", site.direct_tls.to_string()),
        ];
        let settings = self.settings(wanted)?.into_iter();
        let settings = settings.map(|(name, value)| (name, fill(value, &facts)));
        Ok(settings.chain(facts.clone()).collect())
    }

    /// The files of its configuration.
    pub(super) fn files(&self, values: &[(&str, String)]) -> Vec<(&'static str, String)> {
        let templates = self.templates.iter();
        let filled = templates.map(|(name, template)| (*name, fill(template, values)));
        filled.collect()
    }

    /// The configuration for a policy, to be set up by hand.
    ///
    /// # Errors
    /// When the server cannot be set so, with the reason.
    pub fn by_hand(&self, policy: Policy, site: &Site) -> Result<Sheet, &str> {
        self.sheet(site, &Wanted::target(policy, &[]))
    }

    /// The configuration of one side of a case, set up for real.
    ///
    /// # Errors
    /// When the server cannot be set so, with the reason.
    pub fn export(&self, policy: Policy, export: Export<'_>, site: &Site) -> Result<Sheet, &str> {
        let wanted = Wanted {
            policy,
            needs: &[],
            export: Some(export),
        };
        let mut sheet = self.sheet(site, &wanted)?;
        for (_, text) in &mut sheet.files {
            *text = without_asides(text, &self.description.comment, export);
        }
        sheet.files.retain(|(_, text)| !text.is_empty());
        Ok(sheet)
    }

    fn sheet(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Sheet, &str> {
        let values = self.values(site, wanted)?;
        Ok(Sheet {
            files: self.files(&values),
            command: fill(&self.description.start.by_hand, &values),
            takes_direct_tls: self.takes_direct_tls(wanted),
        })
    }

    /// What a comment in the first file of its configuration begins with.
    pub fn comment(&self) -> &str {
        &self.description.comment
    }

    /// The files that its configuration names beside those: the authority, a certificate for each of its
    /// domains and one for both, with their keys. None where no such certificate can be issued.
    pub fn certificates(&self, authority: &Authority) -> Option<[(&'static str, String); 7]> {
        let Description {
            host, component, ..
        } = &self.description;
        let issue = |names: &[&str]| authority.issue(names, Certificate::Good, Key::P256);
        let (both, host) = (issue(&[component, host])?, issue(&[host])?);
        let component = issue(&[component])?;
        Some([
            ("ca.crt", authority.root_pem()),
            ("component.crt", component.chain_pem()),
            ("component.key", component.key_pem()),
            ("host.crt", host.chain_pem()),
            ("host.key", host.key_pem()),
            ("server.crt", both.chain_pem()),
            ("server.key", both.key_pem()),
        ])
    }

    /// A program that it needs and that is not there.
    pub(super) fn missing(&self) -> Option<&str> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |program: &str| {
            // A whole path stays what it is.
            std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
        };
        let mut programs = self.description.programs.iter();
        let missing = programs.find(|program| !is_there(program))?;
        Path::new(missing).file_name()?.to_str()
    }
}

/// A text as it is written inside double quotes, in Erlang, Lua and YAML alike.
fn in_quotes(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
