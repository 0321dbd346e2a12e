//! Certificates: the proxy's own, the authorities it trusts, and the verdict on a peer's.
//!
//! A bad certificate does not end a TLS handshake here unless `strict-certificates` is set: the
//! stream layer asks for the verdict and decides whether EXTERNAL or dialback follows. What always
//! ends a handshake is a signature that the certificate's key did not make.

mod credentials;
mod identity;
mod judge;
mod tls;

pub use credentials::{Authorities, Credentials, CredentialsError};
pub use judge::{Fault, Judge, Judged, Presenter};
pub use tls::{ClientCertificate, GatewayTls, PartnerTls, TlsError};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
