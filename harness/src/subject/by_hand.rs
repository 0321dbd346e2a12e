//! The built-in targets' own configurations for servers that somebody sets up by hand.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::remote::{CertificateNames, PartnerHosts};

/// Where a server is set up.
#[derive(Clone, Debug)]
pub struct Site {
    /// The folder with everything that belongs to it.
    pub folder: PathBuf,
    /// Where the lab's DNS will be.
    pub dns: SocketAddr,
    /// The port for other servers.
    pub s2s: u16,
    /// The port for components.
    pub component: u16,
}

/// How to set it up, and what a target file has to say of it.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Files of the folder, with their texts. Certificates are `ca.crt`, `server.crt` and
    /// `server.key` beside them.
    pub files: Vec<(&'static str, String)>,
    /// The domain that it serves.
    pub host: &'static str,
    /// The domain of its component.
    pub component: &'static str,
    /// The component's secret.
    pub secret: &'static str,
    /// What starts it, in words for a shell.
    pub command: String,
    /// How partners have to be published.
    pub partner_hosts: PartnerHosts,
    /// How partners have to be named.
    pub certificate_names: CertificateNames,
}
