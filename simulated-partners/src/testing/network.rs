//! What the partners of a test share.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::RootCertStore;

use crate::dns::{Dns, Records};
use crate::persona::{Certificate, Key};
use crate::pki::{Authority, Identity};

/// An authority and a DNS server on loopback. No other server is ever queried.
#[derive(Debug)]
pub struct Network {
    pub(super) authority: Authority,
    pub(super) dns: Dns,
}

impl Network {
    /// Starts a network, within the current tokio runtime. It ends when its last user is dropped.
    ///
    /// # Errors
    /// When no port is available, or outside of a runtime.
    pub fn start() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            authority: Authority::new(1),
            dns: Dns::start()?,
        }))
    }

    /// The address of the DNS server, for UDP and TCP.
    pub fn dns(&self) -> SocketAddr {
        self.dns.address()
    }

    /// The DNS records, which can be changed at any time, and the logged queries.
    pub fn records(&self) -> &Records {
        self.dns.records()
    }

    /// The root certificate as PEM.
    pub fn ca_pem(&self) -> String {
        self.authority.root_pem()
    }

    /// The root certificate as a trust store.
    pub fn roots(&self) -> Arc<RootCertStore> {
        self.authority.roots()
    }

    /// A certificate for these domains that all partners trust, valid for both roles in TLS.
    pub fn certificate(&self, domains: &[&str]) -> Arc<Identity> {
        self.authority
            .issue(domains, Certificate::Good, Key::P256)
            .expect("a good certificate can always be issued")
    }
}
