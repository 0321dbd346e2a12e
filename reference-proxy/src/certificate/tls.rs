//! TLS 1.2 and 1.3 towards partners and towards the gateway.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig};

use super::credentials::{Authorities, Credentials, provider};
use super::judge::{Judge, Judged, Presenter};
use super::verifier::{Demand, PeerVerifier};
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

/// TLS towards partners.
pub(crate) struct PartnerTls {
    judge: Arc<Judge>,
    credentials: Credentials,
    strict: bool,
    connector: Arc<ClientConfig>,
    direct_connector: Arc<ClientConfig>,
    direct_acceptor: Arc<ServerConfig>,
    requesting: Arc<ServerConfig>,
    plain: Arc<ServerConfig>,
}

impl fmt::Debug for PartnerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartnerTls")
            .field("judge", &self.judge)
            .field("credentials", &self.credentials)
            .field("strict", &self.strict)
            .finish_non_exhaustive()
    }
}

impl PartnerTls {
    /// TLS that presents the credentials. With `strict` a certificate that the judge finds bad
    /// ends the handshake with the right alert.
    pub(crate) fn new(
        credentials: Credentials,
        judge: Judge,
        strict: bool,
    ) -> Result<Self, rustls::Error> {
        let judge = Arc::new(judge);
        let server_demand = match strict {
            true => Demand::GoodServer(Arc::clone(&judge)),
            false => Demand::Nothing,
        };
        let mut connector = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PeerVerifier::new(server_demand)))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                credentials.certified.as_ref().clone(),
            )));
        // Each connection is judged by its own certificate, never by a remembered one.
        connector.resumption = Resumption::disabled();
        let mut direct_connector = connector.clone();
        direct_connector.alpn_protocols = vec![XMPP_SERVER.to_vec()];
        let requesting = server(&credentials, Some(Demand::Nothing))?;
        let mut direct_acceptor = requesting.clone();
        direct_acceptor.alpn_protocols = vec![XMPP_SERVER.to_vec()];
        let plain = server(&credentials, None)?;
        Ok(Self {
            judge,
            credentials,
            strict,
            connector: Arc::new(connector),
            direct_connector: Arc::new(direct_connector),
            direct_acceptor: Arc::new(direct_acceptor),
            requesting: Arc::new(requesting),
            plain: Arc::new(plain),
        })
    }

    /// For dialling a partner; the handshake must ask for [`Domain::server_name`]. The proxy's
    /// own certificate is presented on request. `direct` is TLS before any stream, with its ALPN
    /// protocol (XEP-0368 §3).
    pub(crate) fn connector(&self, direct: bool) -> Arc<ClientConfig> {
        Arc::clone(match direct {
            true => &self.direct_connector,
            false => &self.connector,
        })
    }

    /// For accepting direct TLS, before the peer has said who it is. A certificate is
    /// requested, to be judged once the stream header names the domain.
    pub(crate) fn direct_acceptor(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.direct_acceptor)
    }

    /// For accepting STARTTLS. A peer without a certificate is never turned away.
    pub(crate) fn acceptor(
        &self,
        request: &CertificateRequest,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        match request {
            CertificateRequest::No => Ok(Arc::clone(&self.plain)),
            CertificateRequest::Of(domain) if self.strict => {
                let demand = Demand::GoodClient {
                    judge: Arc::clone(&self.judge),
                    names: vec![domain.clone()],
                    mandatory: false,
                };
                server(&self.credentials, Some(demand)).map(Arc::new)
            }
            CertificateRequest::Of(_) | CertificateRequest::Anybody => {
                Ok(Arc::clone(&self.requesting))
            }
        }
    }

    /// Judges the peer's certificates as those of the domain, at this moment.
    pub(crate) fn judge(
        &self,
        presented: Option<&[CertificateDer<'_>]>,
        presenter: Presenter,
        domain: &Domain,
    ) -> Judged {
        let domains = std::slice::from_ref(domain);
        self.judge
            .judge(presented, presenter, domains, UnixTime::now())
    }
}

/// Mutual TLS for gateways: the handshake fails unless the gateway's certificate chains to one of
/// the authorities and has one of the names.
pub(crate) fn gateway_acceptor(
    credentials: &Credentials,
    authorities: Authorities,
    names: Vec<Domain>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let demand = Demand::GoodClient {
        judge: Arc::new(Judge::new(authorities, false)),
        names,
        mandatory: true,
    };
    server(credentials, Some(demand)).map(Arc::new)
}

/// A server that requests a certificate if there is a demand.
fn server(
    credentials: &Credentials,
    demand: Option<Demand>,
) -> Result<ServerConfig, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match demand {
        Some(demand) => builder.with_client_cert_verifier(Arc::new(PeerVerifier::new(demand))),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(
        credentials.certified.as_ref().clone(),
    )));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
