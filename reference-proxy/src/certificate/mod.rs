//! Certificates: the proxy's own, the authorities it trusts, and the verdict on a peer's.
//!
//! A bad certificate does not end a TLS handshake here unless `strict-certificates` is set: the
//! stream layer asks for the verdict and decides whether EXTERNAL or dialback follows. A handshake
//! signature that does not belong to the certificate's key always ends it.

mod credentials;
mod identity;
mod judge;
mod ocsp;
mod own;
mod revocation;
mod tls;
mod verifier;
mod words;

pub use credentials::{Authorities, Credentials, CredentialsError};
pub(crate) use judge::{Fault, Judge, Judged};
pub(crate) use own::examine;
pub use own::{Examined, Remark, Rule, examine_chain, fit};
pub use revocation::RevocationPolicy;
pub(crate) use revocation::{Lists, Revocation};
pub use tls::gateway_connector;
pub(crate) use tls::{CertificateRequest, GatewayTls, Identities, PartnerTls};
pub(crate) use verifier::Stapled;
pub use words::pem_text;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
