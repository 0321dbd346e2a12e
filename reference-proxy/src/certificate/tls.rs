//! TLS 1.2 and 1.3 towards partners and towards the gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::credentials::{Authorities, Credentials, provider};
use super::identity::names_one_of;
use super::judge::{Judge, Judged, Presenter};
use super::verifier::{Demand, PeerVerifier, Stapled};
use crate::domain::Domain;

/// The domain whose certificate a handshake requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateRequest {
    /// None: it would not be used.
    No,
    Of(Domain),
    /// That of a peer who has not given its name yet. It is judged once it does.
    Anybody,
}

/// The application protocol of streams between servers (XEP-0368 §3).
const XMPP_SERVER: &[u8] = b"xmpp-server";

/// The certificates of the served domains.
#[derive(Clone, Debug)]
pub(crate) struct Identities {
    /// Of a domain without one of its own.
    pub(crate) usual: Credentials,
    /// Of those that have one.
    pub(crate) own: BTreeMap<Domain, Credentials>,
}

impl Identities {
    /// What is presented as the domain.
    fn of(&self, domain: &Domain) -> &Credentials {
        self.own.get(domain).unwrap_or(&self.usual)
    }
}

/// TLS towards partners.
pub(crate) struct PartnerTls {
    judge: Arc<Judge>,
    identities: Identities,
    strict: bool,
    usual: DomainTls,
    own: BTreeMap<Domain, DomainTls>,
    direct_acceptor: Arc<ServerConfig>,
}

/// TLS in the name of one served domain.
struct DomainTls {
    verifier: PeerVerifier,
    connector: Arc<ClientConfig>,
    direct_connector: Arc<ClientConfig>,
    requesting: Arc<ServerConfig>,
    plain: Arc<ServerConfig>,
}

impl fmt::Debug for PartnerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartnerTls")
            .field("judge", &self.judge)
            .field("identities", &self.identities)
            .field("strict", &self.strict)
            .finish_non_exhaustive()
    }
}

impl PartnerTls {
    /// TLS that presents the certificates of the served domains. With `strict` a certificate that the judge finds bad
    /// ends the handshake with the right alert.
    pub(crate) fn new(
        identities: Identities,
        judge: Judge,
        strict: bool,
    ) -> Result<Self, rustls::Error> {
        let judge = Arc::new(judge);
        let domain_tls = |shown: &Credentials| {
            let demand = match strict {
                true => Demand::GoodServer(Arc::clone(&judge)),
                false => Demand::Nothing,
            };
            DomainTls::new(shown, demand)
        };
        let usual = domain_tls(&identities.usual)?;
        let own = identities.own.iter();
        let own = own.map(|(domain, shown)| Ok((domain.clone(), domain_tls(shown)?)));
        let own = own.collect::<Result<_, rustls::Error>>()?;
        let shown = Arc::new(BySni(identities.clone()));
        let mut direct_acceptor = server(shown, Some(Demand::Nothing))?;
        direct_acceptor.alpn_protocols = vec![XMPP_SERVER.to_vec()];
        Ok(Self {
            judge,
            identities,
            strict,
            usual,
            own,
            direct_acceptor: Arc::new(direct_acceptor),
        })
    }

    fn of(&self, domain: &Domain) -> &DomainTls {
        self.own.get(domain).unwrap_or(&self.usual)
    }

    /// For dialling a partner in the name of a served domain, whose certificate is presented on
    /// request; the handshake must ask for [`Domain::server_name`]. `direct` is TLS before any
    /// stream, with its ALPN protocol (XEP-0368 §3).
    pub(crate) fn connector(&self, own: &Domain, direct: bool) -> (Arc<ClientConfig>, Stapled) {
        let tls = self.of(own);
        let stapled = Stapled::default();
        let mut connector = Arc::clone(match direct {
            true => &tls.direct_connector,
            false => &tls.connector,
        });
        if self.judge.heeds_stapled() {
            let verifier = Arc::new(tls.verifier.keeping(&stapled));
            let dangerous = &mut Arc::make_mut(&mut connector).dangerous();
            dangerous.set_certificate_verifier(verifier);
        }
        (connector, stapled)
    }

    /// For accepting direct TLS, before the peer has said who it is. A certificate is
    /// requested, to be judged once the stream header names the domain.
    pub(crate) fn direct_acceptor(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.direct_acceptor)
    }

    /// For accepting STARTTLS on a stream for one of the served domains. A peer without a
    /// certificate is never turned away.
    pub(crate) fn acceptor(
        &self,
        own: &Domain,
        request: &CertificateRequest,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let tls = self.of(own);
        match request {
            CertificateRequest::No => Ok(Arc::clone(&tls.plain)),
            CertificateRequest::Of(domain) if self.strict => {
                let demand = Demand::GoodClient {
                    judge: Arc::clone(&self.judge),
                    names: vec![domain.clone()],
                    mandatory: false,
                };
                server(
                    Arc::clone(&self.identities.of(own).choice) as _,
                    Some(demand),
                )
                .map(Arc::new)
            }
            CertificateRequest::Of(_) | CertificateRequest::Anybody => {
                Ok(Arc::clone(&tls.requesting))
            }
        }
    }

    /// Judges a client's certificates as those of the domain, at this moment.
    pub(crate) fn judge_client(
        &self,
        presented: Option<&[CertificateDer<'_>]>,
        domain: &Domain,
    ) -> Judged {
        self.judge_as(Presenter::Client, presented, &[], domain)
    }

    /// The same for a server, with what it stapled to them.
    pub(crate) fn judge_server(
        &self,
        presented: Option<&[CertificateDer<'_>]>,
        stapled: &Stapled,
        domain: &Domain,
    ) -> Judged {
        self.judge_as(Presenter::Server, presented, stapled.answer(), domain)
    }

    fn judge_as(
        &self,
        presenter: Presenter,
        presented: Option<&[CertificateDer<'_>]>,
        stapled: &[u8],
        domain: &Domain,
    ) -> Judged {
        let domains = std::slice::from_ref(domain);
        let now = UnixTime::now();
        self.judge
            .judge(presented, stapled, presenter, domains, now)
    }
}

impl DomainTls {
    fn new(shown: &Credentials, server_demand: Demand) -> Result<Self, rustls::Error> {
        let verifier = PeerVerifier::new(server_demand);
        let connector = connector(verifier.clone(), shown)?;
        let mut direct_connector = connector.clone();
        direct_connector.alpn_protocols = vec![XMPP_SERVER.to_vec()];
        Ok(Self {
            verifier,
            connector: Arc::new(connector),
            direct_connector: Arc::new(direct_connector),
            requesting: Arc::new(server(
                Arc::clone(&shown.choice) as _,
                Some(Demand::Nothing),
            )?),
            plain: Arc::new(server(Arc::clone(&shown.choice) as _, None)?),
        })
    }
}

/// Presents the certificate of the domain that the peer asks for by SNI, before any stream has a `to`.
#[derive(Debug)]
struct BySni(Identities);

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Self(identities) = self;
        let asked = hello
            .server_name()
            .and_then(|name| Domain::parse(name).ok());
        let shown = asked.map_or(&identities.usual, |domain| identities.of(&domain));
        Some(shown.choice.for_peer(hello.signature_schemes()))
    }
}

/// Mutual TLS for gateways: the handshake fails unless the gateway's certificate chains to one of
/// the authorities and has one of the names.
#[derive(Debug)]
pub(crate) struct GatewayTls {
    judge: Arc<Judge>,
    names: Vec<Domain>,
    domains: BTreeMap<Domain, BTreeSet<Domain>>,
    pub(crate) acceptor: Arc<ServerConfig>,
}

impl GatewayTls {
    pub(crate) fn new(
        credentials: &Credentials,
        authorities: Authorities,
        names: Vec<Domain>,
        domains: BTreeMap<Domain, BTreeSet<Domain>>,
    ) -> Result<Self, rustls::Error> {
        let judge = Arc::new(Judge::new(authorities, false));
        let demand = Demand::GoodClient {
            judge: Arc::clone(&judge),
            names: names.clone(),
            mandatory: true,
        };
        let acceptor = Arc::new(server(Arc::clone(&credentials.choice) as _, Some(demand))?);
        Ok(Self {
            judge,
            names,
            domains,
            acceptor,
        })
    }

    /// The domains that the gateway with these certificates is for, or none if it is for all.
    pub(crate) fn domains(
        &self,
        presented: Option<&[CertificateDer<'_>]>,
    ) -> Option<BTreeSet<Domain>> {
        let leaf = presented.and_then(<[_]>::first);
        let (_, leaf) = X509Certificate::from_der(leaf?).ok()?;
        let own = self.names.iter();
        let mut own = own.filter(|name| names_one_of(&leaf, std::slice::from_ref(*name)));
        own.try_fold(BTreeSet::new(), |mut all, name| {
            all.extend(self.domains.get(name)?.iter().cloned());
            Some(all)
        })
    }

    /// Judges the certificates of a gateway that is connected already.
    pub(crate) fn judge(&self, presented: Option<&[CertificateDer<'_>]>) -> Judged {
        let (names, now) = (&self.names, UnixTime::now());
        self.judge
            .judge(presented, &[], Presenter::Client, names, now)
    }
}

/// The other end of it, for a gateway: shows its certificate, and ends the handshake unless that of the
/// proxy chains to one of the authorities and has the name that is asked for.
///
/// # Errors
/// If the certificate cannot be shown.
pub fn gateway_connector(
    credentials: &Credentials,
    authorities: Authorities,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let demand = Demand::GoodServer(Arc::new(Judge::new(authorities, false)));
    connector(PeerVerifier::new(demand), credentials).map(Arc::new)
}

/// What dials with TLS.
fn connector(verifier: PeerVerifier, shown: &Credentials) -> Result<ClientConfig, rustls::Error> {
    let mut connector = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::clone(&shown.choice) as _);
    // Each connection is judged by its own certificate, never by a remembered one.
    connector.resumption = Resumption::disabled();
    Ok(connector)
}

/// A server that requests a certificate if there is a demand.
fn server(
    shown: Arc<dyn ResolvesServerCert>,
    demand: Option<Demand>,
) -> Result<ServerConfig, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match demand {
        Some(demand) => builder.with_client_cert_verifier(Arc::new(PeerVerifier::new(demand))),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(shown);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
