//! The TOML file, and its conversion to checked settings.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::checked::{Checked, Config, Problem, check};
use super::draft::{Draft, OwnCertificate, SideDraft};
use super::list::List;
use super::report::{Mistake, located, render};
use super::settings::{Settings, Side};
use super::spelling;
use super::table::{File, OwnCertificateTable, PartnerTable};
use crate::certificate::{Authorities, Revocation, pem_text};
use crate::domain::{Domain, DomainError, ProxyAddress, XMPP_SERVER_PORT};
use crate::key::Secret;
use crate::negotiation::Terms;
use crate::partner::Partner;

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
        let mut config = Self::from_toml(&text, &path.to_string_lossy())?;
        config.path = Some(path.to_owned());
        Ok(config)
    }

    /// Reads a TOML text. Messages contain the file's name, and paths in the text are relative
    /// to its folder.
    ///
    /// # Errors
    /// [`ConfigError`] with each mistake, its line, and what would be valid.
    pub fn from_toml(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        from_toml(text, file_name, |file, reader| {
            let draft = reader.draft(file)?;
            let checked = reader.checked(&draft);
            // Certificates are looked at all the same, so that all mistakes are shown at once.
            let settings = reader.settings(draft);
            Some(checked?.with(settings?))
        })
    }
}

impl Draft {
    /// Reads a TOML text as [`Config::from_toml`] does, but none of the certificates.
    ///
    /// # Errors
    /// As for [`Config::from_toml`].
    pub fn from_toml(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        from_toml(text, file_name, |file, reader| {
            let draft = reader.draft(file)?;
            reader.checked(&draft).map(|_| draft)
        })
    }
}

/// Reads a TOML text whose tables are `F`, and makes of them what is wanted, unless the reader has
/// problems in the end.
///
/// # Errors
/// [`ConfigError`] with each mistake, its line, and what would be valid.
pub fn from_toml<F: DeserializeOwned, T>(
    text: &str,
    file_name: &str,
    convert: impl FnOnce(F, &mut Reader<'_>) -> Option<T>,
) -> Result<T, ConfigError> {
    let folder = Path::new(file_name).parent();
    let folder = folder.unwrap_or_else(|| Path::new(""));
    let problems = Vec::new();
    let mut reader = Reader { folder, problems };
    let mistakes = match toml::from_str(text) {
        Ok(file) => match convert(file, &mut reader) {
            Some(value) if reader.problems.is_empty() => return Ok(value),
            Some(_) | None => located(reader.problems, text),
        },
        Err(error) => vec![Mistake {
            span: error.span(),
            message: error.message().trim_end().to_owned(),
            help: spelling::help(error.message()),
        }],
    };
    Err(ConfigError::Mistaken {
        report: render(&mistakes, text, file_name),
    })
}

/// Converts texts to values and collects their mistakes. Each setting comes with its path.
#[derive(Debug)]
pub struct Reader<'a> {
    folder: &'a Path,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    /// The folder that paths in the file are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder
    }

    /// Notes a mistake.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn draft(&mut self, file: File) -> Option<Draft> {
        let File {
            external, internal, ..
        } = file;
        let outside = self.side_draft(
            "external",
            external.listen.as_ref(),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, XMPP_SERVER_PORT)),
            [external.certificate, external.key],
            external.ca,
        );
        let domains = self.domains("domains", &file.domains);
        let own_certificates = self.own_certificates(&domains, external.own_certificate);
        let (gateways, gateway_domains) = self.gateways(&domains, internal.gateways);
        let inside = self.side_draft(
            "internal",
            internal.listen.as_ref(),
            SocketAddr::from((Ipv4Addr::LOCALHOST, GATEWAY_PORT)),
            [internal.certificate, internal.key],
            internal.ca,
        );
        let dns = file.dns.iter().enumerate();
        Some(Draft {
            domains,
            gateways,
            gateway_domains,
            dns: dns
                .filter_map(|(index, text)| self.address(&format_args!("dns[{index}]"), text))
                .collect(),
            partners: (0..)
                .zip(file.partner)
                .filter_map(|(index, table)| self.partner(index, table))
                .collect(),
            external: outside?,
            own_certificates: own_certificates?,
            source: external
                .source
                .map_or_else(Vec::new, |list| self.source(&list)),
            direct_tls: external.direct_tls,
            internal: inside?,
            metrics: file.metrics.and_then(|text| self.metrics(&text)),
            control: file.control.map(|path| self.folder.join(path)),
            secret: file.secret.as_deref().map(Secret::new),
            validation: file.validation,
            strict_certificates: file.strict_certificates,
            client_auth_eku: file.client_auth_eku,
            revocation: file.revocation,
            crl: external.crl,
            log_message_bodies: file.log_message_bodies,
            limits: file.limits,
        })
    }

    /// What follows from a draft that has no mistakes so far, nor in the whole.
    fn checked(&mut self, draft: &Draft) -> Option<Checked> {
        // Checks of the whole use indices, so each part must be readable first.
        if !self.problems.is_empty() {
            return None;
        }
        let checked = check(draft).map_err(|problems| self.problems = problems);
        checked.ok()
    }

    /// The same with certificates.
    fn settings(&mut self, draft: Draft) -> Option<Settings> {
        let outside = self.side("external", &draft.external);
        let own = (0..).zip(&draft.own_certificates);
        let own_certificates = own
            .filter_map(|(index, own)| {
                let place = format!("external.own-certificate[{index}]");
                let credentials = self.credentials(&place, &own.certificate, &own.key)?;
                Some((own.domain.clone(), credentials))
            })
            .collect();
        let inside = self.side("internal", &draft.internal);
        Some(Settings {
            domains: draft.domains,
            external: outside?,
            own_certificates,
            source: draft.source,
            direct_tls: draft.direct_tls,
            internal: inside?,
            gateways: draft.gateways,
            gateway_domains: draft.gateway_domains,
            dns: draft.dns,
            control: draft.control,
            metrics: draft.metrics,
            validation: draft.validation,
            strict_certificates: draft.strict_certificates,
            client_auth_eku: draft.client_auth_eku,
            revocation: Revocation {
                policy: draft.revocation,
                lists: self.revoked(draft.revocation, draft.crl.as_ref()),
            },
            log_message_bodies: draft.log_message_bodies,
            limits: draft.limits,
            partners: draft.partners,
        })
    }

    fn side_draft(
        &mut self,
        table: &str,
        listen: Option<&List>,
        default: SocketAddr,
        [certificate, key]: [List; 2],
        ca: String,
    ) -> Option<SideDraft> {
        let listen = match listen {
            Some(list) => self.listen(&format!("{table}.listen"), list),
            None => vec![default],
        };
        Some(SideDraft {
            listen,
            certificate,
            key,
            ca,
        })
    }

    fn side(&mut self, table: &str, draft: &SideDraft) -> Option<Side> {
        let credentials = self.credentials(table, &draft.certificate, &draft.key);
        let authorities = self.authorities(&format_args!("{table}.ca"), &draft.ca);
        Some(Side {
            listen: draft.listen.clone(),
            credentials: credentials?,
            authorities: authorities?,
        })
    }

    fn own_certificates(
        &mut self,
        served: &[Domain],
        tables: Vec<OwnCertificateTable>,
    ) -> Option<Vec<OwnCertificate>> {
        let mut own: Vec<OwnCertificate> = Vec::new();
        for (index, table) in tables.into_iter().enumerate() {
            let at_domain = format!("external.own-certificate[{index}].domain");
            let domain = self.domain(&at_domain, &table.domain)?;
            if !served.contains(&domain) {
                let message = format!("`{domain}` is not served here");
                let problem = Problem::new(&at_domain, message).help("add it to `domains`");
                self.problems.push(problem);
            } else if own.iter().any(|other| other.domain == domain) {
                let message = format!("`{domain}` has a certificate of its own already");
                self.problems.push(Problem::new(&at_domain, message));
            }
            own.push(OwnCertificate {
                domain,
                certificate: table.certificate,
                key: table.key,
            });
        }
        Some(own)
    }

    /// Reads the table of a partner at this place of the list, or notes what is wrong with it.
    pub fn partner(&mut self, index: usize, table: PartnerTable) -> Option<Partner> {
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
            multiplexing: table.multiplexing,
            bidirectional: table.bidirectional,
            stream_management: table.stream_management,
            connection_limit: table.connection_limit,
            proxy,
        })
    }

    /// Reads the domains of a list. Those that are none are noted.
    pub fn domains(&mut self, place: &str, texts: &[String]) -> Vec<Domain> {
        let texts = texts.iter().enumerate();
        texts
            .filter_map(|(index, text)| self.domain(&format_args!("{place}[{index}]"), text))
            .collect()
    }

    /// Reads a domain, or notes why it is none.
    pub fn domain(&mut self, place: &dyn fmt::Display, text: &str) -> Option<Domain> {
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

    pub(super) fn address(&mut self, place: &dyn fmt::Display, text: &str) -> Option<SocketAddr> {
        self.keep(text.parse().map_err(|_| {
            Problem::new(place, format!("`{text}` is not an address with a port"))
                .help("such as \"127.0.0.1:53\" or \"[::1]:53\"")
        }))
    }

    /// Reads certificate authorities, or notes why they cannot be used.
    pub fn authorities(&mut self, place: &dyn fmt::Display, ca: &str) -> Option<Authorities> {
        let pem = self.pem(place, ca)?;
        self.keep(Authorities::from_pem(&pem).map_err(|error| Problem::new(place, chained(&error))))
    }

    /// PEM from the setting itself, or from the file that it names.
    pub(super) fn pem(&mut self, place: &dyn fmt::Display, text: &str) -> Option<String> {
        if text.contains("-----BEGIN ") {
            return Some(text.to_owned());
        }
        let bytes = self.bytes(place, text)?;
        let file = self.folder.join(text).display().to_string();
        self.keep(pem_text(bytes, &file).map_err(|why| Problem::new(place, why)))
    }

    /// What the file has, or the setting itself.
    pub(super) fn bytes(&mut self, place: &dyn fmt::Display, text: &str) -> Option<Vec<u8>> {
        if text.contains("-----BEGIN ") {
            return Some(text.as_bytes().to_vec());
        }
        let path = self.folder.join(text);
        self.keep(fs::read(&path).map_err(|error| {
            Problem::new(place, format!("could not read {}: {error}", path.display()))
                .help("a PEM file, relative to this file, or PEM itself")
        }))
    }

    /// The value, or `None` where there is a problem, which is noted.
    pub fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }
}

/// An error with its sources on one line.
pub(super) fn chained(error: &dyn Error) -> String {
    let sources = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = sources.map(ToString::to_string).collect();
    texts.join(": ")
}
