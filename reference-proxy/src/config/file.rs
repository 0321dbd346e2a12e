//! The TOML file: its format, and its conversion to checked settings.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::checked::{Config, Problem, check};
use super::report::{Mistake, located, render};
use super::settings::{Settings, Side};
use crate::certificate::{Authorities, Credentials, CredentialsError};
use crate::domain::{Domain, DomainError, ProxyAddress, XMPP_SERVER_PORT};
use crate::key::Secret;
use crate::limits::Limits;
use crate::negotiation::{Support, Terms, Validation};
use crate::partner::{Partner, PartnerType};

/// The port of the internal side.
const GATEWAY_PORT: u16 = 23456;

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The file has mistakes.
    #[error("{report}")]
    Mistaken {
        /// Each mistake with file, line, caret and a hint, over several lines.
        report: String,
    },
}

impl Config {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read, or as for [`Config::from_toml`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_toml(&text, &path.to_string_lossy())
    }

    /// Reads a TOML text. Messages contain the file's name, and paths in the text are relative
    /// to its folder.
    ///
    /// # Errors
    /// [`ConfigError`] with each mistake, its line, and what would be valid.
    pub fn from_toml(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        let folder = Path::new(file_name).parent();
        let folder = folder.unwrap_or_else(|| Path::new(""));
        let read = match toml::from_str(text) {
            Ok(file) => read(file, folder).map_err(|problems| located(problems, text)),
            Err(error) => Err(vec![Mistake {
                span: error.span(),
                message: error.message().trim_end().to_owned(),
                help: None,
            }]),
        };
        read.map_err(|mistakes| ConfigError::Mistaken {
            report: render(&mistakes, text, file_name),
        })
    }
}

fn read(file: File, folder: &Path) -> Result<Config, Vec<Problem>> {
    let problems = Vec::new();
    let mut reader = Reader { folder, problems };
    match reader.settings(file) {
        // Checks of the whole use indices, so each part must be readable first.
        Some(settings) if reader.problems.is_empty() => check(settings),
        Some(_) | None => Err(reader.problems),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    domains: Vec<String>,
    external: ExternalTable,
    internal: InternalTable,
    #[serde(default)]
    dns: Vec<String>,
    secret: Option<String>,
    #[serde(default)]
    validation: Validation,
    #[serde(default)]
    strict_certificates: bool,
    #[serde(default)]
    client_auth_eku: bool,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    partner: Vec<PartnerTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ExternalTable {
    listen: Option<String>,
    certificate: String,
    key: String,
    ca: String,
    #[serde(default)]
    direct_tls: bool,
    #[serde(default)]
    own_certificate: Vec<OwnCertificateTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnCertificateTable {
    domain: String,
    certificate: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InternalTable {
    listen: Option<String>,
    certificate: String,
    key: String,
    ca: String,
    gateways: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PartnerTable {
    domain: String,
    #[serde(default)]
    additional_domains: Vec<String>,
    #[serde(default)]
    description: String,
    #[serde(default, rename = "type")]
    kind: PartnerType,
    #[serde(default)]
    tls: Support,
    #[serde(default)]
    sasl: Support,
    #[serde(default = "yes")]
    dialback: bool,
    #[serde(default = "yes")]
    keep_alive: bool,
    connection_limit: Option<usize>,
    proxy_fqdn: Option<String>,
}

fn yes() -> bool {
    true
}

/// Converts texts to values and collects their mistakes. Each setting comes with its path.
struct Reader<'a> {
    folder: &'a Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn settings(&mut self, file: File) -> Option<Settings> {
        let File {
            external, internal, ..
        } = file;
        let outside = self.side(
            "external",
            external.listen.as_deref(),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, XMPP_SERVER_PORT)),
            [&external.certificate, &external.key, &external.ca],
        );
        let domains = self.domains("domains", &file.domains);
        let own_certificates = self.own_certificates(&domains, &external.own_certificate);
        let inside = self.side(
            "internal",
            internal.listen.as_deref(),
            SocketAddr::from((Ipv4Addr::LOCALHOST, GATEWAY_PORT)),
            [&internal.certificate, &internal.key, &internal.ca],
        );
        let dns = file.dns.iter().enumerate();
        Some(Settings {
            domains,
            gateways: self.domains("internal.gateways", &internal.gateways),
            dns: dns
                .filter_map(|(index, text)| self.address(&format_args!("dns[{index}]"), text))
                .collect(),
            partners: (0..)
                .zip(file.partner)
                .filter_map(|(index, table)| self.partner(index, table))
                .collect(),
            external: outside?,
            own_certificates,
            direct_tls: external.direct_tls,
            internal: inside?,
            secret: file.secret.as_deref().map(Secret::new),
            validation: file.validation,
            strict_certificates: file.strict_certificates,
            client_auth_eku: file.client_auth_eku,
            limits: file.limits,
        })
    }

    fn side(
        &mut self,
        table: &str,
        listen: Option<&str>,
        default: SocketAddr,
        [certificate, key, ca]: [&str; 3],
    ) -> Option<Side> {
        let credentials = self.credentials(table, certificate, key);
        let authorities = self.authorities(&format_args!("{table}.ca"), ca);
        let listen = match listen {
            Some(text) => self.address(&format_args!("{table}.listen"), text)?,
            None => default,
        };
        Some(Side {
            listen,
            credentials: credentials?,
            authorities: authorities?,
        })
    }

    fn own_certificates(
        &mut self,
        served: &[Domain],
        tables: &[OwnCertificateTable],
    ) -> BTreeMap<Domain, Credentials> {
        let mut own = BTreeMap::new();
        for (index, table) in tables.iter().enumerate() {
            let place = format!("external.own-certificate[{index}]");
            let at_domain = format!("{place}.domain");
            let credentials = self.credentials(&place, &table.certificate, &table.key);
            let Some(domain) = self.domain(&at_domain, &table.domain) else {
                continue;
            };
            if !served.contains(&domain) {
                let message = format!("`{domain}` is not served here");
                let problem = Problem::new(&at_domain, message).help("add it to `domains`");
                self.problems.push(problem);
            } else if own.contains_key(&domain) {
                let message = format!("`{domain}` has a certificate of its own already");
                self.problems.push(Problem::new(&at_domain, message));
            }
            if let Some(credentials) = credentials {
                own.insert(domain, credentials);
            }
        }
        own
    }

    fn partner(&mut self, index: usize, table: PartnerTable) -> Option<Partner> {
        let place = format!("partner[{index}]");
        let domain = self.domain(&format_args!("{place}.domain"), &table.domain);
        let further = format!("{place}.additional-domains");
        let additional_domains = self.domains(&further, &table.additional_domains);
        let proxy = table.proxy_fqdn.and_then(|text| {
            self.keep(ProxyAddress::parse(&text).map_err(|error| {
                let message = format!("`{text}` is not `FQDN[:port]`: {error}");
                Problem::new(&format_args!("{place}.proxy-fqdn"), message)
            }))
        });
        Some(Partner {
            domain: domain?,
            additional_domains,
            description: table.description,
            kind: table.kind,
            terms: Terms {
                tls: table.tls,
                sasl: table.sasl,
                dialback: table.dialback,
            },
            keep_alive: table.keep_alive,
            connection_limit: table.connection_limit,
            proxy,
        })
    }

    fn domains(&mut self, place: &str, texts: &[String]) -> Vec<Domain> {
        let texts = texts.iter().enumerate();
        texts
            .filter_map(|(index, text)| self.domain(&format_args!("{place}[{index}]"), text))
            .collect()
    }

    fn domain(&mut self, place: &dyn fmt::Display, text: &str) -> Option<Domain> {
        self.keep(Domain::parse(text).map_err(|error| {
            let problem = Problem::new(place, format!("`{text}`: {error}"));
            match error {
                DomainError::Invalid => problem.help(
                    "labels of letters, digits and inner hyphens, at most 63 bytes each, \
                     at most 253 in all",
                ),
                _ => problem,
            }
        }))
    }

    fn address(&mut self, place: &dyn fmt::Display, text: &str) -> Option<SocketAddr> {
        self.keep(text.parse().map_err(|_| {
            Problem::new(place, format!("`{text}` is not an address with a port"))
                .help("such as \"127.0.0.1:53\" or \"[::1]:53\"")
        }))
    }

    fn credentials(&mut self, table: &str, certificate: &str, key: &str) -> Option<Credentials> {
        let chain = self.pem(&format_args!("{table}.certificate"), certificate);
        let key = self.pem(&format_args!("{table}.key"), key);
        self.keep(Credentials::from_pem(&chain?, &key?).map_err(|error| {
            let setting = match error {
                CredentialsError::NoKey => "key",
                _ => "certificate",
            };
            Problem::new(&format_args!("{table}.{setting}"), chained(&error))
        }))
    }

    fn authorities(&mut self, place: &dyn fmt::Display, ca: &str) -> Option<Authorities> {
        let pem = self.pem(place, ca)?;
        self.keep(Authorities::from_pem(&pem).map_err(|error| Problem::new(place, chained(&error))))
    }

    /// PEM from the setting itself, or from the file that it names.
    fn pem(&mut self, place: &dyn fmt::Display, text: &str) -> Option<String> {
        if text.contains("-----BEGIN ") {
            return Some(text.to_owned());
        }
        let path = self.folder.join(text);
        self.keep(fs::read_to_string(&path).map_err(|error| {
            Problem::new(place, format!("could not read {}: {error}", path.display()))
                .help("a PEM file, relative to this file, or PEM itself")
        }))
    }

    fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }
}

/// An error with its sources on one line.
fn chained(error: &dyn Error) -> String {
    let sources = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = sources.map(ToString::to_string).collect();
    texts.join(": ")
}
