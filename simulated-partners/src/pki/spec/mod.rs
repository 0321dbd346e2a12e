//! Certificate specifications: the certificate described in a scenario file, valid or not.
//!
//! A [`CertificateSpec`] is data and knows nothing of keys. [`Authority::issue_from`](super::Authority::issue_from) makes
//! an identity from it. An empty [`CertificateSpec`] describes a valid certificate.

mod alt_name;
mod chain;
mod check;
mod data;
mod error;
mod issue;
mod odd_key;
mod offset;

pub use alt_name::{AltName, OtherName, RawName, StringType};
pub use data::{
    CertificateSpec, ExtendedKeyUsage, Intermediate, IssuedBy, KeyUsage, Malformed, Possession,
    PublicKey, Sent, Signature,
};
pub use error::SpecError;
pub use offset::Offset;

#[cfg(test)]
mod tests;
