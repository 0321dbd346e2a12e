//! What a target file says.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use simulated_partners::document::{Document, FileError, Hints, Source};
use simulated_partners::pki::NameForms;
use toml::Spanned;
use toml::de::DeValue;

use super::check;
use crate::case::AllowList;
use crate::lab::Hosts;
use crate::policy::{Level, PolicyNumber};

const HINTS: &Hints = &[
    (
        "domain",
        "the domain that the server serves, such as `domain = \"example.org\"`",
    ),
    (
        "address",
        "where the server takes streams from other servers, such as `address = \"127.0.0.1:5269\"`",
    ),
    (
        "dns",
        "the address that the server asks for DNS, such as `dns = \"127.0.0.1:15353\"`: the lab \
         answers there",
    ),
    (
        "policy",
        "`[[policy]]` with `row = 7`, or with `tls`, `sasl` and `dialback`, as the server is set",
    ),
    (
        "ca",
        "`ca = { certificate = \"lab-ca.crt\", key = \"lab-ca.key\" }`: an authority that the server \
         trusts; the files are made if they are not there",
    ),
    (
        "certificate",
        "`certificate = \"lab-ca.crt\"`, the root that the server trusts",
    ),
    (
        "kind",
        "`kind = \"reply\"`, `kind = \"component\"` or `kind = \"command\"`",
    ),
    (
        "command",
        "program and arguments, such as `command = [\"systemctl\", \"start\", \"xmpp\"]`",
    ),
    (
        "invalid socket address syntax",
        "an IP address and a port, such as `\"127.0.0.1:5269\"` or `\"[::1]:5269\"`",
    ),
    (
        "invalid IP address syntax",
        "an IP address, such as `\"127.0.0.1\"`",
    ),
];

/// A server as a file describes it, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFile {
    /// How reports call it.
    pub name: String,
    /// The folder that relative paths start from, and in which commands run.
    pub folder: PathBuf,
    /// The domain that it serves, and that answers pings.
    pub domain: String,
    /// Where it takes streams from other servers.
    pub address: SocketAddr,
    /// Where the second member of its pool takes them.
    pub other_member: Option<SocketAddr>,
    /// Where it takes them with TLS from the first byte.
    pub direct_tls: Option<SocketAddr>,
    /// Where a proxy takes its gateway: mutual TLS from the first byte.
    pub inner: Option<SocketAddr>,
    /// Where the lab's DNS has to listen, so that the server asks it.
    pub dns: SocketAddr,
    /// Where partners listen.
    pub partner_address: IpAddr,
    /// How DNS names the hosts of partners.
    pub partner_hosts: PartnerHosts,
    /// How certificates name partners.
    pub certificate_names: CertificateNames,
    /// The domains that it takes partners from.
    pub partner_domains: AllowList,
    /// How long it may hold back from a domain that it could not reach.
    pub partner_back_off: Duration,
    /// How long it may keep answers of DNS that say they must not be kept.
    pub dns_cache: Duration,
    /// What it is set to, or can be.
    pub policies: Vec<Setting>,
    /// Whom it trusts, and who issued its own certificate.
    pub ca: Ca,
    /// What makes it send a stanza.
    pub trigger: TriggerKind,
    /// How it is started, where it is.
    pub start: Option<Start>,
    /// What ends it in order.
    pub stop: Option<Vec<String>>,
    /// What starts it again after a crash.
    pub restart: Option<Vec<String>>,
    /// Files whose last lines belong to messages.
    pub logs: Vec<PathBuf>,
    /// How long its commands may take.
    pub timeouts: Timeouts,
}

/// How the SRV records of partners name their hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartnerHosts {
    /// By names, whose addresses the server asks the lab for.
    #[default]
    Names,
    /// By addresses in digits: for servers that ask somebody else for addresses, as ejabberd does.
    Digits,
}

impl From<PartnerHosts> for Hosts {
    fn from(hosts: PartnerHosts) -> Self {
        match hosts {
            PartnerHosts::Names => Self::Names,
            PartnerHosts::Digits => Self::Digits,
        }
    }
}

/// In which forms certificates of partners name their domains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateNames {
    /// In all that XMPP knows.
    #[default]
    All,
    /// Without id-on-xmppAddr: for servers that cannot read it, as ejabberd of Debian 12.
    WithoutXmppAddr,
}

impl From<CertificateNames> for NameForms {
    fn from(names: CertificateNames) -> Self {
        match names {
            CertificateNames::All => Self::All,
            CertificateNames::WithoutXmppAddr => Self::WithoutXmppAddr,
        }
    }
}

/// One of the 18 policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Which.
    pub row: PolicyNumber,
    /// What sets the server to it.
    pub switch: Option<Vec<String>>,
}

/// Certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ca {
    /// The root that the server trusts, from which the lab issues.
    pub certificate: PathBuf,
    /// Its key. Without one the lab makes a new authority for each run and writes the root.
    pub key: Option<PathBuf>,
    /// The root of the server's own certificate, where that is another.
    pub server: Option<PathBuf>,
}

/// How to make your server send a stanza to a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerKind {
    /// A partner's ping, which it has to answer.
    Reply,
    /// A component of it (XEP-0114).
    Component {
        /// Its port for components.
        address: SocketAddr,
        /// The component's domain.
        domain: String,
        /// The shared secret.
        secret: String,
    },
    /// A command with placeholders.
    Command(Vec<String>),
}

/// How a server is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Program and arguments.
    pub command: Vec<String>,
    /// A part of a line of its output that says that it is ready. Its ports have to answer, too.
    pub ready: Option<String>,
}

/// How long commands may take, and the server itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start to readiness.
    pub start: Duration,
    /// To end.
    pub stop: Duration,
    /// To change the policy.
    pub switch: Duration,
    /// To send a stanza.
    pub trigger: Duration,
    /// The server's own timeout: how long at most it waits for a partner that is silent.
    pub stream: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(15),
            stop: Duration::from_secs(5),
            switch: Duration::from_secs(15),
            trigger: Duration::from_secs(5),
            stream: None,
        }
    }
}

impl TargetFile {
    /// Reads a target file. With `allow_remote`, addresses may be those of other machines.
    ///
    /// # Errors
    /// When the file cannot be read, or is no target file.
    pub fn load(path: &Path, allow_remote: bool) -> Result<Self, FileError> {
        Self::read(path, &Source::load(path)?, allow_remote)
    }

    /// Makes a target of the text of a file at `path`, which gives its folder and, by default, its
    /// name.
    ///
    /// # Errors
    /// When there are mistakes in the text.
    pub fn parse(path: &Path, text: &str, allow_remote: bool) -> Result<Self, FileError> {
        let source = Source::new(&path.display().to_string(), text);
        Self::read(path, &source, allow_remote)
    }

    fn read(path: &Path, source: &Source, allow_remote: bool) -> Result<Self, FileError> {
        let mut document = Document::parse(source)?;
        let policy = document.table().get_mut("policy");
        if let Some(one) = policy.filter(|policy| policy.get_ref().is_table()) {
            let place = one.span();
            let table = std::mem::replace(one.get_mut(), DeValue::Boolean(false));
            *one.get_mut() = DeValue::Array([Spanned::new(place, table)].into_iter().collect());
        }
        let target = document.read(HINTS).map(|file: File| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let (target, found) = check::check(file, &path, allow_remote);
            if document.is_whole() {
                document.report_all(found);
            }
            target
        });
        document.finish(target)
    }

    /// The domains that it takes partners from, as its commands find them.
    pub(super) fn partners(&self) -> String {
        match &self.partner_domains {
            AllowList::Any => "*".to_owned(),
            AllowList::Below(parent) => format!("*.{parent}"),
            AllowList::Only(domains) => domains.join(" "),
        }
    }

    /// The rows that can be run.
    pub fn rows(&self) -> impl Iterator<Item = PolicyNumber> {
        self.policies.iter().map(|setting| setting.row)
    }
}

/// The file, field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) name: Option<Spanned<String>>,
    pub(super) domain: Spanned<String>,
    pub(super) address: Spanned<SocketAddr>,
    pub(super) other_member: Option<Spanned<SocketAddr>>,
    pub(super) direct_tls: Option<Spanned<SocketAddr>>,
    pub(super) inner: Option<Spanned<SocketAddr>>,
    pub(super) dns: Spanned<SocketAddr>,
    pub(super) partner_address: Option<Spanned<IpAddr>>,
    #[serde(default)]
    pub(super) partner_hosts: PartnerHosts,
    #[serde(default)]
    pub(super) certificate_names: CertificateNames,
    pub(super) partner_domains: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) partner_back_off: Option<Spanned<f64>>,
    pub(super) dns_cache: Option<Spanned<f64>>,
    /// `[policy]` for one, `[[policy]]` for several.
    #[serde(rename = "policy")]
    pub(super) policies: Vec<Spanned<PolicyTable>>,
    pub(super) ca: CaTable,
    pub(super) trigger: Option<Spanned<TriggerTable>>,
    pub(super) start: Option<StartTable>,
    pub(super) stop: Option<CommandTable>,
    pub(super) restart: Option<CommandTable>,
    #[serde(default, rename = "log")]
    pub(super) logs: Vec<PathBuf>,
    #[serde(default)]
    pub(super) timeouts: TimeoutsTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PolicyTable {
    pub(super) row: Option<Spanned<i64>>,
    pub(super) tls: Option<Spanned<Level>>,
    pub(super) sasl: Option<Spanned<Level>>,
    pub(super) dialback: Option<Spanned<bool>>,
    pub(super) switch: Option<Spanned<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CaTable {
    pub(super) certificate: PathBuf,
    pub(super) key: Option<PathBuf>,
    pub(super) server: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Reply,
    Component,
    Command,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TriggerTable {
    pub(super) kind: Kind,
    pub(super) address: Option<Spanned<SocketAddr>>,
    pub(super) domain: Option<Spanned<String>>,
    pub(super) secret: Option<Spanned<String>>,
    pub(super) command: Option<Spanned<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StartTable {
    pub(super) command: Spanned<Vec<String>>,
    pub(super) ready: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CommandTable {
    pub(super) command: Spanned<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct TimeoutsTable {
    pub(super) start: Option<Spanned<f64>>,
    pub(super) stop: Option<Spanned<f64>>,
    pub(super) switch: Option<Spanned<f64>>,
    pub(super) trigger: Option<Spanned<f64>>,
    pub(super) stream: Option<Spanned<f64>>,
}
