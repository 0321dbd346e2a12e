//! The TOML file: its vocabulary, and the way from it to checked settings.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_spanned::Spanned;

use super::check::{PartnerField, Place, Problem};
use super::report::{Mistake, render};
use super::seconds::Seconds;
use super::{Config, External, Internal, Settings};
use crate::certificate::{Authorities, Credentials, CredentialsError};
use crate::domain::{Domain, DomainError, ProxyAddress};
use crate::key::Secret;
use crate::limits::Limits;
use crate::negotiation::{Negotiation, Support, Validation};
use crate::partner::{Partner, PartnerType};

/// A configuration file that is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file says what it must not.
    #[error("{report}")]
    Mistaken {
        /// Number of mistakes, at least one.
        mistakes: usize,
        /// Each mistake with file, line, caret and what would be valid, over several lines.
        report: String,
    },
}

pub(super) fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    from_toml(&text, path)
}

pub(super) fn from_toml(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    read(text, folder).map_err(|mistakes| ConfigError::Mistaken {
        mistakes: mistakes.len(),
        report: render(&mistakes, text, &path.to_string_lossy()),
    })
}

fn read(text: &str, folder: &Path) -> Result<Config, Vec<Mistake>> {
    let file: File = toml::from_str(text).map_err(|error| {
        vec![Mistake {
            span: error.span(),
            message: error.message().trim_end().to_owned(),
            help: None,
        }]
    })?;
    let mut reader = Reader {
        folder,
        mistakes: Vec::new(),
    };
    let settings = reader.settings(&file);
    // Checks of the whole count positions, so each part has to be legible first.
    match settings {
        Some(settings) if reader.mistakes.is_empty() => {
            Config::checked(settings).map_err(|refused| {
                let problems = refused.problems.into_iter();
                problems.map(|problem| file.mistake(problem)).collect()
            })
        }
        _ => Err(reader.mistakes),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    domains: Spanned<Vec<Spanned<String>>>,
    external: ExternalTable,
    internal: InternalTable,
    #[serde(default)]
    dns: Vec<Spanned<String>>,
    secret: Option<Spanned<String>>,
    #[serde(default)]
    validation: Validation,
    #[serde(default)]
    strict_certificates: bool,
    #[serde(default)]
    client_auth_eku: bool,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    partner: Vec<PartnerTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ExternalTable {
    listen: Option<Spanned<String>>,
    #[serde(default)]
    direct_tls: bool,
    certificate: Spanned<String>,
    key: Spanned<String>,
    ca: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InternalTable {
    listen: Option<Spanned<String>>,
    certificate: Spanned<String>,
    key: Spanned<String>,
    ca: Spanned<String>,
    gateways: Spanned<Vec<Spanned<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LimitsTable {
    connections: Option<Spanned<u32>>,
    partner_connections: Option<Spanned<u32>>,
    keep_alive_interval: Option<Spanned<Seconds>>,
    stream_establishment_timeout: Option<Spanned<Seconds>>,
    stream_inactivity_timeout: Option<Spanned<Seconds>>,
    connect_timeout: Option<Spanned<Seconds>>,
    dialback_timeout: Option<Spanned<Seconds>>,
    dns_timeout: Option<Spanned<Seconds>>,
    stop_timeout: Option<Spanned<Seconds>>,
    bytes_before_authentication: Option<Spanned<usize>>,
    stanza_bytes: Option<Spanned<usize>>,
    depth: Option<Spanned<usize>>,
    attributes: Option<Spanned<usize>>,
    stream_pairs: Option<Spanned<usize>>,
    queue_stanzas: Option<Spanned<usize>>,
    queue_bytes: Option<Spanned<usize>>,
    gateway_queue_stanzas: Option<Spanned<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PartnerTable {
    domain: Spanned<String>,
    #[serde(default)]
    additional_domains: Vec<Spanned<String>>,
    #[serde(default)]
    description: String,
    #[serde(default, rename = "type")]
    kind: PartnerType,
    tls: Option<Spanned<Support>>,
    sasl: Option<Spanned<Support>>,
    dialback: Option<Spanned<bool>>,
    keep_alive: Option<bool>,
    connection_limit: Option<Spanned<u32>>,
    proxy_fqdn: Option<Spanned<String>>,
}

impl File {
    fn mistake(&self, problem: Problem) -> Mistake {
        Mistake {
            span: self.span(problem.place),
            message: problem.message,
            help: problem.help,
        }
    }

    fn span(&self, place: Place) -> Option<Range<usize>> {
        match place {
            Place::Domain(index) => self.domains.get_ref().get(index).map(Spanned::span),
            Place::Domains => Some(self.domains.span()),
            Place::Gateways => Some(self.internal.gateways.span()),
            Place::Limit(name) => self.limits.span(name),
            Place::Partner(index, field) => self.partner.get(index)?.span(field),
            Place::Secret => self.secret.as_ref().map(Spanned::span),
        }
    }
}

impl PartnerTable {
    fn span(&self, field: PartnerField) -> Option<Range<usize>> {
        match field {
            PartnerField::AdditionalDomain(which) => {
                self.additional_domains.get(which).map(Spanned::span)
            }
            PartnerField::ConnectionLimit => self.connection_limit.as_ref().map(Spanned::span),
            PartnerField::Domain => Some(self.domain.span()),
            // The setting that most likely is the odd one; a default has no place in the file.
            PartnerField::Negotiation => self
                .sasl
                .as_ref()
                .map(Spanned::span)
                .or_else(|| self.tls.as_ref().map(Spanned::span))
                .or_else(|| self.dialback.as_ref().map(Spanned::span))
                .or_else(|| Some(self.domain.span())),
        }
    }
}

impl LimitsTable {
    fn limits(&self) -> Limits {
        fn set<T: Copy>(limit: &mut T, given: Option<&Spanned<T>>) {
            if let Some(given) = given {
                *limit = *given.get_ref();
            }
        }
        fn time(limit: &mut std::time::Duration, given: Option<&Spanned<Seconds>>) {
            if let Some(given) = given {
                *limit = given.get_ref().0;
            }
        }
        let mut limits = Limits::default();
        set(&mut limits.connections, self.connections.as_ref());
        set(
            &mut limits.partner_connections,
            self.partner_connections.as_ref(),
        );
        time(
            &mut limits.keep_alive_interval,
            self.keep_alive_interval.as_ref(),
        );
        time(
            &mut limits.stream_establishment_timeout,
            self.stream_establishment_timeout.as_ref(),
        );
        time(
            &mut limits.stream_inactivity_timeout,
            self.stream_inactivity_timeout.as_ref(),
        );
        time(&mut limits.connect_timeout, self.connect_timeout.as_ref());
        time(&mut limits.dialback_timeout, self.dialback_timeout.as_ref());
        time(&mut limits.dns_timeout, self.dns_timeout.as_ref());
        time(&mut limits.stop_timeout, self.stop_timeout.as_ref());
        set(
            &mut limits.bytes_before_authentication,
            self.bytes_before_authentication.as_ref(),
        );
        set(&mut limits.stanza_bytes, self.stanza_bytes.as_ref());
        set(&mut limits.depth, self.depth.as_ref());
        set(&mut limits.attributes, self.attributes.as_ref());
        set(&mut limits.stream_pairs, self.stream_pairs.as_ref());
        set(&mut limits.queue_stanzas, self.queue_stanzas.as_ref());
        set(&mut limits.queue_bytes, self.queue_bytes.as_ref());
        set(
            &mut limits.gateway_queue_stanzas,
            self.gateway_queue_stanzas.as_ref(),
        );
        limits
    }

    fn span(&self, name: &str) -> Option<Range<usize>> {
        fn of<T>(given: Option<&Spanned<T>>) -> Option<Range<usize>> {
            given.map(Spanned::span)
        }
        match name {
            "connections" => of(self.connections.as_ref()),
            "partner-connections" => of(self.partner_connections.as_ref()),
            "keep-alive-interval" => of(self.keep_alive_interval.as_ref()),
            "stream-establishment-timeout" => of(self.stream_establishment_timeout.as_ref()),
            "stream-inactivity-timeout" => of(self.stream_inactivity_timeout.as_ref()),
            "connect-timeout" => of(self.connect_timeout.as_ref()),
            "dialback-timeout" => of(self.dialback_timeout.as_ref()),
            "dns-timeout" => of(self.dns_timeout.as_ref()),
            "stop-timeout" => of(self.stop_timeout.as_ref()),
            "bytes-before-authentication" => of(self.bytes_before_authentication.as_ref()),
            "stanza-bytes" => of(self.stanza_bytes.as_ref()),
            "depth" => of(self.depth.as_ref()),
            "attributes" => of(self.attributes.as_ref()),
            "stream-pairs" => of(self.stream_pairs.as_ref()),
            "queue-stanzas" => of(self.queue_stanzas.as_ref()),
            // The two have to fit each other; either may be the one that was written.
            "queue-bytes" => {
                of(self.queue_bytes.as_ref()).or_else(|| of(self.stanza_bytes.as_ref()))
            }
            "gateway-queue-stanzas" => of(self.gateway_queue_stanzas.as_ref()),
            _ => None,
        }
    }
}

/// Turns texts into what they stand for, and keeps what is wrong with them.
struct Reader<'a> {
    folder: &'a Path,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn settings(&mut self, file: &File) -> Option<Settings> {
        let domains = self.domains(file.domains.get_ref());
        let external = self.external(&file.external);
        let internal = self.internal(&file.internal);
        let dns = file
            .dns
            .iter()
            .filter_map(|text| self.address(text))
            .collect();
        let partners = file
            .partner
            .iter()
            .filter_map(|table| self.partner(table))
            .collect();
        Some(Settings {
            domains,
            external: external?,
            internal: internal?,
            dns,
            secret: file
                .secret
                .as_ref()
                .map(|secret| Secret::new(secret.get_ref())),
            seed: None,
            validation: file.validation,
            strict_certificates: file.strict_certificates,
            client_auth_eku: file.client_auth_eku,
            limits: file.limits.limits(),
            partners,
        })
    }

    fn external(&mut self, table: &ExternalTable) -> Option<External> {
        let credentials = self.credentials(&table.certificate, &table.key);
        let authorities = self.authorities(&table.ca);
        let listen = self.listen(table.listen.as_ref());
        let mut external = External::new(credentials?, authorities?);
        external.direct_tls = table.direct_tls;
        if let Some(listen) = listen {
            external.listen = listen;
        }
        Some(external)
    }

    fn internal(&mut self, table: &InternalTable) -> Option<Internal> {
        let credentials = self.credentials(&table.certificate, &table.key);
        let authorities = self.authorities(&table.ca);
        let listen = self.listen(table.listen.as_ref());
        let gateways = self.domains(table.gateways.get_ref());
        let mut internal = Internal::new(credentials?, authorities?, gateways);
        if let Some(listen) = listen {
            internal.listen = listen;
        }
        Some(internal)
    }

    fn partner(&mut self, table: &PartnerTable) -> Option<Partner> {
        let domain = self.domain(&table.domain);
        let additional_domains = self.domains(&table.additional_domains);
        let proxy = match &table.proxy_fqdn {
            None => None,
            Some(text) => match ProxyAddress::parse(text.get_ref()) {
                Ok(address) => Some(address),
                Err(error) => {
                    let message = format!("`{}` is not `FQDN[:port]`: {error}", text.get_ref());
                    self.add(text.span(), message, None);
                    None
                }
            },
        };
        let defaults = Negotiation::default();
        Some(Partner {
            additional_domains,
            description: table.description.clone(),
            kind: table.kind,
            negotiation: Negotiation {
                tls: table
                    .tls
                    .as_ref()
                    .map_or(defaults.tls, |tls| *tls.get_ref()),
                sasl: table
                    .sasl
                    .as_ref()
                    .map_or(defaults.sasl, |sasl| *sasl.get_ref()),
                dialback: table
                    .dialback
                    .as_ref()
                    .map_or(defaults.dialback, |dialback| *dialback.get_ref()),
            },
            keep_alive: table.keep_alive.unwrap_or(true),
            connection_limit: table
                .connection_limit
                .as_ref()
                .map(|limit| *limit.get_ref()),
            proxy,
            ..Partner::new(domain?)
        })
    }

    fn domains(&mut self, texts: &[Spanned<String>]) -> Vec<Domain> {
        texts.iter().filter_map(|text| self.domain(text)).collect()
    }

    fn domain(&mut self, text: &Spanned<String>) -> Option<Domain> {
        match Domain::parse(text.get_ref()) {
            Ok(domain) => Some(domain),
            Err(error) => {
                let help = (error == DomainError::Illegal).then(|| {
                    "labels of letters, digits and inner hyphens, at most 63 bytes each, \
                     at most 253 in all"
                        .to_owned()
                });
                self.add(text.span(), format!("`{}`: {error}", text.get_ref()), help);
                None
            }
        }
    }

    fn listen(&mut self, text: Option<&Spanned<String>>) -> Option<SocketAddr> {
        text.and_then(|text| self.address(text))
    }

    fn address(&mut self, text: &Spanned<String>) -> Option<SocketAddr> {
        match text.get_ref().parse() {
            Ok(address) => Some(address),
            Err(_) => {
                let message = format!("`{}` is not an address with a port", text.get_ref());
                let help = "such as \"127.0.0.1:53\" or \"[::1]:53\"".to_owned();
                self.add(text.span(), message, Some(help));
                None
            }
        }
    }

    fn credentials(
        &mut self,
        certificate: &Spanned<String>,
        key: &Spanned<String>,
    ) -> Option<Credentials> {
        let chain_text = self.pem(certificate);
        let key_text = self.pem(key);
        match Credentials::from_pem(&chain_text?, &key_text?) {
            Ok(credentials) => Some(credentials),
            Err(error) => {
                let text = match error {
                    CredentialsError::NoKey => key,
                    _ => certificate,
                };
                self.add(opening(text), chained(&error), None);
                None
            }
        }
    }

    fn authorities(&mut self, ca: &Spanned<String>) -> Option<Authorities> {
        match Authorities::from_pem(&self.pem(ca)?) {
            Ok(authorities) => Some(authorities),
            Err(error) => {
                self.add(opening(ca), chained(&error), None);
                None
            }
        }
    }

    /// PEM as it stands there, or from the file that is named.
    fn pem(&mut self, text: &Spanned<String>) -> Option<String> {
        if text.get_ref().contains("-----BEGIN ") {
            return Some(text.get_ref().clone());
        }
        let path = self.folder.join(text.get_ref());
        match fs::read_to_string(&path) {
            Ok(pem) => Some(pem),
            Err(error) => {
                let message = format!("could not read {}: {error}", path.display());
                let help = "a PEM file, relative to this file, or PEM itself".to_owned();
                self.add(text.span(), message, Some(help));
                None
            }
        }
    }

    fn add(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.mistakes.push(Mistake {
            span: Some(span),
            message,
            help,
        });
    }
}

/// The first byte of a text that may hold a key over several lines, so that no message shows it.
fn opening(text: &Spanned<String>) -> Range<usize> {
    let start = text.span().start;
    start..start.saturating_add(1)
}

/// An error with its sources on one line.
fn chained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
