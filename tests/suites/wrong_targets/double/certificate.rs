//! The certificate of a double, and what it makes of those of partners.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ServerConfig};
use s2spec::lab::Lab;
use simulated_partners::persona::TlsVersion;
use simulated_partners::pki::{CertificateSpec, ExtendedKeyUsage, Identity, Offset};
use simulated_partners::tls::{Details, Name, Usage, client_config};

use super::defect::Defect;
use super::names::a_labels;
use super::{DOMAIN, SECOND, Server};

/// The certificate that it shows.
pub(super) fn identity(lab: &Lab, defect: Option<Defect>) -> io::Result<Arc<Identity>> {
    let names: &[&str] = match defect {
        Some(Defect::CertificateOfAnother) => &["another.example"],
        _ => &[DOMAIN, SECOND],
    };
    let mut spec = CertificateSpec {
        domains: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ca: defect == Some(Defect::CertificateOfAnAuthority),
        ..CertificateSpec::default()
    };
    match defect {
        Some(Defect::CertificateForServers) => {
            spec.extended_key_usage = Some(vec![ExtendedKeyUsage::ServerAuth]);
        }
        Some(Defect::CertificateOfNobody) => spec.empty_subject = true,
        Some(Defect::CertificateOutOfDate) => {
            spec.not_before = Some(Offset::days(-60));
            spec.not_after = Some(Offset::days(-30));
        }
        _ => {}
    }
    let made = lab.authority.issue_from(&spec, &str::to_owned);
    made.map_err(io::Error::other)
}

/// TLS that asks for no certificate of who dials.
pub(super) fn asks_nobody(identity: &Identity) -> io::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(identity.chain().to_vec(), identity.key().clone_key())
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

/// TLS that goes on with an earlier session, and sends before the handshake is over.
pub(super) fn sends_early_data(identity: Option<&Arc<Identity>>) -> io::Result<Arc<ClientConfig>> {
    let config = client_config(identity, &[TlsVersion::V13]).map_err(io::Error::other)?;
    let mut config = ClientConfig::clone(&config);
    config.resumption = Resumption::in_memory_sessions(8);
    config.enable_early_data = true;
    Ok(Arc::new(config))
}

impl Server {
    /// Whether a certificate proves a domain.
    pub(super) fn proves(&self, chain: &[CertificateDer<'static>], domain: &str) -> bool {
        let Some(details) = Details::read(chain, &self.roots) else {
            return false;
        };
        let spelt = match self.has(Defect::ComparesULabels) || self.has(Defect::KnowsNoForeignNames)
        {
            true => domain.to_owned(),
            false => a_labels(domain),
        };
        let domain = spelt.as_str();
        let now = Details::now();
        let issued = details.chain_fault.is_none() || self.has(Defect::TrustsEveryAuthority);
        let dated =
            details.not_before <= now && now <= details.not_after || self.has(Defect::IgnoresDates);
        let parent = || {
            details.names.iter().any(|name| {
                name.text().strip_prefix("*.").is_some_and(|parent| {
                    parent == domain && self.has(Defect::WildcardForItsParent)
                        || domain.ends_with(&format!(".{parent}"))
                            && self.has(Defect::WildcardAtAnyDepth)
                })
            })
        };
        let ending = || {
            self.has(Defect::ComparesEndings)
                && details
                    .names
                    .iter()
                    .any(|name| domain.ends_with(name.text()) || name.text().ends_with(domain))
        };
        let xmpp = |name: &Name| matches!(name, Name::Xmpp(_)) && name.covers(domain);
        let covers = match self.has(Defect::IgnoresDnsNames) {
            true => details.names.iter().any(xmpp),
            false => details.covers(domain),
        };
        let cut = || {
            let before = |name: &Name| name.text().split('\0').next() == Some(domain);
            self.has(Defect::CutsNamesAtNul) && details.names.iter().any(before)
        };
        let alike = || {
            let fits = |name: &Name| is_pattern_of(name.text(), domain);
            self.has(Defect::NamesArePatterns) && details.names.iter().any(fits)
        };
        let partly = || {
            let fits = |name: &Name| {
                name.text()
                    .split_once('*')
                    .is_some_and(|(start, end)| domain.starts_with(start) && domain.ends_with(end))
            };
            self.has(Defect::WildcardInALabel) && details.names.iter().any(fits)
        };
        let named = partly()
            || covers
            || parent()
            || ending()
            || cut()
            || alike()
            || self.has(Defect::IgnoresNames);
        let nobody = Usage::Only {
            server: false,
            client: false,
        };
        let meant = details.usage != nobody || self.has(Defect::IgnoresPurposes);
        let common_name = details.subject.split("CN=").nth(1);
        let has_name = common_name.is_some_and(|name| !name.is_empty() && !name.starts_with(','));
        let nameless = self.has(Defect::NeedsACommonName) && !has_name;
        issued && dated && named && meant && !nameless
    }

    /// Whether a certificate was issued for clients as well.
    pub(super) fn is_for_clients(&self, chain: &[CertificateDer<'static>]) -> bool {
        let details = Details::read(chain, &self.roots);
        details.is_none_or(|details| {
            details.usage == Usage::Any || matches!(details.usage, Usage::Only { client: true, .. })
        })
    }
}

/// Whether a name fits where its dots stand for any character.
fn is_pattern_of(name: &str, domain: &str) -> bool {
    let fits = |(pattern, character)| pattern == '.' || pattern == character;
    name.len() == domain.len() && name.chars().zip(domain.chars()).all(fits)
}
