//! The gateway behind a proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::InnerError;
use super::link::{Content, Inner};
use super::opening::{Opening, tcp, unexpected};
use crate::line::Line;
use crate::pki::Identity;
use crate::tls;
use crate::wire::{Element, Kind, NS_DIALBACK, NS_SERVER, NS_STREAM, Unit};

/// Connects to the inner listener of a proxy: direct TLS, both sides authenticated by certificate,
/// then a stream of `jabber:server` from and to the gateway's own domain, over which stanzas pass
/// unchanged.
///
/// The proxy's certificate must be valid for `server_name` and issued by one of `roots`.
///
/// # Errors
/// When a step fails; nothing stays open then.
pub async fn connect(
    address: SocketAddr,
    server_name: &str,
    identity: &Arc<Identity>,
    roots: &Arc<RootCertStore>,
    domain: &str,
) -> Result<Inner, InnerError> {
    let opening = opened(address, server_name, identity, roots, domain).await?;
    Ok(Inner::start(opening, Content::Server))
}

/// A link on which no stanza is parsed.
pub type OpenLine = Line<TlsStream<TcpStream>>;

/// The same as [`connect`] for many stanzas.
///
/// # Errors
/// As [`connect`].
pub async fn line(
    address: SocketAddr,
    server_name: &str,
    identity: &Arc<Identity>,
    roots: &Arc<RootCertStore>,
    domain: &str,
) -> Result<OpenLine, InnerError> {
    let opening = opened(address, server_name, identity, roots, domain).await?;
    Ok(Line::new(opening.stream, opening.framer.pending()))
}

async fn opened(
    address: SocketAddr,
    server_name: &str,
    identity: &Arc<Identity>,
    roots: &Arc<RootCertStore>,
    domain: &str,
) -> Result<Opening<TlsStream<TcpStream>>, InnerError> {
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|_| InnerError::ServerName(server_name.to_owned()))?;
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(InnerError::Config)?
        .with_root_certificates(Arc::clone(roots))
        .with_client_auth_cert(identity.chain().to_vec(), identity.key().clone_key())
        .map_err(InnerError::Config)?;
    let (tcp, socket) = tcp(address).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .map_err(InnerError::Tls)?;

    let header = Element::prefixed("stream", NS_STREAM, "stream")
        .declare(None, NS_SERVER)
        .declare(Some("db"), NS_DIALBACK)
        .attr("from", domain)
        .attr("to", domain)
        .attr("version", "1.0");
    let mut opening = Opening::new(stream, socket);
    opening.open(&header).await?;
    let features = opening.element("stream features").await?;
    if !Unit::Features.is(&features) {
        return Err(unexpected("stream features", &Kind::Element(features)));
    }
    Ok(opening)
}
