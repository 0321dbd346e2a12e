//! Records what the other side requested in a handshake, besides what was negotiated.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};

/// Filled in during a handshake.
#[derive(Debug, Default)]
pub struct OfferRecorder {
    asked: AtomicBool,
    offered: OnceLock<Vec<String>>,
}

impl OfferRecorder {
    /// Whether the server requested a certificate.
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The application protocols that the client offered (RFC 7301 §3.1).
    pub fn offered(&self) -> &[String] {
        self.offered.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// The same configuration for one handshake as a client, recorded.
    pub fn client(config: &Arc<ClientConfig>) -> (Arc<ClientConfig>, Arc<Self>) {
        let witness = Arc::new(Self::default());
        let mut config = ClientConfig::clone(config);
        config.client_auth_cert_resolver = Arc::new(Watched {
            resolver: Arc::clone(&config.client_auth_cert_resolver),
            witness: Arc::clone(&witness),
        });
        (Arc::new(config), witness)
    }

    /// The same configuration for one handshake as a server, recorded.
    pub fn server(config: &Arc<ServerConfig>) -> (Arc<ServerConfig>, Arc<Self>) {
        let witness = Arc::new(Self::default());
        let mut config = ServerConfig::clone(config);
        config.cert_resolver = Arc::new(Watched {
            resolver: Arc::clone(&config.cert_resolver),
            witness: Arc::clone(&witness),
        });
        (Arc::new(config), witness)
    }
}

/// A certificate resolver that records.
#[derive(Debug)]
struct Watched<R: ?Sized> {
    witness: Arc<OfferRecorder>,
    resolver: Arc<R>,
}

impl ResolvesClientCert for Watched<dyn ResolvesClientCert> {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.witness.asked.store(true, Ordering::Relaxed);
        self.resolver.resolve(root_hint_subjects, schemes)
    }

    fn has_certs(&self) -> bool {
        self.resolver.has_certs()
    }
}

impl ResolvesServerCert for Watched<dyn ResolvesServerCert> {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let protocols = hello.alpn().into_iter().flatten();
        let names = protocols.map(|name| String::from_utf8_lossy(name).into_owned());
        // A second hello after a HelloRetryRequest offers the same.
        let _ = self.witness.offered.set(names.collect());
        self.resolver.resolve(hello)
    }
}
