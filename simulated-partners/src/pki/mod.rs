//! The lab's certificate factory: an authority and certificates of every kind, good and bad.
//!
//! Keys are created once per [`Authority`] and shared by all certificates of their kind, so a
//! certificate costs one signature. Start at [`Authority::issue`], or at [`CertificateSpec`] for certificates
//! with other faults.

mod authority;
mod certificate;
mod clock;
mod identity;
mod key;
mod line;
mod md5;
mod names;
mod spec;
mod weak;

pub use authority::{Authority, BadAuthority};
pub use clock::today;
pub use identity::Identity;
pub use key::KeyKind;
pub use names::NameForms;
pub use spec::{
    AltName, CertificateSpec, ExtendedKeyUsage, Intermediate, IssuedBy, KeyUsage, Malformed,
    Offset, OtherName, Possession, PublicKey, RawName, Sent, Signature, SpecError, StringType,
};

pub(crate) use clock::{system_time, unix_time};

#[cfg(test)]
mod tests;
