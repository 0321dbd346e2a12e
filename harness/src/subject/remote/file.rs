//! What a target file says.

use std::fmt;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny};
use simulated_partners::persona::{Mistake, Mistakes};
use simulated_partners::pki::NameForms;
use toml::Spanned;
use toml::de::DeTable;

use super::check;
use crate::lab::Hosts;
use crate::policy::{Level, Row};

/// The format that this version reads.
pub const FORMAT: i64 = 1;
/// More than any target needs; what is longer was not meant as one.
const MAX_FILE: u64 = 1 << 20;

/// Why there is no target to be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum TargetFileError {
    /// The text is no target file: all mistakes, with places.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// The file cannot be read.
    #[error("cannot read target file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

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
    pub row: Row,
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

/// What makes the server send a stanza to a partner.
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

/// How long commands may take.
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
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(15),
            stop: Duration::from_secs(5),
            switch: Duration::from_secs(15),
            trigger: Duration::from_secs(5),
        }
    }
}

impl TargetFile {
    /// Reads a target file. With `allow_remote`, addresses may be those of other machines.
    ///
    /// # Errors
    /// When the file cannot be read, or is no target file.
    pub fn load(path: &Path, allow_remote: bool) -> Result<Self, TargetFileError> {
        let failed = |source| TargetFileError::Read {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
            .map_err(failed)?;
        if text.len() as u64 > MAX_FILE {
            return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
        }
        let path = std::path::absolute(path).map_err(failed)?;
        Self::parse(&path, &text, allow_remote)
    }

    /// Reads the text of a target file at `path`, which gives its folder and, by default, its name.
    ///
    /// # Errors
    /// When there are mistakes in the text.
    pub fn parse(path: &Path, text: &str, allow_remote: bool) -> Result<Self, TargetFileError> {
        read(path, text, allow_remote).map_err(|list| {
            TargetFileError::Mistakes(Mistakes {
                file: path.display().to_string(),
                text: text.to_owned(),
                list,
            })
        })
    }

    /// The rows that can be run.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.policies.iter().map(|setting| setting.row)
    }
}

fn read(path: &Path, text: &str, allow_remote: bool) -> Result<TargetFile, Vec<Mistake>> {
    check_format(text).map_err(|mistake| vec![mistake])?;
    let file: File = toml::from_str(text).map_err(|error| vec![from_toml(&error, text)])?;
    check::check(file, path, allow_remote)
}

/// A file of another format is told from one with unknown words.
fn check_format(text: &str) -> Result<(), Mistake> {
    let root = DeTable::parse(text).map_err(|error| from_toml(&error, text))?;
    let Some(format) = root.get_ref().get("format") else {
        return Err(Mistake::new(0..0, "`format` is missing")
            .help(format!("begin the file with `format = {FORMAT}`")));
    };
    let number = format
        .get_ref()
        .as_integer()
        .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
    if number == Some(FORMAT) {
        Ok(())
    } else {
        Err(Mistake::new(format.span(), "unknown format")
            .help(format!("this version reads `format = {FORMAT}`")))
    }
}

fn from_toml(error: &toml::de::Error, text: &str) -> Mistake {
    let mistake = Mistake::from_toml(error, text);
    let help = match mistake.title.as_str() {
        "invalid socket address syntax" => {
            Some("an IP address and a port, such as `\"127.0.0.1:5269\"` or `\"[::1]:5269\"`")
        }
        "invalid IP address syntax" => Some("an IP address, such as `\"127.0.0.1\"`"),
        title => title
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'))
            .and_then(example),
    };
    match help {
        Some(help) => mistake.help(help),
        None => mistake,
    }
}

/// What a field without default can be.
fn example(field: &str) -> Option<&'static str> {
    Some(match field {
        "domain" => "add the domain that the server serves, such as `domain = \"example.org\"`",
        "address" => {
            "add where the server takes streams from other servers, such as \
             `address = \"127.0.0.1:5269\"`"
        }
        "dns" => {
            "add the address that the server asks for DNS, such as `dns = \"127.0.0.1:15353\"`: \
             the lab answers there"
        }
        "policy" => {
            "add `[[policy]]` with `row = 7`, or with `tls`, `sasl` and `dialback`, as the server \
             is set"
        }
        "ca" => {
            "add `[ca]` with `certificate = \"lab-ca.crt\"` and `key = \"lab-ca.key\"`: an \
             authority that the server trusts; the files are made if they are not there"
        }
        "certificate" => "add `certificate = \"lab-ca.crt\"`, the root that the server trusts",
        "kind" => "add `kind = \"reply\"`, `kind = \"component\"` or `kind = \"command\"`",
        "command" => {
            "add `command` with program and arguments, such as `command = [\"systemctl\", \"start\", \"xmpp\"]`"
        }
        _ => return None,
    })
}

/// The file, field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    #[serde(rename = "format")]
    _format: IgnoredAny,
    pub(super) name: Option<Spanned<String>>,
    pub(super) domain: Spanned<String>,
    pub(super) address: Spanned<SocketAddr>,
    pub(super) direct_tls: Option<Spanned<SocketAddr>>,
    pub(super) inner: Option<Spanned<SocketAddr>>,
    pub(super) dns: Spanned<SocketAddr>,
    pub(super) partner_address: Option<Spanned<IpAddr>>,
    #[serde(default)]
    pub(super) partner_hosts: PartnerHosts,
    #[serde(default)]
    pub(super) certificate_names: CertificateNames,
    #[serde(rename = "policy")]
    pub(super) policies: Policies,
    pub(super) ca: CaTable,
    pub(super) trigger: Option<Spanned<TriggerTable>>,
    pub(super) start: Option<StartTable>,
    pub(super) stop: Option<StopTable>,
    #[serde(default, rename = "log")]
    pub(super) logs: Vec<PathBuf>,
    #[serde(default)]
    pub(super) timeouts: TimeoutsTable,
}

/// `[policy]` for one, `[[policy]]` for several.
pub(super) struct Policies(pub(super) Vec<Spanned<PolicyTable>>);

impl<'de> Deserialize<'de> for Policies {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Policies;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("the table `[[policy]]`, once for each policy")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Policies, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Policies)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Policies, A::Error> {
                let one = PolicyTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Policies(vec![Spanned::new(0..0, one)]))
            }
        }

        from.deserialize_any(Visitor)
    }
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
pub(super) struct StopTable {
    pub(super) command: Spanned<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct TimeoutsTable {
    pub(super) start: Option<Spanned<f64>>,
    pub(super) stop: Option<Spanned<f64>>,
    pub(super) switch: Option<Spanned<f64>>,
    pub(super) trigger: Option<Spanned<f64>>,
}
